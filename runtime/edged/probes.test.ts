import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import type { Container, Probe } from '../core/pod.ts';
import { seconds } from '../core/units.ts';
import type { CriCall } from '../wire/cri.ts';
import type { ObservedContainer } from './observed.ts';
import { Probes, runHandler } from './probes.ts';

type Context = {
  clock: FakeClock;
  /** Exit code of each command; a function to say it later. */
  exits: Map<string, number>;
  runs: string[];
  failures: string[];
  changes: { count: number };
  probes: Probes;
};
const test = suite<Context>('probes');

test.before.each((context) => {
  const clock = new FakeClock();
  const exits = new Map<string, number>();
  const runs: string[] = [];
  const failures: string[] = [];
  const changes = { count: 0 };
  const call = async (_method: string, request: unknown): Promise<unknown> => {
    const [command = ''] = (request as { cmd: string[] }).cmd;
    runs.push(command);
    return { exitCode: exits.get(command) ?? 0, stdout: Buffer.from('out '), stderr: Buffer.from('err') };
  };
  const probes = new Probes({
    call: call as CriCall,
    clock,
    podIP: () => '127.0.0.1',
    changed: () => {
      changes.count++;
    },
    failed: (container, kind, why) => failures.push(`${container} ${kind} ${why}`),
  });
  Object.assign(context, { clock, exits, runs, failures, changes, probes });
});
test.after.each(({ probes, clock }) => {
  probes.stop();
  assert.is(clock.pending, 0, 'no timer is left');
});

const probe = (command: string, parts: Partial<Probe> = {}): Probe => ({
  exec: { command: [command] },
  ...parts,
});
const running = (container: Partial<Container>, id = 'c1') => ({
  observed: { id, name: 'app', state: 'running' } as ObservedContainer,
  container: { name: 'app', image: 'i', ...container },
});
const state = (probes: Probes, id = 'c1') => [
  probes.isStarted(id),
  probes.isReady(id),
  probes.unhealthy().has(id),
];

test('a container without probes is started and ready, one that is not watched is neither', ({ probes }) => {
  probes.watch([running({})]);
  assert.equal(state(probes), [true, true, false]);
  assert.equal(state(probes, 'other'), [false, false, false]);
});

test('a readiness probe: not ready before its first success, which comes after the initial delay', async ({
  probes,
  clock,
  runs,
  changes,
}) => {
  probes.watch([running({ readinessProbe: probe('r', { initialDelaySeconds: 5 }) })]);
  await clock.advance(seconds(5) - 1);
  assert.equal([state(probes), runs.length], [[true, false, false], 0]);
  await clock.advance(1);
  assert.equal([state(probes), runs.length, changes.count], [[true, true, false], 1, 1]);
});

test('a probe runs every ten seconds unless it says otherwise', async ({ probes, clock, runs }) => {
  probes.watch([running({ readinessProbe: probe('r'), livenessProbe: probe('l', { periodSeconds: 3 }) })]);
  await clock.advance(seconds(30));
  assert.is(runs.filter((command) => command === 'r').length, 4);
  assert.is(runs.filter((command) => command === 'l').length, 11);
});

test('readiness is lost after three failures in a row, and is back after one success', async ({
  probes,
  clock,
  exits,
  failures,
  changes,
}) => {
  probes.watch([running({ readinessProbe: probe('r', { periodSeconds: 1 }) })]);
  await clock.advance(0);
  exits.set('r', 1);
  await clock.advance(seconds(2));
  exits.set('r', 0);
  await clock.advance(seconds(1));
  exits.set('r', 2);
  await clock.advance(seconds(2));
  assert.equal(state(probes), [true, true, false], 'two and two are no three in a row');
  await clock.advance(seconds(1));
  assert.equal(state(probes), [true, false, false]);
  await clock.advance(seconds(5));
  assert.equal(failures, ['app readiness exit status 2: out err'], 'told once');
  exits.set('r', 0);
  await clock.advance(seconds(1));
  assert.equal([state(probes), changes.count], [[true, true, false], 3]);
});

test('a success threshold asks for that many successes in a row', async ({ probes, clock, exits }) => {
  exits.set('r', 1);
  const readinessProbe = probe('r', { periodSeconds: 1, successThreshold: 2, failureThreshold: 1 });
  probes.watch([running({ readinessProbe })]);
  await clock.advance(0);
  exits.set('r', 0);
  await clock.advance(seconds(1));
  assert.not(probes.isReady('c1'));
  await clock.advance(seconds(1));
  assert.ok(probes.isReady('c1'));
});

test('a liveness probe that fails three times asks for a restart', async ({
  probes,
  clock,
  exits,
  failures,
}) => {
  probes.watch([running({ livenessProbe: probe('l') })]);
  exits.set('l', 1);
  await clock.advance(seconds(19));
  assert.equal(state(probes), [true, true, false]);
  await clock.advance(seconds(1));
  assert.equal(state(probes), [true, true, true]);
  assert.is(failures.length, 1);
  probes.watch([running({ livenessProbe: probe('l') }, 'c2')]);
  assert.equal(state(probes, 'c2'), [true, true, false], 'its successor begins anew');
});

test('until the startup probe has succeeded the others wait, and nothing is ready', async ({
  probes,
  clock,
  exits,
  runs,
}) => {
  exits.set('s', 1);
  const startupProbe = probe('s', { periodSeconds: 1, failureThreshold: 30 });
  probes.watch([running({ startupProbe, livenessProbe: probe('l', { periodSeconds: 1 }) })]);
  await clock.advance(seconds(5));
  assert.equal(state(probes), [false, false, false]);
  assert.not(runs.includes('l'));
  exits.set('s', 0);
  await clock.advance(seconds(1));
  assert.equal(state(probes), [true, true, false]);
  runs.length = 0;
  await clock.advance(seconds(3));
  assert.equal(runs, ['l', 'l', 'l'], 'the startup probe is over');
});

test('a container that does not start in time is restarted', async ({ probes, clock, exits, failures }) => {
  exits.set('s', 1);
  probes.watch([running({ startupProbe: probe('s', { periodSeconds: 2, failureThreshold: 2 }) })]);
  await clock.advance(seconds(2));
  assert.equal(state(probes), [false, false, true]);
  assert.equal(failures, ['app startup exit status 1: out err']);
});

test('a container that no longer runs is let go', async ({ probes, clock, runs }) => {
  probes.watch([running({ livenessProbe: probe('l') })]);
  await clock.advance(0);
  probes.watch([]);
  await clock.advance(seconds(60));
  assert.is(runs.length, 1);
  assert.is(clock.pending, 0);
});

test('watching what is watched already changes nothing', async ({ probes, clock, runs }) => {
  for (let i = 0; i < 3; i++) probes.watch([running({ readinessProbe: probe('r') })]);
  await clock.advance(0);
  assert.is(runs.length, 1);
});

const container: Container = { name: 'app', image: 'i', ports: [{ name: 'web', containerPort: 1 }] };
const noCall: CriCall = () => Promise.reject(new Error('no runtime is asked'));

for (const [status, why] of [
  [200, undefined],
  [204, undefined],
  [302, undefined],
  [399, undefined],
  [400, 'HTTP status 400'],
  [404, 'HTTP status 404'],
  [503, 'HTTP status 503'],
] as const) {
  test(`HTTP status ${status} is a ${why ? 'failure' : 'success'}`, async () => {
    const asked: unknown[] = [];
    const server = createServer((request, response) => {
      asked.push([request.method, request.url, request.headers['x-probe']]);
      response.writeHead(status).end('x');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ports = [{ name: 'web', containerPort: port }];
    const httpGet = { path: '/health', port: 'web', httpHeaders: [{ name: 'X-Probe', value: 'yes' }] };
    assert.is(await runHandler(noCall, 'c1', { ...container, ports }, { httpGet }, '127.0.0.1', 1), why);
    assert.equal(asked, [['GET', '/health', 'yes']]);
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
}

test('a TCP probe succeeds where somebody listens, and fails where nobody does', async () => {
  const server = createTcpServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const tcp = (): Promise<string | undefined> =>
    runHandler(noCall, 'c1', container, { tcpSocket: { port } }, '127.0.0.1', 1);
  assert.is(await tcp(), undefined);
  server.close();
  await once(server, 'close');
  assert.match((await tcp()) ?? '', 'ECONNREFUSED');
});

test('a command gets its time from the runtime, and a little more for the answer', async () => {
  const asked: unknown[] = [];
  const call = async (...all: unknown[]): Promise<unknown> => {
    asked.push(all);
    return { exitCode: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  };
  const handler = { exec: { command: ['test', '-f', '/x'] } };
  assert.is(await runHandler(call as CriCall, 'c1', container, handler, '', 3), undefined);
  assert.equal(asked, [
    ['execSync', { containerId: 'c1', cmd: ['test', '-f', '/x'], timeout: 3 }, seconds(8)],
  ]);
});

test('a probe of a kind that is not offered fails', async () => {
  assert.is(await runHandler(noCall, 'c1', container, {}, '', 1), 'a probe of a kind that is not offered');
});

test('a runtime that is away is a failure, not a crash', async ({ clock }) => {
  const failures: string[] = [];
  const probes = new Probes({
    call: noCall,
    clock,
    podIP: () => '',
    changed: () => {},
    failed: (_container, _kind, why) => failures.push(why),
  });
  probes.watch([running({ livenessProbe: probe('l', { failureThreshold: 1 }) })]);
  await clock.advance(0);
  assert.equal(failures, ['no runtime is asked']);
  probes.stop();
});

test.run();

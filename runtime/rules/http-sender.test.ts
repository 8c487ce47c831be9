import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { HttpSender, type Outgoing } from './http-sender.ts';
import { MemoryStore } from './test-host.ts';

type Context = {
  clock: FakeClock;
  store: MemoryStore;
  metrics: Metrics;
  failures: string[];
  /** `METHOD path body`, as the server got it. */
  seen: string[];
  /** What the server answers; 0 = nothing. */
  answers: number[];
  url: string;
  server: Server;
  make: () => HttpSender;
  sender: HttpSender;
  /** Lets the sockets work until it is so. */
  until: (check: () => boolean) => Promise<void>;
};
const test = suite<Context>('HTTP requests of rules');

test.before.each(async (context) => {
  const clock = new FakeClock();
  const store = new MemoryStore();
  const metrics = new Metrics();
  const failures: string[] = [];
  const seen: string[] = [];
  const answers: number[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const type = request.headers['content-type'] ?? '';
      seen.push(`${request.method} ${request.url} ${type} ${Buffer.concat(parts)}`);
      const status = answers.shift() ?? 200;
      if (status > 0) response.writeHead(status, { location: 'http://elsewhere/' }).end('thanks');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const make = () =>
    new HttpSender({
      store,
      clock,
      log: silentLogger,
      metrics,
      random: () => 0.5,
      failed: (rule, reason) => failures.push(`${rule} ${reason.replace(/127.0.0.1:\d+/, 'HOST')}`),
    });
  const until = async (check: () => boolean): Promise<void> => {
    const end = performance.now() + 10_000;
    while (!check()) {
      assert.ok(performance.now() < end, 'not within 10 s');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  Object.assign(context, { clock, store, metrics, failures, seen, answers, server, url, make, until });
  context.sender = make();
});

test.after.each(async ({ sender, server, clock }) => {
  await sender.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  assert.is(clock.pending, 0);
});

const request = (url: string, more: Partial<Outgoing> = {}): Outgoing => ({
  rule: 'r',
  url,
  method: 'POST',
  headers: {},
  body: '{"t":71}',
  timeout: 5000,
  durable: false,
  ...more,
});
const count = (metrics: Metrics, result: string): number =>
  Number(metrics.render().match(new RegExp(`rules_http_total{result="${result}"} (\\d+)`))?.[1]);

test('requests come in their order, with method, type and body', async ({
  sender,
  url,
  seen,
  until,
  metrics,
}) => {
  for (let i = 0; i < 5; i++) sender.send(request(`${url}/${i}`, { body: `${i}` }));
  sender.send(request(`${url}/get`, { method: 'GET', body: undefined }));
  sender.send(request(`${url}/text`, { headers: { 'Content-Type': 'text/plain' } }));
  await until(() => seen.length === 7);
  assert.equal(seen, [
    ...[0, 1, 2, 3, 4].map((i) => `POST /${i} application/json ${i}`),
    'GET /get  ',
    'POST /text text/plain {"t":71}',
  ]);
  await until(() => count(metrics, 'sent') === 7);
});

test('what the server cannot take now is tried again, five times', async ({
  sender,
  url,
  seen,
  until,
  ...rest
}) => {
  const { answers, clock, metrics, failures } = rest;
  answers.push(503, 429, 500, 502, 504);
  sender.send(request(`${url}/a`));
  for (const [i, wait] of [1000, 2000, 4000, 8000].entries()) {
    await until(() => clock.pending === 1 && failures.length === i + 1);
    await clock.advance(wait - 1);
    assert.is(seen.length, i + 1);
    await clock.advance(1);
  }
  await until(() => count(metrics, 'refused') === 1);
  assert.equal([seen.length, failures.at(-1)], [5, 'r POST http://HOST/a: answered 504']);
});

test('a refusal is final, and a redirect is one', async ({
  sender,
  url,
  seen,
  until,
  answers,
  failures,
  metrics,
}) => {
  answers.push(404, 302);
  sender.send(request(`${url}/a`));
  sender.send(request(`${url}/b`));
  await until(() => count(metrics, 'refused') === 2);
  assert.equal(failures, [
    'r POST http://HOST/a: answered 404',
    'r POST http://HOST/b: answered 302 to http://elsewhere/: redirects are not followed',
  ]);
  assert.is(seen.length, 2);
});

test('a server that says nothing is waited for so long', async ({
  sender,
  url,
  seen,
  until,
  answers,
  clock,
  failures,
}) => {
  answers.push(0);
  sender.send(request(`${url}/a`));
  await until(() => seen.length === 1);
  await clock.advance(5000);
  await until(() => failures.length === 1);
  assert.equal(failures, ['r POST http://HOST/a: no answer within 5 s']);
  await until(() => clock.pending === 1);
  await clock.advance(1000);
  await until(() => seen.length === 2);
});

test('what is durable is sent until the server has it, over a restart', async (context) => {
  const { sender, url, seen, until, answers, store, clock, failures, make } = context;
  answers.push(503);
  sender.send(request(`${url}/a`, { durable: true }));
  sender.send(request(`${url}/b`, { durable: true }));
  await until(() => failures.length === 1 && clock.pending === 1);
  await sender.stop();
  assert.is(store.rows.size, 2);
  context.sender = make();
  await until(() => store.rows.size === 0);
  assert.equal(
    seen,
    ['/a', '/a', '/b'].map((path) => `POST ${path} application/json {"t":71}`),
  );
});

test('too many for one server: the oldest are dropped and counted; another server is not held up', async (context) => {
  const { sender, url, until, answers, seen, metrics, store, clock } = context;
  answers.push(0);
  for (let i = 0; i <= 300; i++) sender.send(request(`http://127.0.0.1:9/${i}`, { durable: true }));
  sender.send(request(`${url}/other`));
  await until(() => seen.length === 1);
  assert.is(count(metrics, 'dropped'), 100);
  assert.is(store.rows.size, 201);
  await until(() => clock.pending === 2);
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { FakeClock } from '../core/fake-clock.ts';
import type { Lease, Node, NodeStatus } from '../core/k8s.ts';
import { silentLogger } from '../core/log.ts';
import { minutes, seconds } from '../core/units.ts';
import { edgedConfig } from './config.ts';
import { NodeAgent } from './node-agent.ts';

type Context = {
  clock: FakeClock;
  calls: string[];
  patches: NodeStatus[];
  leases: Lease[];
  cloud: { refuses: string | undefined };
  runtime: { fault: string | undefined };
  agent: NodeAgent;
};
const test = suite<Context>('node-agent');

test.before.each((context) => {
  const clock = new FakeClock();
  const calls: string[] = [];
  const patches: NodeStatus[] = [];
  const leases: Lease[] = [];
  const cloud: Context['cloud'] = { refuses: undefined };
  const runtime: Context['runtime'] = { fault: undefined };
  const note = async (call: string): Promise<void> => {
    calls.push(call);
    if (cloud.refuses === call) throw new Error('refused');
  };
  const agent = new NodeAgent({
    config: v.parse(edgedConfig, { hostnameOverride: 'edge-1', nodeIP: '192.0.2.1', rootDirectory: '/' }),
    version: '0.1.0',
    api: {
      registerNode: (node: Node) => note('register').then(() => node),
      patchNodeStatus: async (name, patch) => {
        await note('patch');
        assert.is(name, 'edge-1');
        patches.push((JSON.parse(patch) as { status: NodeStatus }).status);
      },
      renewLease: async (lease) => {
        await note('lease');
        leases.push(lease);
      },
    },
    clock,
    log: silentLogger,
    runtime: () => ({ fault: runtime.fault, version: 'containerd://1' }),
    storeFault: () => undefined,
    condition: () => undefined,
    problems: () => [],
  });
  agent.start();
  Object.assign(context, { clock, calls, patches, leases, cloud, runtime, agent });
});
test.after.each(async ({ agent, clock }) => {
  agent.stop();
  await clock.advance(0);
  assert.is(clock.pending, 0, 'no timer is left');
});

const count = (calls: string[], call: string): number => calls.filter((c) => c === call).length;

test('without a link nothing is tried', async ({ clock, calls }) => {
  await clock.advance(minutes(10));
  assert.equal(calls, []);
});

test('with the link the node registers, takes its lease and tells its status', async ({
  agent,
  clock,
  calls,
  leases,
}) => {
  agent.link(true);
  await clock.advance(0);
  assert.equal(calls, ['register', 'lease', 'patch']);
  assert.equal(leases, [
    {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'edge-1', namespace: 'kube-node-lease' },
      spec: { holderIdentity: 'edge-1', leaseDurationSeconds: 40, renewTime: '2026-01-01T00:00:00.000000Z' },
    },
  ]);
});

test('the lease is renewed every 10 s, a quarter of its life', async ({ agent, clock, calls, leases }) => {
  agent.link(true);
  await clock.advance(seconds(60));
  assert.is(count(calls, 'lease'), 7);
  assert.is(leases.at(-1)?.spec.renewTime, '2026-01-01T00:01:00.000000Z');
});

test('an unchanged status is told every five minutes', async ({ agent, clock, calls }) => {
  agent.link(true);
  await clock.advance(minutes(5) - 1);
  assert.is(count(calls, 'patch'), 1);
  await clock.advance(1);
  assert.is(count(calls, 'patch'), 2);
});

test('a changed status is told within ten seconds', async ({ agent, clock, patches, runtime }) => {
  agent.link(true);
  await clock.advance(seconds(1));
  runtime.fault = 'no socket';
  await clock.advance(seconds(10));
  const ready = patches.at(-1)?.conditions?.find(({ type }) => type === 'Ready');
  assert.equal([patches.length, ready?.status, ready?.message], [2, 'False', 'no socket']);
});

test('after every new link the node registers again: the cloud may be another one', async ({
  agent,
  clock,
  calls,
}) => {
  agent.link(true);
  await clock.advance(seconds(1));
  agent.link(false);
  await clock.advance(minutes(1));
  const before = calls.length;
  agent.link(true);
  await clock.advance(0);
  assert.equal(calls.slice(before), ['register', 'lease', 'patch']);
});

test('a cloud that refuses is asked every three seconds, however long it does', async ({
  agent,
  clock,
  calls,
  cloud,
}) => {
  cloud.refuses = 'register';
  agent.link(true);
  await clock.advance(minutes(10));
  calls.length = 0;
  await clock.advance(minutes(1));
  const asked = count(calls, 'register');
  assert.ok(asked >= 18 && asked <= 26, `${asked} times in a minute`);
  cloud.refuses = undefined;
  await clock.advance(seconds(3));
  assert.is(calls.at(-1), 'patch');
});

test('a status that is refused makes the node register anew: it may have been deleted', async ({
  agent,
  clock,
  calls,
  cloud,
}) => {
  cloud.refuses = 'patch';
  agent.link(true);
  await clock.advance(0);
  cloud.refuses = undefined;
  calls.length = 0;
  await clock.advance(seconds(3));
  assert.equal(calls, ['register', 'lease', 'patch']);
});

test('a lease that cannot be renewed does not hold up the status', async ({ agent, clock, calls, cloud }) => {
  cloud.refuses = 'lease';
  agent.link(true);
  await clock.advance(0);
  assert.equal(calls, ['register', 'lease', 'patch']);
});

test('after a renewal that came late the status is told again: the cluster may have called the node lost', async ({
  agent,
  clock,
  calls,
  cloud,
}) => {
  cloud.refuses = 'lease';
  agent.link(true);
  await clock.advance(seconds(45));
  calls.length = 0;
  cloud.refuses = undefined;
  await clock.advance(seconds(5));
  assert.equal(calls, ['lease', 'patch']);
  await clock.advance(seconds(60));
  assert.is(count(calls, 'patch'), 1);
});

test('a failure after the link went is not tried again', async ({ agent, clock, calls, cloud }) => {
  cloud.refuses = 'register';
  agent.link(true);
  agent.link(false);
  await clock.advance(minutes(1));
  assert.is(count(calls, 'register'), 1);
});

test.run();

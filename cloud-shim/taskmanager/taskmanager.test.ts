import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import type { KubeObject, Node } from '../../runtime/core/k8s.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { type MessageDraft, newMessage } from '../../runtime/core/message.ts';
import { FakeApi } from '../kube/fake-api.ts';
import { Informer } from '../kube/informer.ts';
import { kinds, type ResourceKind } from '../kube/resource-kind.ts';
import type { Job } from './job.ts';
import { TaskManager } from './taskmanager.ts';

/** One life of a shim. */
type Life = { manager: TaskManager; sent: MessageDraft[]; stop: () => Promise<void> };
type Context = {
  api: FakeApi;
  clock: FakeClock;
  away: Set<string>;
  life: () => Promise<Life>;
  /** As the watch brings it. */
  put: (job: Job) => Promise<void>;
  status: () => Promise<Job['status']>;
};
const test = suite<Context>('task manager');
const at = { name: 'up' };
const SECOND = 1000;

test.before.each(async (context) => {
  const api = new FakeApi();
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const away = new Set<string>();
  Object.assign(context, { api, clock, away });
  for (const name of ['a', 'b']) await api.create(kinds.node, { name }, edge(name));
  context.life = async () => {
    const abort = new AbortController();
    const of = <T extends KubeObject>(kind: ResourceKind): Informer<T> =>
      new Informer<T>({ api, kind, clock, log: silentLogger, random: () => 0 });
    const nodes = of<Node>(kinds.node);
    const jobs = { upgrades: of<Job>(kinds.nodeUpgradeJob), prepulls: of<Job>(kinds.imagePrePullJob) };
    const informers = [nodes, jobs.upgrades, jobs.prepulls];
    await Promise.all(informers.map((informer) => informer.start(abort.signal)));
    const sent: MessageDraft[] = [];
    const link = {
      isConnected: (node: string) => !away.has(node),
      send: (_: string, draft: MessageDraft) => void sent.push(draft),
    };
    const manager = new TaskManager({ ...jobs, api, link, nodes, clock, log: silentLogger });
    manager.start();
    await clock.advance(0);
    const stop = async (): Promise<void> => {
      await manager.stop();
      abort.abort();
      await Promise.all(informers.map((informer) => informer.stop()));
    };
    return { manager, sent, stop };
  };
  context.put = async (job) => {
    const made = await api.create<Job>(kinds.nodeUpgradeJob, at, job);
    assert.ok('object' in made);
    if ('object' in made)
      api.watches
        .findLast(({ plural }) => plural === 'nodeupgradejobs')
        ?.send({ type: 'ADDED', object: made.object });
    await clock.advance(0);
  };
  context.status = async () => {
    const answer = await api.get<Job>(kinds.nodeUpgradeJob, at);
    return 'object' in answer ? answer.object.status : undefined;
  };
});

const edge = (name: string): Node =>
  ({
    kind: 'Node',
    metadata: { name, uid: name, labels: { 'node-role.kubernetes.io/edge': '' } },
  }) as unknown as Node;
const job = (spec: object): Job => ({
  kind: 'NodeUpgradeJob',
  metadata: { name: 'up', uid: 'u1' },
  spec: { version: 'v1.0.0', ...spec },
});
const resourceOf = (node: string): string => `operations.kubeedge.io/v1alpha2/nodeupgradejob/up/node/${node}`;

async function say(
  { clock }: Context,
  { manager }: Life,
  node: string,
  action: string,
  succ = true,
): Promise<void> {
  const finishTime = new Date(clock.now()).toISOString();
  const message = newMessage(
    {
      source: 'websocket',
      group: 'hub',
      operation: 'UpdateNodeActionStatus',
      resource: resourceOf(node),
      content: { action, succ, finishTime, reason: succ ? '' : 'no room', extend: '' },
    },
    0,
  );
  assert.ok(manager.takes(message));
  manager.handle(node, message);
  await clock.advance(0);
}
const phases = (status: Job['status']): string[] => [
  status?.phase ?? '',
  ...(status?.nodeStatus ?? []).map(({ phase }) => phase),
];

test('a job goes down in KubeEdge’s form, and its status goes up', async (context) => {
  const { life, put, status } = context;
  const one = await life();
  await put(job({ nodeNames: ['a', 'b'] }));
  assert.equal(one.sent, [
    {
      source: 'taskmanager',
      group: 'taskmanager',
      operation: 'Check',
      resource: resourceOf('a'),
      content: { version: 'v1.0.0', nodeNames: ['a', 'b'] },
    },
  ]);
  assert.equal(phases(await status()), ['InProgress', 'InProgress', 'Pending']);
  for (const action of ['Check', 'WaitingConfirmation', 'BackUp', 'Upgrade'])
    await say(context, one, 'a', action);
  assert.equal(phases(await status()), ['InProgress', 'Successful', 'InProgress']);
  assert.is(one.sent[1]?.resource, resourceOf('b'));
  await say(context, one, 'b', 'Check', false);
  assert.equal(phases(await status()), ['Failure', 'Successful', 'Failure']);
  assert.is((await status())?.reason, '1 of 2 nodes failed; b: no room');
  await one.stop();
});

test('another shim goes on by the status; only who may not have heard is told again', async (context) => {
  const { life, put, status, clock } = context;
  const first = await life();
  await put(job({ nodeNames: ['a', 'b'], concurrency: 2 }));
  await say(context, first, 'a', 'Check');
  await first.stop();
  const second = await life();
  second.manager.connected('a');
  second.manager.connected('b');
  await clock.advance(5 * SECOND);
  assert.is(second.sent.length, 0, 'a node may be about to say something');
  await clock.advance(10 * SECOND);
  assert.equal(
    second.sent.map(({ resource }) => resource),
    [resourceOf('b')],
  );
  for (const node of ['a', 'b']) await say(context, second, node, 'Upgrade');
  assert.equal(phases(await status()), ['Completed', 'Successful', 'Successful']);
  await second.stop();
  const third = await life();
  await clock.advance(20 * SECOND);
  assert.is(third.sent.length, 0);
  await third.stop();
});

test('a node that is away begins when it comes, or is given up', async (context) => {
  const { life, put, status, clock, away } = context;
  const one = await life();
  away.add('a');
  away.add('b');
  await put(job({ nodeNames: ['a', 'b'], timeoutSeconds: 60, concurrency: 2 }));
  assert.is(one.sent.length, 0);
  away.delete('b');
  one.manager.connected('b');
  await clock.advance(0);
  assert.equal(
    one.sent.map(({ resource }) => resource),
    [resourceOf('b')],
  );
  await clock.advance(50 * SECOND);
  await say(context, one, 'b', 'Check');
  await clock.advance(20 * SECOND);
  const { nodeStatus, phase } = (await status()) ?? {};
  assert.equal(
    [nodeStatus?.[0]?.reason, nodeStatus?.[1]?.phase, phase],
    ['it was away for 60 s', 'InProgress', 'InProgress'],
  );
  await one.stop();
});

test('what the API server does not take now is written later; nothing begins before it is written', async (context) => {
  const { life, put, status, api, clock } = context;
  const one = await life();
  api.refusals.push({ call: /^PUT/, code: 500, reason: 'InternalError' });
  await put(job({ nodeNames: ['a'] }));
  assert.equal([one.sent.length, await status()], [0, undefined]);
  api.refusals.length = 0;
  await clock.advance(5 * SECOND);
  assert.equal([one.sent.length, phases(await status())], [1, ['InProgress', 'InProgress']]);
  api.refusals.push({ call: /^PUT/, code: 409, reason: 'Conflict' });
  await say(context, one, 'a', 'Upgrade');
  api.refusals.length = 0;
  await clock.advance(5 * SECOND);
  assert.equal(phases(await status()), ['Completed', 'Successful']);
  await one.stop();
});

test('a node speaks for itself alone, and a cluster without jobs is left in peace', async (context) => {
  const { life, put, status, api, clock } = context;
  const one = await life();
  api.calls.length = 0;
  await clock.advance(60 * SECOND);
  assert.equal(api.calls, []);
  await put(job({ nodeNames: ['a'] }));
  const draft = { source: 'websocket', group: 'hub', operation: 'UpdateNodeActionStatus' };
  const content = { action: 'Upgrade', succ: true };
  for (const [resource, said] of [
    [resourceOf('a'), content],
    [resourceOf('b').replace('/up/', '/none/'), content],
    [resourceOf('b').replace('nodeupgradejob', 'constructor'), content],
    [resourceOf('b'), 'no object'],
    [resourceOf('b'), { action: 'Dance', succ: true }],
  ] as const)
    one.manager.handle('b', newMessage({ ...draft, resource, content: said }, 0));
  await clock.advance(0);
  assert.equal(phases(await status()), ['InProgress', 'InProgress']);
  await one.stop();
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import type { Lease, Node } from '../core/k8s.ts';
import { type MessageDraft, newMessage } from '../core/message.ts';
import { seconds } from '../core/units.ts';
import { Remote } from './remote.ts';

type Context = { asked: MessageDraft[]; answers: unknown[]; remote: Remote };
const test = suite<Context>('remote');

test.before.each((context) => {
  const asked: MessageDraft[] = [];
  const answers: unknown[] = [];
  const link = {
    online: true,
    request: async (draft: MessageDraft) => {
      asked.push(draft);
      return newMessage({ ...draft, operation: 'response', content: answers.shift(), parent: 'p' }, 0);
    },
  };
  const remote = new Remote({ link, clock: new FakeClock(), queryTimeout: seconds(60) });
  Object.assign(context, { asked, answers, remote });
});

const refused = (reason: string, code: number) => ({
  Object: null,
  Err: { ErrStatus: { reason, code, message: 'no' } },
});
const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.catch((error: unknown) => errorCode(error));
const asks = (asked: MessageDraft[]): string[] =>
  asked.map(({ operation, resource }) => `${operation} ${resource}`);

const node: Node = { metadata: { name: 'edge-1' }, spec: {}, status: {} };

test('a node registers with its whole object', async ({ remote, asked, answers }) => {
  const registered = { ...node, metadata: { name: 'edge-1', uid: 'n1' } };
  answers.push({ Object: registered, Err: null });
  assert.equal(await remote.registerNode(node), registered);
  assert.equal(asked, [
    { source: 'edged', group: 'meta', operation: 'insert', resource: 'null/node/edge-1', content: node },
  ]);
});

test('a node that is registered already is as good; any other refusal is one', async ({
  remote,
  answers,
}) => {
  answers.push(refused('AlreadyExists', 409), refused('Forbidden', 403), { Object: null, Err: {} });
  assert.equal(await remote.registerNode(node), node);
  assert.is(await outcome(remote.registerNode(node)), 'CLOUD_REFUSED');
  assert.is(await outcome(remote.registerNode(node)), 'CLOUD_REFUSED');
});

test('a node’s status travels as the text of a patch; a node that is gone is told apart', async ({
  remote,
  asked,
  answers,
}) => {
  answers.push({ Object: node, Err: null }, refused('NotFound', 404));
  await remote.patchNodeStatus('edge-1', '{"status":{}}');
  assert.equal(
    [asked[0]?.operation, asked[0]?.resource, asked[0]?.content],
    ['patch', 'null/nodepatch/edge-1', '{"status":{}}'],
  );
  assert.is(await outcome(remote.patchNodeStatus('edge-1', '{}')), 'OBJECT_NOT_FOUND');
});

const LEASE = 'kube-node-lease/lease/edge-1';
const lease = (renewTime: string): Lease => ({
  metadata: { name: 'edge-1', namespace: 'kube-node-lease' },
  spec: { holderIdentity: 'edge-1', leaseDurationSeconds: 40, renewTime },
});
const held = (renewTime: string, resourceVersion: string): unknown => ({
  Object: {
    ...lease(renewTime),
    metadata: { ...lease(renewTime).metadata, resourceVersion, managedFields: [{}] },
  },
  Err: null,
});

test('a lease that is not there is created, then updated with the version of the last answer', async ({
  remote,
  asked,
  answers,
}) => {
  answers.push(refused('NotFound', 404), held('t1', '7'), held('t2', '8'), held('t3', '9'));
  for (const time of ['t1', 't2', 't3']) await remote.renewLease(lease(time));
  assert.equal(asks(asked), [`query ${LEASE}`, `insert ${LEASE}`, `update ${LEASE}`, `update ${LEASE}`]);
  const sent = asked.slice(1).map(({ content }) => content as Lease);
  assert.equal(
    sent.map(({ metadata, spec }) => [metadata.resourceVersion, spec.renewTime]),
    [
      [undefined, 't1'],
      ['7', 't2'],
      ['8', 't3'],
    ],
  );
  assert.not(sent.some(({ metadata }) => 'managedFields' in metadata));
});

test('a lease that has moved on is read and renewed at once: the last answer went down with its link', async ({
  remote,
  asked,
  answers,
}) => {
  answers.push(held('t0', '7'), refused('Conflict', 409), held('t0', '12'), held('t1', '13'));
  await remote.renewLease(lease('t1'));
  assert.equal(asks(asked), [`query ${LEASE}`, `update ${LEASE}`, `query ${LEASE}`, `update ${LEASE}`]);
  const last = asked[3]?.content as Lease | undefined;
  assert.equal([last?.metadata.resourceVersion, last?.spec.renewTime], ['12', 't1']);
});

test('a lease that is there already, because the answer to its creation was lost, is built upon', async ({
  remote,
  asked,
  answers,
}) => {
  answers.push(refused('NotFound', 404), refused('AlreadyExists', 409), held('t1', '7'), held('t1', '8'));
  await remote.renewLease(lease('t1'));
  assert.equal(asks(asked), [`query ${LEASE}`, `insert ${LEASE}`, `query ${LEASE}`, `update ${LEASE}`]);
});

test('after a refusal the lease is read again before the next renewal', async ({
  remote,
  asked,
  answers,
}) => {
  answers.push(held('t0', '7'), refused('NotFound', 404), refused('NotFound', 404), held('t2', '13'));
  assert.is(await outcome(remote.renewLease(lease('t1'))), 'OBJECT_NOT_FOUND');
  await remote.renewLease(lease('t2'));
  assert.equal(asks(asked), [`query ${LEASE}`, `update ${LEASE}`, `query ${LEASE}`, `insert ${LEASE}`]);
});

test.run();

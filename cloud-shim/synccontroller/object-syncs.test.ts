import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { FakeApi } from '../kube/fake-api.ts';
import { kinds } from '../kube/resource-kind.ts';
import { type ObjectSync, ObjectSyncs } from './object-syncs.ts';

type Context = { api: FakeApi; syncs: ObjectSyncs; warnings: unknown[] };
const test = suite<Context>('object syncs');

test.before.each((context) => {
  context.api = new FakeApi();
  context.warnings = [];
  const log = { ...silentLogger, warn: (_: string, fields: unknown) => void context.warnings.push(fields) };
  context.syncs = new ObjectSyncs({ api: context.api, log });
});

const pod = (version: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'ns', uid: 'u-1', resourceVersion: version },
});
const node: KubeObject = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'edge-1', uid: 'u-2', resourceVersion: '7' },
};
const PATH = '/apis/reliablesyncs.kubeedge.io/v1alpha1/namespaces/ns/objectsyncs/edge-1.u-1';

/** Writing goes on by itself: forgetting a node that has nothing waits for it. */
const written = (syncs: ObjectSyncs): Promise<void> => syncs.forget('nobody');
async function record(api: FakeApi, name = 'edge-1.u-1'): Promise<ObjectSync | undefined> {
  const answer = await api.get<ObjectSync>(kinds.objectSync, { namespace: 'ns', name });
  return 'object' in answer ? answer.object : undefined;
}

test('the first acknowledgement makes a record, as KubeEdge writes it', async ({ api, syncs }) => {
  syncs.acknowledged('edge-1', pod('5'), false);
  assert.is(syncs.version('edge-1', 'u-1'), '5', 'it counts at once');
  await written(syncs);
  assert.equal(api.calls, [`PATCH ${PATH}/status`, `POST ${PATH}`, `PATCH ${PATH}/status`]);
  const { metadata, spec, status, apiVersion, kind } = (await record(api)) ?? {};
  assert.equal([apiVersion, kind], ['reliablesyncs.kubeedge.io/v1alpha1', 'ObjectSync']);
  assert.equal([metadata?.name, metadata?.namespace], ['edge-1.u-1', 'ns']);
  assert.equal(spec, { objectAPIVersion: 'v1', objectKind: 'Pod', objectName: 'p' });
  assert.equal(status, { objectResourceVersion: '5' });
});

test('the next one changes its version alone', async ({ api, syncs }) => {
  syncs.acknowledged('edge-1', pod('5'), false);
  await written(syncs);
  api.calls.length = 0;
  syncs.acknowledged('edge-1', pod('6'), false);
  await written(syncs);
  assert.equal(api.calls, [`PATCH ${PATH}/status`]);
  assert.equal((await record(api))?.status, { objectResourceVersion: '6' });
});

test('of acknowledgements that follow fast the last one stands', async ({ api, syncs }) => {
  for (const version of ['5', '6', '7']) syncs.acknowledged('edge-1', pod(version), false);
  await written(syncs);
  assert.equal((await record(api))?.status, { objectResourceVersion: '7' });
  assert.is(api.calls.filter((call) => call.startsWith('POST')).length, 1);
});

test('a deletion takes the record away', async ({ api, syncs }) => {
  syncs.acknowledged('edge-1', pod('5'), false);
  syncs.acknowledged('edge-1', pod('6'), true);
  assert.is(syncs.version('edge-1', 'u-1'), undefined);
  await written(syncs);
  assert.is(await record(api), undefined);
});

test('what has no namespace is recorded for the cluster', async ({ api, syncs }) => {
  syncs.acknowledged('edge-1', node, false);
  await written(syncs);
  const answer = await api.get<ObjectSync>(kinds.clusterObjectSync, { name: 'edge-1.u-2' });
  assert.ok('object' in answer);
  if ('object' in answer) assert.is(answer.object.spec.objectKind, 'Node');
});

test('a restart knows what every node has', async ({ api, syncs }) => {
  syncs.acknowledged('edge-1.example.com', pod('5'), false);
  syncs.acknowledged('edge-2', node, false);
  await written(syncs);
  const again = new ObjectSyncs({ api, log: silentLogger });
  await again.load();
  assert.equal(
    [...again.known('edge-1.example.com')],
    [{ kind: 'Pod', namespace: 'ns', name: 'p', uid: 'u-1', version: '5' }],
  );
  assert.equal(
    [...again.known('edge-2')],
    [{ kind: 'Node', namespace: '', name: 'edge-1', uid: 'u-2', version: '7' }],
  );
  assert.equal([...again.known('edge-3')], []);
});

test('a record that has no version yet counts as never acknowledged', async ({ api, syncs }) => {
  const name = { namespace: 'ns', name: 'edge-1.u-9' };
  await api.create(kinds.objectSync, name, { metadata: name, spec: { objectKind: 'Pod', objectName: 'q' } });
  await syncs.load();
  assert.is(syncs.version('edge-1', 'u-9'), '0');
});

test('a node that starts from nothing has nothing, in the cluster too', async ({ api, syncs }) => {
  syncs.acknowledged('edge-1', pod('5'), false);
  syncs.acknowledged('edge-1', node, false);
  syncs.acknowledged('edge-2', pod('5'), false);
  await syncs.forget('edge-1');
  assert.equal([...syncs.known('edge-1')], []);
  assert.is(await record(api), undefined);
  assert.ok('status' in (await api.get(kinds.clusterObjectSync, { name: 'edge-1.u-2' })));
  assert.ok(await record(api, 'edge-2.u-1'), 'other nodes keep theirs');
});

test('a record that cannot be written is told, and the node is served all the same', async ({
  api,
  syncs,
  warnings,
}) => {
  api.refusals.push({ call: /^PATCH/, code: 403, reason: 'Forbidden' });
  syncs.acknowledged('edge-1', pod('5'), false);
  await written(syncs);
  assert.equal(warnings, [{ resource: 'edge-1.u-1', reason: `PATCH ${PATH}/status was refused` }]);
  assert.is(syncs.version('edge-1', 'u-1'), '5');
});

test('a start without the right to read ends with the reason', async ({ api, syncs }) => {
  api.refusals.push({ call: /objectsyncs/, code: 403, reason: 'Forbidden' });
  try {
    await syncs.load();
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), /was refused/);
  }
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { type MessageDraft, newMessage } from '../../runtime/core/message.ts';
import type { ApiAnswer, ApiCall } from '../kube/client.ts';
import { FakeApi } from '../kube/fake-api.ts';
import { kinds } from '../kube/resource-kind.ts';
import { DynamicController } from './dynamiccontroller.ts';

type Context = {
  api: FakeApi;
  calls: ApiCall[];
  answer: (call: ApiCall) => ApiAnswer;
  sent: string[];
  make: (impersonate: boolean) => DynamicController;
  controller: DynamicController;
};
const test = suite<Context>('dynamiccontroller');

const json = (body: unknown, code = 200): ApiAnswer => ({
  code,
  type: 'application/json',
  body: Buffer.from(JSON.stringify(body)),
});
const b64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
const application = (verb: string, key: string, more: object = {}) => ({
  ID: `${verb} ${key}`,
  Key: key,
  Verb: verb,
  Nodename: 'edge-1',
  Option: b64({}),
  ReqBody: null,
  Subresource: '',
  RespBody: null,
  Status: 'InApplying',
  Reason: '',
  Error: { ErrStatus: { metadata: {} } },
  Timestamp: '0001-01-01T00:00:00Z',
  ...more,
});
const ask = (content: unknown, resource = 'null') =>
  newMessage({ source: 'metaserver', group: 'dynamiccontroller', operation: 'null', resource, content }, 0);
const line = ({ method, path }: ApiCall): string => `${method} ${path}`;

test.before.each((context) => {
  context.api = new FakeApi();
  context.calls = [];
  context.sent = [];
  context.answer = () => json({ kind: 'ConfigMapList' });
  context.make = (impersonate) =>
    new DynamicController({
      api: context.api,
      raw: {
        raw: async (call) => {
          context.calls.push(call);
          return context.answer(call);
        },
      },
      link: {
        deliver: (node: string, { operation, resource }: MessageDraft) =>
          context.sent.push(`${node} ${operation} ${resource}`),
      },
      clock: new FakeClock(),
      random: () => 0.5,
      log: silentLogger,
      impersonate,
    });
  context.controller = context.make(false);
});
test.after.each(({ controller }) => controller.stop());

const CM = '/core/v1/configmaps/ns';
const requests: [string, object, string][] = [
  ['get', application('get', `${CM}/a`), 'GET /api/v1/namespaces/ns/configmaps/a'],
  [
    'get',
    application('get', '/apps/v1/deployments/ns/a', { Subresource: 'scale' }),
    'GET /apis/apps/v1/namespaces/ns/deployments/a/scale',
  ],
  ['get of what has no namespace', application('get', '/core/v1/nodes/null/n'), 'GET /api/v1/nodes/n'],
  [
    'list',
    application('list', '/core/v1/pods/null/null', { Option: b64({ labelSelector: 'a=b', limit: 5 }) }),
    'GET /api/v1/pods?labelSelector=a%3Db&limit=5',
  ],
  [
    'list in a table',
    application('list', `${CM}/null`, { Accept: 'application/json;as=Table' }),
    'GET /api/v1/namespaces/ns/configmaps?includeObject=Object',
  ],
  [
    'create',
    application('create', `${CM}/null`, { ReqBody: b64({}), Option: b64({ dryRun: ['All'] }) }),
    'POST /api/v1/namespaces/ns/configmaps?dryRun=All',
  ],
  [
    'update',
    application('update', `${CM}/a`, { ReqBody: b64({}) }),
    'PUT /api/v1/namespaces/ns/configmaps/a',
  ],
  [
    'updatestatus',
    application('updatestatus', `${CM}/a`, { ReqBody: b64({}) }),
    'PUT /api/v1/namespaces/ns/configmaps/a/status',
  ],
  ['delete', application('delete', `${CM}/a`), 'DELETE /api/v1/namespaces/ns/configmaps/a'],
  [
    'patch',
    application('patch', `${CM}/a`, {
      Option: b64({
        Name: 'a',
        PatchType: 'application/merge-patch+json',
        Data: b64({ x: 1 }),
        Options: { fieldManager: 'me' },
        Subresources: ['status'],
      }),
    }),
    'PATCH /api/v1/namespaces/ns/configmaps/a/status?fieldManager=me',
  ],
  ['discovery', application('get', '/apis/apps/v1'), 'GET /apis/apps/v1'],
  ['schemas', application('get', '/openapi/v3/apis/apps/v1'), 'GET /openapi/v3/apis/apps/v1'],
];
for (const [what, content, wanted] of requests) {
  test(`${what} is ${wanted}`, async ({ controller, calls }) => {
    const answer = await controller.handle('edge-1', ask(content));
    assert.equal(calls.map(line), [wanted]);
    assert.equal(answer, {
      source: 'dynamiccontroller',
      group: 'resource',
      operation: 'applicationResponse',
      resource: 'ignore/Application/ignore',
      content: {
        ...content,
        Status: 'Approved',
        RespBody: b64({ kind: 'ConfigMapList' }),
        ContentType: 'application/json',
      },
    });
  });
}

test('a patch goes with its own type and bytes', async ({ controller, calls }) => {
  const option = { PatchType: 'application/apply-patch+yaml', Data: Buffer.from('a: 1').toString('base64') };
  await controller.handle('edge-1', ask(application('patch', `${CM}/a`, { Option: b64(option) })));
  assert.equal([calls[0]?.contentType, String(calls[0]?.body)], ['application/apply-patch+yaml', 'a: 1']);
});

const contentOf = async (work: Promise<unknown>): Promise<Record<string, unknown>> =>
  ((await work) as { content: Record<string, unknown> }).content;

test('a refusal of the API server travels as its Status', async (context) => {
  const status = { kind: 'Status', reason: 'NotFound', code: 404, message: 'no' };
  context.answer = () => json(status, 404);
  const content = await contentOf(context.controller.handle('edge-1', ask(application('get', `${CM}/a`))));
  assert.equal(
    [content.Status, content.Reason, content.Error],
    ['Rejected', 'no', { ErrStatus: { ...status, metadata: {} } }],
  );
});

const refused: [string, object][] = [
  ['another path', application('get', '/metrics')],
  ['a path that climbs', application('get', '/apis/../metrics')],
  ['a write of a document', application('update', '/apis')],
  ['another verb', application('connect', `${CM}/a`)],
];
for (const [what, content] of refused) {
  test(`${what} is not passed on`, async ({ controller, calls }) => {
    assert.is((await contentOf(controller.handle('edge-1', ask(content)))).Status, 'Rejected');
    assert.equal(calls, []);
  });
}

test('what no frame could carry is refused', async (context) => {
  context.answer = () => ({ code: 200, type: 'x', body: Buffer.alloc(6 * 1024 * 1024) });
  const content = await contentOf(
    context.controller.handle('edge-1', ask(application('get', '/openapi/v2'))),
  );
  assert.is((content.Error as { ErrStatus: { code: number } }).ErrStatus.code, 413);
});

test('calls are made in the name of the node where that is asked for', async (context) => {
  await context.make(true).handle('edge-7', ask(application('get', `${CM}/a`)));
  assert.equal(context.calls[0]?.as, { user: 'system:node:edge-7', group: 'system:nodes' });
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const object = (name: string, resourceVersion = '1') => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion },
});
const put = (api: FakeApi, name: string): Promise<unknown> =>
  api.create(kinds.configMap, { namespace: 'ns', name: '' }, object(name));

test('a watch sends what there is, then every change; nodes that watch alike share one', async (context) => {
  const { controller, api, sent } = context;
  await put(api, 'a');
  const watch = application('watch', `${CM}/null`, { Option: b64({ labelSelector: 'x=y' }) });
  assert.is((await contentOf(controller.handle('edge-1', ask(watch)))).Status, 'Approved');
  await turn();
  await controller.handle('edge-2', ask(watch));
  await turn();
  assert.equal(
    api.watches.map(({ plural, query }) => [plural, query.labelSelector, query.fieldSelector]),
    [['configmaps', 'x=y', 'metadata.namespace=ns']],
  );
  assert.equal(sent, ['edge-1 insert ns/configmap/a', 'edge-2 insert ns/configmap/a']);
  sent.length = 0;
  controller.disconnected('edge-2');
  api.watches[0]?.send({ type: 'MODIFIED', object: object('a', '5') });
  api.watches[0]?.send({ type: 'DELETED', object: object('a', '6') });
  assert.equal(sent, ['edge-1 update ns/configmap/a', 'edge-1 delete ns/configmap/a']);
});

test('who may not list may not watch', async (context) => {
  context.answer = () => json({ kind: 'Status', code: 403, reason: 'Forbidden', message: 'no' }, 403);
  const watch = application('watch', `${CM}/null`);
  assert.is((await contentOf(context.controller.handle('edge-1', ask(watch)))).Status, 'Rejected');
  assert.equal(context.api.watches, []);
});

test('what one selection lost is not deleted while another one holds it', async (context) => {
  const { controller, api, sent } = context;
  await put(api, 'a');
  for (const labelSelector of ['x=y', 'z'])
    await controller.handle(
      'edge-1',
      ask(application('watch', `${CM}/null`, { ID: labelSelector, Option: b64({ labelSelector }) })),
    );
  await turn();
  sent.length = 0;
  api.watches[0]?.send({ type: 'DELETED', object: object('a', '6') });
  assert.equal(sent, []);
  api.watches[1]?.send({ type: 'DELETED', object: object('a', '7') });
  assert.equal(sent, ['edge-1 delete ns/configmap/a']);
});

test('a sync opens what is missing, ends what is too much, and names what cannot be opened', async (context) => {
  const { controller, api } = context;
  await controller.handle('edge-1', ask(application('watch', `${CM}/null`)));
  await turn();
  const secrets = application('watch', '/core/v1/secrets/ns/null');
  const bad = application('watch', '/core/v1/none/ns/null');
  context.answer = ({ path }) =>
    path.includes('none')
      ? json({ kind: 'Status', code: 404, message: 'no' }, 404)
      : json({ kind: 'SecretList' });
  const answer = await controller.handle(
    'edge-1',
    ask({ [secrets.ID]: secrets, [bad.ID]: bad }, 'watchapp/sync'),
  );
  await turn();
  assert.equal([answer?.resource, Object.keys(answer?.content as object)], ['watchapp/sync', [bad.ID]]);
  assert.equal(
    api.watches.map(({ plural }) => plural),
    ['configmaps', 'secrets'],
  );
});

test.run();

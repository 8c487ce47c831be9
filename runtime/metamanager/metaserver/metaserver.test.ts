import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { FakeClock } from '../../core/fake-clock.ts';
import { silentLogger } from '../../core/log.ts';
import { seconds } from '../../core/units.ts';
import { closeServer, listen } from '../../wire/listen.ts';
import { metaManagerConfig } from '../config.ts';
import type { ObjectChange } from '../metamanager.ts';
import { type LocalPods, MetaServer } from './metaserver.ts';
import { FakeCloud } from './test-cloud.ts';
import { FakeObjectStore } from './test-store.ts';

type Page = { status: number; type: string; json: Record<string, unknown> };
type Context = {
  cloud: FakeCloud;
  store: FakeObjectStore;
  clock: FakeClock;
  server: MetaServer;
  open: IncomingMessage[];
  kept: ObjectChange[];
  pods: LocalPods & { kubeletPort: number; ran: string[] };
  make: () => MetaServer;
  ask: (path: string, options?: { method?: string; headers?: object; body?: unknown }) => Promise<Page>;
  /** Opens a watch; the lines that came, and how to wait for more of them. */
  watch: (path: string) => Promise<(count: number) => Promise<string[]>>;
};
const test = suite<Context>('metaserver');

const TABLE = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };
const configMap = (name: string, resourceVersion: string, labels?: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion, ...(labels ? { labels } : {}) },
});
const listOf = (version: string, ...items: unknown[]) => ({
  kind: 'ConfigMapList',
  apiVersion: 'v1',
  metadata: { resourceVersion: version },
  items,
});
const event = (line: string): string => {
  const { type, object } = JSON.parse(line) as { type: string; object: Record<string, unknown> };
  const { name, resourceVersion } = object.metadata as Record<string, string>;
  return [type, name, resourceVersion].filter(Boolean).join(' ');
};

test.before.each(async (context) => {
  const cloud = new FakeCloud();
  const store = new FakeObjectStore();
  const clock = new FakeClock();
  const open: IncomingMessage[] = [];
  const { metaServer } = v.parse(metaManagerConfig, {
    metaServer: { enable: true, server: '127.0.0.1:0' },
  });
  const kept: ObjectChange[] = [];
  const ran: string[] = [];
  const pods: Context['pods'] = {
    kubeletPort: 1,
    ran,
    restart: async (_namespace, name) => {
      ran.push(`restart ${name}`);
      return name === 'web' ? { containers: ['main'] } : { missing: `pod ${name} does not run` };
    },
    exec: async (_namespace, name, container, command) => {
      ran.push(`exec ${name} ${container || '-'} ${command.join(' ')}`);
      return { stdout: 'out', stderr: 'err', exitCode: 7 };
    },
  };
  const make = (): MetaServer =>
    new MetaServer({
      config: metaServer,
      node: 'edge-1',
      authorization: false,
      store,
      pods,
      own: { keep: async (change) => void kept.push(change) },
      link: cloud,
      clock,
      log: silentLogger,
    });
  const server = make();
  await server.start();
  const send = async (path: string, { method = 'GET', headers = {}, body = undefined as unknown } = {}) => {
    const { port } = context.server;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const length = text === undefined ? {} : { 'content-length': Buffer.byteLength(text) };
    const options = { host: '127.0.0.1', port, path, method, agent: false };
    const call = httpRequest({ ...options, headers: { ...headers, ...length } });
    call.on('error', () => {});
    call.end(text);
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    return response;
  };
  Object.assign(context, {
    cloud,
    store,
    clock,
    server,
    open,
    kept,
    pods,
    make,
    ask: async (path: string, options = {}): Promise<Page> => {
      const response = await send(path, options);
      let text = '';
      for await (const chunk of response) text += String(chunk);
      const type = response.headers['content-type'] ?? '';
      const json = type.includes('json') ? JSON.parse(text) : { text };
      return { status: response.statusCode ?? 0, type, json };
    },
    watch: async (path: string) => {
      const response = await send(path);
      response.on('error', () => {});
      open.push(response);
      const lines: string[] = [];
      let rest = '';
      let wanted = (): void => {};
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const parts = (rest + chunk).split('\n');
        rest = parts.pop() ?? '';
        lines.push(...parts.map(event));
        wanted();
      });
      return (count: number) =>
        new Promise<string[]>((resolve) => {
          wanted = () => lines.length >= count && resolve(lines);
          wanted();
        });
    },
  } satisfies Partial<Context>);
});
test.after.each(async ({ server, open, clock }) => {
  for (const response of open) response.destroy();
  await server.stop();
  assert.is(clock.pending, 0, 'no timer is left');
});

const CM = '/api/v1/namespaces/ns/configmaps';
const KEY = '/core/v1/configmaps/ns';

test('online an object is the cloud’s, and is there when the cloud is away', async (context) => {
  const { cloud, ask } = context;
  cloud.reply = () => ({ body: configMap('a', '7') });
  const online = await ask(`${CM}/a`);
  assert.equal([online.status, online.json], [200, configMap('a', '7')]);
  assert.equal(cloud.lines, [`get ${KEY}/a`]);
  cloud.online = false;
  assert.equal((await ask(`${CM}/a`)).json, configMap('a', '7'));
  assert.is((await ask(`${CM}/b`)).status, 404);
});

test('online a list is the cloud’s, offline it has the right kind and what was kept', async (context) => {
  const { cloud, ask } = context;
  const list = listOf('20', configMap('a', '7', { app: 'x' }), configMap('b', '8'));
  cloud.reply = () => ({ body: list });
  assert.equal((await ask(`${CM}?labelSelector=app%3Dx&limit=500`)).json, list);
  assert.equal(JSON.parse(Buffer.from(cloud.asked[0]?.Option ?? '', 'base64').toString()), {
    labelSelector: 'app=x',
    limit: 500,
  });
  cloud.online = false;
  const offline = await ask(`${CM}?labelSelector=app%3Dx`);
  assert.equal(offline.json, listOf('20', configMap('a', '7', { app: 'x' })));
  assert.is((await ask('/apis/apps/v1/deployments')).status, 404);
  assert.is((await ask(`${CM}?continue=x`)).status, 410);
});

test('items without kind are kept with that of their list', async ({ cloud, ask }) => {
  const { apiVersion: _version, kind: _kind, ...bare } = configMap('a', '7');
  cloud.reply = () => ({ body: listOf('20', bare) });
  await ask(CM);
  cloud.online = false;
  assert.equal((await ask(`${CM}/a`)).json, configMap('a', '7'));
});

test('a refusal of the cluster is passed on; one that says it is gone is believed', async (context) => {
  const { cloud, ask } = context;
  cloud.reply = () => ({ body: configMap('a', '7') });
  await ask(`${CM}/a`);
  cloud.reply = () => ({ status: { reason: 'Forbidden', code: 403, message: 'no' } });
  assert.equal((await ask(`${CM}/a`)).json.reason, 'Forbidden');
  cloud.reply = () => ({ status: { reason: 'NotFound', code: 404, message: 'gone' } });
  assert.is((await ask(`${CM}/a`)).status, 404);
  cloud.online = false;
  assert.match(String((await ask(`${CM}/a`)).json.message), /not found on this node/);
});

test('an API server that is down is as good as none', async ({ cloud, ask }) => {
  cloud.reply = () => ({ body: configMap('a', '7') });
  await ask(`${CM}/a`);
  cloud.reply = () => ({ status: { reason: 'ServiceUnavailable', code: 503, message: 'etcd' } });
  assert.is((await ask(`${CM}/a`)).status, 200);
});

test('a cloud that did not answer is not asked for a while', async (context) => {
  const { cloud, ask, clock } = context;
  cloud.reply = () => 'silence';
  await ask(`${CM}/a`);
  await ask(`${CM}/a`);
  assert.is(cloud.asked.length, 1);
  await clock.advance(seconds(30));
  await ask(`${CM}/a`);
  assert.is(cloud.asked.length, 2);
});

test('tables: the cluster’s own, and simple ones offline', async ({ cloud, ask }) => {
  const object = configMap('a', '7');
  cloud.reply = ({ Accept }) => ({
    body: Accept?.includes('as=Table')
      ? {
          kind: 'Table',
          metadata: { resourceVersion: '9' },
          columnDefinitions: [{ name: 'Colour' }],
          rows: [{ cells: ['red'], object }],
        }
      : listOf('9', object),
  });
  const online = (await ask(CM, { headers: TABLE })).json;
  assert.equal(online.columnDefinitions, [{ name: 'Colour' }]);
  cloud.online = false;
  const offline = (await ask(CM, { headers: TABLE })).json as { rows: { cells: unknown[] }[] };
  assert.equal(
    offline.rows.map(({ cells }) => cells),
    [['a', 0, '<unknown>']],
  );
});

const writes: [string, string, string, string][] = [
  ['POST', CM, 'create', `${KEY}/null`],
  ['PUT', `${CM}/a`, 'update', `${KEY}/a`],
  ['PUT', `${CM}/a/status`, 'updatestatus', `${KEY}/a`],
  ['PATCH', `${CM}/a`, 'patch', `${KEY}/a`],
  ['DELETE', `${CM}/a`, 'delete', `${KEY}/a`],
];
for (const [method, path, verb, key] of writes) {
  const headers = method === 'PATCH' ? { 'content-type': 'application/merge-patch+json' } : {};
  test(`${method} ${path.split('/').at(-1)} goes to the cloud, and is refused without it`, async (context) => {
    const { cloud, ask } = context;
    const body = configMap('a', '7');
    cloud.reply = () => ({ body });
    const done = await ask(path, { method, headers, body });
    assert.equal([done.status, done.json], [method === 'POST' ? 201 : 200, body]);
    assert.equal(cloud.lines, [`${verb} ${key}`]);
    cloud.online = false;
    const refused = await ask(path, { method, headers, body });
    assert.equal([refused.status, refused.json.reason], [503, 'ServiceUnavailable']);
  });
}

test('a patch travels whole', async ({ cloud, ask }) => {
  cloud.reply = () => ({ body: configMap('a', '7') });
  const headers = { 'content-type': 'application/apply-patch+yaml' };
  await ask(`${CM}/a?fieldManager=me&force=true`, { method: 'PATCH', headers, body: { data: {} } });
  assert.equal(JSON.parse(Buffer.from(cloud.asked[0]?.Option ?? '', 'base64').toString()), {
    Name: 'a',
    PatchType: 'application/apply-patch+yaml',
    Data: Buffer.from('{"data":{}}').toString('base64'),
    Options: { fieldManager: 'me', force: true },
    Subresources: [''],
  });
});

const bad: [string, string, object, number][] = [
  ['a patch of another type', `${CM}/a`, { method: 'PATCH', body: {} }, 415],
  [
    'a body of Go’s',
    CM,
    { method: 'POST', headers: { 'content-type': 'application/vnd.kubernetes.protobuf' }, body: {} },
    415,
  ],
  ['a body that is no object', CM, { method: 'POST', body: [] }, 400],
  ['a selector that is none', `${CM}?labelSelector=in(`, {}, 400],
  ['a version that is no number', `${CM}?watch=1&resourceVersion=x`, {}, 400],
  ['a watch of what nobody knows', '/apis/x/v1/ys?watch=1', {}, 404],
  ['a path that is none', '/metrics', {}, 404],
  ['too much', CM, { method: 'POST', body: 'x'.repeat(3 * 1024 * 1024) }, 413],
];
for (const [what, path, options, status] of bad) {
  test(`${what} is refused with ${status}`, async ({ cloud, ask }) => {
    cloud.online = false;
    assert.is((await ask(path, options)).status, status);
  });
}

test('discovery is the cluster’s, also after the link; without ever one it tells of what is here', async (context) => {
  const { cloud, ask } = context;
  cloud.online = false;
  const made = (await ask('/api/v1')).json as { resources: { name: string }[] };
  assert.ok(made.resources.some(({ name }) => name === 'pods'));
  assert.match(JSON.stringify((await ask('/apis')).json), /devices\.kubeedge\.io\/v1beta1/);
  assert.is((await ask('/healthz')).json.text, 'ok');
  cloud.online = true;
  const resources = [{ name: 'oxen', kind: 'Ox', namespaced: true, verbs: [] }];
  cloud.reply = () => ({ body: { kind: 'APIResourceList', groupVersion: 'farm/v1', resources } });
  await ask('/apis/farm/v1');
  cloud.online = false;
  assert.equal((await ask('/apis/farm/v1')).json.resources, resources);
  assert.is((await ask('/apis/farm/v1/oxen')).json.kind, 'OxList');
});

test('a watch begins with what there is, then tells of pushes, reports of the node and deletions', async (context) => {
  const { cloud, server, watch } = context;
  cloud.online = false;
  const pod = (version: string) => ({
    metadata: { name: 'web', namespace: 'ns', uid: 'u1', resourceVersion: version },
    spec: { nodeName: 'edge-1' },
  });
  server.changed('pod', pod('5'));
  const lines = await watch('/api/v1/pods?watch=true');
  assert.equal(await lines(1), ['ADDED web 5']);
  server.changed('pod', pod('6'));
  server.podStatus({ namespace: 'ns', name: 'web', uid: 'u1' }, { phase: 'Running' });
  server.removed({ operation: 'delete', namespace: 'ns', type: 'pod', name: 'web', object: pod('8') });
  assert.equal(await lines(4), ['ADDED web 5', 'MODIFIED web 6', 'MODIFIED web 6', 'DELETED web 8']);
});

test('a rule of the node is shown, and goes with its deletion', async ({ cloud, server, watch }) => {
  cloud.online = false;
  const rule = (resourceVersion: string) => ({
    apiVersion: 'rules.edgecore.io/v1alpha1',
    kind: 'LocalRule',
    metadata: { name: 'hot', namespace: 'ns', uid: 'u1', resourceVersion },
  });
  server.changed('localrule', rule('5'));
  const lines = await watch('/apis/rules.edgecore.io/v1alpha1/localrules?watch=true');
  assert.equal(await lines(1), ['ADDED hot 5']);
  server.removed({ operation: 'delete', namespace: 'ns', type: 'localrule', name: 'hot', object: rule('8') });
  assert.equal(await lines(2), ['ADDED hot 5', 'DELETED hot 8']);
});

test('the cloud is asked to watch once for all who watch alike, and told when nobody does', async (context) => {
  const { cloud, server, watch, open } = context;
  cloud.reply = ({ Verb }) => ({ body: Verb === 'list' ? listOf('20', configMap('a', '7')) : {} });
  const first = await watch(`${CM}?watch=true`);
  const second = await watch(`${CM}?watch=true&resourceVersion=20`);
  assert.equal(await first(1), ['ADDED a 7']);
  const object = configMap('b', '21');
  server.watched({ operation: 'insert', namespace: 'ns', type: 'configmap', name: 'b', object });
  assert.equal(await second(1), ['ADDED b 21']);
  assert.is(cloud.asked.filter(({ Verb }) => Verb === 'watch').length, 1);
  for (const response of open) response.destroy();
  const told = async (): Promise<void> => {
    while (cloud.syncs.length === 0) await new Promise((resolve) => setImmediate(resolve));
  };
  await told();
  assert.equal(cloud.syncs, [[]]);
});

test('after an outage the watches are told again, and what went meanwhile is told', async (context) => {
  const { cloud, server, watch } = context;
  cloud.reply = ({ Verb }) => ({ body: Verb === 'list' ? listOf('20', configMap('a', '7')) : {} });
  const lines = await watch(`${CM}?watch=true`);
  await lines(1);
  cloud.reply = ({ Verb }) => ({ body: Verb === 'list' ? listOf('30', configMap('b', '25')) : {} });
  server.online(true);
  assert.equal((await lines(3)).slice(1), ['ADDED b 25', 'DELETED a 30']);
  assert.is(cloud.syncs[0]?.length, 1);
});

test('a watch that the cloud did not open is asked for again', async (context) => {
  const { cloud, watch, clock } = context;
  cloud.reply = () => ({ status: { reason: 'ServiceUnavailable', code: 503, message: 'etcd' } });
  await watch(`${CM}?watch=true`);
  cloud.reply = ({ Verb }) => ({ body: Verb === 'list' ? listOf('20') : {} });
  await clock.advance(seconds(30));
  assert.is(cloud.syncs[0]?.length, 1);
});

test('a watch that the cluster refuses is refused, in the stream where there is one already', async (context) => {
  const { cloud, ask } = context;
  cloud.reply = () => ({ status: { reason: 'Forbidden', code: 403, message: 'no' } });
  assert.is((await ask(`${CM}?watch=true`)).status, 403);
  const page = await ask(`${CM}?watch=true&resourceVersion=5`);
  assert.equal([page.json.type, (page.json.object as { code: number }).code], ['ERROR', 403]);
});

test('an event without an object harms nothing', async ({ server, cloud, ask }) => {
  cloud.online = false;
  for (const object of [null, {}, { metadata: {} }])
    server.watched({ operation: 'update', namespace: 'ns', type: 'pod', name: 'web', object });
  assert.equal((await ask('/api/v1/pods')).json.items, []);
});

test('a watch from a place that is forgotten is told so', async (context) => {
  const { cloud, server, store, make } = context;
  cloud.online = false;
  server.changed('configmap', configMap('a', '40'));
  await server.stop();
  assert.is(store.rows.size, 1);
  store.kept.push({ key: 'ns/configmap/a', type: 'configmap', value: JSON.stringify(configMap('a', '40')) });
  context.server = make();
  await context.server.start();
  const page = await context.ask(`${CM}?watch=true&resourceVersion=39`);
  assert.equal([page.json.type, (page.json.object as { code: number }).code], ['ERROR', 410]);
  assert.is((await context.ask(`${CM}/a`)).status, 200);
});

test('what the cloud took while the API was off is not served', async ({ store, cloud, make, server }) => {
  cloud.online = false;
  server.changed('configmap', configMap('a', '40'));
  const next = make();
  await next.start();
  assert.is(store.rows.size, 0);
  await next.stop();
});

test('bookmarks come to who wants them, and a watch ends when its time is over', async (context) => {
  const { cloud, watch, clock } = context;
  cloud.online = false;
  const lines = await watch(
    `${CM}?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&timeoutSeconds=45`,
  );
  await lines(1);
  await clock.advance(seconds(30));
  assert.equal(await lines(2), ['BOOKMARK 0', 'BOOKMARK 0']);
  const ended = once(context.open[0] as IncomingMessage, 'end');
  await clock.advance(seconds(15));
  await ended;
});

const POD = '/api/v1/namespaces/ns/pods';
const heldPod = (...containers: string[]) => ({
  metadata: { name: 'web', namespace: 'ns', uid: 'u1', resourceVersion: '5' },
  spec: { nodeName: 'edge-1', containers: containers.map((name) => ({ name })) },
});

test('pods are restarted by name, and each that is not here is named', async ({ ask, pods }) => {
  const page = await ask(`${POD}/restart`, { method: 'POST', body: ['web', 'none'] });
  assert.equal(page.json, {
    errMessages: ['pod none does not run'],
    LogMessages: ['pod ns/web: stopped main'],
  });
  assert.equal(pods.ran, ['restart web', 'restart none']);
  assert.is((await ask(`${POD}/restart`, { method: 'POST', body: { a: 1 } })).status, 400);
});

test('a command runs without a terminal; with one it is not offered', async ({ ask, pods }) => {
  const page = await ask(`${POD}/web/exec?command=ls&command=-l&container=main`, { method: 'POST' });
  assert.equal(page.json, {
    errMessages: ['the command ended with 7'],
    runOutMessages: 'out',
    runErrMessages: 'err',
  });
  assert.equal(pods.ran, ['exec web main ls -l']);
  for (const more of ['&tty=true', '&stdin=true'])
    assert.is((await ask(`${POD}/web/exec?command=ls${more}`, { method: 'POST' })).status, 501);
  assert.is((await ask(`${POD}/web/exec`, { method: 'POST' })).status, 400);
  const headers = { connection: 'upgrade', upgrade: 'SPDY/3.1' };
  assert.is((await ask(`${POD}/web/exec?command=ls`, { method: 'POST', headers })).status, 501);
});

test('logs come from the kubelet’s port, of the only container or the one that is named', async (context) => {
  const { server, ask, pods } = context;
  const asked: string[] = [];
  const kubelet = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (request.url?.includes('/none')) response.writeHead(404);
    response.end('line\n');
  });
  await listen(kubelet, 'kubelet', '127.0.0.1', 0);
  pods.kubeletPort = (kubelet.address() as AddressInfo).port;
  try {
    assert.is((await ask(`${POD}/web/log`)).status, 404);
    server.changed('pod', heldPod('main'));
    const page = await ask(`${POD}/web/log?tailLines=5&container=`);
    assert.equal([page.status, page.type, page.json.text], [200, 'text/plain', 'line\n']);
    assert.is((await ask(`${POD}/web/log?container=none`)).status, 404);
    const own = await ask(`${POD}/web/log`, { headers: { 'user-agent': 'keadm/v1.23' } });
    assert.equal(own.json, { errMessages: [], logMessages: ['line\n'] });
    assert.equal(asked, [
      '/containerLogs/ns/web/main?tailLines=5',
      '/containerLogs/ns/web/none?',
      '/containerLogs/ns/web/main?',
    ]);
    server.changed('pod', {
      ...heldPod('a', 'b'),
      metadata: { ...heldPod().metadata, resourceVersion: '6' },
    });
    assert.match(String((await ask(`${POD}/web/log`)).json.message), /choose one of: \[a b\]/);
  } finally {
    await closeServer(kubelet);
  }
});

test('a device is set here, cloud or no cloud', async ({ ask, cloud, kept }) => {
  const path = '/apis/devices.kubeedge.io/v1beta1/namespaces/ns/devices/plc';
  const object = {
    apiVersion: 'devices.kubeedge.io/v1beta1',
    kind: 'Device',
    metadata: { name: 'plc', namespace: 'ns' },
    spec: {},
  };
  const page = await ask(path, { method: 'PUT', body: object });
  assert.equal([page.status, page.json], [200, object]);
  assert.equal(kept, [{ operation: 'update', type: 'device', namespace: 'ns', name: 'plc', object }]);
  assert.equal(cloud.asked, []);
  assert.is((await ask(path, { method: 'PUT', body: { ...object, spec: 'x' } })).status, 422);
  assert.is((await ask(`${path}2`, { method: 'PUT', body: object })).status, 400);
});

test('what this node has not is said to be so', async ({ ask }) => {
  assert.is((await ask('/api/v1/pods/unhold-upgrade', { method: 'POST', body: 'ns/web' })).status, 501);
  assert.is((await ask('/api/v1/taskupgrade/confirm-upgrade', { method: 'POST' })).status, 400);
  assert.is((await ask(`${POD}/web/portforward`, { method: 'POST' })).status, 501);
});

test('pages of other places in a browser are not served', async ({ ask, cloud }) => {
  cloud.online = false;
  assert.is((await ask('/api', { headers: { origin: 'https://elsewhere.example' } })).status, 403);
  assert.is((await ask('/api', { headers: { host: 'elsewhere.example' } })).status, 403);
  assert.is((await ask('/api', { headers: { host: 'localhost:10550' } })).status, 200);
});

test.run();

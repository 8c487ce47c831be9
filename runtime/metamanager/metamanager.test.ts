import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { EdgeError, errorCode } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import type { CoreEvent, TokenRequestSpec } from '../core/k8s.ts';
import { silentLogger } from '../core/log.ts';
import { type Message, type MessageDraft, newMessage } from '../core/message.ts';
import { seconds } from '../core/units.ts';
import { metaManagerConfig } from './config.ts';
import { MetaManager, type ObjectChange, type ObjectConsumers, type ObjectStore } from './metamanager.ts';

/** The table in memory; durable writes are told to be safe when the test says so. */
class FakeStore implements ObjectStore {
  readonly rows = new Map<string, { key: string; type: string; value: string }>();
  disk: Promise<void> = Promise.resolve();
  readonly meta: ObjectStore['meta'] = {
    put: (row) => this.rows.set(row.key, row),
    get: (key) => this.rows.get(key)?.value,
    list: (type) => [...this.rows.values()].filter((row) => row.type === type),
    remove: (key) => this.rows.delete(key),
  };

  durable(work: () => void): Promise<void> {
    work();
    return this.disk;
  }

  read(key: string): unknown {
    const value = this.meta.get(key);
    return value === undefined ? undefined : JSON.parse(value);
  }
}

type Context = {
  clock: FakeClock;
  store: FakeStore;
  link: { online: boolean; asked: MessageDraft[]; reply: (draft: MessageDraft) => Message | EdgeError };
  posts: [string | null, MessageDraft][];
  acted: unknown[];
  meta: MetaManager;
  make: (reportEvent: boolean) => MetaManager;
};
const test = suite<Context>('metamanager');

test.before.each((context) => {
  const clock = new FakeClock();
  const store = new FakeStore();
  const posts: Context['posts'] = [];
  const acted: unknown[] = [];
  const link: Context['link'] & { request(draft: MessageDraft): Promise<Message> } = {
    online: true,
    asked: [],
    reply: () => new EdgeError('LINK_TIMEOUT'),
    request: async (draft) => {
      link.asked.push(draft);
      const reply = link.reply(draft);
      if (reply instanceof EdgeError) throw reply;
      return reply;
    },
  };
  const note =
    (what: string) =>
    (...rest: unknown[]): void => {
      acted.push([what, ...rest]);
    };
  const consumers: ObjectConsumers = {
    pods: {
      applyPod: ({ metadata }) => {
        if (metadata.labels?.poison) throw new Error('poisoned');
        acted.push(['applyPod', metadata.name, metadata.resourceVersion]);
      },
      removePod: note('removePod'),
      configMapChanged: note('configMapChanged'),
      secretChanged: note('secretChanged'),
    },
    devices: {
      applyDevice: ({ metadata }) => acted.push(['applyDevice', metadata.name]),
      removeDevice: note('removeDevice'),
      applyModel: ({ metadata }) => acted.push(['applyModel', metadata.name]),
    },
    rules: { apply: ({ metadata }) => acted.push(['applyRule', metadata.name]), remove: note('removeRule') },
  };
  const make = (reportEvent: boolean): MetaManager =>
    new MetaManager({
      config: v.parse(metaManagerConfig, {}),
      node: 'edge-1',
      reportEvent,
      store,
      link,
      outbox: {
        put: async (subject, draft) => {
          posts.push([subject, draft]);
        },
      },
      clock,
      log: silentLogger,
    });
  const meta = make(false);
  meta.connect(consumers);
  Object.assign(context, { clock, store, link, posts, acted, make, meta });
});

const change = (
  operation: ObjectChange['operation'],
  type: string,
  name: string,
  object: unknown,
): ObjectChange => ({ operation, namespace: 'default', type, name, object });
const pod = (resourceVersion: string, uid = 'u1', labels: Record<string, string> = {}): unknown => ({
  metadata: { name: 'web', namespace: 'default', uid, resourceVersion, labels },
  spec: { containers: [] },
});
const insertPod = (object: unknown): ObjectChange => change('insert', 'pod', 'web', object);
const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.catch((error: unknown) => errorCode(error));

test('a change is on disk before anybody acts on it, and before it is acknowledged', async ({
  meta,
  store,
  acted,
  clock,
}) => {
  let written = (): void => {};
  store.disk = new Promise((resolve) => {
    written = resolve;
  });
  let kept = false;
  const keeping = meta.keep(insertPod(pod('1'))).then(() => {
    kept = true;
  });
  await clock.advance(0);
  assert.equal(store.read('default/pod/web'), pod('1'));
  assert.equal([acted, kept], [[], false]);
  written();
  await keeping;
  assert.equal(acted, [['applyPod', 'web', '1']]);
});

test('a change that the disk refuses is not acted on', async ({ meta, store, acted }) => {
  store.disk = Promise.reject(new EdgeError('STORE_WRITE_FAILED'));
  assert.is(await outcome(meta.keep(insertPod(pod('1')))), 'STORE_WRITE_FAILED');
  assert.equal(acted, []);
});

test('an older version never takes the place of a newer one', async ({ meta, store, acted }) => {
  await meta.keep(insertPod(pod('10')));
  await meta.keep(insertPod(pod('9')));
  assert.equal(store.read('default/pod/web'), pod('10'));
  assert.equal(acted, [['applyPod', 'web', '10']]);
});

test('the same version again is taken again: the cloud repeats what was not acknowledged', async ({
  meta,
  acted,
}) => {
  await meta.keep(insertPod(pod('10')));
  await meta.keep(insertPod(pod('10')));
  assert.is(acted.length, 2);
});

test('a pod of the same name in another life is taken, whatever its version', async ({ meta, store }) => {
  await meta.keep(insertPod(pod('10', 'u1')));
  await meta.keep(insertPod(pod('2', 'u2')));
  assert.equal(store.read('default/pod/web'), pod('2', 'u2'));
});

const poison: [string, ObjectChange][] = [
  ['without content', insertPod(null)],
  ['that is a text', insertPod('x')],
  ['without metadata', insertPod({ spec: {} })],
  ['of another name than its resource', change('insert', 'pod', 'other', pod('1'))],
  ['that is a device without spec', change('insert', 'device', 'plc', { metadata: { name: 'plc' } })],
  [
    'that is a model whose properties are no list',
    change('insert', 'devicemodel', 'm', {
      metadata: { name: 'm' },
      spec: { properties: 'COLOUR' },
    }),
  ],
];
for (const [what, bad] of poison) {
  test(`an object ${what} counts as dealt with, and those behind it go on`, async ({
    meta,
    store,
    acted,
  }) => {
    await meta.keep(bad);
    assert.is(store.rows.size, 0);
    await meta.keep(insertPod(pod('1')));
    assert.equal(acted, [['applyPod', 'web', '1']]);
  });
}

test('an object that makes its consumer fail is kept, and counts as dealt with', async ({
  meta,
  store,
  acted,
}) => {
  const object = pod('1', 'u1', { poison: 'yes' });
  await meta.keep(insertPod(object));
  assert.equal(store.read('default/pod/web'), object);
  await meta.keep(insertPod(pod('2')));
  assert.equal(acted, [['applyPod', 'web', '2']]);
});

test('each kind of object goes to who acts on it; others are only kept', async ({ meta, acted, store }) => {
  const named = (name: string): unknown => ({ metadata: { name }, spec: {} });
  await meta.keep(change('update', 'configmap', 'c', named('c')));
  await meta.keep(change('update', 'secret', 's', named('s')));
  await meta.keep(change('update', 'device', 'd', named('d')));
  await meta.keep(change('update', 'devicemodel', 'm', named('m')));
  await meta.keep({ ...change('update', 'node', 'edge-1', named('edge-1')), namespace: undefined });
  assert.equal(acted, [
    ['configMapChanged', 'default', 'c'],
    ['secretChanged', 'default', 's'],
    ['applyDevice', 'd'],
    ['applyModel', 'm'],
  ]);
  assert.equal(store.read('null/node/edge-1'), named('edge-1'));
});

test('a rule goes to who acts on it, and so does its end', async ({ meta, acted }) => {
  const rule = { metadata: { name: 'hot', namespace: 'default', uid: 'u1' }, spec: {} };
  await meta.keep(change('insert', 'localrule', 'hot', rule));
  assert.equal(meta.localRules(), [rule]);
  await meta.keep(change('delete', 'localrule', 'hot', rule));
  assert.equal(acted, [
    ['applyRule', 'hot'],
    ['removeRule', 'default', 'hot'],
  ]);
  assert.equal(meta.localRules(), []);
});

test('a deletion removes the object and says which pod went', async ({ meta, store, acted }) => {
  await meta.keep(insertPod(pod('1')));
  await meta.keep(change('delete', 'pod', 'web', pod('2')));
  assert.is(store.rows.size, 0);
  assert.equal(acted.at(-1), ['removePod', { namespace: 'default', name: 'web', uid: 'u1' }]);
});

test('a deletion from reconciliation carries only name, namespace and UID, and is enough', async ({
  meta,
  acted,
}) => {
  await meta.keep(insertPod(pod('1')));
  const bare = { metadata: { name: 'web', namespace: 'default', uid: 'u1' }, spec: { containers: null } };
  await meta.keep(change('delete', 'pod', 'web', bare));
  assert.equal(acted.at(-1), ['removePod', { namespace: 'default', name: 'web', uid: 'u1' }]);
});

test('the deletion of an earlier pod of the name leaves the new one alone', async ({
  meta,
  store,
  acted,
}) => {
  await meta.keep(insertPod(pod('5', 'u2')));
  await meta.keep(change('delete', 'pod', 'web', pod('4', 'u1')));
  assert.equal(store.read('default/pod/web'), pod('5', 'u2'));
  assert.is(acted.length, 1);
});

test('a deletion without object removes what is stored under the name', async ({ meta, store, acted }) => {
  await meta.keep(insertPod(pod('1')));
  await meta.keep(change('delete', 'pod', 'web', null));
  assert.is(store.rows.size, 0);
  assert.equal(acted.at(-1), ['removePod', { namespace: 'default', name: 'web', uid: 'u1' }]);
});

test('deletions of other kinds reach who acts on them; a model goes on serving its devices', async ({
  meta,
  acted,
}) => {
  for (const type of ['configmap', 'secret', 'device', 'devicemodel'])
    await meta.keep(change('delete', type, 'x', { metadata: { name: 'x' } }));
  assert.equal(acted, [
    ['configMapChanged', 'default', 'x'],
    ['secretChanged', 'default', 'x'],
    ['removeDevice', 'default/x'],
  ]);
});

test('what is stored is there after a restart', async ({ meta, make }) => {
  await meta.keep(insertPod(pod('1')));
  await meta.keep(change('insert', 'device', 'd', { metadata: { name: 'd' }, spec: {} }));
  await meta.keep(change('insert', 'devicemodel', 'm', { metadata: { name: 'm' }, spec: {} }));
  const next = make(false);
  assert.equal(
    [next.pods(), next.devices(), next.models()].map((list) => list.map(({ metadata }) => metadata.name)),
    [['web'], ['d'], ['m']],
  );
});

const respond =
  (content: unknown, operation = 'response') =>
  (draft: MessageDraft): Message =>
    newMessage({ ...draft, operation, content, parent: 'p' }, 0);

test('a configmap comes from the store, and from the cloud only when it is not there', async ({
  meta,
  link,
  store,
}) => {
  const object = { metadata: { name: 'c' }, data: { a: '1' } };
  link.reply = respond(object);
  assert.equal(await meta.configMap('default', 'c'), object);
  assert.equal(link.asked, [
    { source: 'edged', group: 'meta', operation: 'query', resource: 'default/configmap/c', content: null },
  ]);
  assert.equal(store.read('default/configmap/c'), object);
  link.online = false;
  assert.equal(await meta.configMap('default', 'c'), object);
  assert.is(link.asked.length, 1);
});

test('what several ask for at once is asked of the cloud once', async ({ meta, link }) => {
  const object = { metadata: { name: 'c' }, data: { a: '1' } };
  link.reply = respond(object);
  const answers = await Promise.all([meta.configMap('default', 'c'), meta.configMap('default', 'c')]);
  assert.equal(answers, [object, object]);
  assert.is(link.asked.length, 1);
  link.reply = () => new EdgeError('LINK_TIMEOUT');
  assert.is(await outcome(meta.configMap('default', 'other')), 'LINK_TIMEOUT');
  link.reply = respond(object);
  assert.equal(await meta.configMap('default', 'other'), object, 'a failure is not kept');
});

test('an answer that was overtaken by a change gives way to it', async ({ meta, link, store }) => {
  const version = (resourceVersion: string) => ({ metadata: { name: 'c', uid: 'u1', resourceVersion } });
  let keeping: Promise<void> | undefined;
  link.reply = (draft) => {
    keeping = meta.keep(change('update', 'configmap', 'c', version('8')));
    return respond(version('7'))(draft);
  };
  assert.equal(await meta.configMap('default', 'c'), version('8'));
  await keeping;
  assert.equal(store.read('default/configmap/c'), version('8'));
});

test('a secret that is neither stored nor reachable says so', async ({ meta, link }) => {
  link.online = false;
  assert.is(await outcome(meta.secret('default', 's')), 'LINK_OFFLINE');
});

const failed: [string, (draft: MessageDraft) => Message | EdgeError, string][] = [
  [
    'a Status in disguise',
    respond({ ErrStatus: { reason: 'NotFound', code: 404, message: 'no' } }),
    'OBJECT_NOT_FOUND',
  ],
  ['an empty object', respond({}), 'CLOUD_REFUSED'],
  ['an error', respond('etcd is away', 'error'), 'CLOUD_REFUSED'],
  ['silence', () => new EdgeError('LINK_TIMEOUT'), 'LINK_TIMEOUT'],
];
for (const [what, reply, code] of failed) {
  test(`a query that is answered with ${what} fails with ${code} and stores nothing`, async ({
    meta,
    link,
    store,
  }) => {
    link.reply = reply;
    assert.is(await outcome(meta.secret('default', 's')), code);
    assert.is(store.rows.size, 0);
  });
}

const spec = (uid = 'u1'): TokenRequestSpec => ({
  audiences: null,
  expirationSeconds: 3600,
  boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'web', uid },
});
const granted = (clock: FakeClock, token: string) =>
  respond({
    metadata: {},
    status: { token, expirationTimestamp: new Date(clock.now() + seconds(3600)).toISOString() },
  });
const tokenOf = async (meta: MetaManager, uid?: string): Promise<string> =>
  (await meta.serviceAccountToken('default', 'sa', spec(uid))).token;

test('a token is asked for once, and again when 80 % of its life is over', async ({ meta, link, clock }) => {
  link.reply = granted(clock, 'first');
  assert.is(await tokenOf(meta), 'first');
  assert.equal(
    [link.asked[0]?.operation, link.asked[0]?.resource],
    ['query', 'default/serviceaccounttoken/sa'],
  );
  assert.equal((link.asked[0]?.content as { spec: unknown } | undefined)?.spec, spec());
  await clock.advance(seconds(0.8 * 3600) - 1);
  assert.is(await tokenOf(meta), 'first');
  assert.is(link.asked.length, 1);
  await clock.advance(1);
  link.reply = granted(clock, 'second');
  assert.is(await tokenOf(meta), 'second');
});

test('an old token serves while no better one can be had', async ({ meta, link, clock }) => {
  link.reply = granted(clock, 'first');
  await tokenOf(meta);
  await clock.advance(seconds(3000));
  link.reply = () => new EdgeError('LINK_TIMEOUT');
  assert.is(await tokenOf(meta), 'first');
  link.online = false;
  assert.is(await tokenOf(meta), 'first');
  assert.is(await outcome(tokenOf(meta, 'u2')), 'LINK_TIMEOUT');
});

test('a pod that goes takes its tokens along, and no others', async ({ meta, link, clock, store }) => {
  await meta.keep(insertPod(pod('1', 'u1')));
  link.reply = granted(clock, 't');
  await tokenOf(meta, 'u1');
  await tokenOf(meta, 'u10');
  await meta.keep(change('delete', 'pod', 'web', pod('2', 'u1')));
  assert.equal(
    store.meta.list('serviceaccounttoken').map(({ key }) => key.split('/')[3]),
    ['u10'],
  );
});

const ref = { namespace: 'default', name: 'web', uid: 'u1' };

test('a pod’s status and its end go through the outbox, the status as the text of a patch', ({
  meta,
  posts,
}) => {
  meta.podStatus(ref, { phase: 'Running' });
  meta.podTerminated(ref);
  const patch = { metadata: { uid: 'u1' }, status: { phase: 'Running', reason: null, message: null } };
  assert.equal(posts, [
    [
      'pod/default/web#status',
      {
        source: 'edged',
        group: 'meta',
        operation: 'patch',
        resource: 'default/podpatch/web',
        content: JSON.stringify(patch),
      },
    ],
    [
      'pod/default/web#delete',
      {
        source: 'edged',
        group: 'meta',
        operation: 'delete',
        resource: 'default/pod/web',
        content: { gracePeriodSeconds: 0, preconditions: { uid: 'u1' } },
      },
    ],
  ]);
});

for (const [type, reportEvent, told] of [
  ['Warning', false, true],
  ['Normal', false, false],
  ['Normal', true, true],
] as const) {
  test(`a ${type} event is ${told ? '' : 'not '}told when reportEvent is ${reportEvent}`, ({
    make,
    posts,
  }) => {
    const event = { metadata: { name: 'web.1', namespace: 'default' }, type } as CoreEvent;
    make(reportEvent).event(event);
    const draft = { operation: 'insert', resource: 'default/event/web.1', content: event };
    assert.equal(posts, told ? [[null, { source: 'edged', group: 'meta', ...draft }]] : []);
  });
}

test.run();

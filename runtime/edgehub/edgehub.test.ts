import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { errorCode } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { type Logger, silentLogger } from '../core/log.ts';
import { type Message, newMessage } from '../core/message.ts';
import { Metrics } from '../core/metrics.ts';
import { trustedTime } from '../core/time-trust.ts';
import { seconds } from '../core/units.ts';
import { edgeHubConfig } from './config.ts';
import { EdgeHub } from './edgehub.ts';
import { TestCloud } from './test-cloud.ts';

/** Hands out the waits before each new attempt as the link tells them. */
class Retries {
  private readonly waits: unknown[] = [];
  private wanted: ((wait: unknown) => void) | undefined;
  readonly log: Logger = {
    ...silentLogger,
    warn: (message, fields) => {
      if (message !== 'no link to the cloud') return;
      if (this.wanted) this.wanted(fields?.retryMs);
      else this.waits.push(fields?.retryMs);
      this.wanted = undefined;
    },
    child: () => this.log,
  };

  /** The wait that comes next, once its timer is set. */
  async next(): Promise<number> {
    const wait =
      this.waits.shift() ??
      (await new Promise((resolve) => {
        this.wanted = resolve;
      }));
    await new Promise((resolve) => setImmediate(resolve));
    return Number(wait);
  }
}

type Context = {
  dir: string;
  clock: FakeClock;
  time: { isTrusted: boolean };
  cloud: TestCloud;
  hub: EdgeHub;
  retries: Retries;
  handled: unknown[];
  /** What the next change ends with. */
  disk: { fault: Error | undefined };
  make: (address: string, more?: readonly string[]) => EdgeHub;
};
const test = suite<Context>('edgehub');
const NODE = 'edge-1';

function keep(dir: string, { ca, cert, key }: { ca: string; cert: string; key: string }): void {
  writeFileSync(join(dir, 'ca.crt'), ca);
  writeFileSync(join(dir, 'server.crt'), cert);
  writeFileSync(join(dir, 'server.key'), key);
}

test.before.each(async (context) => {
  const dir = mkdtempSync(join(tmpdir(), 'edgehub-'));
  const clock = new FakeClock();
  const cloud = new TestCloud();
  await cloud.start();
  const retries = new Retries();
  const handled: unknown[] = [];
  const disk: Context['disk'] = { fault: undefined };
  const files = {
    tlsCaFile: join(dir, 'ca.crt'),
    tlsCertFile: join(dir, 'server.crt'),
    tlsPrivateKeyFile: join(dir, 'server.key'),
  };
  keep(dir, cloud.credentials(NODE));
  const note =
    (what: string) =>
    (...rest: unknown[]): void => {
      handled.push([what, ...rest]);
    };
  const time = { ...trustedTime, isTrusted: true };
  const make: Context['make'] = (address, more = []) =>
    new EdgeHub({
      config: v.parse(edgeHubConfig, {
        ...files,
        httpServer: `https://${address}`,
        websocket: { server: address, servers: more },
      }),
      node: NODE,
      clock,
      time,
      log: retries.log,
      metrics: new Metrics(),
      random: () => 0.5,
      store: {
        durable: async (work) => work(),
        lazy: (work) => work(),
        outbox: {
          add: () => undefined,
          list: () => [],
          remove: () => undefined,
          has: () => false,
          restamp: () => {},
          totals: () => [],
        },
      },
      handlers: {
        object: async (change) => {
          if (disk.fault) throw disk.fault;
          handled.push(['object', change.operation, change.type, change.name]);
        },
        membership: note('membership'),
        publish: note('publish'),
        subscribe: note('subscribe'),
        unsubscribe: note('unsubscribe'),
        authInfo: note('authInfo'),
        link: note('link'),
        task: note('task'),
        renewed: note('renewed'),
      },
      joined: note('joined'),
    });
  Object.assign(context, { dir, clock, time, cloud, retries, handled, disk, make, hub: make(cloud.address) });
});
test.after.each(async ({ hub, cloud, dir, clock }) => {
  await hub.stop();
  await cloud.stop();
  rmSync(dir, { recursive: true });
  assert.is(clock.pending, 0, 'no timer is left');
});

/** Connects; the first keepalive says that the link is up on both ends. */
const connected = async ({ hub, cloud }: Pick<Context, 'hub' | 'cloud'>): Promise<Message> => {
  await hub.start();
  return cloud.next();
};
const fromCloud = (
  operation: string,
  resource: string,
  content: unknown,
  route: { group?: string; source?: string; parent?: string } = {},
): Message =>
  newMessage({ source: 'edgecontroller', group: 'resource', operation, resource, content, ...route }, 0);
const acks = (messages: Message[]): unknown[] =>
  messages.map(({ header, route, content }) => [header.parent_msg_id, route.operation, content]);

test('the link says who it is in path and headers, and without a join when it has a certificate', async (context) => {
  await connected(context);
  const { cloud } = context;
  assert.is(cloud.upgrades[0]?.path, `/e632aba927ea4ac2b575ec1603d56f10/${NODE}/events`);
  const { node_id, project_id, connectionuse } = cloud.upgrades[0]?.headers ?? {};
  assert.equal([node_id, project_id, connectionuse], [NODE, 'e632aba927ea4ac2b575ec1603d56f10', 'msg']);
  assert.equal(cloud.requests, []);
  assert.equal(context.handled, [['link', true]]);
});

test('it keeps itself alive at once and with every heartbeat', async (context) => {
  const { route, content, header } = await connected(context);
  assert.equal(route, { source: 'websocket', group: 'resource', operation: 'keepalive', resource: 'node' });
  assert.is(content, 'ping');
  assert.is(header.parent_msg_id, undefined);
  const { cloud, clock } = context;
  await clock.advance(seconds(15) - 1);
  assert.equal(await cloud.settled(), []);
  await clock.advance(1);
  assert.is((await cloud.next()).route.operation, 'keepalive');
});

test('a cloud that answers pings keeps the link', async (context) => {
  await connected(context);
  const { cloud, clock, hub } = context;
  for (let i = 0; i < 5; i++) {
    await clock.advance(seconds(15));
    await cloud.next();
    await cloud.settled();
  }
  assert.ok(hub.online);
  assert.is(cloud.upgrades.length, 1);
});

test('a cloud that has fallen silent is given up within 40 s', async (context) => {
  const mute = new TestCloud({ autoPong: false });
  await mute.start();
  const hub = context.make(mute.address);
  keep(context.dir, mute.credentials(NODE));
  await connected({ hub, cloud: mute });
  await context.clock.advance(seconds(30));
  assert.ok(hub.online);
  await context.clock.advance(seconds(10));
  await context.retries.next();
  assert.is(hub.state.state, 'offline');
  assert.is(hub.state.reason, 'the cloud has fallen silent');
  assert.equal(context.handled, [
    ['link', true],
    ['link', false],
  ]);
  await hub.stop();
  await mute.stop();
});

test('without a cloud it tries for ever, with doubling waits up to a minute', async (context) => {
  const { clock, retries, make } = context;
  const gone = new TestCloud();
  await gone.start();
  const { address } = gone;
  await gone.stop();
  const hub = make(address);
  await hub.start();
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    const wait = await retries.next();
    waits.push(wait / 1000);
    assert.is(hub.state.state, 'offline');
    await clock.advance(wait);
  }
  assert.equal(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  await hub.stop();
});

test('of several addresses the next is tried after a second; the one that works is kept to', async (context) => {
  const { clock, retries, make, cloud } = context;
  const gone = new TestCloud();
  await gone.start();
  const { address } = gone;
  await gone.stop();
  const hub = make(address, [cloud.address]);
  await hub.start();
  assert.is(await retries.next(), 1000);
  assert.is(hub.state.server, address);
  await clock.advance(1000);
  await cloud.next();
  assert.is(hub.state.server, cloud.address);
  cloud.socket?.terminate();
  assert.is(await retries.next(), 1000);
  await clock.advance(1000);
  await cloud.next();
  assert.ok(hub.online);
  await hub.stop();
});

test('an address that takes connections and says nothing is left after 30 s', async (context) => {
  const { clock, retries, make } = context;
  const mute = createServer().listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const accepted = once(mute, 'connection');
  const hub = make(`127.0.0.1:${(mute.address() as AddressInfo).port}`);
  await hub.start();
  const [socket] = (await accepted) as [Socket];
  await clock.advance(seconds(30));
  await retries.next();
  assert.is(hub.state.reason, 'no connection after 30 s');
  await hub.stop();
  socket.destroy();
  mute.close();
  await once(mute, 'close');
});

test('a certificate that is due is renewed, and the link opened anew with it', async (context) => {
  const { cloud, clock, handled, dir, make, retries } = context;
  const now = clock.now();
  const before = readFileSync(join(dir, 'server.crt'), 'utf8');
  // TLS looks at the real clock: good by that one, and past 90 % of its life by the test's.
  cloud.life = [now - 86_400_000 * 1000, Date.now() + 86_400_000];
  clock.jump(Date.now() - now);
  keep(dir, cloud.credentials(NODE));
  cloud.life = undefined;
  const hub = make(cloud.address);
  await hub.start();
  assert.is(await retries.next(), 1000);
  assert.is(hub.state.reason, 'the certificate was renewed');
  await clock.advance(1000);
  await until(() => hub.online);
  assert.not.equal(readFileSync(join(dir, 'server.crt'), 'utf8'), before);
  assert.ok(handled.some((what) => String(what) === 'renewed'));
  assert.is(cloud.requests.at(-1)?.by, `system:node:${NODE}`);
  await hub.stop();
});

test('a node without a clock connects to the cloud of its CA, whatever the dates; one with a clock does not', async (context) => {
  const { time, dir, make, clock, retries } = context;
  const cloud = new TestCloud({ life: [Date.now() + 86_400_000, Date.now() + 2 * 86_400_000] });
  await cloud.start();
  keep(dir, cloud.credentials(NODE));
  const hub = make(cloud.address);
  await hub.start();
  const wait = await retries.next();
  assert.is(hub.state.reason, 'certificate is not yet valid');
  time.isTrusted = false;
  await clock.advance(wait);
  await cloud.next();
  assert.ok(hub.online);
  await hub.stop();
  const stranger = new TestCloud();
  await stranger.start();
  const other = make(stranger.address);
  await other.start();
  await retries.next();
  assert.match(other.state.reason ?? '', 'the cloud is not of the CA that this node has joined');
  await other.stop();
  await stranger.stop();
  await cloud.stop();
});

/** Lets input come in until something holds. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !holds(); i++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(holds());
}

test('a frame of a megabyte arrives whole', async (context) => {
  await connected(context);
  const { cloud, hub } = context;
  const content = 'é'.repeat(500_000);
  hub.send(newMessage({ ...query('a/b/c'), content }, 0));
  const keepalive = await cloud.next();
  assert.is(keepalive.route.operation, 'keepalive', 'the cloud is told before the link is busy for long');
  assert.is((await cloud.next()).content, content);
});

test('a lost connection is opened anew after a second', async (context) => {
  await connected(context);
  const { cloud, clock, retries, hub } = context;
  cloud.socket?.terminate();
  assert.is(await retries.next(), 1000);
  assert.not(hub.online);
  await clock.advance(1000);
  assert.is((await cloud.next()).route.operation, 'keepalive');
  assert.ok(hub.online);
});

test('a connection that lived for over a minute starts the waits over, a short one does not', async (context) => {
  await connected(context);
  const { cloud, clock, retries } = context;
  for (const wait of [1000, 2000]) {
    cloud.socket?.terminate();
    assert.is(await retries.next(), wait);
    await clock.advance(wait);
    await cloud.next();
  }
  for (let i = 0; i < 5; i++) {
    await clock.advance(seconds(15));
    await cloud.settled();
  }
  cloud.socket?.terminate();
  assert.is(await retries.next(), 1000);
});

test('a change is acknowledged once it is kept', async (context) => {
  await connected(context);
  const { cloud, handled } = context;
  const change = fromCloud('insert', 'default/pod/web', { metadata: { name: 'web' } });
  cloud.send(change);
  const { header, route, content } = await cloud.next();
  assert.is(header.parent_msg_id, change.header.msg_id);
  assert.not.equal(header.msg_id, change.header.msg_id);
  assert.equal(route, {
    source: 'edgecontroller',
    group: 'resource',
    operation: 'response',
    resource: 'default/pod/web',
  });
  assert.is(content, 'OK');
  assert.equal(handled.at(-1), ['object', 'insert', 'pod', 'web']);
});

test('a change that could not be kept is not acknowledged: the cloud sends it again', async (context) => {
  await connected(context);
  const { cloud, disk } = context;
  disk.fault = new Error('disk full');
  const change = fromCloud('update', 'default/pod/web', { metadata: { name: 'web' } });
  cloud.send(change);
  assert.equal(await cloud.settled(), []);
  disk.fault = undefined;
  cloud.send(change);
  assert.is((await cloud.next()).header.parent_msg_id, change.header.msg_id);
});

test('what nobody here understands is acknowledged, so that it holds up nothing behind it', async (context) => {
  await connected(context);
  const { cloud } = context;
  const strange = fromCloud('insert', 'a/b/c/d', {});
  cloud.send(strange);
  assert.equal(acks([await cloud.next()]), [[strange.header.msg_id, 'response', 'OK']]);
});

test('rules and memberships reach their handlers and are not acknowledged', async (context) => {
  await connected(context);
  const { cloud, handled } = context;
  const plc = { id: 'default/plc', name: 'plc', description: '' };
  cloud.send(
    fromCloud(
      'update',
      'membership',
      { added_devices: [plc] },
      { group: 'twin', source: 'devicecontroller' },
    ),
  );
  const rule = { group: 'user', source: 'router_eventbus' };
  cloud.send(fromCloud('publish', 'a/b', 'on', rule));
  cloud.send(fromCloud('subscribe', 'default/t', null, rule));
  cloud.send(fromCloud('unsubscribe', 'default/t', null, rule));
  assert.equal(await cloud.settled(), []);
  assert.equal(handled.slice(1), [
    ['membership', [plc], []],
    ['publish', 'a/b', 'on'],
    ['subscribe', 'default/t'],
    ['unsubscribe', 'default/t'],
  ]);
});

test('a control message is answered with ack', async (context) => {
  await connected(context);
  const { cloud } = context;
  const ping = fromCloud('ping', 'x', null);
  cloud.send(ping);
  assert.equal(acks([await cloud.next()]), [[ping.header.msg_id, 'response', 'ack']]);
});

test('a frame that is no message is passed over, and the link stays', async (context) => {
  await connected(context);
  const { cloud, hub } = context;
  cloud.socket?.send('{');
  cloud.socket?.send('[]');
  assert.equal(await cloud.settled(), []);
  assert.ok(hub.online);
});

const query = (resource: string) => ({
  source: 'edged',
  group: 'meta',
  operation: 'query',
  resource,
  content: null,
});

test('a request is answered by the reply that names it; an object in it is acknowledged', async (context) => {
  await connected(context);
  const { cloud, hub } = context;
  const asked = hub.request(query('default/configmap/c'), seconds(60));
  const request = await cloud.next();
  const object = { metadata: { name: 'c' } };
  const reply = fromCloud('response', 'default/configmap/c', object, { parent: request.header.msg_id });
  cloud.send(reply);
  assert.equal((await asked).content, object);
  assert.equal(acks([await cloud.next()]), [[reply.header.msg_id, 'response', 'OK']]);
});

test('an object that answers nobody is acknowledged all the same', async (context) => {
  await connected(context);
  const { cloud } = context;
  const reply = fromCloud(
    'response',
    'default/secret/s',
    { metadata: { name: 's' } },
    { parent: 'forgotten' },
  );
  cloud.send(reply);
  assert.equal(acks([await cloud.next()]), [[reply.header.msg_id, 'response', 'OK']]);
});

for (const resource of ['null/nodepatch/edge-1', 'default/podpatch/web', 'kube-node-lease/lease/edge-1']) {
  test(`an answer on ${resource} is not acknowledged: the cloud does not wait for it`, async (context) => {
    await connected(context);
    const { cloud } = context;
    cloud.send(fromCloud('response', resource, { Object: {}, Err: null }, { parent: 'x' }));
    assert.equal(await cloud.settled(), []);
  });
}

test('a request fails when it is not answered, when there is no link, and when the link ends', async (context) => {
  const { hub, clock, cloud, retries } = context;
  const outcome = (work: Promise<unknown>): Promise<unknown> =>
    work.catch((error: unknown) => errorCode(error));
  assert.is(await outcome(hub.request(query('a/b/c'), seconds(5))), 'LINK_OFFLINE');
  await connected(context);
  const late = outcome(hub.request(query('a/b/c'), seconds(5)));
  await clock.advance(seconds(5));
  assert.is(await late, 'LINK_TIMEOUT');
  const cut = outcome(hub.request(query('a/b/c'), seconds(60)));
  cloud.socket?.terminate();
  assert.is(await cut, 'LINK_OFFLINE');
  await retries.next();
});

test('a question that is not answered is asked again, with the same id; what a client writes is not', async (context) => {
  await connected(context);
  const { cloud, hub, clock } = context;
  const asked = hub.request(query('default/configmap/c'), seconds(60));
  const written = hub.request({ ...query('null'), source: 'metaserver' }, seconds(60));
  const [first, write] = [await cloud.next(), await cloud.next()];
  await clock.advance(500);
  const second = await cloud.next();
  assert.equal(second, first);
  cloud.send(fromCloud('response', 'r', 'late', { parent: first.header.msg_id }));
  assert.is((await asked).content, 'late');
  await clock.advance(seconds(5));
  assert.equal(await cloud.settled(), [], 'answered once, it is over');
  cloud.send(fromCloud('response', 'r', 'done', { parent: write.header.msg_id }));
  assert.is((await written).content, 'done');
});

test('a report is sent again after 2 s, unless a newer one has left', async (context) => {
  await connected(context);
  const { cloud, hub, clock } = context;
  const report = { source: 'twin', group: 'resource', operation: 'update', resource: 'device/a/b/x' };
  const superseded = new AbortController();
  let handed = 0;
  const options = { handed: () => handed++, superseded: superseded.signal };
  const asked = hub.request({ ...report, content: 1 }, seconds(20), options);
  const first = await cloud.next();
  await clock.advance(seconds(2));
  assert.equal(await cloud.next(), first);
  assert.is(handed, 2);
  superseded.abort();
  await clock.advance(seconds(4));
  assert.equal(await cloud.settled(), []);
  cloud.send(fromCloud('response', 'r', 'OK', { parent: first.header.msg_id }));
  assert.is((await asked).content, 'OK');
});

test('stopping closes the connection properly and says so once', async (context) => {
  await connected(context);
  const { cloud, hub, handled } = context;
  const { socket } = cloud;
  assert.ok(socket);
  const closed = once(socket, 'close');
  await hub.stop();
  assert.is((await closed)[0], 1000);
  assert.equal(handled, [
    ['link', true],
    ['link', false],
  ]);
});

test.run();

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LoneEdge } from '../lone-edge.ts';
import { makeAuthority } from '../mqtt/certificates.ts';
import { ExternalBroker } from '../mqtt/external-broker.ts';
import { Keeper } from '../mqtt/keeper.ts';
import { Mosquitto, type QoS, type Subscriber } from '../mqtt/mosquitto.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { Relay } from '../relay.ts';

type Context = {
  dir: string;
  /** Ended after each test, the newest first. */
  ends: (() => Promise<void>)[];
};
const test = suite<Context>('bridges to mosquitto');
const isHere =
  requireProgram('mosquitto', 'mosquitto') !== undefined &&
  requireProgram('mosquitto_passwd', 'mosquitto') !== undefined &&
  requireProgram('mosquitto_pub', 'mosquitto-clients') !== undefined &&
  requireProgram('mosquitto_sub', 'mosquitto-clients') !== undefined &&
  requireProgram('openssl', 'openssl') !== undefined;

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'mqtt-bridge-'));
  context.ends = [];
});
test.after.each(async ({ dir, ends }) => {
  for (const end of ends.reverse()) await end();
  rmSync(dir, { recursive: true, force: true });
});

async function mosquitto({ dir, ends }: Context, lines?: readonly string[]): Promise<ExternalBroker> {
  const broker = await ExternalBroker.make(join(dir, 'mosquitto'), lines);
  ends.push(() => broker.stop());
  await broker.start();
  return broker;
}

async function relayTo({ ends }: Context, port: number): Promise<Relay> {
  const relay = new Relay(port);
  ends.push(() => relay.close());
  await relay.open();
  return relay;
}

/** An edge with bridges; it tries again at once. */
async function edge({ dir, ends }: Context, ...bridges: Record<string, unknown>[]): Promise<LoneEdge> {
  const reconnect = { first: 1, most: 1 };
  const made = await LoneEdge.make({
    dir: join(dir, 'edge'),
    node: 'edge-1',
    eventBus: { bridges: bridges.map((bridge) => ({ name: 'plant', reconnect, ...bridge })) },
  });
  ends.push(() => made.stop());
  await made.start();
  return made;
}

function clients({ ends }: Context, port: number, more?: readonly string[]): Mosquitto {
  const made = new Mosquitto(port, more);
  ends.push(() => made.close());
  return made;
}

const figure = (of: LoneEdge, name: string, bridge = 'plant'): Promise<number> =>
  of.figure(`edgecore_mqtt_bridge_${name}{bridge="${bridge}"}`);

const up = (of: LoneEdge, bridge = 'plant'): Promise<unknown> =>
  until(`the bridge ${bridge} is up`, async () => (await figure(of, 'up', bridge)) === 1);

const down = (of: LoneEdge): Promise<unknown> =>
  until('the bridge is down', async () => (await figure(of, 'up')) === 0);

const numbers = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `${from + i}`);
const payloads = ({ received }: Subscriber): string[] => received.map(({ payload }) => payload);

/** Publishes a last message: what did not come until then does not come. */
async function drained(from: Mosquitto, to: Subscriber, topic: string, qos: QoS): Promise<string[]> {
  await from.publish(topic, 'the end', { qos });
  await to.message('the last message', ({ payload }) => payload === 'the end');
  return payloads(to).filter((payload) => payload !== 'the end');
}

if (isHere) {
  for (const protocol of ['mqttv5', 'mqttv311']) {
    test(`${protocol}: topics have their names on either side, messages their QoS`, async (context) => {
      const broker = await mosquitto(context);
      const node = await edge(context, {
        address: `tcp://127.0.0.1:${broker.port}`,
        protocol,
        topics: [
          { pattern: 'line/#', direction: 'out', remotePrefix: 'site/edge-1/' },
          { pattern: '#', direction: 'in', localPrefix: 'orders/', remotePrefix: 'site/orders/' },
          { pattern: '', direction: 'out', localPrefix: 'one/here', remotePrefix: 'one/there' },
          { pattern: 'capped', direction: 'out', qos: 0 },
        ],
      });
      await up(node);
      const [here, there] = [clients(context, node.ports.mqtt), clients(context, broker.port)];
      const [local, remote] = [await here.subscribe(['#']), await there.subscribe(['#'])];
      for (const qos of [0, 1, 2] as const) {
        await here.publish(`line/${qos}`, 'out', { qos });
        await there.publish(`site/orders/${qos}`, 'in', { qos });
        await here.publish(`not/carried/${qos}`, 'x', { qos });
      }
      await here.publish('one/here', 'out', { qos: 1 });
      await here.publish('capped', 'out', { qos: 2 });
      await remote.messages(8);
      await local.messages(11);
      const seen = ({ received }: Subscriber, text: string): string[] =>
        received
          .filter(({ payload }) => payload === text)
          .map(({ topic, qos }) => `${topic} ${qos}`)
          .sort();
      assert.equal(seen(remote, 'out'), [
        'capped 0',
        'one/there 1',
        'site/edge-1/line/0 0',
        'site/edge-1/line/1 1',
        'site/edge-1/line/2 2',
      ]);
      assert.equal(seen(local, 'in'), ['orders/0 0', 'orders/1 1', 'orders/2 2']);
      assert.equal(seen(remote, 'x'), []);
      assert.equal([await figure(node, 'sent_total'), await figure(node, 'received_total')], [5, 3]);
    });

    test(`${protocol}: what went one way does not come back, retained or not`, async (context) => {
      const broker = await mosquitto(context);
      const topics = [{ pattern: 'twoway/#', direction: 'both' }];
      const node = await edge(context, { address: `tcp://127.0.0.1:${broker.port}`, protocol, topics });
      await up(node);
      const [here, there] = [clients(context, node.ports.mqtt), clients(context, broker.port)];
      const [local, remote] = [await here.subscribe(['twoway/#']), await there.subscribe(['twoway/#'])];
      for (const qos of [0, 1, 2] as const) {
        await here.publish('twoway/a', `here ${qos}`, { qos });
        await there.publish('twoway/a', `there ${qos}`, { qos });
      }
      await here.publish('twoway/kept', 'here, kept', { qos: 1, args: ['-r'] });
      await there.publish('twoway/kept/too', 'there, kept', { qos: 1, args: ['-r'] });
      const wanted = [
        ...[0, 1, 2].flatMap((qos) => [`here ${qos}`, `there ${qos}`]),
        'here, kept',
        'there, kept',
      ];
      for (const [side, client] of [
        [local, here],
        [remote, there],
      ] as const) {
        await side.messages(wanted.length);
        // Everything that this side's broker was sent before has been handled after this round trip through both.
        await client.publish('twoway/end', 'the end', { qos: 2 });
      }
      for (const side of [local, remote]) {
        await until('both ends', () => payloads(side).filter((text) => text === 'the end').length === 2);
        assert.equal(
          payloads(side)
            .filter((text) => text !== 'the end')
            .sort(),
          wanted.sort(),
        );
      }
      const late = await there.subscribe(['twoway/kept/#']);
      await late.messages(2);
      assert.equal(
        late.received.map(({ retain }) => retain),
        [1, 1],
      );
      assert.equal([await figure(node, 'sent_total'), await figure(node, 'received_total')], [5, 5]);
    });
  }

  test('a bridge of mosquitto’s that points here does not get its own messages either', async (context) => {
    const node = await edge(context);
    const broker = await mosquitto(context, [
      'allow_anonymous true',
      'connection to-edge',
      `address 127.0.0.1:${node.ports.mqtt}`,
      'topic twoway/# both 2',
      'notifications false',
      'restart_timeout 1',
    ]);
    const [here, there] = [clients(context, node.ports.mqtt), clients(context, broker.port)];
    await until('mosquitto is connected', async () => (await node.figure('edgecore_mqtt_clients')) === 1);
    const [local, remote] = [await here.subscribe(['twoway/#']), await there.subscribe(['twoway/#'])];
    await until('its subscription is here', async () => {
      await here.publish('twoway/probe', 'probe');
      return payloads(remote).includes('probe');
    });
    for (const qos of [0, 1, 2] as const) {
      await here.publish('twoway/a', `here ${qos}`, { qos });
      await there.publish('twoway/a', `there ${qos}`, { qos });
    }
    const without = (side: Subscriber): string[] => payloads(side).filter((text) => text !== 'probe');
    await until('all of it', () => without(local).length >= 6 && without(remote).length >= 6);
    await here.publish('twoway/end', 'the end', { qos: 2 });
    await there.publish('twoway/end', 'the end', { qos: 2 });
    for (const side of [local, remote]) {
      await until('both ends', () => payloads(side).filter((text) => text === 'the end').length === 2);
      assert.is(without(side).length, 8);
    }
  });

  test('what is published while mosquitto is dead arrives when it is back: QoS 2 once, each QoS in order', async (context) => {
    const broker = await mosquitto(context);
    const topics = [{ pattern: '+/#' }];
    // Through a relay, so that the subscriber is there before the bridge.
    const relay = await relayTo(context, broker.port);
    const node = await edge(context, { address: `tcp://127.0.0.1:${relay.port}`, topics });
    await up(node);
    await relay.close();
    await broker.kill();
    await down(node);
    const here = clients(context, node.ports.mqtt);
    await here.publishAll('t/1', numbers(200), 1);
    await here.publishAll('t/2', numbers(200), 2);
    assert.is(await figure(node, 'queued'), 400);
    // Killed as well: the queue is on disk.
    await node.kill();
    await node.start();
    assert.is(await figure(node, 'queued'), 400);
    await here.publishAll('t/2', numbers(100, 200), 2);
    await broker.start();
    const subscriber = await clients(context, broker.port).subscribe(['t/+']);
    await relay.open();
    await subscriber.messages(500);
    const all = await drained(here, subscriber, 't/3', 2);
    assert.is(all.length, 500);
    const of = (topic: string): string[] =>
      subscriber.received.filter((message) => message.topic === topic).map(({ payload }) => payload);
    assert.equal(of('t/1'), numbers(200));
    assert.equal(of('t/2'), numbers(300));
    assert.is(await figure(node, 'dropped_total'), 0);
  });

  for (const direction of ['up', 'down'] as const) {
    test(`edgecore killed wherever the exchange is (${direction}): QoS 2 arrives once and in order, QoS 1 at least once`, async (context) => {
      const broker = await mosquitto(context);
      const relay = await relayTo(context, broker.port);
      const node = await edge(context, {
        address: `tcp://127.0.0.1:${relay.port}`,
        topics: [{ pattern: '+/#' }],
      });
      const [here, there] = [clients(context, node.ports.mqtt), clients(context, broker.port)];
      const subscriber = await there.subscribe(['t/+']);
      const cuts = direction === 'up' ? [1, 40, 333, 777, 1000] : [1, 7, 60, 133, 250];
      let sent = 0;
      for (const bytes of cuts) {
        await up(node);
        relay.stopAfter(direction, bytes);
        await here.publishAll('t/2', numbers(60, sent), 2);
        await here.publishAll('t/1', numbers(60, sent), 1);
        sent += 60;
        await until('the relay holds back', () => relay.isStuck);
        await node.kill();
        relay.cut();
        await relay.open();
        await node.start();
      }
      await up(node);
      await drained(here, subscriber, 't/2', 2);
      await until('the queue is empty', async () => (await figure(node, 'queued')) === 0);
      const of = (topic: string): string[] =>
        subscriber.received
          .filter((message) => message.topic === topic && message.payload !== 'the end')
          .map(({ payload }) => payload);
      assert.equal(of('t/2'), numbers(sent));
      await until('all of QoS 1', () => new Set(of('t/1')).size === sent);
    });

    test(`edgecore killed while messages come in (${direction}): QoS 2 arrives once and in order`, async (context) => {
      const broker = await mosquitto(context);
      const relay = await relayTo(context, broker.port);
      const node = await edge(context, {
        address: `tcp://127.0.0.1:${relay.port}`,
        topics: [{ pattern: 't/#', direction: 'in' }],
      });
      const there = clients(context, broker.port);
      const keeper = new Keeper(node.ports.mqtt, 'keeper', 't/#');
      context.ends.push(async () => keeper.end());
      await keeper.subscribed();
      const cuts = direction === 'down' ? [1, 40, 333, 555, 888] : [1, 7, 60, 133, 250];
      let sent = 0;
      for (const bytes of cuts) {
        await up(node);
        relay.stopAfter(direction, bytes);
        await there.publishAll('t/2', numbers(60, sent), 2);
        sent += 60;
        await until('the relay holds back', () => relay.isStuck);
        await node.kill();
        relay.cut();
        await relay.open();
        await node.start();
      }
      await up(node);
      await there.publish('t/2', 'the end', { qos: 2 });
      await until('the last message', () => keeper.received.includes('the end'));
      assert.equal(keeper.received, [...numbers(sent), 'the end']);
    });
  }

  test('mosquitto killed in the middle: what it had not answered for arrives, nothing twice, in order', async (context) => {
    const broker = await mosquitto(context);
    const relay = await relayTo(context, broker.port);
    const node = await edge(context, {
      address: `tcp://127.0.0.1:${relay.port}`,
      topics: [{ pattern: 't/#' }],
    });
    const [here, there] = [clients(context, node.ports.mqtt), clients(context, broker.port)];
    const got: string[] = [];
    let sent = 0;
    for (const bytes of [50, 500, 2000]) {
      const subscriber = await there.subscribe(['t/#']);
      await relay.open();
      await up(node);
      relay.stopAfter('up', bytes);
      await here.publishAll('t/2', numbers(100, sent), 2);
      sent += 100;
      await until('the relay holds back', () => relay.isStuck);
      await relay.close();
      await broker.kill();
      await down(node);
      await subscriber.kill();
      got.push(...payloads(subscriber));
      await broker.start();
    }
    const last = await there.subscribe(['t/#']);
    await relay.open();
    got.push(...(await drained(here, last, 't/2', 2)));
    assert.equal(
      got,
      [...new Set(got)].sort((a, b) => Number(a) - Number(b)),
    );
    // mosquitto loses what it has taken and not given on: not more than was under way, each time.
    assert.ok(sent - got.length <= 3 * 32, `${got.length} of ${sent}`);
    assert.is(got.at(-1), `${sent - 1}`);
  });

  test('what the queue does not hold is dropped and counted, by the rule that is set', async (context) => {
    const broker = await mosquitto(context);
    await broker.kill();
    const address = `tcp://127.0.0.1:${broker.port}`;
    const node = await edge(
      context,
      { name: 'oldest', address, topics: [{ pattern: 'o/#' }], queue: { count: 10 } },
      { name: 'newest', address, topics: [{ pattern: 'n/#' }], queue: { count: 10, drop: 'newest' } },
    );
    const here = clients(context, node.ports.mqtt);
    await here.publishAll('o/1', numbers(15), 1);
    await here.publishAll('n/1', numbers(15), 2);
    for (const name of ['oldest', 'newest']) {
      assert.equal([await figure(node, 'queued', name), await figure(node, 'dropped_total', name)], [10, 5]);
    }
    // The subscriptions wait in mosquitto before the bridges may come.
    await node.kill();
    await broker.start();
    const subscriber = await clients(context, broker.port).subscribe(['o/#', 'n/#']);
    await node.start();
    await subscriber.messages(20);
    const of = (topic: string): string[] =>
      subscriber.received.filter((message) => message.topic === topic).map(({ payload }) => payload);
    assert.equal(of('o/1'), numbers(10, 5));
    assert.equal(of('n/1'), numbers(10));
  });

  test('over TLS both sides prove who they are, and who cannot is told', async (context) => {
    const { dir } = context;
    const [site, stranger] = [makeAuthority(dir, 'site'), makeAuthority(dir, 'stranger')];
    const [server, client] = [site.issue('server'), site.issue('client')];
    const broker = await mosquitto(context, [
      `cafile ${site.ca}`,
      `certfile ${server.cert}`,
      `keyfile ${server.key}`,
      'require_certificate true',
      'use_identity_as_username true',
    ]);
    const tls = { caFile: site.ca, certFile: client.cert, keyFile: client.key };
    const good = { address: `ssl://127.0.0.1:${broker.port}`, topics: [{ pattern: 't/#' }], tls };
    const foreign = stranger.issue('client');
    const node = await edge(
      context,
      good,
      { ...good, name: 'distrusts', tls: { ...tls, caFile: stranger.ca } },
      { ...good, name: 'unknown', tls: { ...tls, certFile: foreign.cert, keyFile: foreign.key } },
      { ...good, name: 'nameless', tls: { caFile: site.ca } },
      { ...good, name: 'no-file', tls: { ...tls, caFile: join(dir, 'none') } },
    );
    await up(node);
    const args = ['--cafile', site.ca, '--cert', client.cert, '--key', client.key];
    const subscriber = await clients(context, broker.port, args).subscribe(['t/#']);
    await clients(context, node.ports.mqtt).publish('t/1', 'safe', { qos: 2 });
    assert.is((await subscriber.message('over TLS')).payload, 'safe');
    for (const name of ['distrusts', 'unknown', 'nameless', 'no-file']) {
      await until(`${name} is told`, () =>
        node.said('no connection to the remote broker', { resource: name }),
      );
      assert.is(await figure(node, 'up', name), 0);
    }
  });

  test('a bridge has a user name and a password, and is told when they are wrong', async (context) => {
    const passwords = join(context.dir, 'passwords');
    execFileSync('mosquitto_passwd', ['-c', '-b', passwords, 'edge', 'a long password'], { stdio: 'pipe' });
    const broker = await mosquitto(context, ['allow_anonymous false', `password_file ${passwords}`]);
    const good = {
      address: `tcp://127.0.0.1:${broker.port}`,
      username: 'edge',
      password: 'a long password',
      topics: [{ pattern: 't/#' }],
    };
    const node = await edge(context, good, { ...good, name: 'wrong', password: 'guessed' });
    await up(node);
    const reason = 'not authorised (CONNACK 135)';
    await until('it is told', () =>
      node.said('no connection to the remote broker', { resource: 'wrong', reason }),
    );
    assert.is(await figure(node, 'up', 'wrong'), 0);
    assert.not(readFileSync(node.log, 'utf8').includes('password'), 'no password is logged');
    // Who it is, mosquitto says.
    assert.ok(readFileSync(broker.log, 'utf8').includes("as edge-1.plant (p5, c0, k60, u'edge')"));
  });
}

test.run();

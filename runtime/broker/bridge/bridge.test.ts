import type { Duplex } from 'node:stream';
import mqtt, { type Packet } from 'mqtt-packet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../core/fake-clock.ts';
import { silentLogger } from '../../core/log.ts';
import { Metrics } from '../../core/metrics.ts';
import { bytes, seconds } from '../../core/units.ts';
import { Broker } from '../broker.ts';
import { memoryBrokerStore } from '../memory-store.ts';
import type { QoS } from '../message.ts';
import type { BrokerStore } from '../persistence.ts';
import { duplexPair, TestClient } from '../test-client.ts';
import type { BridgeOptions, Dialect } from './options.ts';
import type { TopicMap } from './topic-map.ts';

type Side = { readonly broker: Broker; readonly store: BrokerStore; readonly metrics: Metrics };
type Context = {
  clock: FakeClock;
  remote: Side;
  /** Wires of the bridge, newest last. */
  wires: Duplex[];
  /** False: nobody is there to be dialled. */
  net: { isUp: boolean };
  stops: (() => Promise<void>)[];
  start: (maps: readonly Partial<TopicMap>[], more?: More) => Promise<Side>;
};
type More = {
  dialects?: BridgeOptions['remote']['dialects'];
  cleanSession?: boolean;
  queue?: Partial<BridgeOptions['queue']>;
  store?: BrokerStore;
  /** Another other end. */
  answer?: (wire: Duplex) => void;
};
const test = suite<Context>('bridge');

const whole = { pattern: '#', direction: 'out', qos: 2, localPrefix: '', remotePrefix: '' } as const;

test.before.each((context) => {
  const clock = new FakeClock();
  const make = (store: BrokerStore, more: Partial<ConstructorParameters<typeof Broker>[0]>): Side => {
    const metrics = new Metrics();
    const broker = new Broker({ listeners: [], store, clock, log: silentLogger, metrics, ...more });
    context.stops.push(() => broker.stop());
    return { broker, store, metrics };
  };
  context.clock = clock;
  context.stops = [];
  context.wires = [];
  context.net = { isUp: true };
  context.remote = make(memoryBrokerStore(), {});
  context.start = async (maps, more = {}) => {
    const { dialects = ['mqttv5'], cleanSession = false, queue, store = memoryBrokerStore(), answer } = more;
    const options: BridgeOptions = {
      name: 'plant',
      maps: maps.map((map) => ({ ...whole, ...map })),
      queue: { count: 1000, bytes: bytes(1e6), drop: 'oldest', ...queue },
      remote: {
        host: 'plant',
        port: 1883,
        tls: undefined,
        clientId: 'edge-1.plant',
        username: undefined,
        password: undefined,
        dialects,
        cleanSession,
        keepAlive: 60,
        retry: { first: seconds(1), factor: 2, cap: seconds(8), jitter: 0 },
      },
    };
    const dial = async (): Promise<Duplex> => {
      if (!context.net.isUp) throw new Error('nobody there');
      const [near, far] = duplexPair();
      context.wires.push(near);
      if (answer) answer(far);
      else context.remote.broker.attach(far, { address: 'edge-1', local: true });
      return near;
    };
    const side = make(store, { bridges: [options], dial, random: () => 0.5 });
    await side.broker.start();
    await clock.advance(0);
    return side;
  };
});
test.after.each(async ({ stops, clock }) => {
  await Promise.all(stops.map((stop) => stop()));
  await clock.advance(seconds(10)); // sockets linger that long
  assert.is(clock.pending, 0);
});

async function client({ broker }: Side, name: string, filter?: string, qos: QoS = 2): Promise<TestClient> {
  const made = new TestClient(broker);
  await made.connect(name);
  if (filter !== undefined) await made.subscribe(filter, qos);
  return made;
}

/** Publishes and waits for the broker's last word. */
async function publish(from: TestClient, topic: string, payload: string, qos: QoS, more = {}): Promise<void> {
  from.publish(topic, payload, { qos, ...(qos > 0 ? { messageId: 1 } : {}), ...more });
  if (qos === 1) await from.next('puback');
  if (qos === 2) {
    await from.next('pubrec');
    from.send({ cmd: 'pubrel', messageId: 1 });
    await from.next('pubcomp');
  }
}

/** Takes a message as its QoS wants it. */
async function take(to: TestClient): Promise<[string, string, QoS]> {
  const { topic, payload, qos, messageId = 0 } = await to.next('publish');
  if (qos === 1) to.send({ cmd: 'puback', messageId });
  if (qos === 2) {
    to.send({ cmd: 'pubrec', messageId });
    await to.next('pubrel');
    to.send({ cmd: 'pubcomp', messageId });
  }
  return [topic, payload.toString(), qos];
}

function figure({ metrics }: Side, name: string): number {
  const line = new RegExp(`^edgecore_mqtt_bridge_${name}\\{bridge="plant"\\} (\\d+)$`, 'm');
  return Number(line.exec(metrics.render())?.[1]);
}

/** Cuts the wire as a lost connection does. */
async function cut({ wires, clock }: Context): Promise<void> {
  wires.at(-1)?.destroy();
  await clock.advance(0);
}

test('messages go out under their remote name, each with its own QoS', async ({ start, remote }) => {
  const edge = await start([{ pattern: 'line/#', localPrefix: 'a/', remotePrefix: 'site/' }]);
  const [there, here] = [await client(remote, 'there', '#'), await client(edge, 'here')];
  for (const qos of [0, 1, 2] as const) {
    await publish(here, 'a/line/1', `q${qos}`, qos);
    await publish(here, 'b/line/1', 'not this one', qos);
    assert.equal(await take(there), ['site/line/1', `q${qos}`, qos]);
  }
  assert.equal([figure(edge, 'up'), figure(edge, 'sent_total'), figure(edge, 'queued')], [1, 3, 0]);
});

test('messages come in under their local name, each with its own QoS', async ({ start, remote }) => {
  const edge = await start([
    { direction: 'in', pattern: 'cmd/#', localPrefix: 'from/', remotePrefix: 'site/' },
  ]);
  const [there, here] = [await client(remote, 'there'), await client(edge, 'here', '#')];
  for (const qos of [0, 1, 2] as const) {
    await publish(there, 'site/cmd/1', `q${qos}`, qos);
    assert.equal(await take(here), ['from/cmd/1', `q${qos}`, qos]);
  }
  assert.is(figure(edge, 'received_total'), 3);
});

test('a map caps the QoS', async ({ start, remote }) => {
  const edge = await start([
    { pattern: 'o', qos: 0 },
    { pattern: 'i', direction: 'in', qos: 1 },
  ]);
  const [there, here] = [await client(remote, 'there', '#'), await client(edge, 'here', '#')];
  await publish(here, 'o', 'x', 2);
  assert.equal(await take(here), ['o', 'x', 2]);
  assert.equal(await take(there), ['o', 'x', 0]);
  await publish(there, 'i', 'y', 2);
  assert.equal(await take(there), ['i', 'y', 2]);
  assert.equal(await take(here), ['i', 'y', 1]);
});

const dialects: Dialect[] = ['mqttv5', 'mqttv311-bridge', 'mqttv311'];
for (const dialect of dialects) {
  test(`${dialect}: nothing comes back of what was sent, nor goes back of what came`, async ({
    start,
    remote,
  }) => {
    const edge = await start([{ direction: 'both' }], { dialects: [dialect] });
    const [there, here] = [await client(remote, 'there', '#'), await client(edge, 'here', '#')];
    for (const qos of [0, 1, 2] as const) {
      await publish(here, 'a', `here ${qos}`, qos);
      await publish(there, 'a', `there ${qos}`, qos);
    }
    const wanted = [0, 1, 2].flatMap((qos) => [`here ${qos}`, `there ${qos}`]).sort();
    for (const side of [there, here]) {
      const got: string[] = [];
      for (let i = 0; i < wanted.length; i++) got.push((await take(side))[1]);
      assert.equal(got.sort(), wanted);
      await publish(side, 'a', 'the end', 1);
    }
    for (const side of [there, here]) {
      assert.equal([(await take(side))[1], (await take(side))[1]], ['the end', 'the end']);
      await side.settled();
      assert.equal(side.received, []);
    }
  });
}

test('retained messages stay so on the other side, those from before the bridge too', async ({
  start,
  remote,
}) => {
  const store = memoryBrokerStore();
  const before = new Broker({
    listeners: [],
    store,
    clock: new FakeClock(),
    log: silentLogger,
    metrics: new Metrics(),
  });
  for (const qos of [0, 1] as const)
    before.publish({ topic: `old/${qos}`, payload: Buffer.from('kept'), qos, retain: true });
  await before.stop();
  const edge = await start([{}], { store });
  const here = await client(edge, 'here');
  await publish(here, 'new', 'kept', 1, { retain: true });
  const there = await client(remote, 'there', '#');
  const got = [await take(there), await take(there), await take(there)];
  assert.equal(got.map(([topic]) => topic).sort(), ['new', 'old/0', 'old/1']);
});

test('what is published while the remote broker is away arrives once and in order when it is back', async (context) => {
  const { start, remote, net, clock } = context;
  const edge = await start([{}]);
  const [there, here] = [await client(remote, 'there', '#'), await client(edge, 'here')];
  net.isUp = false;
  await cut(context);
  assert.is(figure(edge, 'up'), 0);
  for (let i = 0; i < 100; i++) await publish(here, 't', `${i}`, i % 2 === 0 ? 2 : 1);
  await publish(here, 't', 'now or never', 0);
  assert.is(figure(edge, 'queued'), 100);
  net.isUp = true;
  await clock.advance(seconds(8));
  const got: string[] = [];
  for (let i = 0; i < 100; i++) got.push((await take(there))[1]);
  const even = (text: string): boolean => Number(text) % 2 === 0;
  // Each QoS has its own order.
  assert.equal(
    got.filter(even),
    Array.from({ length: 50 }, (_, i) => `${i * 2}`),
  );
  assert.equal(
    got.filter((text) => !even(text)),
    Array.from({ length: 50 }, (_, i) => `${i * 2 + 1}`),
  );
  await there.settled();
  assert.equal(there.received, []);
  assert.is(figure(edge, 'connects_total'), 2);
});

test('what does not fit the queue is dropped, oldest first, and counted', async (context) => {
  const { start, remote, net, clock } = context;
  net.isUp = false;
  const edge = await start([{}], { queue: { count: 3 } });
  const [there, here] = [await client(remote, 'there', '#'), await client(edge, 'here')];
  for (let i = 0; i < 5; i++) await publish(here, 't', `${i}`, 1);
  assert.equal([figure(edge, 'queued'), figure(edge, 'dropped_total')], [3, 2]);
  net.isUp = true;
  await clock.advance(seconds(8));
  assert.equal([(await take(there))[1], (await take(there))[1], (await take(there))[1]], ['2', '3', '4']);
});

test('the queue outlives the process, and the configuration says what of it', async (context) => {
  const { start, remote, net, clock } = context;
  net.isUp = false;
  const first = await start([{ pattern: 'a/#' }, { pattern: 'b/#' }]);
  const here = await client(first, 'here');
  for (const topic of ['a/1', 'b/1', 'a/2']) await publish(here, topic, 'x', 2);
  await first.broker.stop();
  net.isUp = true;
  const there = await client(remote, 'there', '#');
  const second = await start([{ pattern: 'a/#', remotePrefix: 'site/' }], { store: first.store });
  assert.equal([(await take(there))[0], (await take(there))[0]], ['site/a/1', 'site/a/2']);
  // What is not carried any more is dropped, and no longer gathered.
  assert.is(figure(second, 'dropped_total'), 1);
  await publish(await client(second, 'here'), 'b/2', 'x', 2);
  await clock.advance(0);
  assert.equal([figure(second, 'queued'), figure(second, 'dropped_total')], [0, 1]);
});

test('a bridge that is taken out of the configuration leaves nothing behind', async (context) => {
  const { start, net, clock } = context;
  net.isUp = false;
  const { broker, store } = await start([{}]);
  const here = new TestClient(broker);
  await here.connect('here');
  await publish(here, 'a', 'x', 1);
  await broker.stop();
  assert.is(store.rows.sessions().length, 1);
  const bare = new Broker({ listeners: [], store, clock, log: silentLogger, metrics: new Metrics() });
  context.stops.push(() => bare.stop());
  await bare.start();
  await clock.advance(0);
  assert.equal([store.rows.sessions(), store.rows.batches()], [[], []]);
});

test('no client gets hold of a bridge’s session', async ({ start }) => {
  const { broker } = await start([{}]);
  const thief = new TestClient(broker, 5);
  const connack = await thief.connect('$bridge/plant');
  assert.equal([connack.cmd, connack.cmd === 'connack' && connack.reasonCode], ['connack', 0x85]);
});

/** The other end as a test wants it: it answers packet by packet, and notes what came. */
function scripted(answers: (packet: Packet, count: number) => Packet | undefined) {
  const seen: Packet[] = [];
  let wire: Duplex | undefined;
  const send = (packet: Packet): void => {
    wire?.write(mqtt.generate(packet, { protocolVersion: 4 }));
  };
  const answer = (far: Duplex): void => {
    wire = far;
    far.on('error', () => {});
    const parser = mqtt.parser();
    parser.on('packet', (packet: Packet) => {
      seen.push(packet);
      const reply = answers(packet, seen.filter(({ cmd }) => cmd === packet.cmd).length);
      if (reply) send(reply);
    });
    far.on('data', (chunk: Buffer) => parser.parse(chunk));
  };
  const cmds = (): string[] => seen.map(({ cmd }) => cmd);
  return { answer, send, seen, cmds };
}

const connack = (sessionPresent: boolean, returnCode = 0): Packet => ({
  cmd: 'connack',
  sessionPresent,
  returnCode,
});

test('a version that is refused is followed by the next one', async ({ start, clock }) => {
  const versions: unknown[] = [];
  const old = scripted((packet) => {
    if (packet.cmd !== 'connect') return undefined;
    const { protocolVersion, bridgeMode = false } = packet as typeof packet & { bridgeMode?: boolean };
    versions.push([protocolVersion, bridgeMode]);
    return connack(false, protocolVersion === 4 && !bridgeMode ? 0 : 1);
  });
  const edge = await start([{}], { dialects: ['mqttv5', 'mqttv311-bridge', 'mqttv311'], answer: old.answer });
  await clock.advance(seconds(8));
  assert.equal(versions, [
    [5, false],
    [4, true],
    [4, false],
  ]);
  assert.is(figure(edge, 'up'), 1);
});

test('a refusal is tried again with growing waits', async ({ start, clock }) => {
  const closed = scripted((packet) => (packet.cmd === 'connect' ? connack(false, 5) : undefined));
  const edge = await start([{}], { dialects: ['mqttv311'], answer: closed.answer });
  const connects = (): number => closed.cmds().length;
  assert.is(connects(), 1);
  for (const [wait, count] of [
    [1, 2],
    [2, 3],
    [4, 4],
    [8, 5],
    [8, 6],
  ] as const) {
    await clock.advance(seconds(wait) - 1);
    assert.is(connects(), count - 1);
    await clock.advance(1);
    assert.is(connects(), count);
  }
  assert.is(figure(edge, 'up'), 0);
});

test('who does not answer CONNECT, and who falls silent, is given up', async ({ start, clock }) => {
  const mute = scripted((packet, count) =>
    packet.cmd === 'connect' && count === 2 ? connack(false) : undefined,
  );
  const edge = await start([{}], { dialects: ['mqttv311'], answer: mute.answer });
  await clock.advance(seconds(20));
  assert.equal(mute.cmds(), ['connect']);
  await clock.advance(seconds(1));
  assert.equal([mute.cmds(), figure(edge, 'up')], [['connect', 'connect'], 1]);
  await clock.advance(seconds(89));
  assert.equal([mute.cmds().slice(2), figure(edge, 'up')], [['pingreq', 'pingreq'], 1]);
  await clock.advance(seconds(1));
  assert.is(figure(edge, 'up'), 0);
});

test('QoS 2 goes on where the connection ended, with the same packet ids', async (context) => {
  const { start, clock } = context;
  const peer = scripted((packet, count) => {
    if (packet.cmd === 'connect') return connack(count > 1);
    if (packet.cmd === 'publish' && count === 2) return { cmd: 'pubrec', messageId: packet.messageId ?? 0 };
    return undefined;
  });
  const edge = await start([{}], { dialects: ['mqttv311'], answer: peer.answer });
  const here = await client(edge, 'here');
  await publish(here, 't', 'x', 2);
  await clock.advance(0);
  assert.equal(peer.cmds(), ['connect', 'publish']);
  // PUBLISH was not answered: once more, as a duplicate; its PUBREC is answered with PUBREL.
  await cut(context);
  await clock.advance(seconds(1));
  assert.equal(peer.cmds().slice(2), ['connect', 'publish', 'pubrel']);
  // PUBREL was not answered: once more, and the message not.
  await cut(context);
  await clock.advance(seconds(2));
  assert.equal(peer.cmds().slice(5), ['connect', 'pubrel']);
  const [first, again] = peer.seen.filter((packet) => packet.cmd === 'publish');
  const ids = peer.seen.flatMap((packet) => ('messageId' in packet ? [packet.messageId] : []));
  assert.equal([first?.dup, again?.dup, new Set(ids).size], [false, true, 1]);
  peer.send({ cmd: 'pubcomp', messageId: ids[0] ?? 0 });
  await clock.advance(0);
  await cut(context);
  await clock.advance(seconds(4));
  assert.equal(peer.cmds().slice(7), ['connect']);
});

test('a QoS 2 message that the remote broker sends again is delivered once', async (context) => {
  const { start, clock } = context;
  const peer = scripted((packet, count) => (packet.cmd === 'connect' ? connack(count > 1) : undefined));
  const edge = await start([{ direction: 'in' }], { dialects: ['mqttv311'], answer: peer.answer });
  const here = await client(edge, 'here', '#');
  const message = { cmd: 'publish', topic: 't', payload: 'x', qos: 2, messageId: 7, retain: false } as const;
  peer.send({ ...message, dup: false });
  await clock.advance(0);
  await cut(context);
  await clock.advance(seconds(1));
  peer.send({ ...message, dup: true });
  await clock.advance(0);
  peer.send({ cmd: 'pubrel', messageId: 7 });
  await clock.advance(0);
  assert.equal(peer.cmds(), ['connect', 'subscribe', 'pubrec', 'connect', 'subscribe', 'pubrec', 'pubcomp']);
  assert.equal(await take(here), ['t', 'x', 2]);
  await here.settled();
  assert.equal(here.received, []);
});

test('ids of a session that the remote broker has lost mean other messages', async (context) => {
  const { start, clock } = context;
  const peer = scripted((packet) => (packet.cmd === 'connect' ? connack(false) : undefined));
  const edge = await start([{ direction: 'in' }], { dialects: ['mqttv311'], answer: peer.answer });
  const here = await client(edge, 'here', '#');
  const message = { cmd: 'publish', topic: 't', qos: 2, messageId: 7, retain: false, dup: false } as const;
  peer.send({ ...message, payload: 'of the old session' });
  await clock.advance(0);
  await cut(context);
  await clock.advance(seconds(1));
  peer.send({ ...message, payload: 'of the new one' });
  await clock.advance(0);
  assert.equal([(await take(here))[1], (await take(here))[1]], ['of the old session', 'of the new one']);
});

test('what is granted is not asked for again while the remote broker remembers', async (context) => {
  const { start, clock } = context;
  const peer = scripted((packet, count) => {
    if (packet.cmd === 'connect') return connack(count === 2);
    if (packet.cmd === 'subscribe') return { cmd: 'suback', messageId: packet.messageId ?? 0, granted: [2] };
    return undefined;
  });
  await start([{ direction: 'in' }], { dialects: ['mqttv311'], answer: peer.answer });
  for (const wait of [1, 2]) {
    await cut(context);
    await clock.advance(seconds(wait));
  }
  assert.equal(peer.cmds(), ['connect', 'subscribe', 'connect', 'connect', 'subscribe']);
});

test('what comes on a topic that is not carried is acknowledged and dropped', async ({ start, clock }) => {
  const peer = scripted((packet) => (packet.cmd === 'connect' ? connack(false) : undefined));
  const edge = await start([{ direction: 'in', pattern: 'a/#' }], {
    dialects: ['mqttv311'],
    answer: peer.answer,
  });
  const message = { cmd: 'publish', payload: 'x', qos: 1, retain: false, dup: false } as const;
  peer.send({ ...message, topic: 'b', messageId: 1 });
  peer.send({ ...message, topic: `a/${'x/'.repeat(70)}`, messageId: 2 });
  peer.send({ ...message, topic: 'a/large', payload: 'x'.repeat(1_100_000), messageId: 3 });
  await clock.advance(0);
  assert.equal(peer.cmds().slice(2), ['puback', 'puback', 'puback']);
  assert.equal([figure(edge, 'dropped_total'), figure(edge, 'up')], [3, 1]);
});

test('a module of this process may speak to the remote broker alone', async ({ start, remote, clock }) => {
  const { broker } = await start([]);
  const there = await client(remote, 'there', 'out');
  const bridge = broker.bridge('plant');
  assert.ok(bridge);
  const heard: string[] = [];
  const end = bridge.listen('in/+', 1, (topic, payload, { qos }) => {
    heard.push(`${topic} ${payload} ${qos}`);
  });
  bridge.publish({ topic: 'out', payload: Buffer.from('x'), qos: 1, retain: false });
  assert.equal(await take(there), ['out', 'x', 1]);
  await publish(there, 'in/1', 'y', 2);
  await clock.advance(0);
  end();
  await clock.advance(0);
  await publish(there, 'in/1', 'z', 2);
  assert.equal(heard, ['in/1 y 1']);
  assert.throws(() => bridge.publish({ topic: 'a/+', payload: Buffer.alloc(0), qos: 1, retain: false }));
  assert.throws(() => bridge.listen('a/#/b', 1, () => {}));
});

test('packet ids go on after a restart, so that a cut exchange is not taken for another', async (context) => {
  const { start, clock } = context;
  const peer = scripted((packet, count) => (packet.cmd === 'connect' ? connack(count > 1) : undefined));
  const more = { dialects: ['mqttv311'] as const, answer: peer.answer };
  const first = await start([{}], more);
  await publish(await client(first, 'here'), 't', 'cut', 2);
  await clock.advance(0);
  await first.broker.stop();
  const second = await start([{}], { ...more, store: first.store });
  await publish(await client(second, 'here'), 't', 'new', 2);
  await clock.advance(0);
  const sent = peer.seen.filter((packet) => packet.cmd === 'publish');
  const [id = 0] = sent.map(({ messageId }) => messageId);
  assert.equal(
    sent.map(({ payload, messageId, dup }) => [payload.toString(), messageId, dup]),
    [
      ['cut', id, false],
      ['cut', id, true],
      ['new', id + 1, false],
    ],
  );
});

test.run();

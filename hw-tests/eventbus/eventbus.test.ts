import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LoneEdge } from '../lone-edge.ts';
import { makeAuthority } from '../mqtt/certificates.ts';
import { DeviceBus } from '../mqtt/device-bus.ts';
import { ExternalBroker } from '../mqtt/external-broker.ts';
import { Mosquitto, type Subscriber } from '../mqtt/mosquitto.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { Relay } from '../relay.ts';
import { FakeCloud } from './fake-cloud.ts';

type Context = {
  dir: string;
  cloud: FakeCloud;
  /** Ended after each test, the newest first. */
  ends: (() => Promise<void>)[];
};
type Mode = 0 | 1 | 2;
const test = suite<Context>('eventbus');
const NODE = 'edge-1';
const isHere =
  requireProgram('mosquitto', 'mosquitto') !== undefined &&
  requireProgram('mosquitto_passwd', 'mosquitto') !== undefined &&
  requireProgram('mosquitto_pub', 'mosquitto-clients') !== undefined &&
  requireProgram('mosquitto_sub', 'mosquitto-clients') !== undefined &&
  requireProgram('openssl', 'openssl') !== undefined;

test.before.each(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'eventbus-'));
  context.cloud = new FakeCloud();
  context.ends = [() => context.cloud.stop()];
  await context.cloud.start();
});
test.after.each(async ({ dir, ends }) => {
  for (const end of ends.reverse()) await end();
  rmSync(dir, { recursive: true, force: true });
});

async function edge(context: Context, eventBus: Record<string, unknown>): Promise<LoneEdge> {
  const { dir, cloud, ends } = context;
  const made = await LoneEdge.make({ dir: join(dir, 'edge'), node: NODE, eventBus, cloud: cloud.address });
  ends.push(() => made.stop());
  await made.start();
  await cloud.connected(1);
  // What is published with QoS 0 before the node has the cloud's answer is lost, as it is without a link.
  await until('the node knows', async () => (await made.figure('edgecore_link_up')) === 1);
  return made;
}

async function mosquitto({ dir, ends }: Context, lines?: readonly string[]): Promise<ExternalBroker> {
  const broker = await ExternalBroker.make(join(dir, 'mosquitto'), lines);
  ends.push(() => broker.stop());
  await broker.start();
  return broker;
}

function clients({ ends }: Context, port: number, more?: readonly string[]): Mosquitto {
  const made = new Mosquitto(port, more);
  ends.push(() => made.close());
  return made;
}

/** Both links to the external broker are up, and it knows what the bus wants. */
async function linked(node: LoneEdge, broker: ExternalBroker, subscriptions = 6): Promise<void> {
  for (const name of ['pub', 'sub'])
    await until(
      `${name} is up`,
      async () => (await node.figure(`edgecore_mqtt_bridge_up{bridge="eventbus/${name}"}`)) === 1,
    );
  const granted = (): number =>
    readFileSync(broker.log, 'utf8')
      .split('\n')
      .filter((line) => /^\d+: \t.* \(QoS 1\)$/.test(line)).length;
  await until('the subscriptions are granted', () => granted() >= subscriptions);
}

/** An edge in a mode, with a client on each broker that the mode has. */
async function inMode(context: Context, mode: Mode): Promise<Mosquitto[]> {
  if (mode === 0) return [clients(context, (await edge(context, {})).ports.mqtt)];
  const broker = await mosquitto(context);
  const node = await edge(context, { mqttMode: mode, mqttServerExternal: `tcp://127.0.0.1:${broker.port}` });
  await linked(node, broker);
  const external = clients(context, broker.port);
  return mode === 1 ? [clients(context, node.ports.mqtt), external] : [external];
}

const payloads = ({ received }: Subscriber): string[] => received.map(({ payload }) => payload);
const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);

if (isHere) {
  for (const mode of [0, 1, 2] as const) {
    test(`mode ${mode}: what is published on the topics for it goes to the cloud, as it came`, async (context) => {
      const { cloud } = context;
      const sides = await inMode(context, mode);
      const topics = [
        '$hw/events/upload/line/1',
        '$hw/events/upload',
        'SYS/dis/upload_records',
        'site/user/alarm',
        'site/user',
      ];
      const wanted: string[] = [];
      for (const [i, mqtt] of sides.entries()) {
        for (const topic of topics)
          for (const qos of [0, 1, 2] as const) {
            const text = `{"side":${i},"qos":${qos},"ä":"€"}`;
            await mqtt.publish(topic, text, { qos });
            wanted.push(`${topic} ${text}`);
          }
        for (const topic of ['SYS/dis/other', 'a/b/user/c', '$hw/events/other'])
          await mqtt.publish(topic, 'not for the cloud', { qos: 1 });
      }
      await until('all uploads', () => cloud.uploads.length >= wanted.length);
      await sides[0]?.publish('the/user/end', 'the end', { qos: 1 });
      await until('the last one', () => cloud.uploads.some(({ payload }) => payload === 'the end'));
      const got = cloud.uploads.map(({ topic, payload }) => `${topic} ${payload}`);
      assert.equal(got.filter((text) => !text.endsWith('the end')).sort(), wanted.sort());
      const upload = cloud.messages.find(({ route }) => route.group === 'user');
      assert.equal(upload?.route, {
        source: 'bus',
        group: 'user',
        operation: 'upload',
        resource: upload?.route.resource,
      });
    });

    test(`mode ${mode}: a rule subscribes, publishes, and lets go`, async (context) => {
      const { cloud } = context;
      const sides = await inMode(context, mode);
      const subscribers: Subscriber[] = [];
      for (const mqtt of sides)
        subscribers.push(await mqtt.subscribe(['out/#', `$hw/events/node/${NODE}/#`]));
      cloud.rule('publish', 'out/text', 'as it is');
      cloud.rule('publish', 'out/object', { v: 1 });
      cloud.rule('message', 'ignored', { message: { topic: 'out/message', v: 2 } });
      cloud.rule('get_result', 'auth_info', { allowed: ['a'] });
      for (const subscriber of subscribers) {
        const got = await subscriber.messages(4);
        assert.equal(
          got.map(({ topic, payload, qos, retain }) => [topic, payload, qos, retain]),
          [
            ['out/text', 'as it is', 1, 0],
            ['out/object', '{"v":1}', 1, 0],
            ['out/message', '{"topic":"out/message","v":2}', 1, 0],
            [`$hw/events/node/${NODE}/authInfo/get/result`, '{"allowed":["a"]}', 1, 0],
          ],
        );
      }
      cloud.rule('subscribe', 'default/alarm', null);
      for (const mqtt of sides) {
        const before = cloud.uploads.length;
        await until('the rule gets what is published', async () => {
          await mqtt.publish('default/alarm', 'fire', { qos: 1 });
          return cloud.uploads.length > before;
        });
      }
      assert.ok(cloud.uploads.every(({ topic, payload }) => topic === 'default/alarm' && payload === 'fire'));
      cloud.rule('unsubscribe', 'default/alarm', null);
      // What was published after it has been obeyed does not come: the answers mark the order.
      cloud.rule('publish', 'out/obeyed', 'x');
      for (const [i, mqtt] of sides.entries()) {
        await subscribers[i]?.message('it is obeyed', ({ topic }) => topic === 'out/obeyed');
        await until('nothing comes any more', async () => {
          const before = cloud.uploads.length;
          await mqtt.publish('default/alarm', 'fire', { qos: 1 });
          await mqtt.publish('the/user/mark', `${before}`, { qos: 1 });
          await until('the mark', () => cloud.uploads.some(({ payload }) => payload === `${before}`));
          return cloud.uploads.slice(before).every(({ topic }) => topic === 'the/user/mark');
        });
      }
    });

    test(`mode ${mode}: devices are spoken for on every broker of it`, async (context) => {
      const { cloud } = context;
      const sides = await inMode(context, mode);
      const buses = await Promise.all(sides.map((mqtt) => DeviceBus.open(mqtt)));
      const device = '$hw/events/device/default/sensor';
      const node = `$hw/events/node/${NODE}`;
      const membership = { group: 'twin', operation: 'update', resource: 'membership' };
      cloud.send(
        { source: 'devicecontroller', ...membership },
        {
          event_id: 'e1',
          timestamp: Date.now(),
          added_devices: [{ id: 'default/sensor', name: 'sensor', description: 'on the wall' }],
          removed_devices: null,
        },
      );
      for (const [i, bus] of buses.entries()) {
        const updated = await bus.event(`${node}/membership/updated`);
        assert.is((updated.payload.added_devices as { id: string }[])[0]?.id, 'default/sensor');
        const list = await bus.ask(`${node}/membership/get`, `${node}/membership/get/result`);
        assert.is((list.payload.devices as { id: string }[])[0]?.id, 'default/sensor');
        const twin = { level: { expected: { value: `${i + 5}` }, actual: { value: `${i}` } } };
        const result = await bus.ask(`${device}/twin/update`, `${device}/twin/update/result`, { twin });
        // Whoever asked, all brokers hear of it.
        for (const other of buses) {
          await other.companion(result, `${device}/twin/update/document`);
          const delta = await other.companion(result, `${device}/twin/update/delta`);
          assert.equal(delta.payload.delta, { level: `${i + 5}` });
        }
        const got = await bus.ask(`${device}/twin/get`, `${device}/twin/get/result`);
        assert.is((got.payload.twin as Record<string, typeof twin.level>).level?.actual.value, `${i}`);
        const state = { state: i === 0 ? 'online' : 'unhealthy' };
        const stated = await bus.ask(`${device}/state/update`, `${device}/state/update/result`, state);
        assert.is((stated.payload.device as { state: string }).state, state.state);
        const unknown = '$hw/events/device/default/nobody';
        const refused = await bus.ask(`${unknown}/twin/get`, `${unknown}/twin/get/result`);
        assert.is(refused.payload.code, 404);
      }
      for (const what of ['twin/edge_updated', 'state/update'])
        await until(`the cloud hears of ${what}`, () =>
          cloud.messages.some(({ route }) => route.resource === `device/default/sensor/${what}`),
        );
      assert.equal(cloud.uploads, []);
    });
  }

  test('what a rule has subscribed to outlives the process, and what it let go of too', async (context) => {
    const { cloud } = context;
    const node = await edge(context, {});
    const mqtt = clients(context, node.ports.mqtt);
    for (const topic of ['default/kept', 'default/gone', 'a/#/b']) cloud.rule('subscribe', topic, null);
    cloud.rule('publish', 'a/+/b', 'what is no topic does no harm');
    cloud.rule('unsubscribe', 'default/gone', null);
    await until('it is subscribed', async () => {
      await mqtt.publish('default/kept', 'x', { qos: 1 });
      return cloud.uploads.length > 0;
    });
    await node.kill();
    const before = cloud.connections;
    await node.start();
    for (const topic of ['default/gone', 'default/kept']) await mqtt.publish(topic, 'after', { qos: 1 });
    await cloud.connected(before + 1);
    await until('the upload', () => cloud.uploads.some(({ payload }) => payload === 'after'));
    await mqtt.publish('the/user/end', 'the end', { qos: 1 });
    await until('the last one', () => cloud.uploads.some(({ payload }) => payload === 'the end'));
    const after = cloud.uploads.filter(({ payload }) => payload === 'after');
    assert.equal(
      after.map(({ topic }) => topic),
      ['default/kept'],
    );
    assert.ok(node.said('a topic cannot be listened to', { resource: 'a/#/b' }));
    assert.ok(node.said('a message cannot be published', { resource: 'a/+/b' }));
  });

  test('what was acknowledged while there was no cloud reaches it, though edgecore was killed', async (context) => {
    const { cloud } = context;
    const node = await edge(context, {});
    const mqtt = clients(context, node.ports.mqtt);
    await cloud.disappear();
    await until('the link is down', async () => (await node.figure('edgecore_link_up')) === 0);
    await mqtt.publishAll('site/user/one', numbers(100), 1);
    await mqtt.publishAll('site/user/two', numbers(100), 2);
    await node.kill();
    await node.start();
    // QoS 0 does not wait for a cloud: it is counted as lost.
    await mqtt.publishAll('site/user/none', numbers(10), 0);
    await until('they are counted', async () => {
      return (await node.figure('edgecore_outbox_dropped_total{class="history",reason="offline"}')) === 10;
    });
    assert.is(await node.figure('edgecore_outbox_entries{class="history"}'), 200);
    await cloud.reappear();
    await until('all of them', () => cloud.uploads.length >= 200, 90_000);
    const of = (topic: string): unknown[] =>
      cloud.uploads.filter((upload) => upload.topic === topic).map(({ payload }) => payload);
    assert.equal(of('site/user/one'), numbers(100));
    assert.equal(of('site/user/two'), numbers(100));
    assert.equal(of('site/user/none'), []);
    await until('the outbox is empty', async () => {
      return (await node.figure('edgecore_outbox_entries{class="history"}')) === 0;
    });
  });

  test('with a link QoS 0 does not touch the disk', async (context) => {
    const { cloud } = context;
    const node = await edge(context, {});
    const mqtt = clients(context, node.ports.mqtt);
    await mqtt.publish('site/user/first', 'x', { qos: 1 });
    await until('the first', () => cloud.uploads.length === 1);
    const before = await node.figure('edgecore_store_syncs_total');
    await mqtt.publishAll('site/user/none', numbers(50), 0);
    await until('all of them', () => cloud.uploads.length === 51);
    // The node's own bookkeeping goes on meanwhile.
    const spent = (await node.figure('edgecore_store_syncs_total')) - before;
    assert.ok(spent <= 5, `${spent} syncs`);
  });

  test('mqttQOS and mqttRetain say how the internal broker is published to', async (context) => {
    const { cloud } = context;
    const node = await edge(context, { mqttQOS: 2, mqttRetain: true });
    const mqtt = clients(context, node.ports.mqtt);
    const early = await mqtt.subscribe(['out/#']);
    cloud.rule('publish', 'out/x', 'kept');
    const { qos, retain } = await early.message('it comes');
    assert.equal([qos, retain], [2, 0]);
    const late = await mqtt.subscribe(['out/#']);
    assert.is((await late.message('it was kept')).retain, 1);
  });

  test('mode 2: nobody listens here, and the external broker knows the two clients by name', async (context) => {
    const broker = await mosquitto(context);
    const node = await edge(context, { mqttMode: 2, mqttServerExternal: `tcp://127.0.0.1:${broker.port}` });
    await linked(node, broker);
    const refused = await new Promise((resolve) => {
      const socket = connect(node.ports.mqtt, '127.0.0.1');
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      socket.once('connect', () => resolve('connected'));
      socket.once('close', () => socket.destroy());
    });
    assert.is(refused, 'ECONNREFUSED');
    const log = readFileSync(broker.log, 'utf8');
    for (const kind of ['pub', 'sub'])
      assert.match(log, new RegExp(`as hub-client-${kind}-\\d{10} \\(p2, c1,`));
    // Stopped it says goodbye.
    await node.stop();
    await until('both have left', () => {
      const lines = readFileSync(broker.log, 'utf8').split('\n');
      return lines.filter((line) => /hub-client-(pub|sub)-\d{10} disconnected/.test(line)).length === 2;
    });
  });

  test('mode 2: what is published while the external broker is dead waits for it, bounded', async (context) => {
    const { cloud } = context;
    const broker = await mosquitto(context);
    const relay = new Relay(broker.port);
    context.ends.push(() => relay.close());
    await relay.open();
    const node = await edge(context, {
      mqttMode: 2,
      mqttServerExternal: `tcp://127.0.0.1:${relay.port}`,
      mqttSessionQueueSize: 20,
    });
    await linked(node, broker);
    await relay.close();
    await broker.kill();
    const figure = (name: string): Promise<number> =>
      node.figure(`edgecore_mqtt_bridge_${name}{bridge="eventbus/pub"}`);
    await until('it is gone', async () => (await figure('up')) === 0);
    for (const text of numbers(30)) cloud.rule('publish', 'out/x', text);
    await until(
      'they are queued',
      async () => (await figure('queued')) + (await figure('dropped_total')) === 30,
    );
    assert.equal([await figure('queued'), await figure('dropped_total')], [20, 10]);
    await node.kill();
    const before = cloud.connections;
    await node.start();
    await cloud.connected(before + 1);
    await broker.start();
    const subscriber = await clients(context, broker.port).subscribe(['out/#']);
    await relay.open();
    await subscriber.messages(20);
    assert.equal(payloads(subscriber), numbers(30).slice(10));
    // It listens there again.
    await linked(node, broker, 12);
    await clients(context, broker.port).publish('site/user/alarm', 'back', { qos: 1 });
    await until('the upload', () => cloud.uploads.some(({ payload }) => payload === 'back'));
  });

  test('mode 2 over TLS, with names, a password and client ids that are given', async (context) => {
    const { dir, cloud } = context;
    const site = makeAuthority(dir, 'site');
    const [server, client] = [site.issue('server'), site.issue('client')];
    const passwords = join(dir, 'passwords');
    execFileSync('mosquitto_passwd', ['-c', '-b', passwords, 'edge', 'a long password'], { stdio: 'pipe' });
    const broker = await mosquitto(context, [
      `cafile ${site.ca}`,
      `certfile ${server.cert}`,
      `keyfile ${server.key}`,
      'require_certificate true',
      'allow_anonymous false',
      `password_file ${passwords}`,
    ]);
    const node = await edge(context, {
      mqttMode: 2,
      mqttServerExternal: `ssl://127.0.0.1:${broker.port}`,
      mqttPubClientID: 'edge-1-out',
      mqttSubClientID: 'edge-1-in',
      mqttUsername: 'edge',
      mqttPassword: 'a long password',
      eventBusTLS: {
        enable: true,
        tlsMqttCAFile: site.ca,
        tlsMqttCertFile: client.cert,
        tlsMqttPrivateKeyFile: client.key,
      },
    });
    await linked(node, broker);
    const log = readFileSync(broker.log, 'utf8');
    for (const id of ['edge-1-out', 'edge-1-in']) assert.ok(log.includes(`as ${id} (p2, c1, k30, u'edge')`));
    const args = ['--cafile', site.ca, '--cert', client.cert, '--key', client.key];
    const mqtt = clients(context, broker.port, [...args, '-u', 'edge', '-P', 'a long password']);
    await mqtt.publish('site/user/alarm', 'safe', { qos: 1 });
    await until('the upload', () => cloud.uploads.some(({ payload }) => payload === 'safe'));
  });
}

test.run();

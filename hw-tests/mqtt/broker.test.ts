import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { requireProgram } from '../real-parts.ts';
import { Mosquitto, type QoS, type Subscriber, versions } from './mosquitto.ts';

type Context = { cluster: Cluster; mqtt: Mosquitto; dir: string };
const test = suite<Context>('the broker with mosquitto clients');
const kubectl = requireProgram('kubectl', 'kubernetes-client');
const hasClients =
  requireProgram('mosquitto_pub', 'mosquitto-clients') !== undefined &&
  requireProgram('mosquitto_sub', 'mosquitto-clients') !== undefined;
const qualities: readonly QoS[] = [0, 1, 2];

test.before(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-mqtt-'));
  if (!kubectl || !hasClients) return;
  context.cluster = await startCluster(kubectl);
  context.mqtt = new Mosquitto(context.cluster.stack.options.ports.mqtt);
});
test.after.each(async ({ mqtt }) => mqtt.close());
test.after(async ({ cluster, dir }) => {
  await cluster?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Publishes a last message to a subscriber: what it did not get until then it does not get. */
async function drained(mqtt: Mosquitto, subscriber: Subscriber, topic: string): Promise<void> {
  await mqtt.publish(topic, 'the end');
  await subscriber.message('the last message', ({ payload }) => payload === 'the end');
}

if (kubectl && hasClients) {
  for (const version of versions) {
    test(`${version}: messages of every QoS arrive with the lower one of both sides`, async ({ mqtt }) => {
      for (const wanted of qualities) {
        const topic = `test/${version}/qos${wanted}`;
        const subscriber = await mqtt.subscribe([topic], { version, qos: wanted });
        for (const qos of qualities) await mqtt.publish(topic, `sent with ${qos}`, { version, qos });
        const got = await subscriber.messages(qualities.length);
        assert.equal(
          got.map(({ payload, qos }) => [payload, qos]),
          qualities.map((qos) => [`sent with ${qos}`, Math.min(qos, wanted)]),
        );
      }
    });

    test(`${version}: a retained message waits for subscribers until it is cleared`, async ({ mqtt }) => {
      const topic = `test/${version}/retained`;
      const early = await mqtt.subscribe([topic], { version });
      await mqtt.publish(topic, 'last known', { version, args: ['-r'] });
      assert.is((await early.message('it arrives at once')).retain, 0);
      const late = await mqtt.subscribe([topic, `${topic}/end`], { version });
      const kept = await late.message('it waited');
      assert.equal([kept.payload, kept.retain], ['last known', 1]);
      const { status } = await mqtt.pub('-V', version, '-t', topic, '-r', '-n');
      assert.is(status, 0);
      const after = await mqtt.subscribe([topic, `${topic}/end`], { version });
      await drained(mqtt, after, `${topic}/end`);
      assert.equal(
        after.received.map(({ payload }) => payload),
        ['the end'],
      );
    });

    test(`${version}: a client that dies leaves its will, one that says goodbye does not`, async ({
      mqtt,
    }) => {
      const topic = `test/${version}/will`;
      const heir = await mqtt.subscribe([`${topic}/#`], { version });
      const will = (name: string): string[] => [
        '--will-topic',
        `${topic}/${name}`,
        '--will-payload',
        `${name} is gone`,
        '--will-qos',
        '1',
      ];
      // It says goodbye after one message.
      const polite = await mqtt.subscribe([`bye/${version}`], {
        version,
        args: [...will('polite'), '-C', '1'],
      });
      await mqtt.publish(`bye/${version}`, 'go');
      await polite.left();
      const dying = await mqtt.subscribe([`${topic}/unused`], { version, args: will('dying') });
      await dying.kill();
      const left = await heir.message('the will');
      assert.equal([left.topic, left.payload, left.qos], [`${topic}/dying`, 'dying is gone', 1]);
      await drained(mqtt, heir, `${topic}/end`);
      assert.is(heir.received.length, 2);
    });

    test(`${version}: a session that is not clean keeps QoS 1 and 2 messages for its client`, async ({
      mqtt,
    }) => {
      const topic = `test/${version}/session`;
      const expiry = version === 'mqttv5' ? ['-x', '3600'] : [];
      const args = ['-c', '-i', `keeper-${version}`, ...expiry];
      const first = await mqtt.subscribe([topic], { version, args });
      await mqtt.publish(topic, 'while it is here', { version });
      await first.message('the first');
      await first.kill();
      await mqtt.publish(topic, 'queued 1', { version, qos: 1 });
      await mqtt.publish(topic, 'lost', { version, qos: 0 });
      await mqtt.publish(topic, 'queued 2', { version, qos: 2 });
      const again = await mqtt.subscribe([topic], { version, args });
      const queued = await again.messages(2);
      assert.equal(
        queued.map(({ payload, qos }) => [payload, qos]),
        [
          ['queued 1', 1],
          ['queued 2', 2],
        ],
      );
      await again.kill();
      // Clean again: what was queued meanwhile is forgotten with the session.
      await mqtt.publish(topic, 'forgotten', { version });
      const clean = await mqtt.subscribe([topic], { version, args: ['-i', `keeper-${version}`] });
      await drained(mqtt, clean, topic);
      assert.is(clean.received.length, 1);
    });

    test(`${version}: a file of 1 MB arrives as it is`, async ({ mqtt, dir }) => {
      const topic = `test/${version}/large`;
      const bytes = randomBytes(1_000_000);
      const file = join(dir, `${version}.bin`);
      writeFileSync(file, bytes);
      const text = bytes.subarray(0, 500_000).toString('hex');
      const live = await mqtt.subscribe([`${topic}/text`], { version });
      writeFileSync(`${file}.txt`, text);
      for (const args of [
        ['-t', topic, '-r', '-f', file],
        ['-t', `${topic}/text`, '-f', `${file}.txt`],
      ]) {
        const { status, stderr } = await mqtt.pub('-V', version, '-q', '1', ...args);
        assert.is(status, 0, stderr);
      }
      const kept = await mqtt.sub('-V', version, '-q', '1', '-C', '1', '-N', '-t', topic);
      assert.ok(kept.stdout.equals(bytes), `${kept.stdout.length} bytes`);
      assert.ok((await live.message('the text')).payload === text);
      await mqtt.pub('-V', version, '-t', topic, '-r', '-n');
    });

    test(`${version}: a topic of 64 KB with as many levels as fit is refused, and nothing else suffers`, async ({
      mqtt,
    }) => {
      const topic = `test/${version}/deep`;
      const bystander = await mqtt.subscribe([`${topic}/#`], { version });
      const deep = `${topic}/${'a/'.repeat(32_700)}`;
      const { status, stderr } = await mqtt.pub('-V', version, '-q', '1', '-t', deep, '-m', 'x');
      assert.is.not(status, 0);
      assert.match(stderr, /error|lost|invalid|disconnect/i);
      await drained(mqtt, bystander, `${topic}/end`);
      assert.is(bystander.received.length, 1);
    });
  }

  test('clients of every version understand each other', async ({ mqtt }) => {
    const topic = 'test/mixed';
    const subscribers = await Promise.all(versions.map((version) => mqtt.subscribe([topic], { version })));
    for (const version of versions) await mqtt.publish(topic, version, { version, qos: 2 });
    for (const subscriber of subscribers) {
      const got = await subscriber.messages(versions.length);
      assert.equal(
        got.map(({ payload, qos }) => [payload, qos]),
        versions.map((version) => [version, 2]),
      );
    }
  });

  test('the members of a shared subscription share the messages, others get them all', async ({ mqtt }) => {
    const version = 'mqttv5';
    const topic = 'test/shared';
    const shared = [`$share/workers/${topic}`];
    const members = await Promise.all([1, 2].map(() => mqtt.subscribe(shared, { version })));
    const other = await mqtt.subscribe([topic], { version });
    const sent = Array.from({ length: 10 }, (_, i) => `job ${i}`);
    for (const job of sent) await mqtt.publish(topic, job, { version });
    assert.equal(
      (await other.messages(sent.length)).map(({ payload }) => payload),
      sent,
    );
    const [first, second] = members;
    assert.ok(first && second);
    await first.messages(5);
    await second.messages(5);
    const got = [...first.received, ...second.received].map(({ payload }) => payload);
    assert.equal(got.sort(), sent);
    // One leaves: the other has all of the work.
    await second.kill();
    for (const job of ['more 1', 'more 2']) await mqtt.publish(topic, job, { version });
    await first.messages(7);
  });

  test('a message larger than the broker takes reaches nobody, and the next one does', async ({
    mqtt,
    dir,
  }) => {
    const topic = 'test/too-large';
    const file = join(dir, 'too-large.bin');
    writeFileSync(file, Buffer.alloc(2_000_000));
    const subscriber = await mqtt.subscribe([topic]);
    for (const version of versions) {
      const { status } = await mqtt.pub('-V', version, '-q', '1', '-t', topic, '-f', file);
      // An MQTT 5 client knows the limit from CONNACK and sends nothing; mosquitto_pub is content with that.
      if (version !== 'mqttv5') assert.is.not(status, 0, version);
      await mqtt.publish(topic, version, { version });
    }
    await drained(mqtt, subscriber, topic);
    assert.equal(
      subscriber.received.map(({ payload }) => payload),
      [...versions, 'the end'],
    );
  });
}

test.run();

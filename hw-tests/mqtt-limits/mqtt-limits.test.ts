import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LoadClient } from '../../build/bench/load-client.ts';
import { until } from '../program.ts';
import { LoneNode } from './node.ts';
import { RawClient } from './raw-client.ts';

type Context = { dir: string; node: LoneNode; good: LoadClient; rounds: number };
const test = suite<Context>('the broker under abuse, as it is shipped');

/** Connections that have not said CONNECT. */
const CONNECTING = 200;
/** What is told of memory, in MB. */
const figures: string[] = [];

test.before(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'mqtt-limits-'));
  context.node = await LoneNode.start(context.dir, { connecting: CONNECTING, queueCount: 20_000 });
  context.rounds = 0;
  const { port } = context.node;
  context.good = await LoadClient.connect({ port, clientId: 'good', keepalive: 600 });
  await context.good.subscribe('good', 1);
  context.good.prepare('good', Buffer.alloc(100), 1);
  // The first of everything costs memory once.
  await round(context);
  await flood(context, 500);
});
test.after(async ({ dir, node, good }) => {
  good.close();
  await node.stop();
  rmSync(dir, { recursive: true });
  process.stdout.write(`${figures.map((line) => `\n    ${line}`).join('')}\n`);
});

/** The good client sends one message to itself with QoS 1.
 * @returns ms that it took */
async function round(context: Context): Promise<number> {
  const { good } = context;
  const wanted = ++context.rounds;
  const begun = performance.now();
  const done = new Promise<void>((resolve) => {
    good.onProgress = () => {
      if (good.received >= wanted && good.acked >= wanted) resolve();
    };
  });
  good.publish(1);
  await Promise.race([done, timeout('the good client waits for its message')]);
  return performance.now() - begun;
}

function timeout(what: string, limit = 20_000): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(what)), limit).unref();
  });
}

/** Runs `work` while the good client goes on.
 * @returns the longest that one of its messages took, in ms */
async function beside(context: Context, work: Promise<unknown>): Promise<number> {
  let isDone = false;
  const finished = work.finally(() => {
    isDone = true;
  });
  let longest = 0;
  while (!isDone) longest = Math.max(longest, await round(context));
  await finished;
  return longest;
}

async function flood({ node }: Context, count: number): Promise<void> {
  for (let i = 0; i < count; i += 50) {
    const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.open(node.port)));
    for (const [n, client] of clients.entries()) {
      client.connect(`flood-${i + n}`);
      client.drop();
    }
  }
}

function note({ node }: Context, what: string, before: number, longest?: number): number {
  const grown = node.memory - before;
  const delay = longest === undefined ? '' : `, the good client waited ${longest.toFixed(0)} ms at most`;
  figures.push(`${what}: ${before.toFixed(0)} MB and ${grown.toFixed(1)} MB more${delay}`);
  return grown;
}

test('thousands of connections that say CONNECT and drop leave nothing', async (context) => {
  const { node } = context;
  const before = node.memory;
  const longest = await beside(context, flood(context, 5000));
  const left = ['clients', 'sessions', 'connecting', 'closing'] as const;
  const counts = (): Promise<number[]> => Promise.all(left.map((name) => node.metric(name)));
  await until('they are gone', async () => `${await counts()}` === '1,1,0,0');
  const grown = note(context, '5,000 connections that CONNECT and drop', before, longest);
  assert.ok(grown < 40, `${grown} MB`);
});

test('thousands of connections that say nothing give way to one that does', async (context) => {
  const { node } = context;
  const before = node.memory;
  const silent: RawClient[] = [];
  const longest = await beside(
    context,
    (async () => {
      for (let i = 0; i < 3000; i += 100)
        silent.push(...(await Promise.all(Array.from({ length: 100 }, () => RawClient.open(node.port)))));
    })(),
  );
  const late = await LoadClient.connect({ port: node.port, clientId: 'late' });
  late.close();
  const connecting = await node.metric('connecting');
  assert.ok(connecting <= CONNECTING, `${connecting} wait`);
  assert.ok((await node.metric('limit_reached_total{limit="connecting"}')) >= 3000 - CONNECTING);
  const grown = note(context, '3,000 connections that say nothing', before, longest);
  await Promise.all(silent.map((client) => Promise.race([client.left(), timeout('one stays open')])));
  assert.ok(grown < 40, `${grown} MB`);
});

test('a CONNECT of one byte a second is not waited for', async (context) => {
  const { node } = context;
  const slow = await Promise.all(Array.from({ length: 50 }, () => RawClient.open(node.port)));
  const before = await node.metric('limit_reached_total{limit="connectTimeout"}');
  let second = 0;
  const drip = setInterval(() => {
    for (const client of slow) client.send(Buffer.of([0x10, 100, 0, 4][second] ?? 0x4d));
    second++;
  }, 1000);
  try {
    await beside(context, Promise.all(slow.map((client) => client.left())));
  } finally {
    clearInterval(drip);
  }
  assert.ok(second >= 9 && second <= 12, `cut off after ${second} s`);
  assert.is((await node.metric('limit_reached_total{limit="connectTimeout"}')) - before, 50);
});

test('a client that vanishes is given up after its keep-alive; without one TCP asks for it', async (context) => {
  const { node } = context;
  const gone = await RawClient.open(node.port);
  gone.connect('gone', { keepalive: 1 });
  const begun = performance.now();
  await Promise.race([gone.left(), timeout('it is still open')]);
  const took = performance.now() - begun;
  assert.ok(took >= 1400 && took < 4000, `${took} ms`);
  const forever = await RawClient.open(node.port);
  forever.connect('forever', { keepalive: 0 });
  await until('it is connected', () => forever.received >= 4);
  const KEEPALIVE = 2;
  await until('TCP keepalive runs', () => node.socketTimers.every((timer) => timer === KEEPALIVE));
  assert.ok(node.socketTimers.length >= 2);
  forever.drop();
});

test('a packet that claims 256 MB, and a million garbage bytes, cost nothing', async (context) => {
  const { node } = context;
  const before = node.memory;
  for (let i = 0; i < 200; i++) {
    const client = await RawClient.open(node.port);
    client.connect(`claims-${i}`);
    client.send(Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f), Buffer.alloc(100_000));
    await Promise.race([client.left(), timeout('it is not cut off')]);
    const garbage = await RawClient.open(node.port);
    garbage.send(Buffer.alloc(1_000_000, 0x10));
    await Promise.race([garbage.left(), timeout('it is not cut off')]);
  }
  await round(context);
  const grown = note(context, '200 claims of 256 MB and 200 MB of garbage', before);
  assert.ok(grown < 50, `${grown} MB`);
});

test('clients that never read cost a bounded part, and the others nothing', async (context) => {
  const { node } = context;
  const before = node.memory;
  const stalled = await Promise.all(Array.from({ length: 10 }, () => RawClient.open(node.port)));
  for (const [i, client] of stalled.entries()) {
    client.connect(`stalled-${i}`);
    const qos = (i % 3) as 0 | 1 | 2;
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'flood', qos }] });
    await until('it has subscribed', () => client.received >= 9);
    client.stall();
  }
  const pub = await LoadClient.connect({ port: node.port, clientId: 'pub' });
  const sub = await LoadClient.connect({ port: node.port, clientId: 'sub' });
  await sub.subscribe('flood', 1);
  pub.prepare('flood', Buffer.alloc(10_000), 1);
  const COUNT = 10_000;
  const publishing = (async () => {
    for (let sent = 0; sent < COUNT; sent += 20) {
      if (!pub.publish(20)) await pub.drained();
      // No more at a time than the queue of who reads can hold.
      await until('the others have it', () => sent - Math.min(pub.acked, sub.received) < 60);
    }
    await until('all of it has come', () => sub.received === COUNT && pub.acked === COUNT);
  })();
  const longest = await beside(context, publishing);
  const grown = note(context, '10 clients that never read, of 100 MB', before, longest);
  assert.ok((await node.metric('messages_dropped_total')) > COUNT);
  for (const client of [...stalled, pub, sub]) 'drop' in client ? client.drop() : client.close();
  // Each holds what may wait in the socket, a queue and the messages under way.
  assert.ok(grown < 60, `${grown} MB`);
});

test('who asks on and on and never reads the answers is not heard any more', async (context) => {
  const { node } = context;
  const before = node.memory;
  const deaf = await RawClient.open(node.port);
  deaf.connect('deaf');
  await until('it is connected', () => deaf.received >= 4);
  deaf.stall();
  const pings = Buffer.concat(Array.from({ length: 32_768 }, () => Buffer.of(0xc0, 0)));
  let sent = 0;
  let isTaken = true;
  while (isTaken && sent < 500_000_000) {
    sent += pings.length;
    if (deaf.send(pings)) continue;
    // The kernel takes no more when the broker has not read for a while; the good client's rounds are the clock.
    let isDrained = false;
    void deaf.drained().then(() => {
      isDrained = true;
    });
    for (let i = 0; i < 200 && !isDrained; i++) await round(context);
    isTaken = isDrained;
  }
  assert.is(isTaken, false, `${sent} bytes were taken`);
  const grown = note(context, `PINGREQ without end, ${(sent / 2 ** 20).toFixed(0)} MB taken`, before);
  deaf.drop();
  assert.ok(grown < 40, `${grown} MB`);
});

/** Publishes QoS 1 to a session whose client is away, for ten seconds, as fast as the kernel takes it.
 * @returns MB that the broker had more at most, and how many messages there were */
async function publishToNobody(node: LoneNode): Promise<{ most: number; sent: number }> {
  const sleeper = await LoadClient.connect({ port: node.port, clientId: 'sleeper', clean: false });
  await sleeper.subscribe('kept', 1);
  sleeper.close();
  const pub = await LoadClient.connect({ port: node.port, clientId: 'fast' });
  pub.prepare('kept', Buffer.alloc(1000), 1);
  const before = node.memory;
  let [most, sent] = [0, 0];
  for (const end = performance.now() + 10_000; performance.now() < end; sent += 100) {
    if (!pub.publish(100)) await pub.drained();
    // Weighing a process stops it for a while.
    if (sent % 10_000 === 0) most = Math.max(most, node.memory - before);
  }
  await until('all is acknowledged', () => pub.acked === sent);
  pub.close();
  return { most, sent };
}

test('a publisher at full speed to a client that is away is slowed, not buffered', async (context) => {
  const before = context.node.memory;
  const publishing = publishToNobody(context.node);
  const longest = await beside(context, publishing);
  const { most, sent } = await publishing;
  note(context, `10 s of QoS 1 to an absent session, ${Math.round(sent / 10)} messages/s`, before, longest);
  assert.ok(most < 80, `${most} MB more`);
  assert.ok((await context.node.metric('queued')) <= 20_000);
});

test('the same when all of it is kept: the disk sets the pace, and memory does not grow with it', async ({
  dir,
}) => {
  const limits = { queueCount: 10_000_000, queueBytes: 2 ** 34 };
  const node = await LoneNode.start(join(dir, 'roomy'), limits);
  try {
    const { most, sent } = await publishToNobody(node);
    figures.push(
      `the same, all kept, ${Math.round(sent / 10)} messages/s: ${most.toFixed(1)} MB more at most`,
    );
    assert.is(await node.metric('queued'), sent);
    assert.ok(most < 80, `${most} MB more`);
  } finally {
    await node.stop();
  }
});

test('100,000 retained topics and 100,000 subscriptions are cut to their limits', async (context) => {
  const { node } = context;
  const before = node.memory;
  const client = await RawClient.open(node.port);
  client.connect('collector');
  const work = (async () => {
    for (let i = 0; i < 100_000; i += 500) {
      const topics = Array.from({ length: 500 }, (_, n) => `many/${i + n}`);
      const retained = topics.map(
        (topic) => ({ cmd: 'publish', topic, payload: 'on', qos: 0, retain: true, dup: false }) as const,
      );
      const subscriptions = topics.map((topic) => ({ topic: `${topic}/+`, qos: 0 as const }));
      if (!client.send(...retained, { cmd: 'subscribe', messageId: 1 + i / 500, subscriptions }))
        await client.drained();
    }
    client.send({
      cmd: 'publish',
      topic: 'many/end',
      payload: '',
      qos: 1,
      messageId: 1,
      retain: false,
      dup: false,
    });
    await until('all is answered', () => client.received >= 4 + 200 * 504 + 4, 120_000);
  })();
  const longest = await beside(context, work);
  assert.is(await node.metric('retained'), 10_000);
  assert.is(await node.metric('limit_reached_total{limit="retainedCount"}'), 90_000);
  assert.is(await node.metric('limit_reached_total{limit="subscriptionsPerClient"}'), 99_000);
  const grown = note(context, '100,000 retained topics and subscriptions', before, longest);
  client.drop();
  assert.ok(grown < 60, `${grown} MB`);
});

test.run();

import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LoadClient } from '../../build/bench/load-client.ts';
import type { ConsoleSnapshot } from '../../runtime/console/snapshot.ts';
import { seededRandom, testSeed } from '../../runtime/core/test-random.ts';
import { NodeAlone } from '../mqtt-listeners/node-alone.ts';
import { until } from '../program.ts';
import { requireCondition } from '../real-parts.ts';
import { canMount, SmallDisk } from './store.ts';

type Context = { disk: SmallDisk; node: NodeAlone };
const test = suite<Context>('edgecore on a small disk');

const RETAINED = 300;
const DAMAGES = 8;
const PAGE = 1024;
const seed = testSeed();
process.stdout.write(`EDGECORE_SEED=${seed}\n`);

test.before.each(async (context) => {
  context.disk = SmallDisk.mount(4);
  context.node = await NodeAlone.prepare();
  // Its whole state lies on the small disk; its configuration and its log do not.
  mkdirSync(join(context.disk.path, 'state'));
  symlinkSync(join(context.disk.path, 'state'), join(context.node.dir, 'state'));
});
test.after.each(async ({ disk, node }) => {
  await node.close();
  disk.unmount();
});

async function diskState({ node }: Context): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${node.ports.console}/api/state`);
  return ((await response.json()) as ConsoleSnapshot).store.state;
}

/** @returns whether a QoS 0 message comes through */
async function carries({ node }: Context): Promise<void> {
  const client = await LoadClient.connect({ port: node.ports.mqtt, clientId: 'qos0' });
  await client.subscribe('a', 0);
  client.prepare('a', Buffer.from('x'), 0);
  client.publish(1);
  await until('the message is there', () => client.received === 1);
  client.close();
}

async function keepRetained({ node }: Context): Promise<void> {
  const client = await LoadClient.connect({ port: node.ports.mqtt, clientId: 'writer' });
  for (let i = 0; i < RETAINED; i++) {
    client.prepare(`kept/${i}`, Buffer.alloc(100, 'x'), 1, true);
    client.publish(1);
  }
  await until('all are kept', () => client.acked === RETAINED);
  client.close();
}

test('on a full disk messages of QoS 0 go on, and it heals', async (context) => {
  const { node, disk } = context;
  await node.start([]);
  const away = { port: node.ports.mqtt, clientId: 'away', clean: false };
  const subscriber = await LoadClient.connect(away);
  await subscriber.subscribe('kept', 1);
  subscriber.close();
  disk.fill();
  const publisher = await LoadClient.connect({ port: node.ports.mqtt, clientId: 'publisher' });
  publisher.prepare('kept', Buffer.alloc(20_000, 'x'), 1);
  await until('the disk is full', async () => {
    publisher.publish(1);
    return (await diskState(context)) === 'degraded';
  });
  publisher.close();
  await carries(context);
  disk.free();
  await until('it heals', async () => (await diskState(context)) === 'ok');
});

for (const [what, begin, end] of [
  ['full', (disk: SmallDisk) => disk.fill(), (disk: SmallDisk) => disk.free()],
  ['read-only', (disk: SmallDisk) => disk.readOnly(true), (disk: SmallDisk) => disk.readOnly(false)],
] as const) {
  test(`it boots from a ${what} disk, says so, and heals`, async (context) => {
    const { node, disk } = context;
    await node.start([]);
    await node.stop();
    begin(disk);
    const program = await node.start([]);
    assert.is(await diskState(context), 'degraded');
    await carries(context);
    end(disk);
    await until('it heals', async () => (await diskState(context)) === 'ok');
    assert.ok(program.isRunning);
  });
}

/** Starts it from a database in which bits are lost; a start that failed would throw here. */
test('it starts from one damaged database after the other, and goes on with what is intact', async (context) => {
  const { node, disk } = context;
  const random = seededRandom(seed);
  const path = join(disk.path, 'state', 'edgecore.db');
  await node.start([]);
  await keepRetained(context);
  await node.stop();
  for (let round = 0; round < DAMAGES; round++) {
    const bytes = readFileSync(path);
    // Most of a small database is empty: the first bit is one that matters.
    let at = round === 0 ? bytes.indexOf('kept/100') : Math.floor(random() * bytes.length);
    while (isSchema(bytes, at)) at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    writeFileSync(path, bytes);
    const program = await node.start([]);
    assert.is(await diskState(context), 'ok', `round ${round}, byte ${at}`);
    await carries(context);
    assert.ok(program.isRunning, `round ${round}, byte ${at}`);
    await node.stop();
  }
  const aside = readdirSync(join(disk.path, 'state')).filter((name) => /\.corrupt-\d+$/.test(name));
  assert.ok(aside.length > 0 && aside.length <= 2, `${aside}`);
  assert.match(readFileSync(node.log, 'utf8'), 'database damaged: set aside, what can be read goes on');
  await node.start([]);
  // A lost bit takes the rows of its page along, one page of many.
  const client = await LoadClient.connect({ port: node.ports.mqtt, clientId: 'reader' });
  await client.subscribe('kept/#', 0);
  await until('most retained messages are there', () => client.received > RETAINED / 2);
  client.close();
  await node.stop();
  // A damaged schema takes nothing along: it is noted elsewhere.
  const bytes = readFileSync(path);
  const name = bytes.indexOf('CREATE TABLE mqtt_retained');
  bytes[name] = (bytes[name] ?? 0) ^ 4;
  writeFileSync(path, bytes);
  await node.start([]);
  assert.is(await diskState(context), 'ok');
  await carries(context);
  const again = await LoadClient.connect({ port: node.ports.mqtt, clientId: 'reader-2' });
  await again.subscribe('kept/#', 0);
  await until('they are there still', () => again.received > RETAINED / 2);
  again.close();
});

/** Whether a byte lies in a page that says which tables there are. */
function isSchema(bytes: Buffer, at: number): boolean {
  const page = bytes.subarray(at - (at % PAGE), at - (at % PAGE) + PAGE);
  return at < PAGE || page.includes('CREATE TABLE') || page.includes('CREATE INDEX');
}

if (requireCondition(canMount(), 'file systems can be mounted by root alone')) test.run();

import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom, testSeed } from '../../runtime/core/test-random.ts';
import { metric, type OpenStore, openStore } from './store.ts';

type Context = { dir: string; pristine: string; path: string };
const test = suite<Context>('a damaged database');

const ROUNDS = 50;
const BOOT_LIMIT_MS = 3000;
const OBJECTS = 160;
/** A database, what is new in it, and the note of its schema. */
const FILES = ['', '-wal', '.schema'];
const seed = testSeed();
process.stdout.write(`EDGECORE_SEED=${seed}\n`);

let slowest = 0;

const objectOf = (i: number): string =>
  JSON.stringify({ metadata: { name: `o${i}` }, spec: 'x'.repeat(i * 7) });

/** Makes a database half of whose rows are still in the WAL, as a process that is killed leaves it. */
test.before(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'damage-'));
  context.pristine = join(context.dir, 'pristine.db');
  const first = openStore(context.pristine);
  await fill(first, 0, OBJECTS / 2);
  await first.store.close();
  const second = openStore(context.pristine);
  await fill(second, OBJECTS / 2, OBJECTS);
  for (const suffix of FILES) copyFileSync(context.pristine + suffix, join(context.dir, `kept.db${suffix}`));
  await second.store.close();
  context.pristine = join(context.dir, 'kept.db');
});
test.after(({ dir }) => {
  rmSync(dir, { recursive: true });
  process.stdout.write(`the slowest start took ${Math.round(slowest)} ms\n`);
});

async function fill({ store }: OpenStore, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i += 10)
    await store.durable(() => {
      for (let k = i; k < i + 10; k++) {
        store.meta.put({ key: `default/pod/o${k}`, type: 'pod', value: objectOf(k) });
        store.devices.putTwin({ deviceid: 'default/plc', name: `t${k}`, value: objectOf(k) });
        store.outbox.add({
          ...(k % 2 ? { class: 'state', subject: `s${k}` } : { class: 'event', subject: null }),
          message: objectOf(k),
          bytes: k,
          created: k,
          boot: '',
          mono: 0,
        });
        store.mqtt.putBatch({ first: k + 1, body: Buffer.from(objectOf(k)) });
        store.mqtt.putRetained(`t/${k}`, Buffer.from(objectOf(k)));
      }
      store.topics.add(`t${i}`);
      store.devices.put({
        id: `default/d${i}`,
        name: `d${i}`,
        description: '',
        state: 'online',
        last_online: '',
        reason: '',
      });
    });
}

/** Opens it, and reads and writes everything: what is there must be what was written.
 * @returns how many objects are there */
async function boots(path: string, what: string): Promise<number> {
  const start = performance.now();
  const open = openStore(path);
  const took = performance.now() - start;
  slowest = Math.max(slowest, took);
  assert.ok(took < BOOT_LIMIT_MS, `${what}: ${Math.round(took)} ms`);
  const { store } = open;
  const objects = store.meta.list('pod');
  for (const { key, value } of objects) assert.is(value, objectOf(Number(key.slice(13))), what);
  for (const { name, value } of store.devices.listTwins())
    assert.is(value, objectOf(Number(name.slice(1))), what);
  for (const of of ['state', 'event'] as const)
    for (const { message, bytes } of store.outbox.list(of, 0, 1000))
      assert.is(message, objectOf(bytes), what);
  for (const first of store.mqtt.batches())
    assert.is(Buffer.from(store.mqtt.batch(first) ?? []).toString(), objectOf(first - 1), what);
  for (const { topic, message } of store.mqtt.retained())
    assert.is(Buffer.from(message).toString(), objectOf(Number(topic.slice(2))), what);
  await store.durable(() => store.meta.put({ key: 'new', type: 'new', value: '1' }));
  assert.is(store.health().state, 'ok', what);
  await store.close();
  return objects.length;
}

function damaged(context: Context, change: (file: string) => void): string {
  const folder = mkdtempSync(join(context.dir, 'round-'));
  const path = join(folder, 'edgecore.db');
  for (const suffix of FILES) copyFileSync(context.pristine + suffix, path + suffix);
  change(path);
  return path;
}

test('undamaged, everything is there', async (context) => {
  assert.is(
    await boots(
      damaged(context, () => {}),
      'undamaged',
    ),
    OBJECTS,
  );
});

for (const suffix of ['', '-wal'] as const) {
  const name = suffix ? 'WAL' : 'database';

  test(`${ROUNDS} truncations of the ${name}`, async (context) => {
    const random = seededRandom(seed);
    for (let round = 0; round < ROUNDS; round++) {
      let what = '';
      const path = damaged(context, (file) => {
        const bytes = readFileSync(file + suffix);
        const length = Math.floor(random() * bytes.length);
        what = `${name} cut to ${length} of ${bytes.length} bytes`;
        writeFileSync(file + suffix, bytes.subarray(0, length));
      });
      await boots(path, what);
      rmSync(join(path, '..'), { recursive: true });
    }
  });

  test(`${ROUNDS} bit flips in the ${name}`, async (context) => {
    const random = seededRandom(seed + 1);
    let kept = 0;
    for (let round = 0; round < ROUNDS; round++) {
      let what = '';
      const path = damaged(context, (file) => {
        const bytes = readFileSync(file + suffix);
        // A third of them where the header and the schema are.
        const at = Math.floor(random() * (round % 3 === 0 ? Math.min(1024, bytes.length) : bytes.length));
        const bit = Math.floor(random() * 8);
        what = `bit ${bit} of byte ${at} of the ${name}`;
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        writeFileSync(file + suffix, bytes);
      });
      kept += await boots(path, what);
      rmSync(join(path, '..'), { recursive: true });
    }
    process.stdout.write(
      `${name}: ${((kept / (ROUNDS * OBJECTS)) * 100).toFixed(1)} % of the objects are left\n`,
    );
  });
}

test('of a damaged page the rows before and behind are kept, and it is counted', async (context) => {
  const path = damaged(context, () => {});
  await boots(path, 'without a WAL');
  const bytes = readFileSync(path);
  // Each of four tables has it in clear, its batch is compressed; and pages may hold copies that are no longer in use.
  for (let at = bytes.indexOf('"name":"o75"'); at >= 0; at = bytes.indexOf('"name":"o75"', at))
    bytes[at + 10] = (bytes[at + 10] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  const open = openStore(path);
  assert.is(metric(open, 'edgecore_store_salvaged_rows{result="refused"}'), 4);
  assert.ok(metric(open, 'edgecore_store_salvaged_rows{result="kept"}') > 5 * (OBJECTS - 1));
  await open.store.close();
});

test('of the databases that were set aside the newest two stay', async (context) => {
  const path = damaged(context, () => {});
  for (let i = 0; i < 4; i++) {
    const bytes = readFileSync(path);
    bytes.fill(0x5a, 0, 4096);
    writeFileSync(path, bytes);
    await boots(path, `round ${i}`);
  }
  const aside = readdirSync(join(path, '..')).filter((name) => /\.corrupt-\d+$/.test(name));
  assert.is(aside.length, 2);
  assert.not.ok(existsSync(`${path}.rewrite`));
});

test.run();

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../runtime/core/errors.ts';
import { until } from '../program.ts';
import { requireCondition } from '../real-parts.ts';
import { canMount, metric, type OpenStore, openStore, SmallDisk } from './store.ts';

type Context = { disk: SmallDisk; path: string };
const test = suite<Context>('a small disk');

test.before.each((context) => {
  context.disk = SmallDisk.mount(4);
  context.path = join(context.disk.path, 'edgecore.db');
});
test.after.each(({ disk }) => disk.unmount());

const twin = (name: string, value = '{}') => ({ deviceid: 'default/plc', name, value });
const put = ({ store }: OpenStore, key: string, value = 'v'): Promise<void> =>
  store.durable(() => store.meta.put({ key, type: 'pod', value }));
const codeOf = (work: Promise<void>): Promise<string | undefined> => work.then(() => undefined, errorCode);

/** Writes until the disk takes no more: the WAL has room of its own to use up. */
async function exhaust(open: OpenStore): Promise<void> {
  await until('the disk takes no more', async () => {
    return (await codeOf(put(open, 'filling', 'x'.repeat(20_000)))) === 'STORE_WRITE_FAILED';
  });
}

const troubles: [string, (disk: SmallDisk) => void, (disk: SmallDisk) => void][] = [
  ['full', (disk) => disk.fill(), (disk) => disk.free()],
];

for (const [what, begin, end] of troubles) {
  test(`a ${what} disk refuses what is awaited, keeps the rest in memory, and heals`, async ({
    disk,
    path,
  }) => {
    const open = openStore(path);
    const { store } = open;
    const changes: string[] = [];
    store.onChange(() => changes.push(store.health().state));
    await put(open, 'before');
    begin(disk);
    await exhaust(open);
    assert.is(metric(open, 'edgecore_store_degraded'), 1);
    store.lazy(() => store.devices.putTwin(twin('t', '"old"')));
    store.lazy(() => store.devices.putTwin(twin('t', '"new"')));
    store.withCommit(() => store.topics.add('with'));
    assert.is(await codeOf(put(open, 'refused')), 'STORE_WRITE_FAILED');
    assert.is(await codeOf(store.atCommit(() => () => store.topics.add('refused'))), 'STORE_WRITE_FAILED');
    assert.is(store.meta.get('before'), 'v');
    assert.is(store.meta.get('refused'), undefined);
    assert.is(store.devices.listTwins()[0]?.value, '"new"');
    await until('an attempt failed', () => metric(open, 'edgecore_store_waiting_writes') === 2);
    end(disk);
    await until('it heals', () => store.health().state === 'ok');
    await put(open, 'after');
    assert.equal(changes, ['degraded', 'ok']);
    assert.is(open.lines.filter((line) => line.includes('cannot be written')).length, 1);
    await store.close();
    const again = openStore(path);
    assert.is(again.store.devices.listTwins()[0]?.value, '"new"');
    assert.equal(again.store.topics.list(), ['with']);
    assert.equal(
      again.store.meta
        .list('pod')
        .map(({ key }) => key)
        .filter((key) => key !== 'filling'),
      ['after', 'before'],
    );
    await again.store.close();
  });
}

test('a disk that is remounted read-only and back is the same', async ({ disk, path }) => {
  const open = openStore(path);
  const { store } = open;
  await put(open, 'before');
  await store.close();
  disk.readOnly(true);
  const sheltered = openStore(path);
  assert.is(sheltered.store.health().state, 'degraded');
  assert.is(sheltered.store.meta.get('before'), 'v');
  sheltered.store.lazy(() => sheltered.store.devices.putTwin(twin('t', '"new"')));
  assert.is(sheltered.store.devices.listTwins().length, 1);
  assert.is(await codeOf(put(sheltered, 'refused')), 'STORE_WRITE_FAILED');
  disk.readOnly(false);
  await until('it heals', () => sheltered.store.health().state === 'ok');
  await put(sheltered, 'after');
  await sheltered.store.close();
  const again = openStore(path);
  assert.is(again.store.devices.listTwins()[0]?.value, '"new"');
  assert.equal(
    again.store.meta.list('pod').map(({ key }) => key),
    ['after', 'before'],
  );
  await again.store.close();
});

test('a node boots from a full disk, with what is there', async ({ disk, path }) => {
  const first = openStore(path);
  await put(first, 'before');
  await first.store.close();
  disk.fill();
  const open = openStore(path);
  assert.is(open.store.meta.get('before'), 'v');
  assert.is(open.store.health().state, 'degraded');
  open.store.lazy(() => open.store.topics.add('kept'));
  await open.store.close();
  assert.not.ok(existsSync(`${path}.owner`));
  disk.free();
  const again = openStore(path);
  assert.is(again.store.health().state, 'ok');
  assert.is(again.store.meta.get('before'), 'v');
  await again.store.close();
});

test('a node that never ran boots from a full disk, empty', async ({ disk, path }) => {
  disk.fill();
  const open = openStore(path);
  assert.is(open.store.health().state, 'degraded');
  open.store.lazy(() => open.store.topics.add('kept'));
  disk.free();
  await until('it heals', () => open.store.health().state === 'ok');
  await open.store.close();
  const again = openStore(path);
  assert.equal(again.store.topics.list(), ['kept']);
  await again.store.close();
  assert.equal(
    readdirSync('/dev/shm').filter((name) => name.startsWith(`edgecore-store-${process.pid}-`)),
    [],
  );
});

if (requireCondition(canMount(), 'file systems can be mounted by root alone')) test.run();

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../core/clock.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { Store } from './store.ts';

type Context = { dir: string; store: Store; reopen: () => Promise<Store> };
const test = suite<Context>('mqtt tables');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'mqtt-tables-'));
  const open = (): Store =>
    new Store({
      path: join(context.dir, 'edgecore.db'),
      clock: systemClock,
      log: silentLogger,
      metrics: new Metrics(),
    });
  context.store = open();
  context.reopen = async () => {
    await context.store.close();
    context.store = open();
    return context.store;
  };
});
test.after.each(async ({ dir, store }) => {
  await store.close();
  rmSync(dir, { recursive: true });
});

test('sessions keep large numbers, and an update keeps the client id', async ({ store, reopen }) => {
  const row = {
    sid: 1,
    clientId: 'c',
    username: null,
    expiry: 4_294_967_294,
    leftAt: 1_800_000_000_000,
    cursor: 2 ** 40,
  };
  await store.durable(() => {
    store.mqtt.putSession(row);
    store.mqtt.putSession({ ...row, sid: 2, clientId: 'd', username: 'u', expiry: -1, leftAt: 0 });
    store.mqtt.putSession({ ...row, username: 'me', cursor: 2 ** 40 + 1 });
  });
  const { mqtt } = await reopen();
  assert.equal(mqtt.sessions(), [
    { ...row, username: 'me', cursor: 2 ** 40 + 1 },
    { ...row, sid: 2, clientId: 'd', username: 'u', expiry: -1, leftAt: 0 },
  ]);
});

test('removing a session removes what is its, and nothing of another', async ({ store, reopen }) => {
  await store.durable(() => {
    for (const sid of [1, 2]) {
      store.mqtt.putSession({ sid, clientId: `c${sid}`, username: null, expiry: 1, leftAt: 0, cursor: 1 });
      store.mqtt.putSubscription({ sid, filter: 'a/#', options: '{}' });
      store.mqtt.putOutgoing({ sid, seq: 2 ** 40, packetId: 65_535, state: 'sent' });
      store.mqtt.putIncoming(sid, 7);
    }
    store.mqtt.removeSession(1);
  });
  const { mqtt } = await reopen();
  assert.equal(
    [mqtt.sessions(), mqtt.subscriptions(), mqtt.outgoing(), mqtt.incoming()].map((rows) =>
      rows.map(({ sid }) => sid),
    ),
    [[2], [2], [2], [2]],
  );
  assert.equal(mqtt.outgoing()[0], { sid: 2, seq: 2 ** 40, packetId: 65_535, state: 'sent' });
});

test('messages under way: by number, each once, trimmed up to the cursor', async ({ store }) => {
  const { mqtt } = store;
  await store.durable(() => {
    for (const seq of [30, 10, 20]) mqtt.putOutgoing({ sid: 1, seq, packetId: seq, state: 'sent' });
    mqtt.putOutgoing({ sid: 1, seq: 20, packetId: 21, state: 'released' });
    mqtt.putOutgoing({ sid: 2, seq: 5, packetId: 1, state: 'done' });
    mqtt.trimOutgoing(1, 20);
  });
  assert.equal(
    mqtt.outgoing().map(({ sid, seq, packetId, state }) => `${sid} ${seq} ${packetId} ${state}`),
    ['1 20 21 released', '1 30 30 sent', '2 5 1 done'],
  );
});

test('batches: in order, with every byte, and gone when removed', async ({ store, reopen }) => {
  const body = Uint8Array.from({ length: 300_000 }, (_, i) => i & 0xff);
  await store.durable(() => {
    for (const first of [2 ** 40, 5, 100]) store.mqtt.putBatch({ first, body });
    store.mqtt.putBatch({ first: 100, body: Uint8Array.of(1) });
    store.mqtt.removeBatch(5);
  });
  const { mqtt } = await reopen();
  assert.equal(mqtt.batches(), [100, 2 ** 40]);
  assert.ok(Buffer.from(mqtt.batch(2 ** 40) ?? []).equals(Buffer.from(body)));
  assert.equal([...(mqtt.batch(100) ?? [])], [1]);
  assert.is(mqtt.batch(5), undefined);
});

test('subscriptions, incoming ids, retained messages and wills are put, replaced and removed', async ({
  store,
  reopen,
}) => {
  const one = Uint8Array.of(1);
  await store.durable(() => {
    const { mqtt } = store;
    mqtt.putSubscription({ sid: 1, filter: 'größe/+', options: '1' });
    mqtt.putSubscription({ sid: 1, filter: 'größe/+', options: '2' });
    mqtt.putSubscription({ sid: 1, filter: 'b', options: '1' });
    mqtt.removeSubscription(1, 'b');
    mqtt.putIncoming(1, 65_535);
    mqtt.putIncoming(1, 65_535);
    mqtt.putIncoming(1, 1);
    mqtt.removeIncoming(1, 1);
    mqtt.putRetained('t', Uint8Array.of(9));
    mqtt.putRetained('t', one);
    mqtt.putRetained('u', one);
    mqtt.removeRetained('u');
    mqtt.putWill({ clientId: 'a', delay: 4_294_967_295, message: one });
    mqtt.putWill({ clientId: 'b', delay: 0, message: one });
    mqtt.removeWill('b');
  });
  const { mqtt } = await reopen();
  assert.equal(mqtt.subscriptions(), [{ sid: 1, filter: 'größe/+', options: '2' }]);
  assert.equal(mqtt.incoming(), [{ sid: 1, packetId: 65_535 }]);
  assert.equal(
    mqtt.retained().map(({ topic, message }) => [topic, ...message]),
    [['t', 1]],
  );
  assert.equal(
    mqtt.wills().map(({ clientId, delay, message }) => [clientId, delay, ...message]),
    [['a', 4_294_967_295, 1]],
  );
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { type Message, type MessageDraft, newMessage } from '../core/message.ts';
import { deviceId } from '../core/units.ts';
import { CloudSync } from './cloud-sync.ts';
import { adopt, type DeviceEntry, newDeviceEntry, settle, settled } from './device.ts';
import type { Twin } from './twin.ts';
import type { TwinChange } from './twin-events.ts';

type Ask = {
  draft: MessageDraft;
  /** It was written to the link. */
  handed: () => void;
  superseded: AbortSignal;
  answer: (content: unknown, operation?: string) => void;
  fail: () => void;
};
type Context = {
  clock: FakeClock;
  link: { online: boolean };
  asks: Ask[];
  confirmed: string[][];
  sync: CloudSync;
  entry: DeviceEntry;
  settle: () => Promise<void>;
};
const test = suite<Context>('cloud-sync');

const twin = (value: string): Twin => ({
  actual: { value, metadata: { timestamp: 1 } },
  actual_version: { cloud: 0, edge: 1 },
  optional: true,
  metadata: { type: 'int' },
});

test.before.each((context) => {
  const clock = new FakeClock();
  const asks: Ask[] = [];
  const confirmed: string[][] = [];
  const link = {
    online: true,
    request: (
      draft: MessageDraft,
      _timeout: number,
      options: { handed: () => void; superseded: AbortSignal },
    ): Promise<Message> =>
      new Promise((resolve, reject) => {
        asks.push({
          draft,
          ...options,
          answer: (content, operation = 'response') =>
            resolve(newMessage({ ...draft, operation, content, parent: 'x' }, 0)),
          fail: () => reject(new EdgeError('LINK_TIMEOUT')),
        });
      }),
  };
  const entry = newDeviceEntry(deviceId('default', 'plc'), 'plc', '');
  entry.stateUnsynced = false;
  const sync = new CloudSync({
    link,
    clock,
    config: { interval: 10, burst: 3, messagesPerSecond: 2 },
    log: silentLogger,
    confirmed: (_entry, names) => confirmed.push([...names]),
  });
  Object.assign(context, { clock, link, asks, confirmed, sync, entry, settle: () => clock.advance(0) });
});

const change = (entry: DeviceEntry, name: string, value: string): void => {
  entry.twins.set(name, twin(value));
  entry.unsynced.add(name);
};
const twinsOf = (ask: Ask | undefined): unknown =>
  (ask?.draft.content as { twin: unknown } | undefined)?.twin;

test('twins go up as an object, with versions, and count as known once the cloud says OK', async ({
  sync,
  entry,
  asks,
  confirmed,
  settle,
  clock,
}) => {
  change(entry, 't', '1');
  sync.push(entry);
  const draft = asks[0]?.draft;
  assert.equal(
    [draft?.source, draft?.group, draft?.operation, draft?.resource],
    ['twin', 'resource', 'update', 'device/default/plc/twin/edge_updated'],
  );
  const content = draft?.content as { event_id: string; timestamp: number; twin: unknown };
  assert.match(content.event_id, /^[0-9a-f-]{36}$/);
  assert.is(content.timestamp, clock.now());
  assert.equal(content.twin, { t: twin('1') });
  assert.equal([...entry.unsynced], ['t']);
  asks[0]?.answer('OK');
  await settle();
  assert.equal([...entry.unsynced], []);
  assert.equal(confirmed, [['t']]);
  assert.is(asks.length, 1);
});

test('the state goes up as a JSON string, before the twins', async ({ sync, entry, asks, settle, clock }) => {
  entry.state = 'online';
  entry.lastOnline = '2026-01-01T00:00:00Z';
  entry.stateUnsynced = true;
  change(entry, 't', '1');
  sync.push(entry);
  const draft = asks[0]?.draft;
  assert.is(draft?.resource, 'device/default/plc/state/update');
  assert.type(draft?.content, 'string');
  const { event_id, ...rest } = JSON.parse(draft?.content as string) as Record<string, unknown>;
  assert.type(event_id, 'string');
  assert.equal(rest, {
    timestamp: clock.now(),
    device: { name: 'plc', state: 'online', lastOnlineTime: '2026-01-01T00:00:00Z' },
  });
  asks[0]?.answer('OK');
  await settle();
  assert.not(entry.stateUnsynced);
  assert.is(asks[1]?.draft.resource, 'device/default/plc/twin/edge_updated');
});

test('changes made while a message is under way wait and go together', async ({
  sync,
  entry,
  asks,
  settle,
}) => {
  change(entry, 'a', '1');
  sync.push(entry);
  for (const [name, value] of [
    ['b', '1'],
    ['c', '1'],
    ['b', '2'],
  ] as const) {
    change(entry, name, value);
    sync.push(entry);
  }
  await settle();
  assert.is(asks.length, 1, 'one message under way');
  asks[0]?.answer('OK');
  await settle();
  assert.is(asks.length, 2);
  assert.equal(twinsOf(asks[1]), { b: twin('2'), c: twin('1') });
});

test('a twin that changed while its older value was under way is not taken for confirmed', async ({
  sync,
  entry,
  asks,
  confirmed,
  settle,
}) => {
  change(entry, 't', '1');
  sync.push(entry);
  change(entry, 't', '2');
  asks[0]?.answer('OK');
  await settle();
  assert.equal(confirmed.flat(), []);
  assert.equal([...entry.unsynced], ['t']);
  assert.equal(twinsOf(asks[1]), { t: twin('2') });
  asks[1]?.answer('OK');
  await settle();
  assert.equal([...entry.unsynced], []);
  assert.equal(confirmed.flat(), ['t']);
});

test('what is on its way to the disk waits; the cloud hears what stands there, once', async ({
  sync,
  entry,
  asks,
  settle: run,
}) => {
  const write = (value: string): TwinChange[] => {
    const changes = [{ name: 't', last: entry.twins.get('t'), current: twin(value) }];
    settle(entry, changes);
    adopt(entry, changes, () => true);
    sync.push(entry);
    return changes;
  };
  const first = write('1');
  assert.is(asks.length, 0, 'a power cut would undo it');
  const second = write('2');
  settled(entry, first);
  sync.push(entry);
  assert.equal(twinsOf(asks[0]), { t: twin('1') });
  asks[0]?.answer('OK');
  await run();
  assert.is(asks.length, 1, 'told already, and the next is not there yet');
  assert.equal([...entry.unsynced], ['t']);
  settled(entry, second);
  sync.push(entry);
  assert.equal(twinsOf(asks[1]), { t: twin('2') });
  asks[1]?.answer('OK');
  await run();
  assert.equal([...entry.unsynced], []);
});

test('a value that waits for the disk does not hold up those of its device', async ({
  sync,
  entry,
  asks,
}) => {
  const changes = [{ name: 't', last: undefined, current: twin('1') }];
  settle(entry, changes);
  adopt(entry, changes, () => true);
  change(entry, 'u', '7');
  sync.push(entry);
  assert.equal(twinsOf(asks[0]), { u: twin('7') });
});

const unconfirmed: [string, (ask: Ask) => void][] = [
  ['is not answered in time', (ask) => ask.fail()],
  ['is answered with an error', (ask) => ask.answer('no such device', 'error')],
  ['is answered with something else than OK', (ask) => ask.answer('later')],
];
for (const [what, end] of unconfirmed) {
  test(`a twin message that ${what} leaves the twins unsynced until the next push`, async ({
    sync,
    entry,
    asks,
    confirmed,
    settle,
  }) => {
    change(entry, 't', '1');
    sync.push(entry);
    const [first] = asks;
    if (first) end(first);
    await settle();
    assert.is(asks.length, 1, 'not tried again at once');
    assert.equal([...entry.unsynced], ['t']);
    assert.equal(confirmed, []);
    sync.push(entry);
    assert.equal(twinsOf(asks[1]), { t: twin('1') });
  });

  test(`a state message that ${what} leaves the state unsynced until the next push`, async ({
    sync,
    entry,
    asks,
    settle,
  }) => {
    entry.stateUnsynced = true;
    sync.push(entry);
    const [first] = asks;
    if (first) end(first);
    await settle();
    assert.ok(entry.stateUnsynced);
    sync.push(entry);
    assert.is(asks[1]?.draft.resource, 'device/default/plc/state/update');
  });
}

test('what was not confirmed is told again after 30 s although nothing changes any more', async ({
  sync,
  entry,
  asks,
  clock,
  settle,
}) => {
  change(entry, 't', '1');
  sync.push(entry);
  asks[0]?.fail();
  await settle();
  await clock.advance(29_999);
  assert.is(asks.length, 1);
  await clock.advance(1);
  assert.equal(twinsOf(asks[1]), { t: twin('1') });
  asks[1]?.answer('OK');
  await settle();
  assert.is(clock.pending, 0);
});

test('what is newer waits 2 s for an answer, from when the message was written to the link', async ({
  sync,
  entry,
  asks,
  clock,
}) => {
  change(entry, 'a', '1');
  change(entry, 'b', '1');
  sync.push(entry);
  change(entry, 'a', '2');
  sync.push(entry);
  await clock.advance(60_000);
  assert.is(asks.length, 1, 'it is not even on its way');
  asks[0]?.handed();
  await clock.advance(1999);
  assert.is(asks.length, 1);
  await clock.advance(1);
  assert.equal(twinsOf(asks[1]), { a: twin('2'), b: twin('1') }, 'with all that is not confirmed');
});

test('when nothing is newer nothing is sent beside what is under way', async ({
  sync,
  entry,
  asks,
  clock,
}) => {
  change(entry, 't', '1');
  sync.push(entry);
  asks[0]?.handed();
  await clock.advance(19_000);
  assert.is(asks.length, 1);
  assert.not(asks[0]?.superseded.aborted, 'it is sent again when it must have been lost');
  change(entry, 't', '2');
  sync.push(entry);
  assert.equal(twinsOf(asks[1]), { t: twin('2') }, 'what comes then goes at once');
});

test('a message is not sent again once a newer one has left; its answer still counts', async ({
  sync,
  entry,
  asks,
  clock,
  confirmed,
  settle,
}) => {
  change(entry, 'a', '1');
  change(entry, 'b', '1');
  sync.push(entry);
  asks[0]?.handed();
  change(entry, 'a', '2');
  assert.not(asks[0]?.superseded.aborted);
  await clock.advance(2000);
  assert.is(asks.length, 2);
  assert.ok(asks[0]?.superseded.aborted);
  assert.not(asks[1]?.superseded.aborted);
  asks[0]?.answer('OK');
  await settle();
  assert.equal([...entry.unsynced], ['a'], 'its own value of b stands');
  assert.equal(confirmed, [['b']]);
  assert.is(asks.length, 2);
  asks[1]?.answer('OK');
  await settle();
  assert.equal([...entry.unsynced], []);
  assert.is(clock.pending, 0);
});

test('without a link nothing is sent, and nothing is forgotten', async ({
  sync,
  entry,
  asks,
  link,
  settle,
}) => {
  link.online = false;
  change(entry, 't', '1');
  sync.push(entry);
  await settle();
  assert.is(asks.length, 0);
  link.online = true;
  sync.push(entry);
  assert.is(asks.length, 1);
});

test('what the cloud has confirmed is not sent again', async ({ sync, entry, asks }) => {
  entry.twins.set('t', twin('1'));
  sync.push(entry);
  assert.is(asks.length, 0);
});

test('devices do not wait for each other', ({ sync, entry, asks }) => {
  const other = newDeviceEntry(deviceId('default', 'other'), 'other', '');
  change(entry, 't', '1');
  sync.push(entry);
  sync.push(other);
  assert.equal(
    asks.map(({ draft }) => draft.resource),
    ['device/default/plc/twin/edge_updated', 'device/default/other/state/update'],
  );
});

/** One confirmed message with a changed value. */
async function round({ sync, entry, asks, settle }: Context, value: string, when?: 'now'): Promise<boolean> {
  const before = asks.length;
  change(entry, 't', value);
  sync.push(entry, when);
  asks[before]?.answer('OK');
  await settle();
  return asks.length > before;
}

test('a device that changes all the time speaks once in an interval, and says the newest', async (context) => {
  const { asks, clock } = context;
  // The burst is what a quiet device may say at once; two a second are let through for all.
  for (const value of ['1', '2']) assert.ok(await round(context, value), value);
  await clock.advance(1000);
  assert.ok(await round(context, '3'));
  for (const value of ['4', '5', '6']) {
    assert.not(await round(context, value), value);
    await clock.advance(1000);
  }
  await clock.advance(5999);
  assert.is(asks.length, 3);
  await clock.advance(1);
  assert.is(asks.length, 4);
  assert.equal(twinsOf(asks[3]), { t: twin('6') });
});

test('after a quiet minute a change goes at once again', async (context) => {
  for (let i = 0; i < 6; i++) await round(context, String(i));
  const { asks, clock } = context;
  await clock.advance(15_000);
  asks.at(-1)?.answer('OK');
  await clock.advance(60_000);
  assert.ok(await round(context, 'new'));
});

test('what cannot wait goes at once, and takes the values along', async (context) => {
  for (let i = 0; i < 6; i++) await round(context, String(i));
  const { asks, entry } = context;
  const before = asks.length;
  assert.ok(await round(context, '7', 'now'));
  assert.equal(twinsOf(asks[before]), { t: twin('7') });
  assert.equal([...entry.unsynced], []);
});

test('what cannot wait goes when the message under way is confirmed', async ({
  sync,
  entry,
  asks,
  settle,
}) => {
  change(entry, 't', '1');
  sync.push(entry);
  change(entry, 't', '2');
  sync.push(entry, 'now');
  assert.is(asks.length, 1);
  asks[0]?.answer('OK');
  await settle();
  assert.equal(twinsOf(asks[1]), { t: twin('2') });
});

test('all devices together speak only so fast, each in its turn', async ({ sync, asks, clock }) => {
  const entries = [0, 1, 2, 3, 4].map((i) => newDeviceEntry(deviceId('default', `d${i}`), `d${i}`, ''));
  for (const entry of entries) {
    entry.stateUnsynced = false;
    change(entry, 't', '1');
    sync.push(entry);
  }
  const seen = (): string[] => asks.map(({ draft }) => draft.resource.split('/')[2] ?? '');
  assert.equal(seen(), ['d0', 'd1']);
  assert.is(sync.waiting, 3);
  for (const entry of entries) sync.push(entry);
  await clock.advance(500);
  assert.equal(seen(), ['d0', 'd1', 'd2']);
  await clock.advance(1000);
  assert.equal(seen(), ['d0', 'd1', 'd2', 'd3', 'd4']);
  assert.is(sync.waiting, 0);
});

test('a device that is forgotten, and a stop, leave nothing to wait for', async (context) => {
  for (let i = 0; i < 6; i++) await round(context, String(i));
  const { sync, entry, clock } = context;
  assert.is(sync.waiting, 1);
  sync.forget(entry);
  assert.is(sync.waiting, 0);
  for (let i = 0; i < 6; i++) await round(context, String(i));
  sync.stop();
  assert.is(clock.pending, 0);
});

test.run();

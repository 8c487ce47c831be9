import { Duplex } from 'node:stream';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../core/fake-clock.ts';
import { silentLogger } from '../../core/log.ts';
import { Metrics } from '../../core/metrics.ts';
import { kibibytes } from '../../core/units.ts';
import { Door } from './door.ts';
import type { ListenerRules } from './listener.ts';

type Context = { clock: FakeClock; metrics: Metrics; open: (rules: Partial<ListenerRules>) => Door };
const test = suite<Context>('the door of a listener');

const wide = { maxConnections: 100, maxPending: 100, connectionsPerSecond: 100, connectionBurst: 100 };
const arrival = { address: '192.0.2.7:4711', local: false };

test.before.each((context) => {
  context.clock = new FakeClock();
  context.metrics = new Metrics();
  context.open = (rules) => {
    const deps = { ...context, log: silentLogger, packetBytes: kibibytes(1) };
    return new Door('tcp test', { ...wide, ...rules }, deps);
  };
});

const stream = (): Duplex => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
const gone = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A client that is let in and has its CONNECT accepted. */
function inside(door: Door): Duplex {
  const client = stream();
  assert.ok(door.take(client));
  door.peer(client, arrival).accepted?.();
  return client;
}

test('as many as the burst come at once, then as many a second as the rate', async ({ clock, open }) => {
  const door = open({ connectionBurst: 3, connectionsPerSecond: 2 });
  const take = (): boolean => door.take(stream());
  assert.equal([take(), take(), take(), take()], [true, true, true, false]);
  await clock.advance(500);
  assert.equal([take(), take()], [true, false]);
  await clock.advance(60_000);
  assert.equal([take(), take(), take(), take()], [true, true, true, false]);
});

test('one that is turned away is cut and counted', ({ open, metrics }) => {
  const door = open({ connectionBurst: 1 });
  door.take(stream());
  const late = stream();
  assert.is(door.take(late), false);
  assert.is(late.destroyed, true);
  assert.match(metrics.render(), /edgecore_mqtt_connections_refused_total\{listener="tcp test"\} 1\n/);
});

test('no more are inside than allowed; whoever leaves makes room', async ({ open, metrics }) => {
  const door = open({ maxConnections: 2 });
  const first = inside(door);
  inside(door);
  assert.is(door.take(stream()), false);
  assert.match(metrics.render(), /edgecore_mqtt_listener_connections\{listener="tcp test"\} 2\n/);
  first.destroy();
  await gone();
  assert.is(door.take(stream()), true);
});

test('of those without CONNECT the oldest gives way, and nobody who is inside', ({ open }) => {
  const door = open({ maxPending: 2 });
  const client = inside(door);
  const silent = [stream(), stream(), stream()];
  for (const one of silent) assert.ok(door.take(one));
  assert.equal(
    silent.map(({ destroyed }) => destroyed),
    [true, false, false],
  );
  assert.is(client.destroyed, false);
});

test('those without CONNECT do not take the last places', ({ open }) => {
  const door = open({ maxConnections: 2 });
  inside(door);
  const [silent, quick] = [stream(), stream()];
  assert.ok(door.take(silent));
  assert.ok(door.take(quick));
  assert.equal([silent.destroyed, quick.destroyed], [true, false]);
});

test('a peer is told what the rules say of it', ({ open }) => {
  const plain = open({}).peer(stream(), arrival);
  assert.equal(Object.keys(plain).sort(), ['accepted', 'address', 'local']);
  const strict = open({ allowAnonymous: false, packetBytes: 77 }).peer(stream(), arrival);
  assert.equal([strict.allowAnonymous, strict.packetBytes], [false, 77]);
});

test('closing drops who has not said CONNECT and waits for the others', async ({ open }) => {
  const door = open({});
  const client = inside(door);
  const silent = stream();
  door.take(silent);
  let closed = false;
  const closing = door.close().then(() => {
    closed = true;
  });
  await gone();
  assert.equal([silent.destroyed, client.destroyed, closed], [true, false, false]);
  client.destroy();
  await closing;
});

test('a door that nobody came by closes at once', ({ open }) => open({}).close());

test.run();

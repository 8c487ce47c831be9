import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { DeviceMapper } from '../../runtime/core/dmi.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { trustedTime } from '../../runtime/core/time-trust.ts';
import { type DeviceId, deviceId } from '../../runtime/core/units.ts';
import { MemoryPushStore } from './memory-push-store.ts';
import { Pusher } from './pusher.ts';

type Context = {
  clock: FakeClock;
  sent: string[];
  faults: Map<DeviceId, ReadonlyMap<string, string>>;
  metrics: Metrics;
  store: MemoryPushStore;
  pusher: Pusher;
  mapper: DeviceMapper & { protocols: string[] };
  told: string[];
  registered: DeviceMapper[];
};
const test = suite<Context>('values of mappers of this process');

const id = deviceId('default', 'd');
const model: DeviceModel = { metadata: { name: 'm' }, spec: { properties: [{ name: 't', type: 'INT' }] } };
const pushed = { dbMethod: { redis: { redisClientConfig: { addr: 'a:1' } } } };
const device = (pushMethod?: Record<string, unknown>): Device => ({
  metadata: { name: 'd' },
  spec: { properties: [{ name: 't', ...(pushMethod ? { pushMethod } : {}) }] },
});

test.before.each((context) => {
  context.clock = new FakeClock();
  context.sent = [];
  context.faults = new Map();
  context.metrics = new Metrics();
  context.store = new MemoryPushStore();
  context.told = [];
  context.registered = [];
  context.mapper = {
    protocols: ['one'],
    applyDevice: ({ metadata }) => void context.told.push(`apply ${metadata.name}`),
    removeDevice: (gone) => void context.told.push(`remove ${gone}`),
  };
  context.pusher = new Pusher({
    config: { maxBytes: 10_000, maxAge: 600, drainRate: 100, credentials: [] },
    environment: {},
    store: context.store,
    broker: { isAt: () => false, publish: async () => {} },
    report: (of, faults) => void context.faults.set(of, faults),
    clock: context.clock,
    time: trustedTime,
    log: silentLogger,
    metrics: context.metrics,
    random: () => 0.5,
    open: async () => ({
      send: async (samples) => void context.sent.push(...samples.map(({ value }) => value)),
      close: () => {},
    }),
  });
});

/** @returns the mapper as the twins know it */
function register({ pusher, mapper, registered }: Context): DeviceMapper {
  const registry = pusher.before({
    addMapper: (one) => void registered.push(one),
    removeMapper: (one) => void registered.splice(registered.indexOf(one), 1),
  });
  registry.addMapper(mapper);
  return registered[0] as DeviceMapper;
}

const read = ({ pusher, clock }: Context, value: string): void =>
  pusher.push(id, [{ property: 't', value, at: clock.now() }]);

test('a node whose devices push nothing loads nothing', async (context) => {
  await context.pusher.start();
  register(context).applyDevice(device(), model);
  await context.clock.advance(1000);
  assert.equal(context.told, ['apply d']);
  assert.not.match(context.metrics.render(), 'edgecore_push');
  await context.pusher.stop();
});

test('what is read while the code is loaded is not lost', async (context) => {
  await context.pusher.start();
  const known = register(context);
  known.applyDevice(device(pushed), model);
  read(context, '1');
  await until(context, () => context.sent.length > 0);
  read(context, '2');
  await until(context, () => context.sent.length > 1);
  assert.equal(context.sent, ['1', '2']);
  known.applyDevice(device(), model);
  read(context, '3');
  await context.clock.advance(1000);
  assert.equal(context.sent, ['1', '2']);
  await stop(context);
});

test('a device that goes takes its faults along', async (context) => {
  await context.pusher.start();
  const known = register(context);
  known.applyDevice(device({ http: {} }), model);
  await until(context, () => context.faults.get(id)?.size === 1);
  known.removeDevice(id);
  assert.is(context.faults.get(id)?.size, 0);
  assert.equal(context.told, ['apply d', `remove ${id}`]);
  await stop(context);
});

test('what waits from the last life goes out though no device is there', async (context) => {
  const target = JSON.stringify({ method: 'redis', addr: 'a:1', db: 0 });
  const body = JSON.stringify({ routes: [{ device: 'd' }], rows: [[0, 1, 1, 'old']] });
  context.store.push.put({ seq: 7, target, body, count: 1, bytes: 50, created: 1 });
  context.store.push.put({ seq: 8, target, body: 'damaged', count: 1, bytes: 50, created: 1 });
  await context.pusher.start();
  await until(context, () => context.sent.length > 0);
  assert.equal(context.sent, ['old']);
  await until(context, () => context.store.rows.size === 0);
  await stop(context);
});

test('a mapper that changes its protocols is known by those that it has', (context) => {
  const known = register(context);
  context.mapper.protocols = ['two'];
  assert.equal(known.protocols, ['two']);
  context.pusher
    .before({ addMapper: () => {}, removeMapper: (one) => assert.is(one, known) })
    .removeMapper(context.mapper, 'it goes');
});

test('commands reach a mapper as before, and one that takes none is known as such', async (context) => {
  assert.is(register(context).write, undefined);
  const written: string[] = [];
  const commanded: DeviceMapper = {
    ...context.mapper,
    write: async (of, property, value) => {
      written.push(`${of}/${property}=${value}`);
      return undefined;
    },
  };
  const known = register({ ...context, mapper: { ...commanded, protocols: ['two'] }, registered: [] });
  assert.is(await known.write?.(id, 't', '1'), undefined);
  assert.equal(written, ['default/d/t=1']);
});

/** Loading a module takes real time. */
async function until({ clock }: Context, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !holds(); ) {
    if (performance.now() > end) throw new Error('not within 10 s');
    await clock.advance(1);
  }
}

async function stop({ pusher, clock }: Context): Promise<void> {
  const stopped = pusher.stop();
  await clock.advance(3000);
  await stopped;
  assert.is(clock.pending, 0);
}

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../core/devices.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { deviceId } from '../core/units.ts';
import { LocalDesires } from './local-desires.ts';

type Context = {
  desires: LocalDesires;
  rows: Map<string, string>;
  disk: { fails: boolean };
  /** The desired values of each device that was handed on. */
  told: Record<string, string | undefined>[];
};
const test = suite<Context>('what the node itself wants of devices');
const KEY = 'default/device/plc';
const PLC = deviceId('default', 'plc');

const wanted = (device: Device): Record<string, string | undefined> =>
  Object.fromEntries((device.spec.properties ?? []).map(({ name, desired }) => [name, desired?.value]));

test.before.each((context) => {
  const rows = new Map<string, string>();
  const told: Context['told'] = [];
  const disk = { fails: false };
  const properties = [
    { name: 'switch', desired: { value: 'false' } },
    { name: 'lamp' },
    { name: 'temperature' },
  ];
  rows.set(KEY, JSON.stringify({ metadata: { name: 'plc', namespace: 'default' }, spec: { properties } }));
  const store = {
    durable: async (work: () => void) => {
      const before = new Map(rows);
      work();
      if (!disk.fails) return;
      rows.clear();
      for (const [key, value] of before) rows.set(key, value);
      throw new Error('disk full');
    },
    meta: {
      put: ({ key, value }: { key: string; value: string }) => rows.set(key, value),
      get: (key: string) => rows.get(key),
    },
  };
  const changed = (_: string, device: Device): number => told.push(wanted(device));
  const desires = new LocalDesires({ store, clock: new FakeClock(5000), log: silentLogger, changed });
  Object.assign(context, { desires, rows, disk, told });
});

const kept = (rows: Map<string, string>): Device => JSON.parse(rows.get(KEY) ?? '');

test('it is in the stored object, with its time, and handed on', async ({ desires, rows, told }) => {
  await desires.desire(PLC, new Map([['lamp', 'true']]));
  assert.equal(told, [{ switch: 'false', lamp: 'true', temperature: undefined }]);
  assert.equal(kept(rows).spec.properties?.[1]?.desired, { value: 'true', metadata: { timestamp: '5000' } });
});

test('two at once do not undo each other', async ({ desires, rows }) => {
  await Promise.all([
    desires.desire(PLC, new Map([['lamp', 'true']])),
    desires.desire(PLC, new Map([['switch', 'true']])),
  ]);
  assert.equal(wanted(kept(rows)), { switch: 'true', lamp: 'true', temperature: undefined });
});

test('on a disk that takes nothing it is handed on all the same, and kept with the next', async (context) => {
  const { desires, rows, told, disk } = context;
  disk.fails = true;
  await desires.desire(PLC, new Map([['switch', 'true']]));
  await desires.desire(PLC, new Map([['lamp', 'true']]));
  assert.equal(told.at(-1), { switch: 'true', lamp: 'true', temperature: undefined });
  assert.is(wanted(kept(rows)).switch, 'false');
  disk.fails = false;
  await desires.desire(PLC, new Map([['lamp', 'false']]));
  assert.equal(wanted(kept(rows)), { switch: 'true', lamp: 'false', temperature: undefined });
});

test("the cloud's next word is what counts", async ({ desires, told, disk }) => {
  disk.fails = true;
  await desires.desire(PLC, new Map([['switch', 'true']]));
  desires.forget(KEY);
  await desires.desire(PLC, new Map([['lamp', 'true']]));
  assert.equal(told.at(-1), { switch: 'false', lamp: 'true', temperature: undefined });
});

test('a device that is not here is left alone', async ({ desires, rows, told }) => {
  await desires.desire(deviceId('default', 'other'), new Map([['lamp', 'true']]));
  assert.equal([told, rows.size], [[], 1]);
});

test.run();

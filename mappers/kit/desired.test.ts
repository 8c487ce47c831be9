import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import { DesiredValues } from './desired.ts';
import type { DriverPoint } from './driver.ts';

const model = {
  metadata: { name: 'm' },
  spec: { properties: [{ name: 'switch', type: 'BOOLEAN', accessMode: 'ReadWrite' }] },
} as DeviceModel;
const wanting = (value: string, timestamp?: string): Device => ({
  metadata: { name: 'd' },
  spec: {
    properties: [{ name: 'switch', desired: { value, ...(timestamp ? { metadata: { timestamp } } : {}) } }],
  },
});
const make = () => new DesiredValues([{ property: 'switch', writable: true } as DriverPoint]);
const pending = (desired: DesiredValues): string[] => desired.pending().map(({ value }) => value);

test('a value is brought to the device once', () => {
  const desired = make();
  desired.take(wanting('true'), model);
  assert.equal(pending(desired), ['true']);
  desired.done('switch', 'true');
  desired.take(wanting('true'), model);
  assert.equal(pending(desired), []);
});

test('wanted again at another time it is brought again', () => {
  const desired = make();
  desired.take(wanting('true', '1'), model);
  desired.done('switch', 'true');
  desired.take(wanting('true', '1'), model);
  assert.equal(pending(desired), []);
  desired.take(wanting('true', '2'), model);
  assert.equal(pending(desired), ['true']);
});

test.run();

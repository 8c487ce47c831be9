import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../core/devices.ts';
import { deviceId } from '../core/units.ts';
import { LocalDesired } from './local-desired.ts';

const id = deviceId('default', 'plc');
const device = (desired?: string): Device => ({
  metadata: { name: 'plc' },
  spec: {
    properties: [{ name: 'setpoint', ...(desired === undefined ? {} : { desired: { value: desired } }) }],
  },
});
const wanted = (local: LocalDesired, object: Device): string | undefined =>
  local.applyTo(id, object).spec.properties?.[0]?.desired?.value;

test('what is wanted here holds until the cluster wants something else', () => {
  const local = new LocalDesired();
  local.set(id, device('20'), 'setpoint', '30');
  assert.is(wanted(local, device('20')), '30');
  assert.is(wanted(local, device('20')), '30');
  assert.is(wanted(local, device('25')), '25');
  assert.is(wanted(local, device('20')), '20');
});

test('a property of which the cluster wants nothing may be wanted here', () => {
  const local = new LocalDesired();
  local.set(id, device(), 'setpoint', '30');
  assert.is(wanted(local, device()), '30');
  local.forget(id);
  assert.is(wanted(local, device()), undefined);
});

test.run();

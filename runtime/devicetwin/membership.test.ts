import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviceId } from '../core/units.ts';
import { newDeviceEntry } from './device.ts';
import { membershipEvent, membershipList } from './membership.ts';

const base = { event_id: 'e1', timestamp: 9 };
const plc = { id: 'default/plc', name: 'plc', description: 'press 4' };

test('a list without devices is null, as KubeEdge sends it', () => {
  assert.equal(membershipEvent(base, [plc], []), { ...base, added_devices: [plc], removed_devices: null });
  assert.equal(membershipEvent(base, [], [plc]), { ...base, added_devices: null, removed_devices: [plc] });
});

test('the list of devices names each with its state', () => {
  const entry = newDeviceEntry(deviceId('default', 'plc'), 'plc', 'press 4');
  entry.state = 'online';
  entry.lastOnline = '2026-01-01T00:00:00Z';
  assert.equal(membershipList(base, [entry]), {
    ...base,
    devices: [{ ...plc, state: 'online', last_online: '2026-01-01T00:00:00Z' }],
  });
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../runtime/core/devices.ts';
import { millis } from '../../runtime/core/units.ts';
import { PushGate, pushCycles } from './push-gate.ts';

const device: Device = {
  metadata: { name: 'd' },
  spec: {
    properties: [
      { name: 'fast', reportCycle: 500, pushMethod: { http: {} } },
      { name: 'plain', pushMethod: { mqtt: {} } },
      { name: 'watched', pushMethod: { anomalyDetection: { limit: 3 } } },
      { name: 'wrong', reportCycle: -1, pushMethod: { dbMethod: {} } },
      { name: 'none' },
    ],
  },
};

test('the report cycle counts, a second where none is said', () => {
  assert.equal(
    [...pushCycles(device)],
    [
      ['fast', 500],
      ['plain', 1000],
      ['wrong', 1000],
    ],
  );
});

test('a value is pushed whether it has changed or not, once in its cycle', () => {
  const gate = new PushGate(pushCycles(device));
  const pushed = (at: number): string[] =>
    gate
      .due([{ property: 'fast' }, { property: 'plain' }, { property: 'none' }], millis(at))
      .map((r) => r.property);
  assert.equal(pushed(0), ['fast', 'plain']);
  assert.equal(pushed(250), []);
  // Readings come a little early or late.
  assert.equal(pushed(490), ['fast']);
  assert.equal(pushed(1010), ['fast', 'plain']);
  assert.equal(pushed(1960), ['fast', 'plain']);
});

test('one that comes late shifts none that follow, and what was missed is not made up', () => {
  const gate = new PushGate(new Map([['t', millis(1000)]]));
  const at = [0, 1000, 1700, 2400, 3000, 9000, 9100, 9600, 10_600];
  assert.equal(
    at.filter((now) => gate.due([{ property: 't' }], millis(now)).length > 0),
    [0, 1000, 2400, 3000, 9000, 9600, 10_600],
  );
});

test.run();

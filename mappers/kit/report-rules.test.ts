import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel, PropertyType } from '../../runtime/core/devices.ts';
import { parseReportRules, withoutReportRules } from './report-rules.ts';

const modelOf = (type: PropertyType, configData?: object): DeviceModel => ({
  metadata: { name: 'm' },
  spec: {
    properties: [{ name: 'a', type, ...(configData ? { visitors: { configData: { ...configData } } } : {}) }],
  },
});
const deviceOf = (configData: object, more: object = {}): Device => ({
  metadata: { name: 'd' },
  spec: { properties: [{ name: 'a', visitors: { configData: { ...configData } }, ...more }] },
});

const right: [string, object, object, object | undefined][] = [
  ['nothing said', {}, { address: 1 }, undefined],
  [
    'all said',
    {},
    { report: { deadband: 0.5, deadbandPercent: 2, heartbeat: 60_000 } },
    { deadband: 0.5, deadbandPercent: 2, heartbeat: 60_000 },
  ],
  [
    'keys in any case, numbers as text',
    {},
    { Report: { deadBand: '0.5' } },
    { deadband: 0.5, deadbandPercent: 0 },
  ],
  [
    'the device over the model',
    { report: { deadband: 1, heartbeat: 1000 } },
    { report: { deadband: 3 } },
    { deadband: 3, deadbandPercent: 0, heartbeat: 1000 },
  ],
  ['only the model', { report: { deadband: 1 } }, {}, { deadband: 1, deadbandPercent: 0 }],
];
for (const [what, model, device, rule] of right) {
  test(`rules: ${what}`, () => {
    const faults: string[] = [];
    const rules = parseReportRules(deviceOf(device), modelOf('FLOAT', model), faults);
    assert.equal(rules.get('a'), rule);
    assert.equal(faults, []);
  });
}

const at = 'spec.properties[0].visitors.configData.report';
const wrong: [PropertyType, object, object, string][] = [
  ['FLOAT', { report: { deadband: -1 } }, {}, `${at}.deadband: -1: want 0 or more`],
  ['FLOAT', { report: { deadband: 'much' } }, {}, `${at}.deadband: much: want a number`],
  [
    'FLOAT',
    { report: { deadbandPercent: 101 } },
    {},
    `${at}.deadbandPercent: 101: want a percentage, 0 to 100`,
  ],
  [
    'BOOLEAN',
    { report: { deadband: 1 } },
    {},
    `${at}.deadband: a BOOLEAN has no deadband: want INT, FLOAT or DOUBLE`,
  ],
  [
    'FLOAT',
    { report: { heartbeat: 1 } },
    {},
    `${at}.heartbeat: 1: want a whole number from 100 to 604800000`,
  ],
  [
    'FLOAT',
    { report: { deadbnd: 1 } },
    {},
    `${at}.deadbnd: no setting of a report: there are deadband, deadbandPercent, heartbeat`,
  ],
  ['FLOAT', { report: 5 }, {}, `${at}: 5: want deadband, deadbandPercent or heartbeat in it`],
  [
    'FLOAT',
    {},
    { reportCycle: -1 },
    'spec.properties[0].reportCycle: -1: want a whole number of ms, 0 or more',
  ],
  [
    'FLOAT',
    {},
    { collectCycle: 0.5 },
    'spec.properties[0].collectCycle: 0.5: want a whole number of ms, 0 or more',
  ],
];
for (const [type, configData, more, fault] of wrong) {
  test(`names ${fault}`, () => {
    const faults: string[] = [];
    const rules = parseReportRules(deviceOf(configData, more), modelOf(type), faults);
    assert.equal(faults, [`${fault} (property a)`]);
    const { deadband = 0, deadbandPercent = 0, heartbeat } = rules.get('a') ?? {};
    assert.equal(
      [deadband, deadbandPercent, heartbeat],
      [0, 0, undefined],
      'it is reported without the rule',
    );
  });
}

test('a driver sees nothing of it, and an object without it stays the same', () => {
  const device = deviceOf({ address: 1, Report: { deadband: 1 } });
  assert.equal(withoutReportRules(device), deviceOf({ address: 1 }));
  assert.equal(device, deviceOf({ address: 1, Report: { deadband: 1 } }));
  const plain = deviceOf({ address: 1 });
  assert.is(withoutReportRules(plain), plain);
});

test.run();

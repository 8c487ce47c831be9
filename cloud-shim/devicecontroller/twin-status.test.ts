import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceStatus } from '../../runtime/core/devices.ts';
import { mergeState, mergeTwins } from './twin-status.ts';

type Status = DeviceStatus['status'];
const known = new Set(['temperature', 'valve']);
const value = (text: string, timestamp = 1): unknown => ({ value: text, metadata: { timestamp } });
const twin = (text: string, type: string, timestamp = '1') => ({
  value: text,
  metadata: { timestamp, type },
});

/** Status, report, status after it. @source KubeEdge devicecontroller upstream, DeviceTwinUpdate */
const reports: [string, Status, unknown, Status][] = [
  [
    'actual becomes reported, expected observedDesired',
    {},
    { temperature: { actual: value('21'), expected: value('22', 2), metadata: { type: 'int' } } },
    {
      twins: [
        { propertyName: 'temperature', reported: twin('21', 'int'), observedDesired: twin('22', 'int', '2') },
      ],
    },
  ],
  [
    'a side that is not reported stays',
    { twins: [{ propertyName: 'valve', reported: twin('0', 'int'), observedDesired: twin('1', 'int') }] },
    { valve: { actual: value('1', 5), metadata: { type: 'int' } } },
    {
      twins: [{ propertyName: 'valve', reported: twin('1', 'int', '5'), observedDesired: twin('1', 'int') }],
    },
  ],
  [
    'other twins and the rest of the status stay',
    { state: 'ok', twins: [{ propertyName: 'valve', reported: twin('0', 'int') }] },
    { temperature: { actual: value('3') } },
    {
      state: 'ok',
      twins: [
        { propertyName: 'valve', reported: twin('0', 'int') },
        { propertyName: 'temperature', reported: twin('3', '') },
      ],
    },
  ],
  [
    'a twin that is null goes',
    { twins: [{ propertyName: 'valve', reported: twin('0', 'int') }] },
    { valve: null },
    { twins: [] },
  ],
  [
    'a twin of a property that the device does not have goes, old or new',
    { twins: [{ propertyName: 'gone', reported: twin('0', 'int') }] },
    { odd: { actual: value('1') } },
    { twins: [] },
  ],
  [
    'an empty value is one, a missing or other one is none',
    {},
    { temperature: { actual: value(''), expected: { value: 5 } }, valve: { actual: {} } },
    { twins: [{ propertyName: 'temperature', reported: twin('', '') }, { propertyName: 'valve' }] },
  ],
  [
    'a value without a time has none',
    {},
    { valve: { actual: { value: '1' } } },
    { twins: [{ propertyName: 'valve', reported: twin('1', '', '') }] },
  ],
  ['what is no report changes nothing', { state: 'ok' }, 'twins', { state: 'ok', twins: [] }],
];
for (const [what, status, report, after] of reports) {
  test(what, () => {
    const before = structuredClone(status);
    assert.equal(mergeTwins(status, report, known), after);
    assert.equal(status, before, 'the status stays as it was');
  });
}

const states: [string, Status, unknown, Status][] = [
  [
    'state and time are taken',
    { twins: [] },
    { state: 'online', lastOnlineTime: '2026-01-01T00:00:00Z' },
    { twins: [], state: 'online', lastOnlineTime: '2026-01-01T00:00:00Z', extensions: {} },
  ],
  [
    'the time stays while the device is away',
    { state: 'ok', lastOnlineTime: 'before' },
    { state: 'offline', lastOnlineTime: '' },
    { state: 'offline', lastOnlineTime: 'before', extensions: {} },
  ],
  [
    'a reason and faults are shown',
    {},
    { state: 'unhealthy', reason: 'no answer', faults: { valve: 'not a number' } },
    { state: 'unhealthy', extensions: { reason: 'no answer', faults: { valve: 'not a number' } } },
  ],
  [
    'they go when they are no longer reported, other extensions stay',
    { extensions: { reason: 'no answer', faults: { valve: 'x' }, site: '12' } },
    { state: 'ok' },
    { state: 'ok', extensions: { site: '12' } },
  ],
  ['what is no report changes nothing', { state: 'ok' }, null, { state: 'ok' }],
];
for (const [what, status, report, after] of states) {
  test(what, () => assert.equal(mergeState(status, report), after));
}

test.run();

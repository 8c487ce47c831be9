import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type BusRoute, busFilters, routeTopic } from './topics.ts';

const rows: [string, BusRoute | { kind: 'device'; id: string; action: string }][] = [
  ['$hw/events/device/default/plc/twin/update', { kind: 'device', id: 'default/plc', action: 'twin/update' }],
  ['$hw/events/device/default/plc/twin/get', { kind: 'device', id: 'default/plc', action: 'twin/get' }],
  [
    '$hw/events/device/default/plc/state/update',
    { kind: 'device', id: 'default/plc', action: 'state/update' },
  ],
  ['$hw/events/device/device/events/twin/get', { kind: 'device', id: 'device/events', action: 'twin/get' }],
  ['$hw/events/device/e/e/twin/update/result', { kind: 'device', id: 'e/e', action: 'twin/update/result' }],
  ['$hw/events/node/edge-1/membership/get', { kind: 'membership' }],
  ['$hw/events/node/edge-1/authInfo/get', { kind: 'upload' }],
  ['$hw/events/device//plc/twin/update', { kind: 'upload' }],
  ['$hw/events/upload/a/b', { kind: 'upload' }],
  ['SYS/dis/upload_records', { kind: 'upload' }],
  ['site/user/alarm', { kind: 'upload' }],
  ['hw/events/device/default/plc/twin/update', { kind: 'upload' }],
];
for (const [topic, route] of rows) {
  test(`${topic} goes to ${route.kind}`, () => assert.equal(routeTopic(topic), route));
}

test('the bus listens to KubeEdge’s topics', () => {
  assert.equal([...busFilters].sort(), [
    '$hw/events/device/+/+/state/update',
    '$hw/events/device/+/+/twin/+',
    '$hw/events/node/+/membership/get',
    '$hw/events/upload/#',
    '+/user/#',
    'SYS/dis/upload_records',
  ]);
});

test.run();

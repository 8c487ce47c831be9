import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PodStatus } from './core/pod.ts';
import { deviceId } from './core/units.ts';
import { type DeviceEntry, newDeviceEntry } from './devicetwin/device.ts';
import { type SnapshotParts, snapshotOf } from './snapshot.ts';

const counter = (value: number) => ({ value, add: () => {} });
const ref = { namespace: 'shop', name: 'web', uid: 'u1' };

const of = (devices: DeviceEntry[] = [], statuses: (PodStatus | undefined)[] = [], fault?: string) => {
  const parts: SnapshotParts = {
    node: 'edge-1',
    version: '0.1.0',
    startedAt: 5,
    now: 9,
    twins: { list: () => devices },
    plugins: { list: () => [] },
    writes: false,
    broker: {
      clients: 3,
      counters: { received: counter(1), sent: counter(2), dropped: counter(4) },
    } as SnapshotParts['broker'],
    hub: { state: { state: 'offline', since: 7, server: 'cloud:10000', reason: 'no route' } },
    store: { health: () => ({ state: 'degraded', since: 6, reason: 'disk full' }) },
    agent: {
      runtime: { fault, version: 'containerd://1' },
      pods: () => statuses.map((status) => ({ ref, status })),
    },
    rules: { list: () => [] },
  };
  return snapshotOf(parts);
};

test('node, link, runtime and broker', () => {
  const { rssMb, ...rest } = of();
  assert.ok(rssMb > 0);
  assert.equal(rest, {
    node: 'edge-1',
    version: '0.1.0',
    now: 9,
    startedAt: 5,
    link: { state: 'offline', since: 7, server: 'cloud:10000', reason: 'no route' },
    runtime: { ready: true, message: 'containerd://1' },
    store: { state: 'degraded', since: 6, reason: 'disk full' },
    devices: [],
    plugins: [],
    writes: false,
    pods: [],
    rules: [],
    mqtt: { clients: 3, received: 1, sent: 2, dropped: 4 },
  });
});

test('a runtime that is away says why', () => {
  assert.equal(of([], [], 'no socket').runtime, { ready: false, message: 'no socket' });
});

const metadata = { name: 'plc', namespace: 'default' };
const side = (value: string, timestamp: number) => ({ value, metadata: { timestamp } });

test('a device shows all its properties, those without a value as well', () => {
  const entry = newDeviceEntry(deviceId('default', 'plc'), 'plc', '');
  entry.state = 'unhealthy';
  entry.reason = 'no answer';
  entry.lastOnline = '2026-01-01T00:00:00Z';
  entry.device = {
    metadata,
    spec: {
      deviceModelRef: { name: 'plc-model' },
      protocol: { protocolName: 'modbus' },
      properties: [{ name: 'setpoint' }, { name: 'empty' }],
      methods: [{ name: 'heat', description: 'to a value', propertyNames: ['setpoint'] }],
    },
  };
  entry.model = {
    metadata,
    spec: { properties: [{ name: 'setpoint', type: 'INT', unit: '°C', maximum: '80' }] },
  };
  const type = { optional: true, metadata: { type: 'int' as const } };
  entry.twins.set('setpoint', { ...type, expected: side('20', 1), actual: side('19', 8) });
  entry.twins.set('extra', { ...type, actual: side('1', 2) });
  entry.faults.set('desired', 'setpoint', 'desired "20": exception 2');
  assert.equal(of([entry]).devices, [
    {
      id: 'default/plc',
      state: 'unhealthy',
      reason: 'no answer',
      protocol: 'modbus',
      lastOnline: '2026-01-01T00:00:00Z',
      model: 'plc-model',
      methods: [{ name: 'heat', description: 'to a value', properties: ['setpoint'] }],
      properties: [
        {
          name: 'setpoint',
          value: '19',
          unit: '°C',
          at: 8,
          desired: '20',
          fault: 'desired "20": exception 2',
          type: 'INT',
          writable: true,
          maximum: '80',
        },
        { name: 'empty', value: '', unit: '', at: 0, type: '', writable: false },
        { name: 'extra', value: '1', unit: '', at: 2, type: '', writable: false },
      ],
    },
  ]);
});

test('a device of which only the membership is known', () => {
  const [device] = of([newDeviceEntry(deviceId('default', 'plc'), 'plc', '')]).devices;
  assert.equal([device?.protocol, device?.state, device?.properties], ['', 'unknown', []]);
});

const container = (ready: boolean, restartCount: number, waiting?: { reason: string; message?: string }) => ({
  name: 'c',
  image: '',
  imageID: '',
  ready,
  started: ready,
  restartCount,
  state: waiting ? { waiting } : {},
  lastState: {},
});
const pods: [string, PodStatus | undefined, object][] = [
  ['nothing known', undefined, { phase: 'Pending', ready: '0/0', restarts: 0, reason: '' }],
  [
    'two containers',
    { phase: 'Running', containerStatuses: [container(true, 2), container(false, 3)] },
    { phase: 'Running', ready: '1/2', restarts: 5, reason: '' },
  ],
  [
    'one that waits',
    {
      phase: 'Pending',
      message: 'hidden',
      containerStatuses: [
        container(true, 0),
        container(false, 1, { reason: 'ErrImagePull', message: 'denied' }),
      ],
    },
    { phase: 'Pending', ready: '1/2', restarts: 1, reason: 'ErrImagePull: denied' },
  ],
  [
    'a refusal',
    { phase: 'Failed', message: 'no room' },
    { phase: 'Failed', ready: '0/0', restarts: 0, reason: 'no room' },
  ],
];
for (const [what, status, wanted] of pods) {
  test(`a pod with ${what}`, () => assert.equal(of([], [status]).pods, [{ name: 'shop/web', ...wanted }]));
}

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel } from '../../core/devices.ts';
import {
  BoolValue,
  DmiDevice,
  DmiModel,
  FloatValue,
  Int64Value,
  StringValue,
} from '../../wire/dmi-messages.ts';
import { decode } from '../../wire/protobuf.ts';
import { type Carried, carry } from './convert.ts';

const model: DeviceModel = {
  metadata: { name: 'oven', namespace: 'site' },
  spec: {
    protocol: 'oven',
    protocolConfigData: { bus: 1, host: 'default' },
    properties: [
      {
        name: 'temperature',
        type: 'FLOAT',
        accessMode: 'ReadOnly',
        unit: 'C',
        minimum: '0',
        maximum: '300',
        description: 'inside',
        visitors: { protocolName: 'oven', configData: { register: 7, scale: 0.1 } },
      },
      { name: 'door', type: 'BOOLEAN', accessMode: 'ReadWrite' },
    ],
  },
};
const device = (spec: Partial<Device['spec']> = {}): Device => ({
  metadata: { name: 'east', namespace: 'site' },
  spec: {
    deviceModelRef: { name: 'oven' },
    protocol: {
      protocolName: 'oven',
      configData: { host: 'east.local', serial: 1_234_567_891, tls: true, off: null },
    },
    properties: [
      {
        name: 'temperature',
        collectCycle: 500,
        reportCycle: 1000,
        reportToCloud: true,
        visitors: { configData: { scale: 0.5 } },
      },
      { name: 'door', desired: { value: 'true', metadata: { timestamp: '5', type: 'boolean' } } },
    ],
    methods: [{ name: 'open', description: 'opens', propertyNames: ['door'] }],
    stateReport: { reportToCloud: true, reportCycle: 2000 },
    ...spec,
  },
});
const carried = (spec?: Partial<Device['spec']>): Carried => {
  const found = carry(device(spec), model);
  if ('refused' in found) throw new Error(found.refused);
  return found;
};

type Wrapped = Readonly<Record<string, { type_url: string; value: Buffer } | undefined>> | undefined;

function unwrapped(data: Wrapped): Record<string, [string, unknown]> {
  const tables = { StringValue, BoolValue, Int64Value, FloatValue } as const;
  return Object.fromEntries(
    Object.entries(data ?? {}).map(([key, value]) => {
      const type = value?.type_url.replace('type.googleapis.com/google.protobuf.', '') as keyof typeof tables;
      const table: unknown = tables[type];
      return [key, [type, decode(table as typeof FloatValue, value?.value ?? Buffer.alloc(0)).value]];
    }),
  );
}

test('a device carries its own settings over those of its model, each in its wrapper', () => {
  const { id, modelKey, device: bytes } = carried();
  assert.equal([id, modelKey], ['site/east', 'site/oven']);
  const message = decode(DmiDevice, bytes);
  assert.equal([message.name, message.namespace], ['east', 'site']);
  assert.is(message.spec?.deviceModelReference, 'oven');
  assert.is(message.spec?.protocol?.protocolName, 'oven');
  assert.equal(unwrapped(message.spec?.protocol?.configData?.data), {
    bus: ['FloatValue', 1],
    host: ['StringValue', 'east.local'],
    serial: ['Int64Value', 1_234_567_891],
    tls: ['BoolValue', true],
  });
  assert.equal(message.spec?.methods, [{ name: 'open', description: 'opens', propertyNames: ['door'] }]);
  assert.equal([message.status?.reportToCloud, message.status?.reportCycle], [true, 2000]);
});

test('every property has a desired value, visitors and configData: Go mappers end without', () => {
  const [temperature, door] = decode(DmiDevice, carried().device).spec?.properties ?? [];
  assert.equal(temperature?.desired, { value: '', metadata: {} });
  assert.equal(
    [temperature?.collectCycle, temperature?.reportCycle, temperature?.reportToCloud],
    [500, 1000, true],
  );
  assert.is(temperature?.visitors?.protocolName, 'oven');
  assert.equal(unwrapped(temperature?.visitors?.configData?.data), {
    register: ['FloatValue', 7],
    scale: ['FloatValue', 0.5],
  });
  assert.equal(door?.desired, { value: 'true', metadata: { timestamp: '5', type: 'boolean' } });
  assert.equal(door?.visitors, { protocolName: '', configData: { data: {} } });
  assert.is(door?.pushMethod, undefined);
});

test('push methods go along, under the names of the CRD', () => {
  const pushMethod = {
    http: { hostName: 'http://h', port: 80, requestPath: '/p', timeout: 5 },
    mqtt: { address: 'tcp://b', topic: 't', qos: 1, retained: true },
    otel: { endpointURL: 'http://o' },
    dbMethod: {
      influxdb2: {
        influxdb2ClientConfig: { url: 'u', org: 'o', bucket: 'b' },
        influxdb2DataConfig: { measurement: 'm', tag: { a: 'b' }, fieldKey: 'f' },
      },
      redis: { redisClientConfig: { addr: 'r', db: 1, poolsize: 2, minIdleConns: 3 } },
      TDEngine: { TDEngineClientConfig: { addr: 'd', dbName: 'n' } },
      mysql: { mysqlClientConfig: { addr: 'm', database: 'x', userName: 'y' } },
    },
    anomalyDetection: { limit: 3 },
  };
  const { device: bytes } = carried({ properties: [{ name: 'door', pushMethod }] });
  const found = decode(DmiDevice, bytes).spec?.properties[0]?.pushMethod;
  const { anomalyDetection, ...rest } = pushMethod;
  const { anomalyDetection: detected, ...others } = found ?? {};
  assert.equal(others, rest);
  assert.equal(unwrapped(detected?.data), { limit: ['FloatValue', anomalyDetection.limit] });
});

test('a model carries what describes its properties', () => {
  const message = decode(DmiModel, carried().model);
  assert.equal([message.name, message.namespace], ['oven', 'site']);
  assert.equal(message.spec?.properties[0], {
    name: 'temperature',
    description: 'inside',
    type: 'FLOAT',
    accessMode: 'ReadOnly',
    minimum: '0',
    maximum: '300',
    unit: 'C',
  });
});

const refusals: readonly (readonly [string, Partial<Device['spec']>, RegExp])[] = [
  [
    'a list among the settings',
    { protocol: { protocolName: 'oven', configData: { hosts: ['a'] } } },
    /^spec\.protocol\.configData\.hosts: DMI carries texts, numbers/,
  ],
  [
    'an object in a visitor',
    { properties: [{ name: 'door', visitors: { configData: { com: { port: 1 } } } }] },
    /^spec\.properties\[0\]\.visitors\.configData\.com:/,
  ],
  [
    'a property that the model lacks',
    { properties: [{ name: 'door' }, { name: 'window' }] },
    /^spec\.properties\[1\]\.name: window is not in DeviceModel site\/oven$/,
  ],
  [
    'a number that is none',
    { properties: [{ name: 'door', pushMethod: { http: { port: 'eighty' } } }] },
    /^spec: /,
  ],
];
for (const [what, spec, reason] of refusals) {
  test(`${what} cannot be carried`, () => {
    const answer = carry(device(spec), model);
    assert.match('refused' in answer ? answer.refused : '', reason);
  });
}

test.run();

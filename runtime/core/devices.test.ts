import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Device,
  type DeviceModel,
  desiredFault,
  type ModelProperty,
  objectFault,
  parseDevice,
  parseDeviceModel,
  soundDevice,
  soundModel,
} from './devices.ts';

const metadata = { name: 'plc', namespace: 'default' };
const faults: [string, unknown, string | undefined][] = [
  ['a device', { metadata, spec: { properties: [{ name: 'a' }, { name: 'b' }] } }, undefined],
  ['one without properties', { metadata, spec: {} }, undefined],
  [
    'one with null for properties, as Go writes an empty list',
    { metadata, spec: { properties: null } },
    undefined,
  ],
  ['a text', 'x', 'not an object'],
  ['null', null, 'not an object'],
  ['no metadata', { spec: {} }, 'metadata.name: missing'],
  ['an empty name', { metadata: { name: '' }, spec: {} }, 'metadata.name: missing'],
  ['no spec', { metadata }, 'spec: missing'],
  ['properties that are no list', { metadata, spec: { properties: {} } }, 'spec.properties: not a list'],
  [
    'a property without name',
    { metadata, spec: { properties: [{ name: 'a' }, {}] } },
    'spec.properties[1].name: missing',
  ],
  ['a property that is none', { metadata, spec: { properties: [5] } }, 'spec.properties[0].name: missing'],
  [
    'a name that is there twice',
    { metadata, spec: { properties: [{ name: 'a' }, { name: 'a' }] } },
    'spec.properties[1].name: "a" is there twice',
  ],
];
for (const [what, raw, refused] of faults) {
  test(`device: ${what} is ${refused ?? 'fine'}`, () =>
    assert.equal(parseDevice(raw), refused === undefined ? raw : { refused }));
}

const model = (type: unknown): unknown => ({ metadata, spec: { properties: [{ name: 'a', type }] } });
for (const type of ['INT', 'FLOAT', 'DOUBLE', 'STRING', 'BOOLEAN', 'BYTES', 'STREAM']) {
  test(`model: type ${type} is fine`, () => assert.equal(parseDeviceModel(model(type)), model(type)));
}
for (const type of ['int', 'COLOUR', undefined]) {
  test(`model: type ${type} is refused`, () => {
    const told = type === undefined ? 'undefined' : JSON.stringify(type);
    assert.equal(parseDeviceModel(model(type)), {
      refused: `spec.properties[0].type: ${told} is not a property type`,
    });
  });
}

test('what is not read is carried along', () => {
  const raw = { metadata, spec: { later: { x: 1 } }, status: { y: 2 } };
  assert.equal(parseDevice(raw), raw);
});

const limited: ModelProperty = {
  name: 'x',
  type: 'INT',
  accessMode: 'ReadWrite',
  minimum: '5',
  maximum: '80',
};
const verdicts: [string, ModelProperty, string | undefined][] = [
  ['5', limited, undefined],
  ['4', limited, 'below the minimum 5'],
  ['81', limited, 'above the maximum 80'],
  ['5.5', limited, 'want a whole number'],
  ['x', limited, 'want a number'],
  ['5', { ...limited, accessMode: 'ReadOnly' }, 'the property is ReadOnly'],
  ['maybe', { name: 'b', type: 'BOOLEAN' }, 'want true or false'],
];
for (const [value, property, fault] of verdicts) {
  test(`a desired ${value} for ${JSON.stringify(property)} is ${fault ?? 'fine'}`, () => {
    assert.is(desiredFault(value, property), fault);
  });
}

test('of an object with faults the properties that are right are left, and the wrong ones named', () => {
  const long = 'x'.repeat(1_000_000);
  const device = soundDevice({
    metadata,
    spec: {
      properties: [
        { name: 'a' },
        { name: 'a', collectCycle: 5 },
        {},
        { name: 'b', desired: { value: 5 } },
        { name: 'c', desired: { value: '5' } },
      ],
    },
  } as unknown as Device);
  assert.equal(device.object.spec.properties, [{ name: 'a' }, { name: 'c', desired: { value: '5' } }]);
  assert.equal(Object.fromEntries(device.faults), {
    a: 'spec.properties[1].name: "a" is there twice',
    'properties[2]': 'spec.properties[2].name: missing',
    b: 'spec.properties[3].desired.value: 5: want a text, in quotes',
  });
  const model = soundModel({
    metadata,
    spec: {
      properties: [
        { name: 'a', type: 'INT' },
        { name: 'b', type: long },
      ],
    },
  } as unknown as DeviceModel);
  assert.equal(model.object.spec.properties, [{ name: 'a', type: 'INT' }]);
  assert.ok((model.faults.get('b') ?? '').length < 150);
});

test('an object without faults stays the same one', () => {
  const device: Device = { metadata, spec: { properties: [{ name: 'a' }] } };
  assert.is(soundDevice(device).object, device);
  assert.is(objectFault(device), undefined);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseDevice, parseDeviceModel } from './devices.ts';

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

test.run();

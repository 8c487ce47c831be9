import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PropertyType } from '../core/devices.ts';
import {
  compact,
  differs,
  mergeTwin,
  restampTwin,
  type Twin,
  type TwinType,
  type TwinUpdate,
  twinType,
  withoutVersions,
} from './twin.ts';

const NOW = 1_700_000_000_000;
const side = (value: string, timestamp = NOW) => ({ value, metadata: { timestamp } });
const twin = (type: TwinType, parts: Partial<Twin> = {}): Twin => ({
  optional: true,
  metadata: { type },
  ...parts,
});

const merges: [string, Twin | undefined, TwinUpdate, Twin][] = [
  [
    'a new twin is a string and optional unless the update says otherwise',
    undefined,
    { actual: 'on' },
    twin('string', { actual: side('on'), actual_version: { cloud: 0, edge: 1 } }),
  ],
  [
    'a new twin takes the type and the mark that the update brings',
    undefined,
    { expected: '5', type: 'int', optional: false },
    {
      expected: side('5'),
      expected_version: { cloud: 0, edge: 1 },
      optional: false,
      metadata: { type: 'int' },
    },
  ],
  [
    'only the side that is named changes, and its edge version grows by one',
    twin('int', {
      expected: side('5', 1),
      expected_version: { cloud: 3, edge: 7 },
      actual: side('4', 2),
      actual_version: { cloud: 1, edge: 9 },
    }),
    { actual: '5' },
    twin('int', {
      expected: side('5', 1),
      expected_version: { cloud: 3, edge: 7 },
      actual: side('5'),
      actual_version: { cloud: 1, edge: 10 },
    }),
  ],
  [
    'an equal value counts as a change: new time, next version',
    twin('string', { actual: side('on', 1), actual_version: { cloud: 0, edge: 1 } }),
    { actual: 'on' },
    twin('string', { actual: side('on'), actual_version: { cloud: 0, edge: 2 } }),
  ],
  [
    'the type and the mark of a twin that is there govern',
    twin('int', { optional: false }),
    { actual: '7', type: 'string', optional: true },
    twin('int', { optional: false, actual: side('7'), actual_version: { cloud: 0, edge: 1 } }),
  ],
  [
    'null on an optional twin clears both values and counts both edge versions on',
    twin('float', {
      expected: side('1.5', 1),
      expected_version: { cloud: 2, edge: 4 },
      actual: side('1.5', 1),
      actual_version: { cloud: 0, edge: 8 },
    }),
    null,
    twin('deleted', { expected_version: { cloud: 2, edge: 5 }, actual_version: { cloud: 0, edge: 9 } }),
  ],
  [
    'a twin that was removed comes back as another type, its versions going on',
    twin('deleted', { expected_version: { cloud: 0, edge: 5 }, actual_version: { cloud: 0, edge: 9 } }),
    { actual: 'true', type: 'boolean' },
    twin('boolean', {
      expected_version: { cloud: 0, edge: 5 },
      actual: side('true'),
      actual_version: { cloud: 0, edge: 10 },
    }),
  ],
];
for (const [name, current, update, wanted] of merges) {
  test(name, () => {
    const before = structuredClone(current);
    assert.equal(mergeTwin('x', current, update, { timestamp: NOW }), wanted);
    assert.equal(current, before, 'the input is untouched');
  });
}

const values: [TwinType, string, boolean][] = [
  ['int', '0', true],
  ['int', '-12', true],
  ['int', '+3', true],
  ['int', '1.5', false],
  ['int', '0x10', false],
  ['int', ' 1', false],
  ['float', '1.5', true],
  ['float', '-2e3', true],
  ['float', '7', true],
  ['float', 'warm', false],
  ['float', '1.5 ', false],
  ['boolean', 'true', true],
  ['boolean', 'false', true],
  ['boolean', 'TRUE', false],
  ['boolean', '1', false],
  ['string', 'a'.repeat(512), true],
  ['string', 'a'.repeat(513), false],
  ['int', '', true],
  ['float', '', true],
  ['boolean', '', true],
  ['string', '', true],
];
for (const [type, value, taken] of values) {
  const shown = value.length > 20 ? `${value.length} characters` : JSON.stringify(value);
  for (const which of ['expected', 'actual'] as const) {
    test(`${shown} as ${which} value of type ${type} is ${taken ? 'taken' : 'refused with 400'}`, () => {
      const merged = mergeTwin('x', twin(type), { [which]: value }, { timestamp: NOW });
      if (taken) return assert.equal((merged as Twin)[which], side(value));
      assert.ok('refused' in merged);
      assert.is(merged.refused.code, 400);
      assert.match(merged.refused.reason, `twin x: ${which} `);
    });
  }
}

const removals: [string, Twin | undefined, string][] = [
  ['a twin that is not there', undefined, 'twin x: there is none to remove'],
  ['a twin that is not optional', twin('int', { optional: false }), 'twin x: it is not optional'],
];
for (const [what, current, reason] of removals) {
  test(`null on ${what} is refused with 400`, () => {
    assert.equal(mergeTwin('x', current, null, { timestamp: NOW }), { refused: { code: 400, reason } });
  });
}

const comparisons: [string, Partial<Twin>, boolean][] = [
  ['nothing is wanted', { actual: side('1') }, false],
  ['the wish is empty', { expected: side(''), actual: side('1') }, false],
  ['nothing is known of the device', { expected: side('1') }, true],
  ['the device has another value', { expected: side('1'), actual: side('2') }, true],
  ['the device has the value', { expected: side('1', 5), actual: side('1', 9) }, false],
];
for (const [when, parts, wanted] of comparisons) {
  test(`there is ${wanted ? 'a' : 'no'} delta when ${when}`, () =>
    assert.is(differs(twin('int', parts)), wanted));
}

test('MQTT clients are told a twin without its versions', () => {
  const shown = withoutVersions(
    twin('int', {
      expected: side('1'),
      expected_version: { cloud: 1, edge: 1 },
      actual: side('2'),
      actual_version: { cloud: 1, edge: 1 },
    }),
  );
  assert.equal(shown, twin('int', { expected: side('1'), actual: side('2') }));
});

const types: Record<PropertyType, TwinType> = {
  INT: 'int',
  FLOAT: 'float',
  DOUBLE: 'float',
  BOOLEAN: 'boolean',
  STRING: 'string',
  BYTES: 'string',
  STREAM: 'string',
};
for (const [property, wanted] of Object.entries(types)) {
  test(`a ${property} property has a ${wanted} twin`, () =>
    assert.is(twinType(property as PropertyType), wanted));
}

test('what was merged while the clock was wrong says when by another clock, and is restamped once', () => {
  const moment = { timestamp: NOW, boot: 'boot-1', mono: 5000 };
  const merged = mergeTwin('x', undefined, { actual: '1' }, moment);
  assert.ok(!('refused' in merged));
  assert.equal(merged.actual, { value: '1', metadata: moment });
  assert.is(restampTwin(merged, 'boot-2', 0), undefined, 'of another boot nothing is known');
  const later = mergeTwin('x', merged, { expected: '2' }, { timestamp: NOW + 9 });
  assert.ok(!('refused' in later));
  const restamped = restampTwin(later, 'boot-1', 1_000_000);
  assert.equal(restamped?.actual, { value: '1', metadata: { timestamp: 1_005_000 } });
  assert.equal(restamped?.expected, { value: '2', metadata: { timestamp: NOW + 9 } });
  assert.equal(restamped?.actual_version, { cloud: 0, edge: 1 }, 'it is the same value');
  assert.is(restamped && restampTwin(restamped, 'boot-1', 1_000_000), undefined);
});

test('a twin that was read from the disk is the same, with what many have in common as one object', () => {
  const stored = {
    actual: side('1'),
    actual_version: { cloud: 0, edge: 3 },
    optional: true,
    metadata: { type: 'int' as const },
  };
  const wanted = { expected: side('2'), expected_version: { cloud: 1, edge: 0 }, ...stored };
  const removed = { optional: true, metadata: { type: 'deleted' as const } };
  for (const each of [stored, wanted, removed]) assert.equal(compact(each), each);
  assert.is(compact(stored).metadata, compact(wanted).metadata);
  assert.is(compact(stored).actual_version, compact(wanted).actual_version);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PropertyType } from '../../runtime/core/devices.ts';
import { parseJsonPath } from '../../runtime/core/json-path.ts';
import type { Encoding } from '../kit/convert.ts';
import { type ByteFormat, bytesOf, type Field, readField, readText, type TextForm } from './fields.ts';
import { valueAt } from './json-path.ts';

const form = (type: PropertyType, more: Partial<TextForm> = {}): TextForm => ({
  type,
  scale: 1,
  add: 0,
  radix: 10,
  decimal: '.',
  ...more,
});

/** Text of the device, how it is read, and the value, or undefined for a fault. */
const texts: [string, TextForm, string | undefined][] = [
  [' 21.50', form('FLOAT'), '21.5'],
  ['+  12.50', form('FLOAT'), '12.5'],
  ['- 3', form('INT'), '-3'],
  ['215', form('FLOAT', { scale: 0.1 }), '21.5'],
  ['-0.0', form('FLOAT'), '0'],
  ['1,5', form('FLOAT', { decimal: ',' }), '1.5'],
  ['1,5', form('FLOAT'), undefined],
  ['1.5', form('INT'), undefined],
  ['15', form('INT', { scale: 0.1 }), undefined],
  ['2E3', form('INT'), '2000'],
  ['+09007199254740993', form('INT'), '9007199254740993'],
  ['ff', form('INT', { radix: 16 }), '255'],
  ['0x1', form('INT'), undefined],
  ['', form('FLOAT'), undefined],
  ['NaN', form('FLOAT'), undefined],
  ['1e999', form('DOUBLE'), undefined],
  ['2 1', form('INT'), undefined],
  [' hello ', form('STRING'), 'hello'],
  ['ON', form('BOOLEAN'), 'true'],
  ['0', form('BOOLEAN'), 'false'],
  ['open', form('BOOLEAN', { on: 'open', off: 'shut' }), 'true'],
  ['ajar', form('BOOLEAN', { on: 'open', off: 'shut' }), undefined],
  ['2', form('BOOLEAN'), undefined],
];

test('texts become values of the property type, or have a fault', () => {
  for (const [text, how, want] of texts) {
    const got = readText(text, how);
    assert.is(typeof got === 'string' ? got : undefined, want, `${text} as ${how.type}`);
  }
});

function bytesField(
  format: ByteFormat,
  offset: number,
  more: Partial<Encoding & { length: number }> = {},
): Field {
  const encoding: Encoding = { format: 'uint16', order: 'ABCD', scale: 1, add: 0, bit: 0, ...more };
  const wide =
    format === 'int8' ? 'int16' : format === 'uint8' ? 'uint16' : format === 'bcd8' ? 'bcd16' : format;
  return {
    kind: 'bytes',
    offset,
    length: more.length ?? bytesOf[format],
    format,
    encoding: { ...encoding, format: wide },
    pattern: undefined,
    isWhole: false,
  };
}

test('values are cut out of a frame by offset, with every width and order', () => {
  const frame = Buffer.from('02ff80ffd7004242c80000313203', 'hex');
  assert.is(readField(frame, bytesField('uint8', 1)), '255');
  assert.is(readField(frame, bytesField('int8', 1)), '-1');
  assert.is(readField(frame, bytesField('bool', 2, { bit: 7 })), 'true');
  assert.is(readField(frame, bytesField('bool', 2, { bit: 0 })), 'false');
  assert.is(readField(frame, bytesField('uint16', 4, { order: 'DCBA', scale: 0.1 })), '21.5');
  assert.is(readField(frame, bytesField('bcd8', 6)), '42');
  assert.is(readField(frame, bytesField('float32', 7)), '100');
  assert.is(readField(frame, bytesField('string', 11, { length: 2 })), '12');
  assert.is(readField(frame, bytesField('bytes', 12)), '3203');
});

test('a frame that is too short for a value has a fault, whatever its length', () => {
  const field = bytesField('uint32', 3);
  for (let length = 0; length < 7; length++) {
    assert.match(
      JSON.stringify(readField(Buffer.alloc(length), field)),
      /fault.*a frame of \d bytes has none at 3 to 6/,
    );
  }
});

test('a pattern takes a named or numbered group, and passes over other frames', () => {
  const field = (source: string, group: string | number): Field => ({
    kind: 'pattern',
    pattern: new RegExp(source),
    group,
    text: form('FLOAT'),
  });
  const frame = Buffer.from('ST,GS,+  12.50kg');
  assert.is(readField(frame, field('^ST,GS,(?<value>[+-] *[0-9.]+)kg$', 'value')), '12.5');
  assert.is(readField(frame, field('^ST,(GS|NT),(.*)kg$', 2)), '12.5');
  assert.is(readField(frame, field('^US', 0)), undefined);
  assert.equal(readField(frame, field('^ST(,XX)?', 1)), { fault: 'group 1 matched nothing' });
});

const GGA = Buffer.from('$GPGGA,123519,4807.038,N,01131.000,W,1,08,0.9,545.4,M,46.9,M,,');

test('a field of an NMEA sentence is read, also as degrees; an empty one is unknown', () => {
  const field = (more: Partial<Extract<Field, { kind: 'nmea' }>>): Field => ({
    kind: 'nmea',
    talker: undefined,
    sentence: 'GGA',
    field: 9,
    degrees: false,
    text: form('DOUBLE'),
    ...more,
  });
  assert.is(readField(GGA, field({})), '545.4');
  assert.is(readField(GGA, field({ talker: 'GP' })), '545.4');
  assert.is(readField(GGA, field({ talker: 'GN' })), undefined);
  assert.is(readField(GGA, field({ sentence: 'RMC' })), undefined);
  assert.is(readField(GGA, field({ field: 2, degrees: true })), '48.1173');
  assert.is(readField(GGA, field({ field: 4, degrees: true })), '-11.5166667');
  assert.match(JSON.stringify(readField(GGA, field({ field: 13 }))), /field 13 of GGA is empty/);
  assert.match(JSON.stringify(readField(GGA, field({ field: 20 }))), /has 14 fields and no field 20/);
  assert.match(JSON.stringify(readField(GGA, field({ field: 9, degrees: true }))), /no latitude/);
});

test('a value is found in JSON by its path', () => {
  const frame = Buffer.from(
    '{"climate":{"temp":21.5,"on":true},"s":[{"t":1},{"t":"7"}],"odd key":{"x":null}}',
  );
  const at = (path: string): unknown => {
    const parsed = parseJsonPath(path);
    return 'fault' in parsed ? parsed : valueAt(frame, parsed);
  };
  assert.is(at('climate.temp'), '21.5');
  assert.is(at('climate.on'), 'true');
  assert.is(at('s[1].t'), '7');
  assert.is(at('s[0]'), '{"t":1}');
  assert.is(at('s[2].t'), undefined);
  assert.is(at('climate.__proto__'), undefined);
  assert.equal(at('["odd key"].x'), { fault: 'the device says null' });
  assert.match(JSON.stringify(at('a..b')), /want a path/);
  assert.match(JSON.stringify(valueAt(Buffer.from('{"a":'), ['a'])), /is no JSON/);
});

test('any bytes at all have a value, a fault or nothing, in every field', () => {
  const text = form('FLOAT');
  const formats = Object.keys(bytesOf) as ByteFormat[];
  const fields: Field[] = [
    ...formats.flatMap((format) => [0, 3, 9].map((offset) => bytesField(format, offset))),
    ...formats
      .filter((f) => bytesOf[f])
      .map((format) => bytesField(format, 1, { order: 'DCBA', scale: 0.1 })),
    { kind: 'pattern', pattern: /(.)(\d+)?/, group: 2, text },
    { kind: 'nmea', talker: undefined, sentence: 'GGA', field: 2, degrees: true, text },
    { kind: 'json', path: ['a', 0], text },
  ];
  let state = 1;
  const next = (): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state;
  };
  for (let i = 0; i < 2000; i++) {
    const start = ['', '$GPGGA,', '{"a":['][i % 3] ?? '';
    const frame = Buffer.concat([
      Buffer.from(start),
      Buffer.from(Array.from({ length: next() % 14 }, () => next() % 256)),
    ]);
    for (const field of fields) {
      const read = readField(frame, field);
      assert.ok(read === undefined || typeof read === 'string' || typeof read.fault === 'string');
    }
  }
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  bool,
  decode,
  double,
  encode,
  fixed64,
  float,
  int64,
  int64s,
  many,
  message,
  messageMap,
  one,
  raw,
  str,
  stringMap,
  strings,
} from './protobuf.ts';

const Inner = message({ value: int64(1) });
const Sample = message({
  text: str(1),
  number: int64(2),
  flag: bool(3),
  inner: one(4, Inner),
  list: many(5, Inner),
  words: strings(6),
  labels: stringMap(7),
  bytes: raw(8),
  packed: int64s(9),
});

test('numbers of eight bytes: a double is written also when it is 0', () => {
  const Eight = message({ a: double(1), b: fixed64(2) });
  assert.is(encode(Eight, { a: 1, b: 258n }).toString('hex'), '09000000000000f03f110201000000000000');
  assert.is(encode(Eight, { a: 0, b: 0n }).toString('hex'), '090000000000000000');
  assert.equal(decode(Eight, encode(Eight, { a: -0.1, b: 2n ** 64n - 1n })), { a: -0.1, b: 2n ** 64n - 1n });
  assert.throws(() => decode(Eight, Buffer.from('0900', 'hex')), 'the message ends within a number');
});

test('encodes as the encoding guide shows', () => {
  assert.is(encode(message({ a: int64(1) }), { a: 150 }).toString('hex'), '089601');
  assert.is(encode(message({ b: str(2) }), { b: 'testing' }).toString('hex'), '120774657374696e67');
  assert.is(
    encode(message({ c: one(3, message({ a: int64(1) })) }), { c: { a: 150 } }).toString('hex'),
    '1a03089601',
  );
});

test('what was encoded is decoded', () => {
  const value = {
    text: 'häß',
    number: -998,
    flag: true,
    inner: { value: 2 ** 40 },
    list: [{ value: 1 }, { value: -1 }],
    words: ['', 'b'],
    labels: { a: '1', b: '' },
    bytes: Buffer.from([0, 255]),
    packed: [1, -2, 300],
  };
  assert.equal(decode(Sample, encode(Sample, value)), value);
});

test('absent fields have their defaults', () => {
  const empty = decode(Sample, Buffer.alloc(0));
  assert.is(empty.text, '');
  assert.is(empty.inner, undefined);
  assert.equal(empty.words, []);
  assert.equal(encode(Sample, empty).length, 0);
});

test('reads packed numbers, which Go writes', () => {
  assert.equal(decode(Sample, Buffer.from('4a0401ac0203', 'hex')).packed, [1, 300, 3]);
});

test('passes over fields that it does not know, of every wire type', () => {
  const bytes = Buffer.from(
    'a00101' + 'a1010102030405060708' + 'a20102aabb' + 'a50101020304' + '0a0161',
    'hex',
  );
  assert.is(decode(Sample, bytes).text, 'a');
});

for (const hex of ['0a05616263', '0a', '10', '10ffffffffffffffffffffff', '0b', '25000000', 'a1010102']) {
  test(`refuses broken bytes ${hex}`, () => {
    assert.throws(() => decode(Sample, Buffer.from(hex, 'hex')), RangeError);
  });
}

test('floats take four bytes, and maps may hold messages', () => {
  const Reading = message({ value: float(1), by: messageMap(2, Inner) });
  const bytes = encode(Reading, { value: 21.5, by: { a: { value: 7 }, b: {} } });
  assert.is(encode(Reading, { value: 21.5 }).toString('hex'), '0d0000ac41');
  assert.equal(decode(Reading, bytes), { value: 21.5, by: { a: { value: 7 }, b: { value: 0 } } });
  assert.throws(() => decode(Reading, Buffer.from('0d0000', 'hex')), /ends within a number/);
  assert.equal(
    decode(Reading, Buffer.from('0801', 'hex')),
    { value: 0, by: {} },
    'another wire type is passed over',
  );
});

test.run();

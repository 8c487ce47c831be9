import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  bits,
  boolean,
  der,
  elements,
  integer,
  octets,
  oid,
  printable,
  sequence,
  setOf,
  time,
  utf8,
} from './der.ts';

const rows: [string, Buffer, string][] = [
  ['an empty sequence', sequence(), '3000'],
  ['a sequence of two', sequence(boolean(true), boolean(false)), '30060101ff010100'],
  ['a set', setOf(boolean(true)), '31030101ff'],
  ['zero', integer(Buffer.of(0)), '020100'],
  ['127', integer(Buffer.of(0x7f)), '02017f'],
  ['128, which needs a byte for its sign', integer(Buffer.of(0x80)), '02020080'],
  ['256', integer(Buffer.of(1, 0)), '02020100'],
  ['rsadsi, 1.2.840.113549', oid('1.2.840.113549'), '06062a864886f70d'],
  ['commonName, 2.5.4.3', oid('2.5.4.3'), '0603550403'],
  ['2.999.3, the standard’s own example', oid('2.999.3'), '0603883703'],
  ['a printable string', printable('CN'), '1302434e'],
  ['a UTF-8 string', utf8('ä'), '0c02c3a4'],
  ['octets', octets(Buffer.of(1, 2)), '04020102'],
  ['bits', bits(Buffer.of(0x80), 7), '03020780'],
  ['whole bytes of bits', bits(Buffer.of(0xff)), '030200ff'],
  ['a time before 2050', time(Date.UTC(2049, 11, 31, 23, 59, 59)), '170d3439313233313233353935395a'],
  ['a time from 2050 on', time(Date.UTC(2050, 0, 1)), '180f32303530303130313030303030305a'],
];
for (const [what, bytes, hex] of rows) {
  test(`${what} is ${hex} [X.690]`, () => assert.is(bytes.toString('hex'), hex));
}

const lengths: [number, string][] = [
  [0, '0400'],
  [127, '047f'],
  [128, '048180'],
  [255, '0481ff'],
  [256, '04820100'],
  [65_535, '0482ffff'],
];
for (const [length, head] of lengths) {
  test(`a length of ${length} is written as ${head}, and read back`, () => {
    const whole = der(0x04, Buffer.alloc(length, 7));
    assert.is(whole.subarray(0, head.length / 2).toString('hex'), head);
    const [element, ...rest] = elements(whole);
    assert.equal(
      [element?.tag, element?.content.length, element?.whole.length, rest.length],
      [4, length, whole.length, 0],
    );
  });
}

test('elements follow one another', () => {
  const list = elements(Buffer.concat([boolean(true), utf8('x'), sequence()]));
  assert.equal(
    list.map(({ tag, content }) => [tag, content.toString('hex')]),
    [
      [0x01, 'ff'],
      [0x0c, '78'],
      [0x30, ''],
    ],
  );
});

for (const hex of ['30', '3005', '300501', '308000', '3081', '308201', '30850000000001', '0101ff30']) {
  test(`${hex} is cut or no DER`, () => assert.throws(() => elements(Buffer.from(hex, 'hex')), RangeError));
}

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ByteOrder,
  decodeValue,
  type Encoding,
  encodeValue,
  type Format,
  fieldMask,
  mergeField,
  registersOf,
} from './convert.ts';

const plain: Encoding = { format: 'uint16', order: 'ABCD', scale: 1, add: 0, bit: 0 };

/** Registers in hexadecimal, how they are read, and the value: each row holds in both directions. */
const rows: [string, Partial<Encoding>, string][] = [
  ['ffff', { format: 'uint16' }, '65535'],
  ['ffff', { format: 'int16' }, '-1'],
  ['00d7', { format: 'int16', scale: 0.1 }, '21.5'],
  ['00d7', { format: 'int16', scale: 0.1, add: -40 }, '-18.5'],
  ['0001', { format: 'bool' }, 'true'],
  ['0000', { format: 'bool', bit: 7 }, 'false'],
  ['0080', { format: 'bool', bit: 7 }, 'true'],
  ['00012345', { format: 'uint32' }, '74565'],
  ['23450001', { format: 'uint32', order: 'CDAB' }, '74565'],
  ['01004523', { format: 'uint32', order: 'BADC' }, '74565'],
  ['45230100', { format: 'uint32', order: 'DCBA' }, '74565'],
  ['fffffffe', { format: 'int32' }, '-2'],
  ['41ac0000', { format: 'float32' }, '21.5'],
  ['000041ac', { format: 'float32', order: 'CDAB' }, '21.5'],
  ['3dcccccd', { format: 'float32' }, '0.1'],
  ['400921fb54442d18', { format: 'float64' }, '3.141592653589793'],
  ['2d18544421fb4009', { format: 'float64', order: 'CDAB' }, '3.141592653589793'],
  ['ffffffffffffffff', { format: 'int64' }, '-1'],
  ['0000000000000007', { format: 'uint64' }, '7'],
  ['1234', { format: 'bcd16' }, '1234'],
  ['00123456', { format: 'bcd32' }, '123456'],
  ['0000000000000015', { format: 'bcd64' }, '15'],
  ['9999999999999999', { format: 'bcd64' }, '9999999999999999'],
  ['7fffffffffffffff', { format: 'int64' }, '9223372036854775807'],
  ['8000000000000000', { format: 'int64', scale: 0.001 }, '-9223372036854775.808'],
  ['ffffffffffffffff', { format: 'uint64', scale: 0.1, add: -0.5 }, '1844674407370955161'],
  ['0020000000000001', { format: 'uint64', scale: 1e-7 }, '900719925.4740993'],
  ['4b7ffffd', { format: 'float32' }, '16777213'],
  ['501502f9', { format: 'float32' }, '10000000000'],
  ['00000001', { format: 'float32' }, '1.401298e-45'],
  ['00ff', { format: 'uint8' }, '255'],
  ['00ff', { format: 'int8' }, '-1'],
  ['8000', { format: 'int8', bit: 8 }, '-128'],
  ['00f0', { format: 'uint16', bit: 4, bits: 4 }, '15'],
  ['00f0', { format: 'int16', bit: 4, bits: 4 }, '-1'],
  ['00030000', { format: 'uint32', bit: 16, bits: 3, scale: 0.5 }, '1.5'],
  ['00000003', { format: 'uint32', order: 'CDAB', bit: 16, bits: 3 }, '3'],
  ['48690000', { format: 'string' }, 'Hi'],
  ['dead0bee', { format: 'bytes' }, 'dead0bee'],
];
for (const [hex, encoding, value] of rows) {
  test(`${hex} as ${JSON.stringify(encoding)} is ${value}, both ways`, () => {
    const whole = { ...plain, ...encoding };
    assert.is(decodeValue(Buffer.from(hex, 'hex'), whole), value);
    const encoded = encodeValue(value, whole, hex.length / 4);
    assert.ok(Buffer.isBuffer(encoded), JSON.stringify(encoded));
    assert.is((encoded as Buffer).toString('hex'), hex);
  });
}

test('reading leaves the registers as they came', () => {
  const raw = Buffer.from('23450001', 'hex');
  decodeValue(raw, { ...plain, format: 'uint32', order: 'DCBA' });
  assert.is(raw.toString('hex'), '23450001');
});

const unfit: [string, Partial<Encoding>, string][] = [
  ['70000', { format: 'uint16' }, 'does not fit uint16'],
  ['-1', { format: 'uint16' }, 'does not fit uint16'],
  ['4000', { format: 'int16', scale: 0.1 }, 'does not fit int16 with scale 0.1'],
  ['warm', { format: 'int16' }, 'want a number'],
  ['', { format: 'float32' }, 'want a number'],
  ['on', { format: 'bool' }, 'want true or false'],
  ['99999', { format: 'bcd16' }, 'does not fit bcd16'],
  ['too long', { format: 'string' }, 'longer than its 2 bytes'],
  ['xyz', { format: 'bytes' }, 'want bytes in hexadecimal'],
];
for (const [value, encoding, fault] of unfit) {
  test(`${JSON.stringify(value)} is refused as ${JSON.stringify(encoding)}`, () => {
    assert.equal(encodeValue(value, { ...plain, ...encoding }, 1), { fault });
  });
}

test('digits that are no BCD and a float that is no number are told, not reported', () => {
  assert.equal(decodeValue(Buffer.from('12af', 'hex'), { ...plain, format: 'bcd16' }), {
    fault: '12af is no BCD',
  });
  assert.equal(decodeValue(Buffer.from('7fc00000', 'hex'), { ...plain, format: 'float32' }), {
    fault: 'not a number',
  });
});

test('a field that shares its register with others leaves them as they are', () => {
  const encoding: Encoding = { ...plain, format: 'uint16', bit: 4, bits: 4 };
  const mask = fieldMask(encoding);
  assert.is(mask?.toString('hex'), '00f0');
  const value = encodeValue('5', encoding, 1);
  assert.ok(Buffer.isBuffer(value) && mask);
  assert.is(mergeField(Buffer.from('ffff', 'hex'), value as Buffer, mask).toString('hex'), 'ff5f');
  assert.is(fieldMask(plain), undefined);
  assert.is(fieldMask({ ...plain, format: 'bool', bit: 9 })?.toString('hex'), '0200');
});

/** Mulberry32: the same numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const orders: readonly ByteOrder[] = ['ABCD', 'BADC', 'CDAB', 'DCBA'];
const seed = Number(process.env.EDGECORE_SEED ?? 20_260);
for (const format of Object.keys(registersOf) as Format[]) {
  test(`any registers read as ${format} and written back are the same, in every order and scale (seed ${seed})`, () => {
    const random = seeded(seed);
    for (let i = 0; i < 400; i++) {
      const registers = registersOf[format] ?? 3;
      const raw = Buffer.from(Array.from({ length: registers * 2 }, () => Math.floor(random() * 256)));
      if (format.startsWith('bcd'))
        raw.write(
          String(Math.floor(random() * 1e15))
            .padStart(16, '3')
            .slice(0, raw.length * 2),
          'hex',
        );
      const order = orders[i % 4] ?? 'ABCD';
      const isNumber = !['bool', 'string', 'bytes'].includes(format) && !format.startsWith('float');
      const scale = isNumber ? ([1, 0.1, 0.25, 1000, -2][i % 5] ?? 1) : 1;
      const encoding: Encoding = {
        format,
        order,
        scale,
        add: isNumber ? (i % 3) * 7.5 : 0,
        bit: format === 'bool' ? i % 16 : 0,
      };
      const value = decodeValue(raw, encoding);
      if (typeof value !== 'string') continue; // no number
      const back = encodeValue(value, encoding, registers);
      assert.ok(Buffer.isBuffer(back), `${raw.toString('hex')} ${JSON.stringify(encoding)} ${value}`);
      const mask = fieldMask(encoding) ?? Buffer.alloc(raw.length, 0xff);
      const want = format === 'string' ? value : raw.map((byte, at) => byte & (mask[at] ?? 0));
      const got = format === 'string' ? decodeValue(back as Buffer, encoding) : back;
      assert.equal(got, want, `${raw.toString('hex')} ${JSON.stringify(encoding)} ${value}`);
    }
  });
}

test.run();

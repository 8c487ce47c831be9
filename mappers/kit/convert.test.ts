import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ModelProperty } from '../../runtime/core/devices.ts';
import { decodeValue, type Encoding, encodeValue, modelFault } from './convert.ts';

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
    assert.is(modelFault(value, property), fault);
  });
}

test.run();

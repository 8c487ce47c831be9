import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sumOf } from './checksum.ts';

const CHECK = Buffer.from('123456789');

test('the check values of the catalogue come out', () => {
  assert.is(sumOf(CHECK, 'crc16-modbus'), 0x4b37);
  assert.is(sumOf(CHECK, 'crc16-ccitt'), 0x29b1);
  assert.is(sumOf(CHECK, 'crc16-ccitt', 0), 0x31c3);
  assert.is(sumOf(CHECK, 'sum8'), 0xdd);
  assert.is(sumOf(CHECK, 'xor'), 0x31);
});

test.run();

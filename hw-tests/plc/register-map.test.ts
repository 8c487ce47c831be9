import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MemoryBank } from '../../mappers/modbus/memory-bank.ts';
import { loadRegisterMap } from './register-map.ts';

const test = suite<{ path: string; dir: string }>('registers from a file');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-map-'));
  context.path = join(context.dir, 'registers.yaml');
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('every area is filled from its addresses', ({ path }) => {
  writeFileSync(path, 'holding: { 0: [0x41ac, 0], 9: 7 }\ncoils: { 3: 1 }\nidentification: { 0: ACME }\n');
  const bank = new MemoryBank(10);
  loadRegisterMap(path, bank);
  assert.is(bank.holding.readFloatBE(0), 21.5);
  assert.is(bank.holding.readUInt16BE(18), 7);
  assert.equal([...bank.coils.subarray(2, 5)], [0, 1, 0]);
  assert.is(bank.identification.get(0), 'ACME');
});

const wrong: [string, string][] = [
  ['registers: { 0: 1 }', 'registers: want one of coils, discrete, input, holding'],
  ['holding: { 10: 1 }', 'holding: 10: no such address'],
  ['holding: { 0: 70000 }', 'holding: 0: 70000: want 0 to 65535'],
  ['coils: { 0: 2 }', 'coils: 0: 2: want 0 or 1'],
];
for (const [text, fault] of wrong) {
  test(`${text} is refused with ${fault}`, ({ path }) => {
    writeFileSync(path, text);
    assert.throws(() => loadRegisterMap(path, new MemoryBank(10)), `${path}: ${fault}`);
  });
}

test.run();

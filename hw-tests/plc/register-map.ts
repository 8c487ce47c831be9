import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { MemoryBank } from '../../mappers/modbus/memory-bank.ts';

const AREAS = ['coils', 'discrete', 'input', 'holding'] as const;

/** Loads registers from a YAML or JSON file into a memory: for each area an object of first addresses, each with a value
 * or a list of them, and `identification` with texts by object id.
 *
 * ```yaml
 * holding: { 0: [0x41ac, 0], 100: 7 }
 * coils: { 0: 1 }
 * identification: { 0: ACME }
 * ```
 * @throws Error that names the file, the area and the address */
export function loadRegisterMap(path: string, memory: MemoryBank): void {
  const map: unknown = parse(readFileSync(path, 'utf8'));
  if (typeof map !== 'object' || map === null) throw new Error(`${path}: want an object of areas`);
  for (const [area, values] of Object.entries(map)) {
    if (area === 'identification') {
      for (const [id, text] of Object.entries(values as object))
        memory.identification.set(Number(id), String(text));
      continue;
    }
    if (!AREAS.some((known) => known === area))
      throw new Error(`${path}: ${area}: want one of ${AREAS.join(', ')}`);
    for (const [address, given] of Object.entries(values as object))
      setValues(
        memory,
        area as (typeof AREAS)[number],
        Number(address),
        [given].flat(),
        `${path}: ${area}: ${address}`,
      );
  }
}

function setValues(
  memory: MemoryBank,
  area: (typeof AREAS)[number],
  address: number,
  values: readonly unknown[],
  where: string,
): void {
  const isWord = area === 'input' || area === 'holding';
  const bytes = memory[area];
  for (const [i, value] of values.entries()) {
    const at = (address + i) * (isWord ? 2 : 1);
    if (!Number.isInteger(at) || at < 0 || at >= bytes.length) throw new Error(`${where}: no such address`);
    const number = Number(value);
    if (!Number.isInteger(number) || number < 0 || number > (isWord ? 0xffff : 1))
      throw new Error(`${where}: ${String(value)}: want ${isWord ? '0 to 65535' : '0 or 1'}`);
    if (isWord) bytes.writeUInt16BE(number, at);
    else bytes[at] = number;
  }
}

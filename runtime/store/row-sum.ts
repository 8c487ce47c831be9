import { crc32 } from 'node:zlib';

export type SqlValue = string | number | bigint | null | Uint8Array;

/** The check sum that each row carries. SQLite notices a damaged page structure, not a damaged value: without this a bit
 * that the flash lost inside a row would be believed. */
export function rowSum(values: readonly SqlValue[]): number {
  let sum = 0;
  for (const value of values) {
    sum = value instanceof Uint8Array ? crc32(value, crc32('blob\0', sum)) : crc32(textOf(value), sum);
  }
  return sum;
}

/** With its type and an end mark, so that `1` differs from `'1'`, and `ab, c` from `a, bc`. */
function textOf(value: Exclude<SqlValue, Uint8Array>): string {
  return `${value === null ? 'null' : typeof value} ${value}\0`;
}

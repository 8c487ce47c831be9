/** Sums that guard a frame, as serial devices and Modbus RTU use them. */
export type Sum = 'xor' | 'sum8' | 'crc16-modbus' | 'crc16-ccitt';

/** Bytes that a sum takes. */
export const sumWidth: Readonly<Record<Sum, 1 | 2>> = {
  xor: 1,
  sum8: 1,
  'crc16-modbus': 2,
  'crc16-ccitt': 2,
};

/** @param init what `crc16-ccitt` starts from: 0xffff (CCITT-FALSE) or 0 (XMODEM) */
export function sumOf(bytes: Buffer, sum: Sum, init = 0xffff): number {
  switch (sum) {
    case 'xor':
      return bytes.reduce((all, byte) => all ^ byte, 0);
    case 'sum8':
      return bytes.reduce((all, byte) => (all + byte) & 0xff, 0);
    case 'crc16-modbus':
      return crc16(bytes);
    case 'crc16-ccitt':
      return crc16Ccitt(bytes, init);
    default:
      return sum satisfies never;
  }
}

/** The checksum of a Modbus RTU frame; it is sent low byte first.
 * @source MODBUS over Serial Line V1.02 §6.2.2 */
export function crc16(bytes: Buffer): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  }
  return crc;
}

/** Polynomial 0x1021, high bit first. @source ITU-T V.41; the names are those of the CRC catalogue of G. Cook */
function crc16Ccitt(bytes: Buffer, init: number): number {
  let crc = init;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc;
}

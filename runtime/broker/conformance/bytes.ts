/** Builds a packet byte by byte, whatever is wrong with it: numbers are bytes, texts get their length in front, buffers go
 * as they are. */
export function packet(first: number, ...parts: readonly (number | string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map(bytesOf));
  return Buffer.concat([Buffer.of(first), variableInteger(body.length), body]);
}

/** A length and so many bytes, which need not be UTF-8. */
export function prefixed(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}

/** Properties behind their length. */
export function properties(...parts: readonly (number | string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map(bytesOf));
  return Buffer.concat([variableInteger(body.length), body]);
}

export const u16 = (n: number): Buffer => Buffer.of(n >> 8, n & 0xff);
export const u32 = (n: number): Buffer => Buffer.concat([u16(n >>> 16), u16(n & 0xffff)]);

/** CONNECT up to its payload: protocol name, version, flags, keep alive 0, and properties from MQTT 5 on. */
export function connectHead(version: number, flags: number, ...props: readonly Buffer[]): Buffer {
  const head = Buffer.concat([
    bytesOf(version === 3 ? 'MQIsdp' : 'MQTT'),
    Buffer.of(version, flags),
    Buffer.of(0, 0),
  ]);
  return version === 5 ? Buffer.concat([head, properties(...props)]) : head;
}

function bytesOf(part: number | string | Buffer): Buffer {
  if (typeof part === 'number') return Buffer.of(part);
  return typeof part === 'string' ? prefixed(Buffer.from(part)) : part;
}

function variableInteger(n: number): Buffer {
  const bytes: number[] = [];
  let rest = n;
  do {
    bytes.push((rest & 0x7f) | (rest > 127 ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.from(bytes);
}

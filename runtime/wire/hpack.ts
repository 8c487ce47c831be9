/** Header blocks of HTTP/2, read; and written in the one form that needs no memory.
 * @source RFC 7541 */

export type Header = readonly [name: string, value: string];

/** Appendix A, from index 1; a value follows its name after a space. */
const STATIC: readonly Header[] = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`
  .split('\n')
  .map((line) => {
    const [name = '', ...value] = line.split(' ');
    return [name, value.join(' ')];
  });

/** Appendix B: how many bits the code of each byte has, in base 36; the last one is the end of the string. The code is
 * canonical, so that the lengths say it all. */
const CODE_BITS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad6777777777777777777777787' +
  '8djde6f56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllml' +
  'nmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu';

const END_OF_STRING = 256;
/** Of both sides until another is agreed on; node:http2 agrees on none. */
const TABLE_BYTES = 4096;
const ENTRY_OVERHEAD = 32;
const LARGEST_INTEGER = 1 << 24;

/** Reads the header blocks of one connection, in their order.
 * Every method throws RangeError on bytes that are no header block; the connection is lost then. */
export class HeaderReader {
  private readonly dynamic: Header[] = [];
  private size = 0;
  private limit = TABLE_BYTES;

  read(block: Buffer): Header[] {
    const headers: Header[] = [];
    const at = { offset: 0 };
    while (at.offset < block.length) {
      const first = block[at.offset] ?? 0;
      if (first & 0x80) headers.push(this.entry(integer(block, at, 7)));
      else if (first & 0x40) headers.push(this.keep(this.literal(block, at, 6)));
      else if (first & 0x20) this.resize(integer(block, at, 5));
      else headers.push(this.literal(block, at, 4));
    }
    return headers;
  }

  private entry(index: number): Header {
    const found = index <= STATIC.length ? STATIC[index - 1] : this.dynamic[index - STATIC.length - 1];
    if (!found) throw new RangeError(`no header ${index}`);
    return found;
  }

  private literal(block: Buffer, at: { offset: number }, prefix: number): Header {
    const index = integer(block, at, prefix);
    const name = index === 0 ? text(block, at) : this.entry(index)[0];
    return [name, text(block, at)];
  }

  private keep(header: Header): Header {
    this.dynamic.unshift(header);
    this.size += bytesOf(header);
    this.evict();
    return header;
  }

  private resize(limit: number): void {
    if (limit > TABLE_BYTES) throw new RangeError(`a table of ${limit} bytes`);
    this.limit = limit;
    this.evict();
  }

  private evict(): void {
    while (this.size > this.limit) {
      const last = this.dynamic.pop();
      if (last) this.size -= bytesOf(last);
    }
  }
}

/** Writes headers as literals that are not to be remembered, without Huffman codes. */
export function headerBlock(headers: readonly Header[]): Buffer {
  const parts: Buffer[] = [];
  for (const header of headers) {
    parts.push(Buffer.from([0]));
    for (const part of header) {
      const bytes = Buffer.from(part, 'latin1');
      parts.push(prefixed(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

function bytesOf([name, value]: Header): number {
  return name.length + value.length + ENTRY_OVERHEAD;
}

/** 6.1: the low bits of the first byte, and as many bytes as it takes. */
function integer(block: Buffer, at: { offset: number }, prefix: number): number {
  const most = (1 << prefix) - 1;
  let value = byteAt(block, at) & most;
  if (value < most) return value;
  for (let scale = 1; ; scale *= 128) {
    const byte = byteAt(block, at);
    value += (byte & 0x7f) * scale;
    if (value > LARGEST_INTEGER) throw new RangeError('a number that is too large');
    if (byte < 0x80) return value;
  }
}

function prefixed(length: number): Buffer {
  const most = 0x7f;
  if (length < most) return Buffer.from([length]);
  const bytes = [most];
  let rest = length - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function text(block: Buffer, at: { offset: number }): string {
  const isCoded = ((block[at.offset] ?? 0) & 0x80) !== 0;
  const length = integer(block, at, 7);
  const end = at.offset + length;
  if (end > block.length) throw new RangeError('the block ends within a text');
  const bytes = block.subarray(at.offset, end);
  at.offset = end;
  return isCoded ? decoded(bytes) : bytes.toString('latin1');
}

function byteAt(block: Buffer, at: { offset: number }): number {
  const byte = block[at.offset++];
  if (byte === undefined) throw new RangeError('the block ends within a number');
  return byte;
}

/** By length and code, made when the first coded text comes. */
let symbols: Map<number, number> | undefined;

const keyOf = (bits: number, code: number): number => bits * 2 ** 32 + code;

function symbolTable(): Map<number, number> {
  const order = [...CODE_BITS]
    .map((digit, symbol) => ({ symbol, bits: Number.parseInt(digit, 36) }))
    .sort((a, b) => a.bits - b.bits || a.symbol - b.symbol);
  const table = new Map<number, number>();
  let code = 0;
  let length = order[0]?.bits ?? 0;
  for (const { symbol, bits } of order) {
    code *= 2 ** (bits - length);
    length = bits;
    table.set(keyOf(bits, code++), symbol);
  }
  return table;
}

function decoded(bytes: Buffer): string {
  symbols ??= symbolTable();
  const out: number[] = [];
  let code = 0;
  let bits = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      const symbol = symbols.get(keyOf(++bits, code));
      if (symbol === END_OF_STRING || bits > 30) throw new RangeError('no such code');
      if (symbol === undefined) continue;
      out.push(symbol);
      code = 0;
      bits = 0;
    }
  }
  // What is left fills the last byte: less than eight ones.
  if (bits > 7 || code !== 2 ** bits - 1) throw new RangeError('a text that ends within a code');
  return Buffer.from(out).toString('latin1');
}

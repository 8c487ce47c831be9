/** Just enough of tar to carry a bundle: plain files with short names. What else an archive may hold is refused.
 * @source POSIX.1-1988 ustar */
const BLOCK = 512;

export type TarEntry = {
  readonly name: string;
  readonly bytes: number;
  /** The content, in pieces; what is not taken is skipped. */
  readonly content: AsyncIterable<Buffer>;
};

/** Reads an archive as it arrives.
 * @throws Error that says what is wrong with it */
export async function* readTar(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const input = new Input(pieces);
  for (;;) {
    const header = await input.exactly(BLOCK);
    if (header.every((byte) => byte === 0)) return input.drain();
    const { name, bytes } = parseHeader(header);
    let left = bytes;
    const content = (async function* () {
      while (left > 0) {
        const piece = await input.some(left);
        left -= piece.length;
        yield piece;
      }
    })();
    yield { name, bytes, content };
    for await (const _ of content); // what was not taken
    while (left > 0) left -= (await input.some(left)).length;
    await input.exactly((BLOCK - (bytes % BLOCK)) % BLOCK);
  }
}

/** The block before a file's content. @param time seconds since epoch */
export function tarHeader(name: string, bytes: number, mode: number, time: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  const [prefix, base] = splitName(name);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  header.write(base, 0, 100);
  header.write(octal(mode, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(bytes, 12), 124);
  header.write(octal(time, 12), 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257, 'latin1');
  header.write(prefix, 345, 155);
  header.write(`${sumOf(header).toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** What follows a file's content. */
export function tarPadding(bytes: number): Buffer {
  return Buffer.alloc((BLOCK - (bytes % BLOCK)) % BLOCK);
}

export const tarEnd = Buffer.alloc(2 * BLOCK);

function splitName(name: string): [prefix: string, base: string] {
  if (name.length <= 100) return ['', name];
  const at = name.indexOf('/', name.length - 101);
  if (at < 0 || at > 155) throw new Error(`the name ${name} is too long for a tar archive`);
  return [name.slice(0, at), name.slice(at + 1)];
}

function parseHeader(header: Buffer): { name: string; bytes: number } {
  const field = (from: number, length: number): string =>
    header
      .subarray(from, from + length)
      .toString('latin1')
      .split('\0', 1)[0] ?? '';
  if (Number.parseInt(field(148, 8), 8) !== sumOf(header)) throw new Error('a header is damaged');
  const prefix = field(345, 155);
  const name = `${prefix ? `${prefix}/` : ''}${field(0, 100)}`;
  const type = field(156, 1);
  if (type !== '0' && type !== '') throw new Error(`${name} is no plain file`);
  const bytes = Number.parseInt(field(124, 12), 8);
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new Error(`the length of ${name} is none`);
  return { name, bytes };
}

/** Of all bytes, those of the sum itself taken for spaces. */
function sumOf(header: Buffer): number {
  return header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
}

/** Bytes that arrive in pieces, taken in other pieces. */
class Input {
  private readonly pieces: AsyncIterator<Uint8Array>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.pieces = pieces[Symbol.asyncIterator]();
  }

  /** @returns at least one byte, `most` at most
   * @throws Error at the end */
  async some(most: number): Promise<Buffer> {
    while (this.rest.length === 0) {
      const { done, value } = await this.pieces.next();
      if (done) throw new Error('it ends too early');
      this.rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    const piece = this.rest.subarray(0, most);
    this.rest = this.rest.subarray(piece.length);
    return piece;
  }

  /** Whether the stream is whole shows at its end only. */
  async drain(): Promise<void> {
    while (!(await this.pieces.next()).done);
  }

  async exactly(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const piece = await this.some(left);
      parts.push(piece);
      left -= piece.length;
    }
    return Buffer.concat(parts);
  }
}

/** What a Modbus server holds; every call answers with an exception code instead when it cannot. */
export interface RegisterBank {
  /** Bits as one byte each, 0 or 1. */
  readBits(area: 'coil' | 'discrete', address: number, count: number): Buffer | number;
  /** Registers, each big-endian. */
  readWords(area: 'holding' | 'input', address: number, count: number): Buffer | number;
  /** @returns undefined when it is done */
  writeBits(address: number, bits: Buffer): number | undefined;
  writeWords(address: number, words: Buffer): number | undefined;
  /** What it tells of itself, by object id; 0 to 2 at least. */
  readonly identification: ReadonlyMap<number, string>;
}

/** @source MODBUS Application Protocol V1.1b3 §7 */
export const ILLEGAL_FUNCTION = 1;
export const ILLEGAL_ADDRESS = 2;
export const ILLEGAL_VALUE = 3;

/** The most that one request may read or write. @source MODBUS Application Protocol V1.1b3 §6 */
const READ_BITS = 2000;
const READ_WORDS = 125;
const WRITE_BITS = 1968;
const WRITE_WORDS = 123;
const READ_WRITE_WORDS = 121;
const ADDRESSES = 65_536;

/** Answers one Modbus request.
 * @param pdu function code and data
 * @returns the answer's PDU; an exception has the high bit of the function code set
 * @source MODBUS Application Protocol V1.1b3 §6 */
export function answerPdu(pdu: Buffer, bank: RegisterBank): Buffer {
  const code = pdu[0] ?? 0;
  try {
    const answer = answers[code]?.(pdu, bank) ?? ILLEGAL_FUNCTION;
    return typeof answer === 'number' ? exceptionPdu(code, answer) : answer;
  } catch (error) {
    // A request shorter than its function needs.
    if (error instanceof RangeError) return exceptionPdu(code, ILLEGAL_VALUE);
    throw error;
  }
}

/** The refusal of a function. */
export function exceptionPdu(code: number, why: number): Buffer {
  return Buffer.of(code | 0x80, why);
}

type Answer = (pdu: Buffer, bank: RegisterBank) => Buffer | number;

const answers: Readonly<Record<number, Answer>> = {
  1: (pdu, bank) => readBits(pdu, (at, count) => bank.readBits('coil', at, count)),
  2: (pdu, bank) => readBits(pdu, (at, count) => bank.readBits('discrete', at, count)),
  3: (pdu, bank) => readWords(pdu, (at, count) => bank.readWords('holding', at, count)),
  4: (pdu, bank) => readWords(pdu, (at, count) => bank.readWords('input', at, count)),
  5: writeCoil,
  6: (pdu, bank) => bank.writeWords(pdu.readUInt16BE(1), pdu.subarray(3, 5)) ?? whole(pdu, 5),
  15: writeCoils,
  16: writeWords,
  22: maskWord,
  23: readWriteWords,
  43: identify,
};

/** @returns the exception for a range that no server has */
function rangeFault(address: number, count: number, most: number): number | undefined {
  if (count < 1 || count > most) return ILLEGAL_VALUE;
  return address + count > ADDRESSES ? ILLEGAL_ADDRESS : undefined;
}

/** The echo of a request, which has to be there whole. */
function whole(pdu: Buffer, length: number): Buffer {
  if (pdu.length < length) throw new RangeError('short');
  return pdu.subarray(0, length);
}

function readBits(pdu: Buffer, read: (address: number, count: number) => Buffer | number): Buffer | number {
  const [address, count] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  const bits = rangeFault(address, count, READ_BITS) ?? read(address, count);
  if (typeof bits === 'number') return bits;
  const packed = Buffer.alloc(Math.ceil(count / 8));
  for (let i = 0; i < count; i++) if (bits[i]) packed[i >> 3] = (packed[i >> 3] ?? 0) | (1 << (i & 7));
  return Buffer.concat([Buffer.of(pdu[0] ?? 0, packed.length), packed]);
}

function readWords(pdu: Buffer, read: (address: number, count: number) => Buffer | number): Buffer | number {
  const [address, count] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  const words = rangeFault(address, count, READ_WORDS) ?? read(address, count);
  return typeof words === 'number' ? words : Buffer.concat([Buffer.of(pdu[0] ?? 0, words.length), words]);
}

function writeCoil(pdu: Buffer, bank: RegisterBank): Buffer | number {
  const [address, value] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  if (value !== 0xff00 && value !== 0) return ILLEGAL_VALUE;
  return bank.writeBits(address, Buffer.of(value === 0xff00 ? 1 : 0)) ?? whole(pdu, 5);
}

function writeCoils(pdu: Buffer, bank: RegisterBank): Buffer | number {
  const [address, count] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  const fault = rangeFault(address, count, WRITE_BITS);
  if (fault !== undefined) return fault;
  const bits = Buffer.from(
    Array.from({ length: count }, (_, i) => (pdu.readUInt8(6 + (i >> 3)) >> (i & 7)) & 1),
  );
  return bank.writeBits(address, bits) ?? whole(pdu, 5);
}

function writeWords(pdu: Buffer, bank: RegisterBank): Buffer | number {
  const [address, count] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  const fault = rangeFault(address, count, WRITE_WORDS);
  if (fault !== undefined) return fault;
  if (pdu.readUInt8(5) !== count * 2 || pdu.length < 6 + count * 2) return ILLEGAL_VALUE;
  return bank.writeWords(address, pdu.subarray(6, 6 + count * 2)) ?? whole(pdu, 5);
}

function maskWord(pdu: Buffer, bank: RegisterBank): Buffer | number {
  const [address, and, or] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3), pdu.readUInt16BE(5)];
  const now = bank.readWords('holding', address, 1);
  if (typeof now === 'number') return now;
  const next = Buffer.alloc(2);
  next.writeUInt16BE((now.readUInt16BE() & and) | (or & ~and & 0xffff));
  return bank.writeWords(address, next) ?? whole(pdu, 7);
}

/** The write comes before the read. */
function readWriteWords(pdu: Buffer, bank: RegisterBank): Buffer | number {
  const [address, count] = [pdu.readUInt16BE(5), pdu.readUInt16BE(7)];
  const fault = rangeFault(address, count, READ_WRITE_WORDS);
  if (fault !== undefined) return fault;
  if (pdu.readUInt8(9) !== count * 2 || pdu.length < 10 + count * 2) return ILLEGAL_VALUE;
  const refusal = bank.writeWords(address, pdu.subarray(10, 10 + count * 2));
  return refusal ?? readWords(pdu, (at, length) => bank.readWords('holding', at, length));
}

const MEI_IDENTIFICATION = 14;
const INDIVIDUAL = 4;
/** Of an answer, beside the objects. */
const MOST_TEXT = 240;
/** Last object of the categories basic, regular, extended. */
const LAST_OBJECT: Readonly<Record<number, number>> = { 1: 0x02, 2: 0x7f, 3: 0xff };

/** Function 43/14. @source MODBUS Application Protocol V1.1b3 §6.21 */
function identify(pdu: Buffer, { identification }: RegisterBank): Buffer | number {
  const [mei, category, from] = [pdu.readUInt8(1), pdu.readUInt8(2), pdu.readUInt8(3)];
  if (mei !== MEI_IDENTIFICATION) return ILLEGAL_FUNCTION;
  const last = category === INDIVIDUAL ? from : LAST_OBJECT[category];
  if (last === undefined) return ILLEGAL_VALUE;
  const first = identification.has(from) || category === INDIVIDUAL ? from : 0;
  const wanted = [...identification]
    .filter(([id]) => id >= first && id <= last)
    .toSorted(([a], [b]) => a - b);
  if (wanted.length === 0) return ILLEGAL_ADDRESS;
  const objects: Buffer[] = [];
  let next: number | undefined;
  let size = 0;
  for (const [id, text] of wanted) {
    const bytes = Buffer.from(text, 'latin1').subarray(0, MOST_TEXT - 2);
    size += 2 + bytes.length;
    if (size > MOST_TEXT) {
      next = id;
      break;
    }
    objects.push(Buffer.concat([Buffer.of(id, bytes.length), bytes]));
  }
  const more = next === undefined ? [0, 0] : [0xff, next];
  // Conformity 0x83: all three categories, as a stream and one by one.
  return Buffer.concat([
    Buffer.of(43, MEI_IDENTIFICATION, category, 0x83, ...more, objects.length),
    ...objects,
  ]);
}

import { PLACES, type PlcRegisters } from './registers.ts';

/** Answers one Modbus request.
 * @param pdu function code and data
 * @returns the answer's PDU; an exception has the high bit of the function code set
 * @source MODBUS Application Protocol V1.1b3 §6 */
export function answerPdu(pdu: Buffer, memory: PlcRegisters): Buffer {
  const code = pdu[0] ?? 0;
  try {
    switch (code) {
      case 1:
        return readBits(pdu, memory.coils);
      case 2:
        return readBits(pdu, memory.discrete);
      case 3:
        return readWords(pdu, memory.holding);
      case 4:
        return readWords(pdu, memory.input);
      case 5:
        return writeCoil(pdu, memory);
      case 6:
        return writeRegister(pdu, memory);
      case 15:
        return writeCoils(pdu, memory);
      case 16:
        return writeRegisters(pdu, memory);
      default:
        return exception(code, ILLEGAL_FUNCTION);
    }
  } catch (error) {
    // A request shorter than its function needs.
    if (error instanceof RangeError) return exception(code, ILLEGAL_VALUE);
    throw error;
  }
}

const ILLEGAL_FUNCTION = 1;
const ILLEGAL_ADDRESS = 2;
const ILLEGAL_VALUE = 3;

function exception(code: number, why: number): Buffer {
  return Buffer.of(code | 0x80, why);
}

/** @returns the exception for a range that is not there, or undefined */
function rangeFault(pdu: Buffer, most: number): Buffer | undefined {
  const [address, count] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  if (count < 1 || count > most) return exception(pdu[0] ?? 0, ILLEGAL_VALUE);
  return address + count > PLACES ? exception(pdu[0] ?? 0, ILLEGAL_ADDRESS) : undefined;
}

function readBits(pdu: Buffer, bits: Buffer): Buffer {
  const fault = rangeFault(pdu, 2000);
  if (fault) return fault;
  const [address, count] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  const packed = Buffer.alloc(Math.ceil(count / 8));
  for (let i = 0; i < count; i++) {
    if (bits[address + i]) packed[i >> 3] = (packed[i >> 3] ?? 0) | (1 << (i & 7));
  }
  return Buffer.concat([Buffer.of(pdu[0] ?? 0, packed.length), packed]);
}

function readWords(pdu: Buffer, words: Buffer): Buffer {
  const fault = rangeFault(pdu, 125);
  if (fault) return fault;
  const [address, count] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  return Buffer.concat([
    Buffer.of(pdu[0] ?? 0, count * 2),
    words.subarray(address * 2, (address + count) * 2),
  ]);
}

function writeCoil(pdu: Buffer, { coils }: PlcRegisters): Buffer {
  const [address, value] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  if (value !== 0xff00 && value !== 0) return exception(5, ILLEGAL_VALUE);
  if (address >= PLACES) return exception(5, ILLEGAL_ADDRESS);
  coils[address] = value === 0xff00 ? 1 : 0;
  return pdu.subarray(0, 5);
}

function writeRegister(pdu: Buffer, { holding }: PlcRegisters): Buffer {
  const [address, value] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  if (address >= PLACES) return exception(6, ILLEGAL_ADDRESS);
  holding.writeUInt16BE(value, address * 2);
  return pdu.subarray(0, 5);
}

function writeCoils(pdu: Buffer, { coils }: PlcRegisters): Buffer {
  const fault = rangeFault(pdu, 1968);
  if (fault) return fault;
  const [address, count] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  for (let i = 0; i < count; i++) coils[address + i] = (pdu.readUInt8(6 + (i >> 3)) >> (i & 7)) & 1;
  return pdu.subarray(0, 5);
}

function writeRegisters(pdu: Buffer, { holding }: PlcRegisters): Buffer {
  const fault = rangeFault(pdu, 123);
  if (fault) return fault;
  const [address, count] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)];
  if (pdu.length < 6 + count * 2) return exception(16, ILLEGAL_VALUE);
  pdu.copy(holding, address * 2, 6, 6 + count * 2);
  return pdu.subarray(0, 5);
}

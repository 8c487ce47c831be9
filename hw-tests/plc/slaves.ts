import { answerPdu, exceptionPdu } from '../../mappers/modbus/answer.ts';
import { PlcRegisters } from './registers.ts';
import type { Form, Request } from './slave-frames.ts';
import { frameAnswer } from './slave-frames.ts';

/** How a slave misbehaves:
 *
 * | fault | its answer |
 * |---|---|
 * | silent | none |
 * | exception | exception 4 |
 * | crc | with a wrong checksum (not on Modbus TCP, which has none) |
 * | drop | a byte short |
 * | wrongSlave | under another unit's number |
 * | echo | behind the request itself, as of a two-wire adapter |
 * | garbage | words of another protocol | */
export type Fault = 'none' | 'silent' | 'exception' | 'crc' | 'drop' | 'wrongSlave' | 'echo' | 'garbage';

/** One slave. */
export class Slave {
  readonly memory: PlcRegisters;
  fault: Fault = 'none';
  /** How long the answer to its next request takes, ms; those after it are answered at once. */
  nextDelay = 0;
  /** The share of the bytes of its answers that are damaged. */
  damage = 0;
  /** Requests that reached it. */
  requests = 0;
  /** Called before a request is answered. */
  asked: (() => void) | undefined;

  constructor(memory = new PlcRegisters()) {
    this.memory = memory;
  }
}

/** What goes out for a request, and after how many ms. */
export type Reply = { readonly bytes: Buffer; readonly delay: number };

/** Answers one request as a slave does, faults included.
 * @param random [0, 1), for damage */
export function reply(slave: Slave, form: Form, request: Request, random: () => number): Reply | undefined {
  slave.requests++;
  slave.asked?.();
  if (slave.fault === 'silent') return undefined;
  const code = request.pdu[0] ?? 0;
  const pdu = slave.fault === 'exception' ? exceptionPdu(code, 4) : answerPdu(request.pdu, slave.memory);
  const unit = slave.fault === 'wrongSlave' ? request.unit + 1 : request.unit;
  const bytes = damaged(
    spoiled(slave.fault, request, frameAnswer(form, request, unit, pdu)),
    slave.damage,
    random,
  );
  const delay = slave.nextDelay;
  slave.nextDelay = 0;
  return { bytes, delay };
}

function spoiled(fault: Fault, request: Request, frame: Buffer): Buffer {
  switch (fault) {
    case 'crc': {
      const wrong = Buffer.from(frame);
      // The last byte that is no end of line.
      const at = frame.length - (frame.at(-1) === 0x0a ? 3 : 1);
      wrong[at] = (wrong[at] ?? 0) ^ 1;
      return wrong;
    }
    case 'drop':
      return Buffer.concat([frame.subarray(0, 3), frame.subarray(4)]);
    case 'echo':
      return Buffer.concat([request.frame, frame]);
    case 'garbage':
      return Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');
    default:
      return frame;
  }
}

/** Bytes of which a share is replaced by any others. */
export function damaged(frame: Buffer, share: number, random: () => number): Buffer {
  if (share === 0) return frame;
  return Buffer.from(frame.map((byte) => (random() < share ? Math.floor(random() * 256) : byte)));
}

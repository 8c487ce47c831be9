import type { Millis } from '../../runtime/core/units.ts';
import type { Fault } from '../kit/convert.ts';
import { showBytes } from './bytes.ts';
import { checkWidth, type FrameCheck, verify } from './frame-check.ts';

/** How frames are found in a stream of bytes. */
export type Framing = {
  /** The longest frame; longer ones are damaged. */
  readonly max: number;
  /** The silence that ends or spoils a frame; undefined where silence means nothing. */
  readonly quiet: Millis | undefined;
  readonly check: FrameCheck;
  readonly form: Form;
};

export type Form =
  /** `trailer` bytes follow the delimiter and belong to the frame, as the delimiter then does. */
  | {
      readonly kind: 'delimiter';
      readonly start: Buffer;
      readonly delimiter: Buffer;
      readonly trailer: number;
    }
  | {
      readonly kind: 'length';
      readonly start: Buffer;
      /** Of the length's first byte in the frame. */
      readonly offset: number;
      readonly width: 1 | 2 | 4;
      readonly order: 'big' | 'little';
      /** What it counts: the whole frame, or the rest behind it. */
      readonly counts: 'frame' | 'rest';
      /** Bytes that belong to the frame and that it does not count, such as a checksum. */
      readonly add: number;
    }
  | { readonly kind: 'fixed'; readonly start: Buffer; readonly size: number }
  | { readonly kind: 'silence' }
  /** What matches is a frame. */
  | { readonly kind: 'regex'; readonly pattern: RegExp };

/** A frame without its checksum, or why there is none. */
export type Cut =
  | { readonly kind: 'frame'; readonly bytes: Buffer }
  | { readonly kind: 'damaged'; readonly why: string };

/** What is done with the bytes at hand: so many are consumed. Undefined = more have to come. */
type Step = { readonly take: number; readonly cut?: Cut; readonly skip?: boolean } | undefined;

/** What has come of the stream: whether it is now silent, and whether its bytes are passed over up to the next place where
 * a frame can begin. */
type At = { readonly data: Buffer; readonly silent: boolean; readonly skipping: boolean };

/** Cuts frames out of chunks as they come. It holds at most one frame and one chunk, and finds its way again after
 * garbage. */
export class Framer {
  private readonly framing: Framing;
  private data: Buffer = Buffer.alloc(0);
  private skipping = false;

  constructor(framing: Framing) {
    this.framing = framing;
  }

  /** Forgets what came.
   * @param midway what comes next may be the end of a frame, which must not be taken for a whole one */
  reset(midway: boolean): void {
    this.data = Buffer.alloc(0);
    this.skipping = midway && !hasStart(this.framing.form);
  }

  push(chunk: Buffer): Cut[] {
    this.data = this.data.length === 0 ? chunk : Buffer.concat([this.data, chunk]);
    return this.run(false);
  }

  /** To be called when nothing has come for `quiet`. */
  silence(): Cut[] {
    return this.run(true);
  }

  private run(silent: boolean): Cut[] {
    const cuts: Cut[] = [];
    for (;;) {
      const { data, skipping } = this;
      const step = nextStep({ data, silent, skipping }, this.framing);
      if (!step) break;
      this.data = data.subarray(step.take);
      this.skipping = step.skip ?? skipping;
      // A search byte by byte says the same of one frame many times.
      if (step.cut && !(step.cut.kind === 'damaged' && cuts.at(-1)?.kind === 'damaged')) cuts.push(step.cut);
    }
    // What is kept must not hold on to a larger chunk.
    if (this.data.length > 0) this.data = Buffer.from(this.data);
    return cuts;
  }
}

/** True when a frame is known by its first bytes. */
function hasStart(form: Form): boolean {
  return 'start' in form && form.start.length > 0;
}

function nextStep(at: At, framing: Framing): Step {
  const { form } = framing;
  if (at.data.length === 0) {
    // After a silence a frame begins, except where only a delimiter tells.
    const begins = at.silent && at.skipping && form.kind !== 'delimiter';
    return begins ? { take: 0, skip: false } : undefined;
  }
  switch (form.kind) {
    case 'delimiter':
      return delimiterStep(at, framing, form);
    case 'length':
    case 'fixed':
      return sizedStep(at, framing, form);
    case 'silence':
      return silenceStep(at, framing);
    case 'regex':
      return regexStep(at, framing, form.pattern);
    default:
      return form satisfies never;
  }
}

function delimiterStep(
  { data, skipping }: At,
  framing: Framing,
  { start, delimiter, trailer }: Extract<Form, { kind: 'delimiter' }>,
): Step {
  const garbage = beforeStart(data, start);
  if (garbage > 0) return { take: garbage };
  if (data.length < start.length) return undefined;
  const end = data.indexOf(delimiter, start.length);
  if (end < 0) {
    const rest = delimiter.length - 1;
    if (skipping) return data.length > rest ? { take: data.length - rest } : undefined;
    if (data.length <= framing.max + rest) return undefined;
    return { take: data.length - rest, skip: start.length === 0, cut: tooLong(framing.max) };
  }
  const whole = end + delimiter.length + trailer;
  if (data.length < whole) return undefined;
  if (skipping) return { take: whole, skip: false };
  // A second start: the frame before it has lost its end.
  const again = start.length > 0 && end > start.length ? data.lastIndexOf(start, end - start.length) : 0;
  if (again > 0)
    return { take: again, cut: damaged(`a frame broke off: ${showBytes(data.subarray(0, again))}`) };
  const frame = trailer > 0 ? data.subarray(0, whole) : data.subarray(0, lineEnd(data, end, delimiter));
  if (frame.length === start.length) return { take: whole };
  if (frame.length > framing.max) return { take: whole, cut: tooLong(framing.max) };
  return { take: whole, cut: checked(frame, framing.check) };
}

/** A line feed as delimiter takes the carriage return before it along. */
function lineEnd(data: Buffer, end: number, delimiter: Buffer): number {
  return delimiter.length === 1 && delimiter[0] === 10 && data[end - 1] === 13 ? end - 1 : end;
}

function sizedStep(
  { data, silent, skipping }: At,
  framing: Framing,
  form: Extract<Form, { kind: 'length' | 'fixed' }>,
): Step {
  if (skipping) return { take: data.length, skip: !silent };
  const garbage = beforeStart(data, form.start);
  if (garbage > 0) return { take: garbage };
  const size = form.kind === 'fixed' ? form.size : sizeOf(data, form);
  if (size === undefined || (size <= framing.max && data.length < size)) {
    return silent ? astray(data, framing, damaged(`a frame broke off: ${showBytes(data)}`)) : undefined;
  }
  if (size > framing.max) return astray(data, framing, tooLong(framing.max));
  const cut = checked(data.subarray(0, size), framing.check);
  return cut.kind === 'frame' ? { take: size, cut } : astray(data, framing, cut);
}

/** A frame that is none: the next one is looked for byte by byte, where a false one would be noticed. A checksum of eight
 * bits alone would let one of 256 pass, so then only silence tells where the next one begins. */
function astray(data: Buffer, { form, check }: Framing, cut: Cut): Step {
  const tells = hasStart(form) || (check.kind === 'sum' && check.sum.startsWith('crc16'));
  return tells ? { take: 1, cut } : { take: data.length, skip: true, cut };
}

/** @returns undefined while the length has not come; one that cannot be is told as endless */
function sizeOf(data: Buffer, form: Extract<Form, { kind: 'length' }>): number | undefined {
  const { offset, width, order, counts, add, start } = form;
  const head = offset + width;
  if (data.length < Math.max(head, start.length)) return undefined;
  const told = order === 'big' ? data.readUIntBE(offset, width) : data.readUIntLE(offset, width);
  const size = told + add + (counts === 'frame' ? 0 : head);
  return size < Math.max(head, start.length) ? Number.POSITIVE_INFINITY : size;
}

function silenceStep({ data, silent, skipping }: At, framing: Framing): Step {
  if (skipping) return { take: data.length, skip: !silent };
  if (data.length > framing.max) return { take: data.length, skip: !silent, cut: tooLong(framing.max) };
  return silent ? { take: data.length, cut: checked(data, framing.check) } : undefined;
}

function regexStep({ data, silent, skipping }: At, framing: Framing, pattern: RegExp): Step {
  const match = pattern.exec(data.toString('latin1'));
  if (!match || match[0] === '') {
    if (silent) return { take: data.length, skip: false };
    return data.length > framing.max ? { take: data.length - framing.max, skip: true } : undefined;
  }
  const end = match.index + match[0].length;
  // More may belong to it: `T=21` is not all of `T=21.5`.
  const isOpen = end === data.length && !/\\[rn]\)?\$?$/.test(pattern.source);
  if (isOpen && !silent && data.length <= framing.max) return undefined;
  // The first bytes of a stream may be the end of a frame that matches by itself.
  if (skipping && match.index === 0) return { take: end, skip: false };
  if (match[0].length > framing.max) return { take: end, skip: false, cut: tooLong(framing.max) };
  return { take: end, skip: false, cut: checked(data.subarray(match.index, end), framing.check) };
}

/** Bytes that cannot be of a frame, because no start is in them. */
function beforeStart(data: Buffer, start: Buffer): number {
  if (start.length === 0) return 0;
  const found = data.indexOf(start);
  if (found >= 0) return found;
  // Its first bytes may be the last that have come.
  for (let kept = Math.min(start.length - 1, data.length); kept > 0; kept--) {
    if (data.subarray(-kept).equals(start.subarray(0, kept))) return data.length - kept;
  }
  return data.length;
}

function checked(frame: Buffer, check: FrameCheck): Cut {
  const content: Buffer | Fault = verify(frame, check);
  if ('fault' in content) return damaged(content.fault);
  return { kind: 'frame', bytes: Buffer.from(content) };
}

function tooLong(max: number): Cut {
  return damaged(`a frame longer than ${max} bytes`);
}

function damaged(why: string): Cut {
  return { kind: 'damaged', why };
}

/** The shortest frame that a form and its checksum allow, for checking a configuration. */
export function leastFrame({ form, check }: Framing): number {
  const start = 'start' in form ? form.start.length : 0;
  return Math.max(start, 1) + checkWidth(check);
}

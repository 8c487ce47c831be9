import { type ByteOrder, type Encoding, encodeValue, type Fault, registersOf } from '../kit/convert.ts';
import { parseBytes } from './bytes.ts';
import { checksumFor, type FrameCheck } from './frame-check.ts';

/** What is sent: bytes, and places where a value or the checksum of all before it goes. */
export type Template = readonly Piece[];

type Piece =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'checksum' }
  | { readonly kind: 'value'; readonly form: ValueForm };

type ValueForm =
  | { readonly kind: 'plain' }
  | {
      readonly kind: 'printf';
      readonly flags: string;
      readonly width: number;
      readonly precision: number;
      readonly verb: string;
    }
  | { readonly kind: 'binary'; readonly format: BinaryFormat; readonly order: ByteOrder };

type BinaryFormat = Exclude<Encoding['format'], 'bool' | 'string' | 'bytes'>;

/** How a desired value becomes what the device wants: raw = (value - add) / scale. */
export type Outgoing = {
  readonly isNumber: boolean;
  readonly isBoolean: boolean;
  readonly scale: number;
  readonly add: number;
  /** Words for true and false. */
  readonly on: string;
  readonly off: string;
};

const PLACE = /\{(value(?::([^{}]*))?|checksum)\}/g;
const PRINTF = /^%([0+]*)(\d{0,2})(?:\.(\d))?([dfxXs])$/;
const orders = new Set<string>(['ABCD', 'BADC', 'CDAB', 'DCBA']);

/** Reads a template such as `SET {value:%.1f}\r\n` or `\x02W{value:uint16}{checksum}\x03`. Braces around anything else stand
 * for themselves, so that JSON can be written as it is. */
export function parseTemplate(text: string): Template | Fault {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(PLACE)) {
    const before = parseBytes(text.slice(at, match.index));
    if ('fault' in before) return before;
    if (before.length > 0) pieces.push({ kind: 'bytes', bytes: before });
    const form = match[1] === 'checksum' ? 'checksum' : parseForm(match[2] ?? '');
    if (form !== 'checksum' && 'fault' in form) return form;
    pieces.push(form === 'checksum' ? { kind: 'checksum' } : { kind: 'value', form });
    at = match.index + match[0].length;
  }
  const rest = parseBytes(text.slice(at));
  if ('fault' in rest) return rest;
  if (rest.length > 0) pieces.push({ kind: 'bytes', bytes: rest });
  return pieces.length > 0 ? pieces : { fault: 'is empty' };
}

/** True when the template has a place for a value. */
export function takesValue(template: Template): boolean {
  return template.some(({ kind }) => kind === 'value');
}

export function usesChecksum(template: Template): boolean {
  return template.some(({ kind }) => kind === 'checksum');
}

/** Makes the bytes of a request, or of a write.
 * @param value the desired value in KubeEdge's text form
 * @returns the bytes, or why the value cannot be sent */
export function render(
  template: Template,
  check: FrameCheck,
  value = '',
  out: Outgoing = { isNumber: false, isBoolean: false, scale: 1, add: 0, on: 'true', off: 'false' },
): Buffer | Fault {
  let bytes = Buffer.alloc(0);
  for (const piece of template) {
    const next =
      piece.kind === 'bytes'
        ? piece.bytes
        : piece.kind === 'checksum'
          ? checksumFor(bytes, check)
          : renderValue(piece.form, value, out);
    if ('fault' in next) return next;
    bytes = Buffer.concat([bytes, next]);
  }
  return bytes;
}

function parseForm(text: string): ValueForm | Fault {
  if (text === '') return { kind: 'plain' };
  const printf = PRINTF.exec(text);
  if (printf) {
    const [, flags = '', width, precision, verb = 's'] = printf;
    return { kind: 'printf', flags, width: Number(width || 0), precision: Number(precision ?? 6), verb };
  }
  const [format = '', order = 'ABCD'] = text.split(':');
  const isFormat = format !== 'bool' && registersOf[format as BinaryFormat] !== undefined;
  if (isFormat && orders.has(order))
    return { kind: 'binary', format: format as BinaryFormat, order: order as ByteOrder };
  return {
    fault: `{value:${text}}: want a form such as %d, %05d, %.1f, %X or %s, or a binary one such as int16 or float32:CDAB`,
  };
}

function renderValue(form: ValueForm, value: string, out: Outgoing): Buffer | Fault {
  if (out.isBoolean && form.kind === 'plain') return text(value === 'true' ? out.on : out.off);
  const number = out.isBoolean ? Number(value === 'true') : Number(value);
  const needsNumber = form.kind === 'binary' || (form.kind === 'printf' && form.verb !== 's');
  if (needsNumber && (value.trim() === '' || !Number.isFinite(number))) return { fault: 'want a number' };
  switch (form.kind) {
    case 'plain':
      return text(out.isNumber ? plainNumber(value, out) : value);
    case 'printf':
      return printf(form, value, out.isBoolean ? number : (number - out.add) / out.scale);
    case 'binary':
      return binary(form, out.isBoolean ? String(number) : value, out.isBoolean ? { scale: 1, add: 0 } : out);
    default:
      return form satisfies never;
  }
}

/** A control character could end the command and begin another. */
function text(value: string): Buffer | Fault {
  for (const char of value) {
    const code = char.charCodeAt(0);
    if (code < 32 || code === 127) return { fault: 'control characters cannot be sent' };
    if (code > 0xff || char.length > 1) return { fault: `${char} is no Latin-1 character` };
  }
  return Buffer.from(value, 'latin1');
}

function plainNumber(value: string, { scale, add }: Outgoing): string {
  if (scale === 1 && add === 0) return value.trim();
  return String(Number(((Number(value) - add) / scale).toPrecision(12)));
}

function printf(form: Extract<ValueForm, { kind: 'printf' }>, value: string, number: number): Buffer | Fault {
  if (form.verb === 's') return text(value.padStart(form.width));
  const magnitude = Math.abs(form.verb === 'f' ? number : Math.round(number));
  if (magnitude > Number.MAX_SAFE_INTEGER) return { fault: `does not fit %${form.verb}` };
  if (form.verb !== 'd' && form.verb !== 'f' && number < 0)
    return { fault: 'below zero, which hexadecimal has no sign for' };
  const digits =
    form.verb === 'f'
      ? magnitude.toFixed(form.precision)
      : form.verb === 'd'
        ? String(magnitude)
        : form.verb === 'X'
          ? magnitude.toString(16).toUpperCase()
          : magnitude.toString(16);
  const sign = number < 0 && Number(digits) !== 0 ? '-' : form.flags.includes('+') ? '+' : '';
  const padded = form.flags.includes('0')
    ? sign + digits.padStart(form.width - sign.length, '0')
    : (sign + digits).padStart(form.width);
  if (form.width > 0 && padded.length > form.width && form.flags.includes('0'))
    return { fault: `does not fit ${form.width} places` };
  return Buffer.from(padded);
}

function binary(
  { format, order }: Extract<ValueForm, { kind: 'binary' }>,
  value: string,
  { scale, add }: { readonly scale: number; readonly add: number },
): Buffer | Fault {
  if (format !== 'int8' && format !== 'uint8') {
    return encodeValue(value, { format, order, scale, add, bit: 0 }, registersOf[format] ?? 1);
  }
  const raw = Math.round((Number(value) - add) / scale);
  const [least, most] = format === 'int8' ? [-128, 127] : [0, 255];
  return raw >= least && raw <= most ? Buffer.of(raw & 0xff) : { fault: `does not fit ${format}` };
}

import type { Fault } from '../kit/convert.ts';

const named: Readonly<Record<string, number>> = { r: 13, n: 10, t: 9, 0: 0, '\\': 92 };
const SHOWN = 40;

/** Bytes of a text in which `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` stand for bytes; other characters are Latin-1. */
export function parseBytes(text: string): Buffer | Fault {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0xff) return { fault: `${text[at]} is no byte: write the device's own bytes as \\xHH` };
    if (code !== 92) {
      bytes.push(code);
      continue;
    }
    const next = text[++at] ?? '';
    const hex = next === 'x' ? /^[0-9a-f]{2}/i.exec(text.slice(at + 1))?.[0] : undefined;
    const byte = hex === undefined ? named[next] : Number.parseInt(hex, 16);
    if (byte === undefined)
      return { fault: `\\${next} is unknown: there are \\r, \\n, \\t, \\0, \\\\ and \\xHH` };
    if (hex !== undefined) at += 2;
    bytes.push(byte);
  }
  return Buffer.from(bytes);
}

/** Bytes as people read them: `"T=21.5\r\n"`; long ones are cut. */
export function showBytes(bytes: Buffer): string {
  const text = [...bytes.subarray(0, SHOWN)].map(showByte).join('');
  return `"${text}${bytes.length > SHOWN ? '…' : ''}"`;
}

function showByte(byte: number): string {
  if (byte === 13) return '\\r';
  if (byte === 10) return '\\n';
  return byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}

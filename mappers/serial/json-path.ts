import { type JsonPath, partAt } from '../../runtime/core/json-path.ts';
import type { Fault } from '../kit/convert.ts';
import { showBytes } from './bytes.ts';

/** The value at a path of a frame that is JSON, as text: objects and lists as JSON.
 * @returns undefined when the frame has nothing there */
export function valueAt(frame: Buffer, path: JsonPath): string | Fault | undefined {
  let whole: unknown;
  try {
    whole = parse(frame);
  } catch {
    return { fault: `${showBytes(frame)} is no JSON` };
  }
  const value = partAt(whole, path);
  if (value === undefined) return undefined;
  if (value === null) return { fault: 'the device says null' };
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Several properties are read from one frame: it is parsed once. */
const parsed = new WeakMap<Buffer, { readonly value: unknown }>();

function parse(frame: Buffer): unknown {
  const known = parsed.get(frame) ?? { value: JSON.parse(frame.toString('utf8')) };
  parsed.set(frame, known);
  return known.value;
}

import { isRecord } from '../../runtime/core/message.ts';
import type { Fault } from '../kit/convert.ts';
import { showBytes } from './bytes.ts';

export type JsonPath = readonly (string | number)[];

const STEP = /^(?:\.?([A-Za-z_$][\w$-]*)|\[(\d+)\]|\["([^"]+)"\])/;

/** Reads a path such as `climate.temp`, `sensors[0].t` or `["odd key"].v`. */
export function parseJsonPath(text: string): JsonPath | Fault {
  const path: (string | number)[] = [];
  for (let rest = text; rest !== ''; ) {
    const step = STEP.exec(rest);
    if (!step) return { fault: `${JSON.stringify(rest)}: want a path such as climate.temp or sensors[0].t` };
    path.push(step[1] ?? step[3] ?? Number(step[2]));
    rest = rest.slice(step[0].length);
  }
  return path.length > 0 ? path : { fault: 'is empty' };
}

/** The value at a path of a frame that is JSON, as text: objects and lists as JSON.
 * @returns undefined when the frame has nothing there */
export function valueAt(frame: Buffer, path: JsonPath): string | Fault | undefined {
  let value: unknown;
  try {
    value = parse(frame);
  } catch {
    return { fault: `${showBytes(frame)} is no JSON` };
  }
  for (const step of path) {
    if (typeof step === 'number') value = Array.isArray(value) ? value[step] : undefined;
    else value = isRecord(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
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

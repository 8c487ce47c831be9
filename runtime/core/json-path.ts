import { isRecord } from './message.ts';

export type JsonPath = readonly (string | number)[];

const STEP = /^(?:\.?([A-Za-z_$][\w$-]*)|\[(\d+)\]|\["([^"]+)"\])/;

/** Reads a path such as `climate.temp`, `sensors[0].t` or `["odd key"].v`. */
export function parseJsonPath(text: string): JsonPath | { readonly fault: string } {
  const path: (string | number)[] = [];
  for (let rest = text; rest !== ''; ) {
    const step = STEP.exec(rest);
    if (!step) return { fault: `${JSON.stringify(rest)}: want a path such as climate.temp or sensors[0].t` };
    path.push(step[1] ?? step[3] ?? Number(step[2]));
    rest = rest.slice(step[0].length);
  }
  return path.length > 0 ? path : { fault: 'is empty' };
}

/** What is at a path; undefined where nothing is. */
export function partAt(whole: unknown, path: JsonPath): unknown {
  let part = whole;
  for (const step of path) {
    if (typeof step === 'number') part = Array.isArray(part) ? part[step] : undefined;
    else part = isRecord(part) && Object.hasOwn(part, step) ? part[step] : undefined;
  }
  return part;
}

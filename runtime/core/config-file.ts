import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { parseDocument } from 'yaml';
import { type ConfigFault, faultLine, faultsOf } from './config-faults.ts';
import { EdgeError, errorText } from './errors.ts';

type Schema<T> = v.BaseSchema<unknown, T, v.BaseIssue<unknown>>;

/** Reads and checks a configuration; every fault is named, not only the first.
 * @returns the configuration with all defaults, frozen, or its faults */
export function parseConfigText<T>(
  schema: Schema<T>,
  text: string,
): { config: T } | { faults: ConfigFault[] } {
  const document = parseDocument(text, { uniqueKeys: true });
  if (document.errors.length > 0) {
    return {
      faults: document.errors.map((error) => ({
        path: `line ${error.linePos?.[0].line ?? '?'}`,
        wrong: error.message.split('\n', 1)[0] ?? 'not YAML',
      })),
    };
  }
  const result = v.safeParse(schema, document.toJS() ?? {});
  return result.success ? { config: freeze(result.output) } : { faults: faultsOf(result.issues) };
}

/** @throws EdgeError CONFIG_UNREADABLE, CONFIG_INVALID with one fault a line */
export function loadConfigFile<T>(schema: Schema<T>, path: string): T {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new EdgeError('CONFIG_UNREADABLE', { detail: errorText(error), cause: error });
  }
  const parsed = parseConfigText(schema, text);
  if ('config' in parsed) return parsed.config;
  const lines = parsed.faults.map((fault) => `  ${faultLine(fault)}`);
  throw new EdgeError('CONFIG_INVALID', { detail: `${path}\n${lines.join('\n')}` });
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) freeze(part);
  }
  return value;
}

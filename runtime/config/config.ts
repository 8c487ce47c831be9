import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import * as v from 'valibot';
import { parseDocument, stringify } from 'yaml';
import { EdgeError, errorText } from '../core/errors.ts';
import { type Config, edgeCoreConfig, minimalConfig } from './schema.ts';
import { type ConfigFault, faultLine, faultsOf } from './slice-faults.ts';

/** Reads and checks a configuration; every fault is named, not only the first.
 * @returns the configuration with all defaults, frozen, or its faults */
export function parseConfig(text: string): { config: Config } | { faults: ConfigFault[] } {
  const document = parseDocument(text, { uniqueKeys: true });
  if (document.errors.length > 0) {
    return {
      faults: document.errors.map((error) => ({
        path: `line ${error.linePos?.[0].line ?? '?'}`,
        wrong: error.message.split('\n', 1)[0] ?? 'not YAML',
      })),
    };
  }
  const result = v.safeParse(edgeCoreConfig, document.toJS() ?? {});
  return result.success ? { config: freeze(result.output) } : { faults: faultsOf(result.issues) };
}

/** @throws EdgeError CONFIG_UNREADABLE, CONFIG_INVALID with one fault a line */
export function loadConfig(path: string): Config {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new EdgeError('CONFIG_UNREADABLE', { detail: errorText(error), cause: error });
  }
  const parsed = parseConfig(text);
  if ('config' in parsed) return parsed.config;
  const lines = parsed.faults.map((fault) => `  ${faultLine(fault)}`);
  throw new EdgeError('CONFIG_INVALID', { detail: `${path}\n${lines.join('\n')}` });
}

/** The least that must be said, as YAML. */
export function minConfigText(): string {
  return stringify(minimalConfig);
}

/** Every key with its default, as YAML. */
export function defaultConfigText(): string {
  return stringify(v.parse(edgeCoreConfig, minimalConfig));
}

/** Blanks the join token, which is good for one use, and leaves the rest of the file as it is, comments included. */
export function blankToken(path: string): void {
  const document = parseDocument(readFileSync(path, 'utf8'));
  const place = ['modules', 'edgeHub', 'token'];
  if (!document.getIn(place)) return;
  document.setIn(place, '');
  const draft = `${path}.new`;
  writeFileSync(draft, document.toString({ lineWidth: 0 }), { mode: 0o600 });
  renameSync(draft, path);
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) freeze(part);
  }
  return value;
}

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { parseDocument, stringify } from 'yaml';
import type { ConfigFault } from '../core/config-faults.ts';
import { loadConfigFile, parseConfigText } from '../core/config-file.ts';
import { type Config, edgeCoreConfig, minimalConfig } from './schema.ts';

export const DEFAULT_CONFIG = '/etc/kubeedge/config/edgecore.yaml';

/** Checks an edgecore.yaml; every fault is named, not only the first.
 * @returns the configuration with all defaults, frozen, or its faults */
export function parseConfig(text: string): { config: Config } | { faults: ConfigFault[] } {
  return parseConfigText(edgeCoreConfig, text);
}

/** @throws EdgeError CONFIG_UNREADABLE, CONFIG_INVALID with one fault a line */
export function loadConfig(path: string): Config {
  return loadConfigFile(edgeCoreConfig, path);
}

/** The least that must be said, as YAML. */
export function minConfigText(): string {
  return stringify(minimalConfig);
}

/** Every key with its default, as YAML. */
export function defaultConfigText(): string {
  return stringify(v.parse(edgeCoreConfig, minimalConfig));
}

/** Where mapper plugins lie: below the state, unless said otherwise. */
export function pluginsDirectory({ modules, database }: Config): string {
  return modules.mappers.directory || join(dirname(database.dataSource), 'mappers');
}

/** Where edgecore is spoken to by `edgecore device`: beside the state, for its own user only. */
export function socketPath({ database }: Config): string {
  return join(dirname(database.dataSource), 'edgecore.sock');
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

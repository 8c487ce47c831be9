import * as v from 'valibot';
import { stringify } from 'yaml';
import type { ConfigFault } from '../../runtime/core/config-faults.ts';
import { loadConfigFile, parseConfigText } from '../../runtime/core/config-file.ts';
import { type CloudCoreConfig, cloudCoreConfig, minimalConfig } from './schema.ts';

/** Checks a cloudcore.yaml; every fault is named, not only the first. */
export function parseConfig(text: string): { config: CloudCoreConfig } | { faults: ConfigFault[] } {
  return parseConfigText(cloudCoreConfig, text);
}

/** @throws EdgeError CONFIG_UNREADABLE, CONFIG_INVALID with one fault a line */
export function loadConfig(path: string): CloudCoreConfig {
  return loadConfigFile(cloudCoreConfig, path);
}

/** The least that must be said, as YAML. */
export function minConfigText(): string {
  return stringify(minimalConfig);
}

/** Every key with its default, as YAML. */
export function defaultConfigText(): string {
  return stringify(v.parse(cloudCoreConfig, minimalConfig));
}

import type { Device, DeviceModel, DeviceProperty, ModelProperty } from '../../runtime/core/devices.ts';
import { isRecord } from '../../runtime/core/message.ts';
import { type Millis, millis } from '../../runtime/core/units.ts';
import { ConfigReader } from './config-reader.ts';

/** When a property's value is worth a report, beside its report cycle. */
export type ReportRule = {
  /** Least change of a number, in its unit; 0 = any. */
  readonly deadband: number;
  /** The same in percent of the value that was reported last; with both the larger one counts. */
  readonly deadbandPercent: number;
  /** After so long a value is reported again although it is the same; absent = never. */
  readonly heartbeat?: Millis;
};

/** Rules by property; one that has none is reported with any change. */
export type ReportRules = ReadonlyMap<string, ReportRule>;

const NO_RULES: ReportRules = new Map();
const KEY = 'report';
const LONGEST_HEARTBEAT = 7 * 86_400_000;
const numeric = new Set<ModelProperty['type']>(['INT', 'FLOAT', 'DOUBLE']);

/** Reads `visitors.configData.report` of every property, whatever its protocol: of the model, and over it of the device.
 * @param faults takes what is wrong; such a setting counts as not said, so that too much is reported and not too little */
export function parseReportRules(device: Device, model: DeviceModel, faults: string[]): ReportRules {
  const rules = new Map<string, ReportRule>();
  for (const [i, property] of (device.spec.properties ?? []).entries()) {
    const found: string[] = [];
    const path = `spec.properties[${i}]`;
    checkCycles(property, path, found);
    const modelled = model.spec.properties?.find(({ name }) => name === property.name);
    const rule = modelled && parseRule(property, modelled, `${path}.visitors.configData.${KEY}`, found);
    if (rule) rules.set(property.name, rule);
    faults.push(...found.map((fault) => `${fault} (property ${property.name})`));
  }
  return rules.size > 0 ? rules : NO_RULES;
}

/** The device without what {@link parseReportRules} reads, for drivers that refuse what they do not know. */
export function withoutReportRules<T extends Device | DeviceModel>(object: T): T {
  const { properties } = object.spec;
  if (!properties?.some((property) => settingsOf(property).length > 0)) return object;
  const others = properties.map((property) => {
    if (settingsOf(property).length === 0) return property;
    const kept = Object.entries(property.visitors?.configData ?? {}).filter(([key]) => !isKey(key));
    return { ...property, visitors: { ...property.visitors, configData: Object.fromEntries(kept) } };
  });
  return { ...object, spec: { ...object.spec, properties: others } };
}

function parseRule(
  property: DeviceProperty,
  modelled: ModelProperty,
  path: string,
  faults: string[],
): ReportRule | undefined {
  const layers = [...settingsOf(modelled), ...settingsOf(property)];
  if (layers.length === 0) return undefined;
  const wrong = layers.find((layer) => !isRecord(layer));
  if (wrong !== undefined) {
    faults.push(`${path}: ${JSON.stringify(wrong)}: want deadband, deadbandPercent or heartbeat in it`);
    return undefined;
  }
  const reader = new ConfigReader(path, faults, ...layers);
  const deadband = band(reader, 'deadband', modelled, Number.MAX_VALUE);
  const deadbandPercent = band(reader, 'deadbandPercent', modelled, 100);
  const heartbeat = reader.whole(['heartbeat'], [100, LONGEST_HEARTBEAT], 0);
  reader.refuseOthers('a report');
  return { deadband, deadbandPercent, ...(heartbeat ? { heartbeat: millis(heartbeat) } : {}) };
}

/** @returns 0 when it is not there or wrong */
function band(reader: ConfigReader, key: string, { type }: ModelProperty, most: number): number {
  const value = reader.decimal(key, 0) ?? 0;
  if (value === 0) return 0;
  if (!numeric.has(type)) reader.fault(key, `a ${type} has no deadband: want INT, FLOAT or DOUBLE`);
  else if (value < 0 || value > most)
    reader.fault(key, `${value}: want ${most === 100 ? 'a percentage, 0 to 100' : '0 or more'}`);
  else return value;
  return 0;
}

function checkCycles(property: DeviceProperty, path: string, faults: string[]): void {
  for (const key of ['collectCycle', 'reportCycle'] as const) {
    const value: unknown = property[key] ?? 0;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
      faults.push(`${path}.${key}: ${JSON.stringify(value)}: want a whole number of ms, 0 or more`);
  }
}

function settingsOf({ visitors }: DeviceProperty | ModelProperty): unknown[] {
  const settings = Object.entries(visitors?.configData ?? {});
  return settings.flatMap(([key, value]) => (isKey(key) ? [value] : []));
}

function isKey(key: string): boolean {
  return key.toLowerCase() === KEY;
}

import type { KubeObject } from './k8s.ts';
import { isRecord } from './message.ts';

/** The objects of `devices.kubeedge.io/v1beta1`, KubeEdge's device CRDs.
 * @source KubeEdge staging/src/github.com/kubeedge/api/apis/devices/v1beta1 */
export type Device = KubeObject & { readonly spec: DeviceSpec };

export type DeviceSpec = {
  readonly deviceModelRef?: { readonly name: string };
  readonly nodeName?: string;
  readonly protocol?: ProtocolConfig;
  readonly properties?: readonly DeviceProperty[];
  readonly methods?: readonly DeviceMethod[];
  readonly stateReport?: { readonly reportToCloud?: boolean; readonly reportCycle?: number };
};

/** A protocol's name and its free settings: of a device, or (as visitor) of one property. */
export type ProtocolConfig = {
  readonly protocolName?: string;
  readonly configData?: Readonly<Record<string, unknown>>;
};

export type DeviceProperty = {
  readonly name: string;
  readonly desired?: { readonly value: string; readonly metadata?: Readonly<Record<string, string>> };
  readonly visitors?: ProtocolConfig;
  /** ms between reports; absent = when the value changes. */
  readonly reportCycle?: number;
  /** ms between reads. */
  readonly collectCycle?: number;
  readonly reportToCloud?: boolean;
  readonly pushMethod?: Readonly<Record<string, unknown>>;
};

export type DeviceMethod = {
  readonly name: string;
  readonly description?: string;
  readonly propertyNames?: readonly string[];
};

export type PropertyType = 'INT' | 'FLOAT' | 'DOUBLE' | 'STRING' | 'BOOLEAN' | 'BYTES' | 'STREAM';

export type DeviceModel = KubeObject & {
  readonly spec: {
    readonly protocol?: string;
    readonly protocolConfigData?: Readonly<Record<string, unknown>>;
    readonly properties?: readonly ModelProperty[];
  };
};

export type ModelProperty = {
  readonly name: string;
  readonly description?: string;
  readonly type: PropertyType;
  readonly accessMode?: 'ReadWrite' | 'ReadOnly';
  readonly minimum?: string;
  readonly maximum?: string;
  readonly unit?: string;
  readonly visitors?: ProtocolConfig;
};

export type TwinValue = { readonly value: string; readonly metadata?: Readonly<Record<string, string>> };

export type DeviceStatus = KubeObject & {
  readonly status: {
    readonly twins?: readonly {
      readonly propertyName: string;
      readonly reported?: TwinValue;
      readonly observedDesired?: TwinValue;
    }[];
    readonly state?: string;
    readonly lastOnlineTime?: string;
    readonly extensions?: Readonly<Record<string, unknown>>;
  };
};

/** KubeEdge's device states; anything else is ignored by it. */
export type DeviceState = 'online' | 'offline' | 'ok' | 'unknown' | 'unhealthy';

const LONGEST_SHOWN = 60;
const NO_FAULTS: ReadonlyMap<string, string> = new Map();
const propertyTypes = new Set(['INT', 'FLOAT', 'DOUBLE', 'STRING', 'BOOLEAN', 'BYTES', 'STREAM']);

/** Why JSON is no Device or DeviceModel at all, however much of it may be wrong; undefined when it is one. */
export function objectFault(raw: unknown): string | undefined {
  if (!isRecord(raw)) return 'not an object';
  const meta = raw.metadata;
  if (!isRecord(meta) || typeof meta.name !== 'string' || meta.name === '') return 'metadata.name: missing';
  if (!isRecord(raw.spec)) return 'spec: missing';
  const list = raw.spec.properties ?? [];
  return Array.isArray(list) ? undefined : 'spec.properties: not a list';
}

/** An object without the properties that cannot be served, and why each of them cannot, by its name or its place. */
export type Sound<T> = { readonly object: T; readonly faults: ReadonlyMap<string, string> };

/** Leaves out of a Device the properties without name and those that repeat one: an API server that does not check them
 * lets them pass, and the rest of the device works. */
export function soundDevice(device: Device): Sound<Device> {
  return soundOf(device, (property) => wantedFault(property as DeviceProperty));
}

/** The same for a DeviceModel, whose properties also need a type. */
export function soundModel(model: DeviceModel): Sound<DeviceModel> {
  return soundOf(model, (property) => {
    const { type } = property as ModelProperty;
    return propertyTypes.has(type) ? undefined : `.type: ${shortened(type)} is not a property type`;
  });
}

function soundOf<T extends Device | DeviceModel>(
  object: T,
  fault: (property: unknown) => string | undefined,
): Sound<T> {
  const faults = new Map<string, string>();
  const names = new Set<string>();
  const nameFault = (name: string | undefined): string | undefined => {
    if (name === undefined) return '.name: missing';
    if (names.has(name)) return `.name: ${shortened(name)} is there twice`;
    names.add(name);
    return undefined;
  };
  const kept = ((object.spec.properties ?? []) as readonly unknown[]).filter((property, i) => {
    const name = nameOf(property);
    const wrong = nameFault(name) ?? fault(property);
    if (wrong !== undefined) faults.set(name ?? `properties[${i}]`, `spec.properties[${i}]${wrong}`);
    return wrong === undefined;
  });
  return faults.size === 0
    ? { object, faults: NO_FAULTS }
    : { object: { ...object, spec: { ...object.spec, properties: kept } }, faults };
}

function nameOf(property: unknown): string | undefined {
  return isRecord(property) && typeof property.name === 'string' && property.name ? property.name : undefined;
}

function wantedFault({ desired }: DeviceProperty): string | undefined {
  if (desired === undefined || desired === null || typeof desired.value === 'string') return undefined;
  return `.desired.value: ${shortened(desired.value)}: want a text, in quotes`;
}

/** Checks a desired value against the model: access, type, minimum and maximum.
 * @returns what is wrong, or undefined */
export function desiredFault(text: string, property: ModelProperty): string | undefined {
  if (property.accessMode === 'ReadOnly') return 'the property is ReadOnly';
  if (property.type === 'BOOLEAN')
    return text === 'true' || text === 'false' ? undefined : 'want true or false';
  if (property.type !== 'INT' && property.type !== 'FLOAT' && property.type !== 'DOUBLE') return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) return 'want a number';
  if (property.type === 'INT' && !Number.isInteger(value)) return 'want a whole number';
  if (property.minimum && value < Number(property.minimum)) return `below the minimum ${property.minimum}`;
  if (property.maximum && value > Number(property.maximum)) return `above the maximum ${property.maximum}`;
  return undefined;
}

/** A device of which other values are wanted; properties that it does not have are passed over.
 * @param now ms since epoch: a value that is wanted again is brought to the device again */
export function withDesired(device: Device, values: ReadonlyMap<string, string>, now: number): Device {
  const properties = device.spec.properties?.map((property) => {
    const value = values.get(property.name);
    return value === undefined
      ? property
      : { ...property, desired: { value, metadata: { timestamp: String(now) } } };
  });
  return { ...device, spec: { ...device.spec, ...(properties ? { properties } : {}) } };
}

/** A value as JSON, for words to people; one of a megabyte would be no help. */
export function shortened(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

/** Reads a Device from JSON, all or nothing. Checks what the edge relies on; everything else is carried along.
 * @returns the device, or the first fault as `path: what is wrong` */
export function parseDevice(raw: unknown): Device | { refused: string } {
  const fault = objectFault(raw);
  return fault ? { refused: fault } : wholly(soundDevice(raw as Device));
}

/** Reads a DeviceModel from JSON, like {@link parseDevice}. */
export function parseDeviceModel(raw: unknown): DeviceModel | { refused: string } {
  const fault = objectFault(raw);
  return fault ? { refused: fault } : wholly(soundModel(raw as DeviceModel));
}

function wholly<T>({ object, faults }: Sound<T>): T | { refused: string } {
  const [refused] = faults.values();
  return refused === undefined ? object : { refused };
}

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

const propertyTypes = new Set(['INT', 'FLOAT', 'DOUBLE', 'STRING', 'BOOLEAN', 'BYTES', 'STREAM']);

/** Reads a Device from JSON. Checks what the edge relies on; everything else is carried along.
 * @returns the device, or the first fault as `path: what is wrong` */
export function parseDevice(raw: unknown): Device | { refused: string } {
  const fault = objectFault(raw) ?? (isRecord(raw) && namedListFault(isRecord(raw.spec) ? raw.spec : {}));
  if (fault) return { refused: fault };
  return raw as Device;
}

/** Reads a DeviceModel from JSON, like {@link parseDevice}. */
export function parseDeviceModel(raw: unknown): DeviceModel | { refused: string } {
  const fault = objectFault(raw) ?? (isRecord(raw) && isRecord(raw.spec) && namedListFault(raw.spec));
  if (fault) return { refused: fault };
  const model = raw as DeviceModel;
  for (const [i, property] of (model.spec.properties ?? []).entries()) {
    if (!propertyTypes.has(property.type)) {
      return {
        refused: `spec.properties[${i}].type: ${JSON.stringify(property.type)} is not a property type`,
      };
    }
  }
  return model;
}

function objectFault(raw: unknown): string | undefined {
  if (!isRecord(raw)) return 'not an object';
  const meta = raw.metadata;
  if (!isRecord(meta) || typeof meta.name !== 'string' || meta.name === '') return 'metadata.name: missing';
  if (!isRecord(raw.spec)) return 'spec: missing';
  return undefined;
}

/** Properties must be a list of objects with names that differ. */
function namedListFault(spec: Record<string, unknown>): string | undefined {
  const list = spec.properties;
  if (list === undefined || list === null) return undefined;
  if (!Array.isArray(list)) return 'spec.properties: not a list';
  const seen = new Set<string>();
  for (const [i, item] of list.entries()) {
    const name = isRecord(item) ? item.name : undefined;
    if (typeof name !== 'string' || name === '') return `spec.properties[${i}].name: missing`;
    if (seen.has(name)) return `spec.properties[${i}].name: ${JSON.stringify(name)} is there twice`;
    seen.add(name);
  }
  return undefined;
}

import type {
  Device,
  DeviceModel,
  DeviceProperty,
  DeviceSpec,
  ModelProperty,
  ProtocolConfig,
} from '../../core/devices.ts';
import { errorText } from '../../core/errors.ts';
import { isRecord } from '../../core/message.ts';
import { type DeviceId, deviceId } from '../../core/units.ts';
import {
  type Any,
  BoolValue,
  DmiDevice,
  DmiModel,
  FloatValue,
  Int64Value,
  StringValue,
} from '../../wire/dmi-messages.ts';
import { encode, type In } from '../../wire/protobuf.ts';
import { keyOf } from '../device.ts';

/** A device and its model as a mapper gets them: bytes of a DmiDevice and a DmiModel. */
export type Carried = {
  readonly id: DeviceId;
  readonly device: Buffer;
  readonly modelKey: string;
  readonly model: Buffer;
};

type AnyValue = In<typeof Any>;
type Values = Readonly<Record<string, unknown>>;

/** What of an object cannot be carried; never leaves this file. */
class Uncarried extends Error {}

/** Puts a device into the form that mappers take it in. The model's settings are defaults under the device's own.
 * @returns the device, or why it cannot be carried: `path: what is wrong`
 * @source KubeEdge dtcommon/util.go ConvertDevice, dmicache GetOverriddenDevice */
export function carry(device: Device, model: DeviceModel): Carried | { refused: string } {
  try {
    return {
      id: deviceId(device.metadata.namespace ?? 'default', device.metadata.name),
      device: encode(DmiDevice, deviceMessage(device, model)),
      modelKey: keyOf(model),
      model: encode(DmiModel, modelMessage(model)),
    };
  } catch (error) {
    // Numbers that are none do not encode either.
    return { refused: error instanceof Uncarried ? error.message : `spec: ${errorText(error)}` };
  }
}

function deviceMessage(object: Device, model: DeviceModel): In<typeof DmiDevice> {
  const { metadata, spec } = object;
  const { protocol = {} } = spec;
  const values = { ...model.spec.protocolConfigData, ...protocol.configData };
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? 'default',
    spec: {
      deviceModelReference: spec.deviceModelRef?.name,
      protocol: {
        protocolName: protocol.protocolName,
        configData: { data: wrapped(values, 'spec.protocol.configData') },
      },
      properties: (spec.properties ?? []).map((property, i) =>
        propertyMessage(property, model, `spec.properties[${i}]`),
      ),
      methods: spec.methods ?? [],
    },
    // Before there was spec.stateReport the status said so.
    status: spec.stateReport ?? (object as { status?: DeviceSpec['stateReport'] }).status ?? {},
  };
}

/** Mappers of KubeEdge's framework end when `desired`, `visitors` or `visitors.configData` are not there, or the model lacks
 * the property. */
function propertyMessage(property: DeviceProperty, model: DeviceModel, path: string) {
  const described = model.spec.properties?.find(({ name }) => name === property.name);
  if (!described) throw new Uncarried(`${path}.name: ${property.name} is not in DeviceModel ${keyOf(model)}`);
  const { name, desired, reportCycle, collectCycle, reportToCloud } = property;
  return {
    name,
    desired: { value: desired?.value ?? '', metadata: desired?.metadata },
    visitors: visitorMessage(described, property.visitors, path),
    reportCycle,
    collectCycle,
    reportToCloud,
    pushMethod: pushMessage(property.pushMethod, path),
  };
}

function visitorMessage(
  { visitors: defaults }: ModelProperty,
  own: ProtocolConfig | undefined,
  path: string,
) {
  const values = { ...defaults?.configData, ...own?.configData };
  return {
    protocolName: own?.protocolName ?? defaults?.protocolName,
    configData: { data: wrapped(values, `${path}.visitors.configData`) },
  };
}

function pushMessage(push: Values | undefined, path: string) {
  if (!push) return undefined;
  const { anomalyDetection: given, ...methods } = push;
  if (!isRecord(given)) return methods;
  const values = isRecord(given.data) ? given.data : given;
  return {
    ...methods,
    anomalyDetection: { data: wrapped(values, `${path}.pushMethod.anomalyDetection`) },
  };
}

function modelMessage({ metadata, spec }: DeviceModel): In<typeof DmiModel> {
  const { name, namespace = 'default' } = metadata;
  return { name, namespace, spec: { properties: spec.properties ?? [] } };
}

function wrapped(values: Values, path: string): Record<string, AnyValue> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([key, value]) => [key, wrap(value, `${path}.${key}`)]),
  );
}

function wrap(value: unknown, path: string): AnyValue {
  switch (typeof value) {
    case 'string':
      return any('StringValue', encode(StringValue, { value }));
    case 'boolean':
      return any('BoolValue', encode(BoolValue, { value }));
    case 'number':
      return wrapNumber(value);
    default:
      throw new Uncarried(`${path}: DMI carries texts, numbers, true and false, no lists and no objects`);
  }
}

/** Differs: KubeEdge rounds whole numbers to the 24 bits of a float, too; mappers read both wrappers. */
function wrapNumber(value: number): AnyValue {
  if (Number.isSafeInteger(value) && Math.fround(value) !== value)
    return any('Int64Value', encode(Int64Value, { value }));
  return any('FloatValue', encode(FloatValue, { value }));
}

function any(type: string, value: Buffer): AnyValue {
  return { type_url: `type.googleapis.com/google.protobuf.${type}`, value };
}

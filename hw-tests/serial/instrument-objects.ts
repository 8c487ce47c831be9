import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';

/** What a test changes of an example. */
export type Edit = {
  /** Name of the Device; absent = the example's. */
  readonly name?: string;
  readonly node?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly desired?: Readonly<Record<string, string>>;
  /** ms; every property is read so often. */
  readonly cycle?: number;
};

/** An example of instruments.yaml at a port. Desired values are left out unless the edit has them.
 * @param example name of the Device there */
export function instrumentObjects(
  example: string,
  serialPort: string,
  edit: Edit = {},
): { device: Device; model: DeviceModel } {
  const text = readFileSync(new URL('./instruments.yaml', import.meta.url), 'utf8');
  const objects = parseAllDocuments(text).map((document) => document.toJS());
  const find = (kind: string, name: string) =>
    objects.find((o) => o.kind === kind && o.metadata.name === name);
  const device = find('Device', example) as Device;
  const { vendorId: _, productId: __, ...configData } = device.spec.protocol?.configData ?? {};
  const properties = (device.spec.properties ?? []).map(({ desired: ___, ...property }) => {
    const value = edit.desired?.[property.name];
    const cycle = edit.cycle ? { collectCycle: edit.cycle } : {};
    return { ...property, ...cycle, ...(value === undefined ? {} : { desired: { value } }) };
  });
  const protocol = { ...device.spec.protocol, configData: { ...configData, serialPort, ...edit.config } };
  const place = edit.node === undefined ? {} : { nodeName: edit.node };
  return {
    device: {
      ...device,
      metadata: { ...device.metadata, name: edit.name ?? example },
      spec: { ...device.spec, ...place, protocol, properties },
    },
    model: find('DeviceModel', `${example}-model`) as DeviceModel,
  };
}

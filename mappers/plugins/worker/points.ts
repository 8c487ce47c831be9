import type { Device, DeviceModel, ModelProperty } from '../../../runtime/core/devices.ts';
import { millis } from '../../../runtime/core/units.ts';
import type { DriverPoint } from '../../kit/driver.ts';

/** A point as most plugins need it: with what the visitors say of it. */
export type PluginPoint = DriverPoint & {
  readonly model: ModelProperty;
  /** `visitors.configData` of the model's property, and over it that of the device's. */
  readonly visitor: Readonly<Record<string, unknown>>;
};

const DEFAULT_CYCLE = 1000;
const MIN_CYCLE = 50;

/** The properties of a device that are in its model.
 * @returns them, and a fault for each that is not */
export function pointsOf(device: Device, model: DeviceModel): { points: PluginPoint[]; faults: string[] } {
  const points: PluginPoint[] = [];
  const faults: string[] = [];
  for (const [i, property] of (device.spec.properties ?? []).entries()) {
    const { name, collectCycle = DEFAULT_CYCLE, reportCycle = 0, visitors } = property;
    const described = model.spec.properties?.find((candidate) => candidate.name === name);
    if (!described) {
      faults.push(`spec.properties[${i}].name: ${name} is not in model ${model.metadata.name}`);
      continue;
    }
    points.push({
      property: name,
      writable: described.accessMode === 'ReadWrite',
      cycle: millis(Math.max(collectCycle, MIN_CYCLE)),
      reportCycle: millis(reportCycle),
      model: described,
      visitor: { ...described.visitors?.configData, ...visitors?.configData },
    });
  }
  return { points, faults };
}

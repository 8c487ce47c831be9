import type { DeviceId } from './units.ts';

/** What has become of a value that somebody wants a device to have. */
export type WriteOutcome =
  | { readonly kind: 'done' }
  /** It is on disk and wanted; the device does not have it yet. */
  | { readonly kind: 'kept'; readonly reason: string }
  /** @property code HTTP's for it: 404 no such device, 422 it cannot be, 503 it cannot be now */
  | { readonly kind: 'refused'; readonly code: 404 | 422 | 503; readonly reason: string };

/** What people and programs on the gateway may do with devices. */
export interface DeviceCommands {
  /** Makes a value the desired one: kept over a restart, until the cluster wants another. */
  set(id: DeviceId, property: string, value: string): Promise<WriteOutcome>;
  /** Calls a method of the Device: the value goes to the device at once, once, and is not kept. */
  call(id: DeviceId, method: string, property: string, value: string): Promise<WriteOutcome>;
}

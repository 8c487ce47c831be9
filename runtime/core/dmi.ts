import type { Device, DeviceModel, DeviceState } from './devices.ts';
import type { DeviceId, Millis } from './units.ts';

/** The Device Mapper Interface in process: the same two directions as KubeEdge's gRPC services, without the socket.
 * @source KubeEdge dmi/v1beta1 api.proto, DeviceMapperService and DeviceManagerService */

/** One property's value as a mapper saw it. */
export type Reading = {
  readonly property: string;
  /** The value in KubeEdge's text form: `true`, `21.5`, `hello`. */
  readonly value: string;
  /** Wall clock of the reading, ms since epoch. */
  readonly at: Millis;
};

/** The outcome of bringing one desired value to the device. */
export type WriteResult = {
  readonly property: string;
  readonly desired: string;
  /** Why the device did not take it; absent when it did. */
  readonly fault?: string;
};

/** What edgecore tells a mapper. Every call is idempotent: the whole object comes each time. */
export interface DeviceMapper {
  /** The `spec.protocol.protocolName`s that it serves. */
  readonly protocols: readonly string[];
  /** Takes a device, new or changed; desired values that differ from the device's are written.
   * @returns undefined, or why the device cannot be served: `spec.path: what is wrong` */
  applyDevice(device: Device, model: DeviceModel): string | undefined;
  /** Forgets a device and lets go of its connection. */
  removeDevice(id: DeviceId): void;
  /** Brings a value to a device at once and once, whatever it has already: a command, not a wish. What cannot be brought
   * now is not tried later. Mappers that know desired values only have it not.
   * @param value checked against the model
   * @returns why the device does not have it; undefined when it has; never rejects */
  write?(id: DeviceId, property: string, value: string): Promise<string | undefined>;
}

/** Takes readings to where the `pushMethod` of their property says. */
export interface ReadingSink {
  /** Readings that are due to be pushed, also those that did not change. */
  push(id: DeviceId, readings: readonly Reading[]): void;
}

/** What a mapper tells edgecore. Calls do not wait for the disk. */
export interface DeviceManager {
  /** New readings; the mapper has already left out what did not change. */
  reportDeviceStatus(id: DeviceId, readings: readonly Reading[]): void;
  /** Real contact with the device, or its loss.
   * @param reason what is not as it should be, for the operator; with `online`, what could be better */
  reportDeviceState(id: DeviceId, state: DeviceState, reason?: string): void;
  /** Desired values that reached the device, or did not. */
  reportWrites(id: DeviceId, writes: readonly WriteResult[]): void;
}

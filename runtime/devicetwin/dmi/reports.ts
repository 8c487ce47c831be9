import { type Device, type DeviceState, shortened } from '../../core/devices.ts';
import type { Reading } from '../../core/dmi.ts';
import type { DeviceId, Millis } from '../../core/units.ts';
import type { managerMethods } from '../../wire/dmi-messages.ts';
import { GrpcError, grpcStatus } from '../../wire/grpc-status.ts';
import type { Out } from '../../wire/protobuf.ts';
import { isState } from '../device.ts';

type Status = NonNullable<Out<(typeof managerMethods)['ReportDeviceStatus']['request']>['reportedDevice']>;

/** What a mapper reports of a device.
 * Differs: `observedDesired` is passed over. KubeEdge takes it for the desired value, so that a mapper that has not heard of
 * the newest one puts back the one before; here the cluster alone says what is desired.
 * @param now when it arrived: Go mappers send no time with a value
 * @throws GrpcError invalid, naming the property */
export function readingsOf(twins: Status['twins'], id: DeviceId, device: Device, now: Millis): Reading[] {
  if (twins.length === 0) throw invalid(id, 'reportedDevice.twins: nothing is reported');
  const names = new Set((device.spec.properties ?? []).map(({ name }) => name));
  return twins.map(({ propertyName, reported }) => {
    if (!names.has(propertyName))
      throw invalid(id, `there is no property ${shortened(propertyName)}, only ${[...names].join(', ')}`);
    if (!reported) throw invalid(id, `property ${propertyName}: no reported value`);
    return { property: propertyName, value: reported.value, at: now };
  });
}

/** @throws GrpcError invalid. KubeEdge passes over what it does not know, and the mapper never hears of it. */
export function stateOf(text: string, id: DeviceId): DeviceState {
  const state = text.toLowerCase();
  // A constant of KubeEdge's mapper framework that KubeEdge itself does not know.
  if (state === 'disconnected') return 'offline';
  if (isState(state)) return state;
  throw invalid(id, `state ${shortened(text)}: one of online, offline, ok, unknown, unhealthy is wanted`);
}

function invalid(id: DeviceId, text: string): GrpcError {
  return new GrpcError(grpcStatus.invalid, `device ${id}: ${text}`);
}

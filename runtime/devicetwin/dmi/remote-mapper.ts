import type { Clock } from '../../core/clock.ts';
import type { Device, DeviceModel, DeviceState } from '../../core/devices.ts';
import type { DeviceMapper } from '../../core/dmi.ts';
import type { Logger } from '../../core/log.ts';
import type { DeviceId } from '../../core/units.ts';
import { deviceId } from '../../core/units.ts';
import { type Carried, carry } from './convert.ts';
import { Delivery } from './delivery.ts';
import type { Registration } from './registration.ts';

export type RemoteMapperDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  /** [0, 1) */
  readonly random: () => number;
  readonly twins: {
    get(id: DeviceId): { readonly reason: string } | undefined;
    reportDeviceState(id: DeviceId, state: DeviceState, reason?: string): void;
  };
};

/** A mapper in a process of its own, as edgecore sees it. */
export class RemoteMapper implements DeviceMapper {
  registration: Registration;
  /** It answers. */
  isConnected = false;
  private readonly deps: RemoteMapperDeps;
  private readonly answers: () => void;
  private readonly wanted = new Map<DeviceId, Carried>();
  /** Unknown devices that it has been told to forget. */
  private readonly disowned = new Set<DeviceId>();
  private delivery: Delivery | undefined;
  private awayReason = '';

  /** @param answers called when it has been connected to */
  constructor(deps: RemoteMapperDeps, registration: Registration, answers: () => void) {
    this.deps = deps;
    this.answers = answers;
    this.registration = registration;
  }

  get protocols(): readonly string[] {
    return [this.registration.protocol];
  }

  /** What it is to have. */
  get carried(): readonly Carried[] {
    return [...this.wanted.values()];
  }

  /** It has registered, or did so before edgecore was started.
   * @param has what it was given in the answer
   * @param fresh it has nothing beside that */
  begin(registration: Registration, has: readonly Carried[], fresh: boolean): void {
    this.delivery?.stop();
    this.registration = registration;
    this.isConnected = false;
    this.disowned.clear();
    const { clock, random } = this.deps;
    this.delivery = new Delivery(
      {
        clock,
        random,
        path: registration.path,
        wanted: this.wanted,
        connected: () => this.connected(),
        away: (reason) => this.away(reason),
        refused: (id, reason) => this.refused(id, reason),
      },
      has,
      fresh,
    );
    this.delivery.wake();
  }

  applyDevice(device: Device, model: DeviceModel): string | undefined {
    const carried = carry(device, model);
    if ('refused' in carried) {
      this.removeDevice(deviceId(device.metadata.namespace ?? 'default', device.metadata.name));
      return carried.refused;
    }
    this.wanted.set(carried.id, carried);
    this.delivery?.wake();
    if (this.awayReason) this.deps.twins.reportDeviceState(carried.id, 'unknown', this.awayReason);
    return undefined;
  }

  removeDevice(id: DeviceId): void {
    this.wanted.delete(id);
    this.delivery?.forget(id);
  }

  /** A device that is not on this node was reported, by it or by another mapper: it may have missed that it went. */
  disown(id: DeviceId): void {
    if (this.disowned.has(id)) return;
    this.disowned.add(id);
    this.removeDevice(id);
  }

  stop(): void {
    this.delivery?.stop();
    this.delivery = undefined;
    this.isConnected = false;
  }

  private connected(): void {
    const { log, twins } = this.deps;
    const { name, protocol, path } = this.registration;
    this.isConnected = true;
    log.info('a mapper answers', { mapper: name, protocol, path });
    const reason = this.awayReason;
    this.awayReason = '';
    if (reason !== '')
      for (const id of this.wanted.keys())
        if (twins.get(id)?.reason === reason) twins.reportDeviceState(id, 'unknown');
    this.answers();
  }

  private away(cause: string): void {
    const { log, twins } = this.deps;
    const { name, path } = this.registration;
    this.isConnected = false;
    this.awayReason = `mapper ${name} does not answer at ${path}: ${cause}`;
    log.warn('a mapper does not answer', { mapper: name, path, reason: cause });
    for (const id of this.wanted.keys()) twins.reportDeviceState(id, 'unknown', this.awayReason);
  }

  private refused(id: DeviceId, refusal: string | undefined): void {
    const { log, twins } = this.deps;
    const { name } = this.registration;
    if (refusal === undefined) return twins.reportDeviceState(id, 'unknown');
    log.warn('a mapper refused a device', { mapper: name, device: id, reason: refusal });
    twins.reportDeviceState(id, 'unhealthy', `mapper ${name} refused it: ${refusal}`);
  }
}

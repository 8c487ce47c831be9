import type { Clock, Timer } from '../../core/clock.ts';
import { type Backoff, backoffDelays } from '../../core/retry.ts';
import { type DeviceId, type Millis, millis, seconds, splitDeviceId } from '../../core/units.ts';
import { mapperMethods } from '../../wire/dmi-messages.ts';
import { GrpcClient } from '../../wire/grpc-client.ts';
import { GrpcError, grpcStatus } from '../../wire/grpc-status.ts';
import { encode, type In, type Table } from '../../wire/protobuf.ts';
import type { Carried } from './convert.ts';

type Methods = typeof mapperMethods;

export type DeliveryDeps = {
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  /** The mapper's socket. */
  readonly path: string;
  /** What the mapper is to have, now. */
  readonly wanted: ReadonlyMap<DeviceId, Carried>;
  /** It answers. */
  readonly connected: () => void;
  /** It has not answered for {@link GRACE}. */
  readonly away: (reason: string) => void;
  /** It answered that it will not have a device; undefined = it has taken it after all. */
  readonly refused: (id: DeviceId, reason: string | undefined) => void;
};

const REGISTER_FIRST = ['RegisterDevice', 'UpdateDevice'] as const;
const UPDATE_FIRST = ['UpdateDevice', 'RegisterDevice'] as const;
const CALL_LIMIT: Millis = seconds(10);
/** A mapper that is started again is back before its devices are called unknown. */
export const GRACE: Millis = seconds(5);
const RETRY: Backoff = { first: millis(250), factor: 2, cap: seconds(30), jitter: 0.2 };

/** Brings one run of a mapper to what it is to have: as often as it takes, the newest version, models before devices.
 * Of each object it is known which version the mapper has, that it has none, or (undefined) neither. */
export class Delivery {
  private readonly deps: DeliveryDeps;
  private readonly client: GrpcClient;
  private readonly devices: Map<DeviceId, Buffer | undefined>;
  private readonly models = new Map<string, Buffer | undefined>();
  private readonly refusals = new Set<DeviceId>();
  private fresh: boolean;
  private isConnected = false;
  private running = false;
  private again = false;
  private stopped = false;
  private delays: Generator<Millis, never>;
  private retry: Timer | undefined;
  private grace: Timer | undefined;

  /** @param has devices that it has been given already. Their models are sent again: mappers of KubeEdge's framework keep
   *   those of the register's answer under names that they do not find later.
   * @param fresh it has nothing else; false when it may have taken things in an earlier life of edgecore */
  constructor(deps: DeliveryDeps, has: Iterable<Carried>, fresh: boolean) {
    this.deps = deps;
    this.fresh = fresh;
    this.devices = new Map([...has].map(({ id, device }) => [id, device]));
    this.client = new GrpcClient(deps.path, (reason) => this.lost(reason));
    this.delays = backoffDelays(RETRY, deps.random);
  }

  /** Something is wanted that may not have been brought yet. */
  wake(): void {
    this.retry?.cancel();
    this.again = true;
    if (this.running || this.stopped) return;
    this.running = true;
    void this.run().finally(() => {
      this.running = false;
    });
  }

  /** A device is wanted no more. It may be there although nobody here knows of it. */
  forget(id: DeviceId): void {
    if (!this.devices.has(id)) this.devices.set(id, undefined);
    this.refusals.delete(id);
    this.wake();
  }

  stop(): void {
    this.stopped = true;
    this.retry?.cancel();
    this.grace?.cancel();
    this.client.close();
  }

  private async run(): Promise<void> {
    while (this.again && !this.stopped) {
      this.again = false;
      const complete = await this.pass();
      if (this.stopped) return;
      this.retry?.cancel();
      if (complete) this.delays = backoffDelays(RETRY, this.deps.random);
      else this.retry = this.deps.clock.after(this.delays.next().value, () => this.wake());
    }
  }

  /** @returns whether the mapper has taken everything */
  private async pass(): Promise<boolean> {
    try {
      await this.client.connect(CALL_LIMIT);
      this.found();
      await this.removeDevices();
      await this.bringModels();
      await this.bringDevices();
      await this.removeModels();
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      if (!this.isConnected) this.missed(error.message);
      return false;
    }
    return this.refusals.size === 0;
  }

  private async removeDevices(): Promise<void> {
    for (const id of [...this.devices.keys()]) {
      if (this.deps.wanted.has(id)) continue;
      const { namespace, name } = splitDeviceId(id);
      await this.answered('RemoveDevice', { deviceName: name, deviceNamespace: namespace });
      if (!this.deps.wanted.has(id)) this.devices.delete(id);
      // Wanted again meanwhile: the mapper has it no more.
      else if (this.fresh) this.devices.delete(id);
      else this.devices.set(id, undefined);
    }
  }

  private async bringModels(): Promise<void> {
    for (const { modelKey, model } of [...this.deps.wanted.values()]) {
      const has = this.models.get(modelKey);
      if (has?.equals(model)) continue;
      this.models.set(modelKey, undefined);
      let refusal = await this.answered(has ? 'UpdateDeviceModel' : 'CreateDeviceModel', { model });
      if (refusal !== undefined && !has) refusal = await this.answered('UpdateDeviceModel', { model });
      // A model that is refused shows at its devices.
      if (refusal === undefined) this.models.set(modelKey, model);
    }
  }

  private async bringDevices(): Promise<void> {
    for (const { id, device } of [...this.deps.wanted.values()]) {
      const has = this.devices.get(id);
      if (has?.equals(device)) continue;
      const isNew = this.fresh && !this.devices.has(id);
      if (!has) this.devices.set(id, undefined);
      const refusal = await this.bringDevice(device, isNew ? 'new' : has ? 'known' : 'unsure');
      if (this.stopped) return;
      this.took(id, device, refusal);
    }
  }

  /** Mappers of KubeEdge's framework answer RegisterDevice for what they have with yes, and keep the version that they have;
   * UpdateDevice for what they do not have is a register. Others may refuse that.
   * @returns the mapper's refusal */
  private async bringDevice(device: Buffer, how: 'new' | 'known' | 'unsure'): Promise<string | undefined> {
    const [first, second] = how === 'new' ? REGISTER_FIRST : UPDATE_FIRST;
    const refusal = await this.answered(first, { device });
    if (refusal === undefined || how === 'known') return refusal;
    if ((await this.answered(second, { device })) !== undefined) return refusal;
    return how === 'unsure' ? this.answered('UpdateDevice', { device }) : undefined;
  }

  private took(id: DeviceId, device: Buffer, refusal: string | undefined): void {
    // It went while it was brought: the next pass removes it.
    if (!this.deps.wanted.has(id)) return;
    if (refusal !== undefined) {
      this.refusals.add(id);
      return this.deps.refused(id, refusal);
    }
    this.devices.set(id, device);
    if (this.refusals.delete(id)) this.deps.refused(id, undefined);
  }

  private async removeModels(): Promise<void> {
    // A device that went meanwhile goes before its model: in the next pass.
    if ([...this.devices.keys()].some((id) => !this.deps.wanted.has(id))) return;
    const used = new Set([...this.deps.wanted.values()].map(({ modelKey }) => modelKey));
    for (const key of [...this.models.keys()]) {
      if (used.has(key)) continue;
      const { namespace, name } = splitDeviceId(key as DeviceId);
      await this.answered('RemoveDeviceModel', { modelName: name, modelNamespace: namespace });
      this.models.delete(key);
    }
  }

  /** @returns the mapper's refusal, or undefined; rejects when it did not answer */
  private async answered<M extends keyof Methods>(
    method: M,
    request: In<Methods[M]['request']>,
  ): Promise<string | undefined> {
    const { request: table } = mapperMethods[method];
    const bytes = encode(table as Table<never>, request as never);
    try {
      await this.client.call(`/v1beta1.DeviceMapperService/${method}`, bytes, CALL_LIMIT);
      return undefined;
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      if (error.status === grpcStatus.unavailable || error.status === grpcStatus.deadline) throw error;
      return error.message || `status ${error.status}`;
    }
  }

  private found(): void {
    this.grace?.cancel();
    this.grace = undefined;
    if (this.isConnected || this.stopped) return;
    this.isConnected = true;
    this.deps.connected();
  }

  private missed(reason: string): void {
    this.grace ??= this.deps.clock.after(GRACE, () => this.deps.away(reason));
  }

  /** What it has is in doubt now: it may be another process that answers next. */
  private lost(reason: string): void {
    if (this.stopped || !this.isConnected) return;
    this.isConnected = false;
    this.fresh = false;
    for (const id of this.devices.keys()) this.devices.set(id, undefined);
    for (const key of this.models.keys()) this.models.set(key, undefined);
    this.missed(reason);
    this.wake();
  }
}

import type { Device, DeviceModel, DeviceProperty } from '../../runtime/core/devices.ts';
import type { DeviceMapper, Reading, ReadingSink } from '../../runtime/core/dmi.ts';
import { type DeviceId, deviceId } from '../../runtime/core/units.ts';
import type { PushDeps, PushEngine } from './engine.ts';

/** Where mappers are known. */
export interface MapperRegistry {
  addMapper(mapper: DeviceMapper): void;
  removeMapper(mapper: DeviceMapper, reason: string): void;
}

type Handed = { readonly device: Device; readonly model: DeviceModel };

/** Readings that wait while the code is loaded. */
const MOST_EARLY = 1000;

/** Takes the values of mappers of this process to where the `pushMethod`s of their devices say. Its parts are loaded when a
 * device has one, or when values wait that were read before edgecore was started. */
export class Pusher implements ReadingSink {
  readonly name = 'push';
  private readonly deps: PushDeps;
  private readonly devices = new Map<DeviceId, Handed>();
  private readonly mappers = new WeakMap<DeviceMapper, DeviceMapper>();
  private early: { id: DeviceId; readings: readonly Reading[] }[] = [];
  private engine: PushEngine | undefined;
  private loading: Promise<void> | undefined;
  private stopped = false;

  constructor(deps: PushDeps) {
    this.deps = deps;
  }

  async start(): Promise<void> {
    if (this.deps.store.push.last() > 0) await this.load();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.loading;
    await this.engine?.stop();
  }

  /** A registry whose mappers' devices are known here, too. */
  before(registry: MapperRegistry): MapperRegistry {
    return {
      addMapper: (mapper) => registry.addMapper(this.over(mapper)),
      removeMapper: (mapper, reason) => registry.removeMapper(this.over(mapper), reason),
    };
  }

  private over(mapper: DeviceMapper): DeviceMapper {
    const known = this.mappers.get(mapper);
    if (known) return known;
    const write = mapper.write?.bind(mapper);
    const made: DeviceMapper = {
      get protocols() {
        return mapper.protocols;
      },
      applyDevice: (device, model) => {
        this.applyDevice(device, model);
        return mapper.applyDevice(device, model);
      },
      removeDevice: (id) => {
        this.removeDevice(id);
        mapper.removeDevice(id);
      },
      ...(write && { write }),
    };
    this.mappers.set(mapper, made);
    return made;
  }

  push(id: DeviceId, readings: readonly Reading[]): void {
    if (this.engine) this.engine.push(id, readings);
    else if (this.early.length < MOST_EARLY) this.early.push({ id, readings });
  }

  private applyDevice(device: Device, model: DeviceModel): void {
    const id = deviceId(device.metadata.namespace ?? 'default', device.metadata.name);
    if (!device.spec.properties?.some(hasPush)) {
      if (this.devices.has(id)) this.removeDevice(id);
      return;
    }
    this.devices.set(id, { device, model });
    if (this.engine) this.engine.applyDevice(device, model);
    else void this.load();
  }

  private removeDevice(id: DeviceId): void {
    if (!this.devices.delete(id)) return;
    this.engine?.removeDevice(id);
    this.deps.report(id, new Map());
  }

  private load(): Promise<void> {
    this.loading ??= import('./engine.ts').then(({ PushEngine }) => {
      if (this.stopped) return;
      this.engine = new PushEngine(this.deps);
      for (const { device, model } of this.devices.values()) this.engine.applyDevice(device, model);
      for (const { id, readings } of this.early) this.engine.push(id, readings);
      this.early = [];
    });
    return this.loading;
  }
}

function hasPush({ pushMethod }: DeviceProperty): boolean {
  return pushMethod !== undefined && pushMethod !== null;
}

import type { Clock, Timer } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { DeviceManager, DeviceMapper, ReadingSink } from '../../runtime/core/dmi.ts';
import type { Logger } from '../../runtime/core/log.ts';
import type { Counter } from '../../runtime/core/metrics.ts';
import { type DeviceId, deviceId, millis } from '../../runtime/core/units.ts';
import type { Kept } from './folder.ts';
import type { Handed } from './messages.ts';
import { PluginWorker } from './plugin-worker.ts';
import { RestartPolicy } from './restart-policy.ts';
import type { SerialDesk } from './serial-desk.ts';

export type PluginDeps = {
  readonly program: string;
  readonly manager: DeviceManager;
  readonly sink: ReadingSink;
  readonly desk: SerialDesk;
  readonly clock: Clock;
  readonly log: Logger;
  /** [0, 1) */
  readonly random: () => number;
  readonly rss: () => number;
  readonly restarts: Counter;
  readonly dropped: Counter;
};

export type PluginCondition = {
  readonly state: 'running' | 'restarting' | 'quarantined';
  /** Why it does not run. */
  readonly reason: string;
};

const RUNNING: PluginCondition = { state: 'running', reason: '' };

/** An installed mapper as edgecore sees it: takes devices and passes them on to a worker, which it starts again when it
 * ends. One that ends again and again is set aside, and tried now and then. */
export class Plugin implements DeviceMapper {
  kept: Kept;
  condition: PluginCondition = RUNNING;
  private readonly deps: PluginDeps;
  private readonly policy: RestartPolicy;
  private readonly devices = new Map<DeviceId, Handed>();
  private worker: PluginWorker | undefined;
  private startedAt = 0;
  private restart: Timer | undefined;
  private stopped = false;

  constructor(deps: PluginDeps, kept: Kept) {
    this.deps = deps;
    this.kept = kept;
    this.policy = new RestartPolicy(deps.random);
  }

  get protocols(): readonly string[] {
    return this.kept.manifest.protocols;
  }

  get deviceCount(): number {
    return this.devices.size;
  }

  /** Loads a version beside the one that runs; it touches no device, so that lines stay with the one that has them.
   * @returns what {@link adopt} takes, or why it cannot run */
  async tryVersion(kept: Kept): Promise<PluginWorker | string> {
    const worker = this.newWorker(kept);
    return (await worker.load()) ?? worker;
  }

  /** From now on this version runs, and the one before it lets go. */
  async adopt(kept: Kept, worker: PluginWorker): Promise<void> {
    this.restart?.cancel();
    const before = this.worker;
    this.worker = undefined;
    await before?.stop();
    this.kept = kept;
    this.policy.reset();
    this.serveWith(worker);
  }

  /** What waits to be started again is started now: somebody has put the same version there once more. */
  async hurry(): Promise<void> {
    if (this.condition.state === 'running') return;
    this.restart?.cancel();
    this.policy.reset();
    await this.startAgain();
  }

  applyDevice(device: Device, model: DeviceModel): string | undefined {
    const id = deviceId(device.metadata.namespace ?? 'default', device.metadata.name);
    this.devices.set(id, { device, model });
    this.worker?.changed(id);
    return this.condition.state === 'quarantined' ? this.condition.reason : undefined;
  }

  removeDevice(id: DeviceId): void {
    this.devices.delete(id);
    this.worker?.changed(id);
  }

  async write(id: DeviceId, property: string, value: string): Promise<string | undefined> {
    return this.worker
      ? this.worker.write(id, property, value)
      : this.condition.reason || 'its mapper is being changed';
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.restart?.cancel();
    const { worker } = this;
    this.worker = undefined;
    await worker?.stop();
  }

  private newWorker(kept: Kept): PluginWorker {
    const worker: PluginWorker = new PluginWorker({
      ...this.deps,
      kept,
      devices: this.devices,
      dropped: (count) => this.deps.dropped.add(count),
      ended: (why) => {
        if (this.worker === worker) this.failed(why);
      },
    });
    return worker;
  }

  private serveWith(worker: PluginWorker): void {
    if (worker.hasEnded) return this.failed('it ended as soon as it was loaded');
    this.worker = worker;
    this.startedAt = this.deps.clock.monotonic();
    this.condition = RUNNING;
    for (const id of this.devices.keys()) worker.changed(id);
  }

  private failed(why: string): void {
    this.worker = undefined;
    if (this.stopped) return;
    const { clock, log, manager, restarts } = this.deps;
    const { name } = this.kept.manifest;
    const { wait, quarantined } = this.policy.ended(millis(clock.monotonic() - this.startedAt));
    const state = quarantined ? 'quarantined' : 'restarting';
    this.condition = { state, reason: `mapper ${name} ended: ${why}` };
    restarts.add();
    log.warn('a plugin ended and is started again', { plugin: name, state, reason: why, wait });
    if (quarantined)
      for (const id of this.devices.keys()) manager.reportDeviceState(id, 'unhealthy', this.condition.reason);
    this.restart = clock.after(wait, () => void this.startAgain());
  }

  private async startAgain(): Promise<void> {
    const { kept } = this;
    this.startedAt = this.deps.clock.monotonic();
    const worker = this.newWorker(kept);
    const refused = await worker.load();
    // Meanwhile it may have been stopped, or another version runs.
    if (this.stopped || this.worker || this.kept !== kept) return void worker.stop();
    if (refused === undefined) this.serveWith(worker);
    else this.failed(refused);
  }
}

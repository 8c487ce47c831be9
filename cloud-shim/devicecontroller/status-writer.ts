import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '../../runtime/core/clock.ts';
import type { Device, DeviceStatus } from '../../runtime/core/devices.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { TokenBucket } from '../../runtime/core/token-bucket.ts';
import { minutes } from '../../runtime/core/units.ts';
import type { KubeApi } from '../kube/client.ts';
import type { Informer } from '../kube/informer.ts';
import { kinds } from '../kube/resource-kind.ts';
import type { DeviceControllerConfig } from './config.ts';
import { ownerOf, type Status, statusObject, statusPatch } from './twin-status.ts';

export type StatusWriterDeps = {
  readonly api: KubeApi;
  readonly config: DeviceControllerConfig['statusWrites'];
  readonly devices: Pick<Informer<Device>, 'get'>;
  readonly statuses: Pick<Informer<DeviceStatus>, 'get' | 'onChange'>;
  readonly clock: Clock;
  readonly log: Logger;
};

type Change = (status: Status) => Status;
type Pending = {
  device: Device;
  readonly changes: Change[];
  readonly waiters: { resolve: () => void; reject: (error: Error) => void }[];
};
/** What stands in the cluster for a device: its own, nobody's, or that of a device which had its name before. */
type Standing = { readonly status: Status; readonly owner: 'own' | 'none' | 'other' };

const CONCURRENT = 32;
const TELL = minutes(1);

/** Writes DeviceStatus objects, no more of them a second than the API server should be asked to take. What waits is a
 * device: changes that come meanwhile go with the same write, the newest value of each property wins. Nodes take turns, so
 * one with a thousand devices does not hold up the others. What would change nothing is not written. */
export class StatusWriter {
  private readonly deps: StatusWriterDeps;
  private readonly bucket: TokenBucket;
  private readonly pending = new Map<string, Pending>();
  /** Devices whose write may begin, by node; the node whose turn it is first. */
  private readonly queues = new Map<string, Set<string>>();
  private readonly writing = new Set<string>();
  /** What was written and has not been seen by the watch yet. */
  private readonly written = new Map<string, Standing & { readonly version: string }>();
  private readonly counts = { written: 0, merged: 0, unchanged: 0 };
  private timer: Timer | undefined;
  private told = Number.NEGATIVE_INFINITY;

  constructor(deps: StatusWriterDeps) {
    const { clock, config, statuses } = deps;
    this.deps = deps;
    this.bucket = new TokenBucket({ clock, rate: config.perSecond, burst: config.burst });
    statuses.onChange({
      changed: (status) => this.seen(status),
      removed: (status) => this.lost(status),
    });
  }

  /** Resolves when the cluster has the change, also when it had it before; rejects when the API server does not take it. */
  write(device: Device, change: Change): Promise<void> {
    const key = keyOf(device);
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      const known = this.pending.get(key);
      if (known) {
        known.device = device;
        known.changes.push(change);
        known.waiters.push(waiter);
        this.counts.merged++;
        return;
      }
      this.pending.set(key, { device, changes: [change], waiters: [waiter] });
      if (!this.writing.has(key)) this.enqueue(key, device);
      this.drain();
    });
  }

  /** The device is no more: nobody needs what waits for it. */
  forget(device: Device): void {
    const key = keyOf(device);
    this.written.delete(key);
    for (const { resolve } of this.pending.get(key)?.waiters ?? []) resolve();
    this.pending.delete(key);
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private enqueue(key: string, { spec }: Device): void {
    const node = spec.nodeName ?? '';
    const queue = this.queues.get(node) ?? new Set();
    queue.add(key);
    this.queues.set(node, queue);
  }

  private drain(): void {
    while (this.queues.size > 0 && this.writing.size < CONCURRENT) {
      if (!this.bucket.hasToken) return this.wait();
      const work = this.next();
      if (!work) continue;
      const current = this.standing(work.device);
      const before = current && current.owner !== 'other' ? current.status : {};
      const next = work.changes.reduce((status, change) => change(status), before);
      if (current?.owner === 'own' && isDeepStrictEqual(next, current.status)) {
        this.counts.unchanged++;
        for (const { resolve } of work.waiters) resolve();
        continue;
      }
      this.bucket.take();
      void this.store(work, current, next);
    }
  }

  /** Takes the first device of the node whose turn it is; that node's next turn comes after the others'. */
  private next(): Pending | undefined {
    for (const [node, queue] of this.queues) {
      this.queues.delete(node);
      for (const key of queue) {
        queue.delete(key);
        if (queue.size > 0) this.queues.set(node, queue);
        const work = this.pending.get(key);
        this.pending.delete(key);
        return work;
      }
    }
    return undefined;
  }

  private wait(): void {
    const { clock, log } = this.deps;
    this.timer ??= clock.after(this.bucket.wait, () => {
      this.timer = undefined;
      this.drain();
    });
    if (clock.monotonic() - this.told < TELL) return;
    this.told = clock.monotonic();
    log.info('device statuses wait for their turn', { waiting: this.pending.size, ...this.counts });
  }

  private async store(work: Pending, current: Standing | undefined, next: Status): Promise<void> {
    const key = keyOf(work.device);
    this.writing.add(key);
    try {
      const version = await this.put(work.device, current, next);
      if (version !== undefined) this.written.set(key, { status: next, owner: 'own', version });
      this.counts.written++;
      for (const { resolve } of work.waiters) resolve();
    } catch (error) {
      this.written.delete(key);
      const { message } = error as Error;
      this.deps.log.warn("a device's status could not be written", { device: key, reason: message });
      for (const { reject } of work.waiters) reject(new Error(message));
    } finally {
      this.writing.delete(key);
      const more = this.pending.get(key);
      if (more) this.enqueue(key, more.device);
      this.drain();
    }
  }

  /** @returns the version that was made; undefined when the device is gone meanwhile
   * @throws Error with the API server's words */
  private async put(
    device: Device,
    current: Standing | undefined,
    next: Status,
  ): Promise<string | undefined> {
    const { api } = this.deps;
    const { namespace = 'default', name } = device.metadata;
    const where = { namespace, name };
    if (current) {
      const owner = current.owner === 'own' ? {} : { metadata: { ownerReferences: [ownerOf(device)] } };
      const patch = { ...owner, status: statusPatch(current.status, next) };
      const answer = await api.patch(kinds.deviceStatus, where, 'application/merge-patch+json', patch);
      if ('object' in answer) return answer.object.metadata.resourceVersion;
      if (answer.status.reason !== 'NotFound') throw new Error(answer.status.message);
    }
    if (!this.deps.devices.get(namespace, name)) return undefined;
    const made = await api.create<DeviceStatus>(kinds.deviceStatus, where, statusObject(device, next));
    if ('object' in made) return made.object.metadata.resourceVersion;
    throw new Error(made.status.message);
  }

  private standing(device: Device): Standing | undefined {
    const { namespace = 'default', name, uid } = device.metadata;
    const written = this.written.get(keyOf(device));
    if (written) return written;
    const there = this.deps.statuses.get(namespace, name);
    if (!there) return undefined;
    const owners = (there.metadata.ownerReferences ?? []).filter(({ kind }) => kind === kinds.device.kind);
    const owner = owners.length === 0 ? 'none' : owners.some((one) => one.uid === uid) ? 'own' : 'other';
    return { status: there.status ?? {}, owner };
  }

  private seen(status: DeviceStatus): void {
    const key = keyOf(status);
    const written = this.written.get(key);
    if (written && !isOlder(status.metadata.resourceVersion, written.version)) this.written.delete(key);
  }

  /** Somebody has deleted the status of a device that is there: its values would come back one by one, as they change. */
  private lost(status: DeviceStatus): void {
    const { namespace = 'default', name } = status.metadata;
    this.written.delete(keyOf(status));
    const device = this.deps.devices.get(namespace, name);
    if (device) this.write(device, (now) => ({ ...status.status, ...now })).catch(() => {});
  }
}

/** Versions are compared as numbers, as the API server of every cluster makes them. */
function isOlder(version: string | undefined, than: string): boolean {
  return BigInt(version || '0') < BigInt(than || '0');
}

export function keyOf({ metadata }: Device | DeviceStatus): string {
  return `${metadata.namespace ?? 'default'}/${metadata.name}`;
}

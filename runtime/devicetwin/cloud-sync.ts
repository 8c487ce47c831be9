import { randomUUID } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Message, MessageDraft } from '../core/message.ts';
import { type Millis, seconds } from '../core/units.ts';
import type { DeviceTwinConfig } from './config.ts';
import { type DeviceEntry, lastOnlineOf, tellable } from './device.ts';
import { Pace } from './pace.ts';
import type { Twin } from './twin.ts';

/** The cloud link, as far as twins need it. */
export interface TwinLink {
  readonly online: boolean;
  request(draft: MessageDraft, timeout: Millis): Promise<Message>;
}

export type CloudSyncDeps = {
  readonly link: TwinLink;
  readonly clock: Clock;
  readonly config: DeviceTwinConfig['cloudReport'];
  readonly log: Logger;
  /** The cloud has confirmed these twins in this state. */
  readonly confirmed: (entry: DeviceEntry, names: readonly string[]) => void;
};

const ANSWER_TIMEOUT = seconds(20);

/** Brings twins and states to the cloud: what changed since it last confirmed, one message under way for each device.
 * Changes made meanwhile wait and go together, so the cloud never sees an older value after a newer one. Values go when
 * {@link Pace} lets the device; what an operator waits for goes at once. What somebody was promised goes up only
 * once it is on disk: a power cut would bring the value before it back.
 * @source KubeEdge dtmanager SyncDeviceFromMeta, twin/edge_updated and state/update */
export class CloudSync {
  private readonly deps: CloudSyncDeps;
  private readonly pace: Pace<DeviceEntry>;
  private readonly busy = new Set<DeviceEntry>();
  /** Devices with something that cannot wait, for when what is under way is confirmed. */
  private readonly urgent = new Set<DeviceEntry>();

  constructor(deps: CloudSyncDeps) {
    this.deps = deps;
    this.pace = new Pace({ clock: deps.clock, config: deps.config });
  }

  /** How many devices have news that wait for their turn. */
  get waiting(): number {
    return this.pace.waiting;
  }

  /** Sends what the cloud does not have of this device, when it is its turn.
   * @param when `now` for what must not wait: a confirmation, a fault, a state that changed, all after an outage */
  push(entry: DeviceEntry, when: 'in turn' | 'now' = 'in turn'): void {
    if (!this.deps.link.online) return;
    if (when === 'now') this.urgent.add(entry);
    if (this.busy.has(entry) || !hasNews(entry)) return;
    if (!this.urgent.has(entry)) return this.pace.ask(entry, () => this.start(entry));
    this.pace.speaksNow(entry);
    this.start(entry);
  }

  /** The device is no more. */
  forget(entry: DeviceEntry): void {
    this.urgent.delete(entry);
    this.pace.forget(entry);
  }

  stop(): void {
    this.pace.stop();
  }

  private start(entry: DeviceEntry): void {
    if (!this.deps.link.online) return;
    this.urgent.delete(entry);
    this.busy.add(entry);
    void this.run(entry);
  }

  private async run(entry: DeviceEntry): Promise<void> {
    try {
      if (entry.stateUnsynced) await this.sendState(entry);
      if (this.deps.link.online && hasTwins(entry)) await this.sendTwins(entry);
    } catch (error) {
      // Still marked as unsynced: sent with the next change or the next link.
      this.deps.log.debug('twin not confirmed', () => ({ device: entry.id, reason: errorText(error) }));
      return;
    } finally {
      this.busy.delete(entry);
    }
    this.push(entry);
  }

  private async sendState(entry: DeviceEntry): Promise<void> {
    const { name, state, reason } = entry;
    const faults = entry.faults.all();
    const lastOnlineTime = lastOnlineOf(entry);
    const device = {
      name,
      state,
      lastOnlineTime,
      ...(reason ? { reason } : {}),
      ...(faults ? { faults } : {}),
    };
    entry.stateUnsynced = false;
    const content = JSON.stringify({ ...this.base(), device });
    const taken = await this.ask(`device/${entry.id}/state/update`, content).catch(() => false);
    if (!taken) entry.stateUnsynced = true;
    if (!taken) throw new Error('the state was not confirmed');
  }

  private async sendTwins(entry: DeviceEntry): Promise<void> {
    const twins = new Map<string, Twin>();
    for (const name of entry.unsynced) {
      const twin = tellable(entry, name);
      if (twin) twins.set(name, twin);
    }
    const content = { ...this.base(), twin: Object.fromEntries(twins) };
    const taken = await this.ask(`device/${entry.id}/twin/edge_updated`, content);
    if (!taken) throw new Error('the twins were not confirmed');
    const same: string[] = [];
    for (const [name, twin] of twins) {
      const under = entry.settling.get(name);
      if (under?.before === twin) under.before = undefined;
      if (entry.twins.get(name) === twin) same.push(name);
    }
    for (const name of same) entry.unsynced.delete(name);
    this.deps.confirmed(entry, same);
  }

  private async ask(resource: string, content: unknown): Promise<boolean> {
    const draft = { source: 'twin', group: 'resource', operation: 'update', resource, content };
    const reply = await this.deps.link.request(draft, ANSWER_TIMEOUT);
    return reply.route.operation === 'response' && reply.content === 'OK';
  }

  private base(): { event_id: string; timestamp: number } {
    return { event_id: randomUUID(), timestamp: this.deps.clock.now() };
  }
}

function hasNews(entry: DeviceEntry): boolean {
  return entry.stateUnsynced || hasTwins(entry);
}

/** What is still on its way to the disk is none yet. */
function hasTwins(entry: DeviceEntry): boolean {
  for (const name of entry.unsynced) if (tellable(entry, name)) return true;
  return false;
}

import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '../core/clock.ts';
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
  /** @param options.handed called when it was written to the link
   * @param options.superseded it is not sent again after this; its answer still counts */
  request(
    draft: MessageDraft,
    timeout: Millis,
    options: { readonly handed: () => void; readonly superseded: AbortSignal },
  ): Promise<Message>;
}

export type CloudSyncDeps = {
  readonly link: TwinLink;
  readonly clock: Clock;
  readonly config: DeviceTwinConfig['cloudReport'];
  readonly log: Logger;
  /** The cloud has confirmed these twins in this state. */
  readonly confirmed: (entry: DeviceEntry, names: readonly string[]) => void;
};

/** One message under way. */
type Turn = {
  /** What it says of twins. */
  readonly twins: Map<string, Twin>;
  readonly superseded: AbortController;
  timer: Timer | undefined;
  /** It was left unanswered for so long that something newer may go. */
  late: boolean;
};

const ANSWER_TIMEOUT = seconds(20);
/** How long what is newer waits for the answer to what is under way: that may be stuck behind something large. */
const PATIENCE = seconds(2);
/** When what was not confirmed is told again although nothing has changed since. */
const RETRY = seconds(30);

/** Brings twins and states to the cloud: what changed since it last confirmed, as a rule one message under way for each
 * device. Changes made meanwhile wait and go together. Messages of one connection are read and merged in the order in which
 * they were sent, and one is not sent again once a newer one has left: so the cloud never sees an older value after a newer
 * one. Values go when {@link Pace} lets the device; what an operator waits for goes at once. What somebody was promised goes
 * up only once it is on disk: a power cut would bring the value before it back.
 * @source KubeEdge dtmanager SyncDeviceFromMeta, twin/edge_updated and state/update */
export class CloudSync {
  private readonly deps: CloudSyncDeps;
  private readonly pace: Pace<DeviceEntry>;
  private readonly turns = new Map<DeviceEntry, Turn>();
  private readonly retries = new Map<DeviceEntry, Timer>();
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
    const turn = this.turns.get(entry);
    if (turn ? !turn.late || !isNewer(entry, turn) : !hasNews(entry)) return;
    if (!this.urgent.has(entry)) return this.pace.ask(entry, () => this.start(entry));
    this.pace.speaksNow(entry);
    this.start(entry);
  }

  /** The device is no more. */
  forget(entry: DeviceEntry): void {
    this.urgent.delete(entry);
    this.cancel(entry);
    this.pace.forget(entry);
  }

  stop(): void {
    for (const { timer } of this.turns.values()) timer?.cancel();
    for (const timer of this.retries.values()) timer.cancel();
    this.pace.stop();
  }

  /** Nothing of it is sent again. */
  private cancel(entry: DeviceEntry): void {
    const turn = this.turns.get(entry);
    turn?.timer?.cancel();
    turn?.superseded.abort();
    this.turns.delete(entry);
    this.retries.get(entry)?.cancel();
    this.retries.delete(entry);
  }

  private start(entry: DeviceEntry): void {
    if (!this.deps.link.online) return;
    this.urgent.delete(entry);
    this.cancel(entry);
    const turn = { twins: new Map(), superseded: new AbortController(), timer: undefined, late: false };
    this.turns.set(entry, turn);
    void this.run(entry, turn);
  }

  private async run(entry: DeviceEntry, turn: Turn): Promise<void> {
    let isConfirmed = false;
    try {
      if (entry.stateUnsynced) await this.sendState(entry, turn);
      const goesOn = this.deps.link.online && this.turns.get(entry) === turn;
      if (goesOn && hasTwins(entry)) await this.sendTwins(entry, turn);
      isConfirmed = true;
    } catch (error) {
      this.deps.log.debug('twin not confirmed', () => ({ device: entry.id, reason: errorText(error) }));
    }
    if (this.turns.get(entry) !== turn) return;
    this.cancel(entry);
    if (isConfirmed) this.push(entry);
    // Still marked as unsynced: sent with the next change, the next link, or a while later.
    else this.retryLater(entry);
  }

  private retryLater(entry: DeviceEntry): void {
    if (!this.deps.link.online) return;
    const again = (): void => {
      this.retries.delete(entry);
      this.push(entry);
    };
    this.retries.set(entry, this.deps.clock.after(RETRY, again));
  }

  private async sendState(entry: DeviceEntry, turn: Turn): Promise<void> {
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
    const taken = await this.ask(entry, turn, 'state/update', content, () => {}).catch(() => false);
    if (!taken) entry.stateUnsynced = true;
    if (!taken) throw new Error('the state was not confirmed');
  }

  private async sendTwins(entry: DeviceEntry, turn: Turn): Promise<void> {
    const { twins } = turn;
    for (const name of entry.unsynced) {
      const twin = tellable(entry, name);
      if (twin) twins.set(name, twin);
    }
    const content = { ...this.base(), twin: Object.fromEntries(twins) };
    const handed = (): void => this.handed(entry, turn);
    const taken = await this.ask(entry, turn, 'twin/edge_updated', content, handed);
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

  private handed(entry: DeviceEntry, turn: Turn): void {
    if (turn.superseded.signal.aborted) return;
    turn.timer ??= this.deps.clock.after(PATIENCE, () => {
      turn.late = true;
      this.push(entry);
    });
  }

  private async ask(
    entry: DeviceEntry,
    turn: Turn,
    what: string,
    content: unknown,
    handed: () => void,
  ): Promise<boolean> {
    const { link } = this.deps;
    const resource = `device/${entry.id}/${what}`;
    const draft = { source: 'twin', group: 'resource', operation: 'update', resource, content };
    const reply = await link.request(draft, ANSWER_TIMEOUT, { handed, superseded: turn.superseded.signal });
    return reply.route.operation === 'response' && reply.content === 'OK';
  }

  private base(): { event_id: string; timestamp: number } {
    return { event_id: randomUUID(), timestamp: this.deps.clock.now() };
  }
}

function hasNews(entry: DeviceEntry): boolean {
  return entry.stateUnsynced || hasTwins(entry);
}

/** Whether there is something that the message under way does not say. */
function isNewer(entry: DeviceEntry, { twins }: Turn): boolean {
  if (entry.stateUnsynced) return true;
  for (const name of entry.unsynced) {
    const twin = tellable(entry, name);
    if (twin && twin !== twins.get(name)) return true;
  }
  return false;
}

/** What is still on its way to the disk is none yet. */
function hasTwins(entry: DeviceEntry): boolean {
  for (const name of entry.unsynced) if (tellable(entry, name)) return true;
  return false;
}

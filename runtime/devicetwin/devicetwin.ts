import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '../core/clock.ts';
import { type Device, type DeviceModel, type DeviceState, shortened } from '../core/devices.ts';
import type { DeviceManager, DeviceMapper, Reading, WriteResult } from '../core/dmi.ts';
import { kubeTime } from '../core/k8s.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import type { TimeTrust } from '../core/time-trust.ts';
import { type DeviceId, deviceId, minutes } from '../core/units.ts';
import { CloudSync, type TwinLink } from './cloud-sync.ts';
import type { DeviceTwinConfig } from './config.ts';
import {
  adopt,
  type DeviceEntry,
  isOnline,
  isState,
  lastOnlineOf,
  modelAbsence,
  modelKey,
  newDeviceEntry,
  onlineAmong,
  protocolOf,
  reportsToCloud,
  restampEntry,
  settle,
  settled,
  takeDevice,
  typeOf,
  unservedReason,
} from './device.ts';
import { type FaultKind, faultLine } from './faults.ts';
import { membershipAnswer, twinsAnswer } from './get-answers.ts';
import { desiredOf, mergeEach, wantedRefusal } from './inputs.ts';
import { Mappers } from './mappers.ts';
import { type Membership, membershipEvent } from './membership.ts';
import { Models } from './models.ts';
import { DeviceRecords, type DeviceStore } from './records.ts';
import type { SideMetadata, TwinUpdate } from './twin.ts';
import {
  isAwaited,
  publishTwins,
  refusalPayload,
  type TwinChange,
  type TwinOutlet,
  topicOf,
} from './twin-events.ts';
import { type EventBase, eventBase, notFound, parseEvent, parseTwinRequest } from './twin-request.ts';

export type DeviceTwinDeps = TwinOutlet & {
  readonly config: DeviceTwinConfig;
  readonly node: string;
  readonly store: DeviceStore;
  readonly link: TwinLink;
  readonly clock: Clock;
  readonly time: TimeTrust;
  readonly log: Logger;
  readonly metrics: MetricSource;
  /** What there is in the store of the cluster's objects, at boot. */
  readonly objects: { devices(): readonly Device[]; models(): readonly DeviceModel[] };
};

/** How often what the cloud did not confirm is offered again on a working link. */
const RESYNC = minutes(1);

/** The devices of this node: membership, twins and states, one model for all ways in.
 * @source KubeEdge edge/pkg/devicetwin */
export class DeviceTwin implements DeviceManager {
  readonly name = 'devicetwin';
  private readonly deps: DeviceTwinDeps;
  private readonly log: Logger;
  private readonly records: DeviceRecords;
  private readonly sync: CloudSync;
  private readonly entries = new Map<DeviceId, DeviceEntry>();
  private readonly models = new Models();
  private readonly mappers = new Mappers();
  private readonly listeners = new Set<() => void>();
  private resync: Timer | undefined;

  constructor(deps: DeviceTwinDeps) {
    this.deps = deps;
    this.log = deps.log.child('devicetwin');
    this.records = new DeviceRecords(deps.store, deps.clock);
    this.sync = new CloudSync({
      ...deps,
      config: deps.config.cloudReport,
      log: this.log,
      confirmed: (entry, names) => this.note(entry, names),
    });
    deps.time.onArrival((boot, epoch) => this.restamp(boot, epoch));
    deps.metrics.gauge('edgecore_devices', 'Devices of this node.', () => this.entries.size);
    deps.metrics.gauge('edgecore_devices_online', 'Devices that answer.', () => onlineAmong(this.entries));
    const waiting = 'Devices with values that wait for their turn to be told to the cloud.';
    deps.metrics.gauge('edgecore_devices_waiting', waiting, () => this.sync.waiting);
  }

  /** Loads what the store holds and hands every device to its mapper; needs no cloud. */
  async start(): Promise<void> {
    for (const entry of this.records.load()) this.entries.set(entry.id, entry);
    for (const model of this.deps.objects.models()) this.models.take(model);
    for (const device of this.deps.objects.devices()) this.applyDevice(device);
    this.resync = this.deps.clock.every(RESYNC, () => this.pushAll());
  }

  async stop(): Promise<void> {
    this.resync?.cancel();
    this.sync.stop();
    this.records.stop();
  }

  /** A mapper of this process takes the devices of its protocols, also those that are here already. */
  addMapper(mapper: DeviceMapper): void {
    this.mappers.add(mapper);
    for (const { entry, device } of this.mappers.devicesOf(mapper, this.entries.values()))
      this.hand(entry, device);
  }

  /** A mapper goes: of its devices nothing is known any more. @param reason why, for the operator */
  removeMapper(mapper: DeviceMapper, reason: string): void {
    for (const { id } of this.mappers.remove(mapper, this.entries.values()))
      this.reportDeviceState(id, 'unknown', reason);
  }

  /** Every device, for the console. */
  list(): Iterable<Readonly<DeviceEntry>> {
    return this.entries.values();
  }

  /** Calls `listener` after any change of a device; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  link(up: boolean): void {
    if (up) this.pushAll('now');
  }

  // --- from the cloud

  membership(added: readonly Membership[], removed: readonly Membership[]): void {
    for (const { id, name, description } of added) this.entryOf(id as DeviceId, name, description);
    for (const { id } of removed) this.removeDevice(id as DeviceId);
    const base = { event_id: randomUUID(), timestamp: this.deps.clock.now() };
    this.deps.publish(
      `$hw/events/node/${this.deps.node}/membership/updated`,
      membershipEvent(base, added, removed),
    );
  }

  applyModel(model: DeviceModel): void {
    const key = this.models.take(model);
    for (const entry of this.entries.values()) {
      if (!entry.device || modelKey(entry.device) !== key) continue;
      this.hand(entry, entry.device);
      this.expect(entry, entry.device);
    }
  }

  applyDevice(given: Device): void {
    const { namespace = 'default', name } = given.metadata;
    const id = deviceId(namespace, name);
    const entry = this.entryOf(id, name, '');
    const { before, device } = takeDevice(entry, this.models.sharing(given));
    if (before && protocolOf(before) !== protocolOf(device)) this.mappers.forget(id, before);
    this.hand(entry, device);
    this.expect(entry, device);
    this.changed(entry, 'now');
  }

  removeDevice(id: DeviceId): void {
    const entry = this.entries.get(id);
    if (!entry) return;
    if (entry.device) this.mappers.forget(id, entry.device);
    this.entries.delete(id);
    this.sync.forget(entry);
    this.records.remove(entry);
    for (const listener of this.listeners) listener();
  }

  /** How a value is brought to a device at once; absent when nobody here can. */
  writerOf(id: DeviceId): ReturnType<Mappers['writerOf']> {
    const device = this.entries.get(id)?.device;
    return device && this.mappers.writerOf(id, device);
  }

  /** A device of this node. */
  get(id: DeviceId): Readonly<DeviceEntry> | undefined {
    return this.entries.get(id);
  }

  // --- from mappers

  /** @returns why one of them was refused; the others are taken */
  reportDeviceStatus(id: DeviceId, readings: readonly Reading[]): string | undefined {
    const entry = this.entries.get(id);
    if (!entry) return `device ${id} is not on this node`;
    const updates = new Map<string, TwinUpdate>();
    for (const { property, value } of readings)
      updates.set(property, { actual: value, ...typeOf(entry, property) });
    const { changes, refused } = mergeEach(entry, updates, this.moment());
    let isNews = false;
    for (const property of updates.keys())
      isNews = this.noteFault(entry, 'reading', property, refused.get(property)?.reason) || isNews;
    if (changes.length > 0) {
      const names = changes.map((c) => c.name);
      adopt(entry, changes, (name) => reportsToCloud(entry, name));
      // Sampled again anyway, so the disk is not waited for.
      this.records.noteTwins(entry, names);
      if (isNews) this.sync.push(entry, 'now');
      this.announce(entry, changes, { event_id: '', timestamp: this.deps.clock.now() });
    } else if (isNews) this.changed(entry, 'now');
    const [first] = refused.values();
    return first?.reason;
  }

  reportDeviceState(id: DeviceId, state: DeviceState, reason = ''): void {
    const entry = this.entries.get(id);
    if (!entry || (entry.state === state && entry.reason === reason)) return;
    this.setState(entry, state, reason, { event_id: '', timestamp: this.deps.clock.now() });
  }

  reportWrites(id: DeviceId, writes: readonly WriteResult[]): void {
    const entry = this.entries.get(id);
    if (!entry) return;
    for (const { property, desired, fault } of writes) {
      const text = fault === undefined ? undefined : `desired ${shortened(desired)}: ${fault}`;
      this.noteFault(entry, 'desired', property, text);
    }
    this.changed(entry, 'now');
  }

  /** What of a device's values cannot be pushed, by property. */
  reportPushFaults(id: DeviceId, faults: ReadonlyMap<string, string>): void {
    const entry = this.entries.get(id);
    if (!entry?.faults.replace('push', faults)) return;
    entry.stateUnsynced = true;
    this.changed(entry, 'now');
  }

  // --- from MQTT

  /** Takes a message on `$hw/events/device/<ns>/<name>/<action>`.
   * @returns resolves when what it asked for is durable; answers go out on MQTT */
  async handleDevice(id: DeviceId, action: string, payload: string): Promise<void> {
    switch (action) {
      case 'twin/update':
        return this.updateTwins(id, payload);
      case 'twin/get':
        return this.deps.publish(
          `${topicOf(id)}/twin/get/result`,
          twinsAnswer(payload, id, this.entries.get(id), this.deps.clock.now()),
        );
      case 'state/update':
        return this.updateState(id, payload);
      default: // results and documents: our own words coming back
    }
  }

  /** Takes `$hw/events/node/<node>/membership/get`. */
  handleMembershipGet(payload: string): void {
    const answer = membershipAnswer(payload, [...this.entries.values()], this.deps.clock.now());
    this.deps.publish(`$hw/events/node/${this.deps.node}/membership/get/result`, answer);
  }

  private async updateTwins(id: DeviceId, payload: string): Promise<void> {
    const now = this.deps.clock.now();
    const result = `${topicOf(id)}/twin/update/result`;
    const request = parseTwinRequest(payload, now);
    if ('refused' in request) {
      const unread = eventBase(parseEvent(payload) ?? {}, now);
      return this.deps.publish(result, refusalPayload(unread, request.refused));
    }
    const entry = this.entries.get(id);
    const base = { event_id: request.event_id, timestamp: now };
    if (!entry) return this.deps.publish(result, refusalPayload(base, notFound(id)));
    const { changes, refused } = mergeEach(entry, request.twin, this.moment());
    // All or nothing: the sender has one answer for all of them.
    const refusal = [...refused.values()][0] ?? wantedRefusal(entry, request.twin);
    if (refusal) return this.deps.publish(result, refusalPayload(base, refusal));
    settle(entry, changes);
    adopt(entry, changes, () => true);
    const names = [...request.twin.keys()];
    try {
      await this.records.keepTwins(entry, names);
    } catch (error) {
      // It is what memory and soon the cloud have: the disk gets it when it can be written again.
      this.note(entry, names);
      throw error;
    } finally {
      settled(entry, changes);
    }
    this.announce(entry, changes, base);
  }

  /** A state that is the same again is answered and told to the cloud, too: it says that the device is still there.
   * An unknown state is passed over, as in KubeEdge. */
  private updateState(id: DeviceId, payload: string): void {
    const event = parseEvent(payload) ?? {};
    const entry = this.entries.get(id);
    const state = String(event.state ?? event.State ?? '').toLowerCase();
    if (!entry || !isState(state)) return;
    this.setState(entry, state, '', eventBase(event, this.deps.clock.now()));
  }

  // --- within

  private entryOf(id: DeviceId, name: string, description: string): DeviceEntry {
    const known = this.entries.get(id);
    if (known) return known;
    const entry = newDeviceEntry(id, name, description);
    this.entries.set(id, entry);
    this.records.keepDevice(entry);
    return entry;
  }

  /** Gives the device to its mapper, or says why nobody serves it. */
  private hand(entry: DeviceEntry, device: Device): void {
    const model = this.models.of(device);
    const faults = new Map([...this.models.faultsFor(device), ...entry.objectFaults]);
    if (entry.faults.replace('object', faults)) entry.stateUnsynced = true;
    if (!model) return this.unserved(entry, modelAbsence(device));
    entry.model = model;
    const fault = this.mappers.apply(device, model);
    if (fault) this.unserved(entry, fault);
    else if (!this.mappers.serves(device) && (entry.state === 'unknown' || entry.reason === entry.unserved))
      this.reportDeviceState(entry.id, 'unknown', unservedReason(device));
  }

  private unserved(entry: DeviceEntry, reason: string): void {
    entry.unserved = reason;
    this.log.warn('a device cannot be served', { device: entry.id, reason });
    this.reportDeviceState(entry.id, 'unhealthy', reason);
  }

  /** The desired values of the cluster's object become the expected side; one that did not change is left alone. Without a
   * model it is not known what they may be. */
  private expect(entry: DeviceEntry, device: Device): void {
    if (!entry.model) return;
    const { changes, refused } = desiredOf(entry, device, this.moment());
    if (refused.length > 0) this.reportWrites(entry.id, refused);
    if (changes.length === 0) return;
    adopt(entry, changes, () => true);
    const names = changes.map((c) => c.name);
    this.records.noteTwins(entry, names);
    this.announce(entry, changes, { event_id: '', timestamp: this.deps.clock.now() });
  }

  private moment(): SideMetadata {
    const { clock, time } = this.deps;
    return time.isTrusted ? { timestamp: clock.now() } : { timestamp: clock.now(), ...time.moment() };
  }

  /** @param fault undefined when nothing is wrong any more
   * @returns whether that is news */
  private noteFault(entry: DeviceEntry, kind: FaultKind, property: string, fault?: string): boolean {
    const isNews = entry.faults.set(kind, property, fault);
    if (isNews) entry.stateUnsynced = true;
    if (isNews && fault) this.log.warn(faultLine[kind], { device: entry.id, property, reason: fault });
    return isNews;
  }

  /** A device that left meanwhile must not come back from the disk, nor what a later one of its name has. */
  private note(entry: DeviceEntry, names: readonly string[]): void {
    if (this.entries.get(entry.id) === entry) this.records.noteTwins(entry, names);
  }

  private announce(entry: DeviceEntry, changes: readonly TwinChange[], base: EventBase): void {
    publishTwins(this.deps, entry, base, changes);
    this.changed(entry, changes.some(isAwaited) ? 'now' : undefined);
  }

  private restamp(boot: string, epoch: number): void {
    for (const entry of this.entries.values()) {
      const names = restampEntry(entry, boot, epoch);
      if (names.length === 0) continue;
      this.records.noteTwins(entry, names);
      this.changed(entry);
    }
  }

  private setState(entry: DeviceEntry, state: DeviceState, reason: string, base: EventBase): void {
    const isNews = entry.state !== state || entry.reason !== reason;
    entry.state = state;
    entry.reason = reason;
    if (isOnline(state)) entry.lastOnline = kubeTime(base.timestamp);
    entry.stateUnsynced = true;
    this.records.keepDevice(entry);
    this.deps.publish(`${topicOf(entry.id)}/state/update/result`, {
      ...base,
      device: { name: entry.name, state, lastOnlineTime: lastOnlineOf(entry) },
    });
    if (isNews) this.deps.observer?.heardState(entry.id, state);
    this.changed(entry, isNews ? 'now' : undefined);
  }

  private changed(entry: DeviceEntry, when?: 'now'): void {
    this.sync.push(entry, when);
    for (const listener of this.listeners) listener();
  }

  private pushAll(when?: 'now'): void {
    for (const entry of this.entries.values()) this.sync.push(entry, when);
  }
}

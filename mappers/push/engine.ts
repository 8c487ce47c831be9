import type { Clock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { Reading } from '../../runtime/core/dmi.ts';
import type { Logger } from '../../runtime/core/log.ts';
import type { MetricSource } from '../../runtime/core/metrics.ts';
import type { TimeTrust } from '../../runtime/core/time-trust.ts';
import { type DeviceId, deviceId, minutes } from '../../runtime/core/units.ts';
import { Box, type PushStore } from './box.ts';
import type { Channel, LocalBroker } from './channel.ts';
import type { PushConfig, PushEnvironment } from './config.ts';
import { credentialsFor } from './credentials.ts';
import { PushFigures, type Waiting } from './figures.ts';
import { Lane } from './lane.ts';
import { parsePushes } from './methods.ts';
import { openChannel } from './open-channel.ts';
import type { Route, Sample } from './sample.ts';
import type { Method, Target } from './target.ts';

export type PushDeps = {
  readonly config: PushConfig;
  readonly environment: PushEnvironment;
  readonly store: PushStore;
  readonly broker: LocalBroker;
  /** Tells what of a device's properties cannot be pushed, by property; empty when all can. */
  readonly report: (id: DeviceId, faults: ReadonlyMap<string, string>) => void;
  readonly clock: Clock;
  readonly time: TimeTrust;
  readonly log: Logger;
  readonly metrics: MetricSource;
  /** [0, 1) */
  readonly random: () => number;
  /** How targets are reached, if not as they say. */
  readonly open?: (target: Target) => Promise<Channel>;
};

/** How long after the start values wait for the clock to be right. */
const TIME_LIMIT = minutes(1);

type Way = { readonly lane: Lane; readonly route: Route };
type Pushed = {
  readonly ways: ReadonlyMap<string, readonly Way[]>;
  readonly faults: ReadonlyMap<string, string>;
};

/** Brings values to where the `pushMethod`s of devices say: a lane for each target, whatever devices share it. */
export class PushEngine {
  private readonly deps: PushDeps;
  private readonly box: Box;
  private readonly figures: PushFigures;
  private readonly devices = new Map<DeviceId, Pushed>();
  private readonly lanes = new Map<string, Lane>();
  private count = 0;
  private readonly startedAt: number;
  /** What the clock would have shown at monotonic 0 of a boot, once it is known. */
  private epoch: { readonly boot: string; readonly at: number } | undefined;

  constructor(deps: PushDeps) {
    this.deps = { ...deps, log: deps.log.child('push') };
    this.figures = new PushFigures(deps.metrics, {
      waiting: (method) => this.waiting(method),
      failing: (method) => this.lanesOf(method).filter(({ fault }) => fault !== undefined).length,
    });
    this.box = new Box({
      ...deps,
      dropped: (target, reason, count) => this.figures.dropped(methodOf(target), reason, count),
    });
    this.startedAt = deps.clock.monotonic();
    deps.time.onArrival((boot, at) => {
      this.epoch = { boot, at };
    });
    // What waited when edgecore ended goes on, also of devices that are no more.
    for (const key of this.box.targets) this.laneOf(JSON.parse(key) as Target).pump();
  }

  applyDevice(device: Device, model: DeviceModel): void {
    const { name, namespace = 'default' } = device.metadata;
    const id = deviceId(namespace, name);
    const { routes, faults } = parsePushes(device, model);
    for (const [property, reason] of faults)
      if (this.devices.get(id)?.faults.get(property) !== reason)
        this.deps.log.warn('a pushMethod is not used', { device: id, property, reason });
    const ways = new Map(
      [...routes].map(([property, own]) => [
        property,
        own.map(({ target, route }) => ({ lane: this.laneOf(target), route })),
      ]),
    );
    this.devices.set(id, { ways, faults });
    this.tell(id);
    this.tidy();
  }

  removeDevice(id: DeviceId): void {
    this.devices.delete(id);
    this.tidy();
  }

  push(id: DeviceId, readings: readonly Reading[]): void {
    const ways = this.devices.get(id)?.ways;
    const { time } = this.deps;
    const moment = time.isTrusted ? {} : { moment: time.moment() };
    for (const { property, value, at } of readings)
      for (const { lane, route } of ways?.get(property) ?? [])
        lane.push({ route, at, n: this.count++, value, ...moment });
  }

  /** Puts on disk what was not confirmed. */
  async stop(): Promise<void> {
    await Promise.all([...this.lanes.values()].map((lane) => lane.stop()));
  }

  private laneOf(target: Target): Lane {
    const key = JSON.stringify(target);
    let lane = this.lanes.get(key);
    if (!lane) {
      const made: Lane = new Lane({
        ...this.deps,
        target,
        open: this.deps.open ?? ((wanted) => this.open(wanted)),
        box: this.box,
        knowsTime: () => this.knowsTime(),
        timed: (sample) => this.timed(sample),
        figures: this.figures,
        drainRate: this.deps.config.drainRate,
        changed: () => this.changed(made),
      });
      lane = made;
      this.lanes.set(key, lane);
    }
    return lane;
  }

  /** A machine without a clock mostly hears of the time soon after it has started; one that never does is not waited for. */
  private knowsTime(): boolean {
    const { time, clock } = this.deps;
    return time.isTrusted || clock.monotonic() - this.startedAt > TIME_LIMIT;
  }

  private timed(sample: Sample): Sample {
    const { moment, ...rest } = sample;
    const { epoch } = this;
    if (!moment || moment.boot !== epoch?.boot) return sample;
    return { ...rest, at: Math.round(epoch.at + moment.mono) };
  }

  private async open(target: Target): Promise<Channel> {
    const { config, environment, clock, broker } = this.deps;
    const credentials = credentialsFor(target, config.credentials, environment);
    return openChannel(target, { credentials, clock, broker });
  }

  private changed(lane: Lane): void {
    for (const [id, { ways }] of this.devices)
      if ([...ways.values()].some((own) => own.some((way) => way.lane === lane))) this.tell(id);
  }

  private tell(id: DeviceId): void {
    const pushed = this.devices.get(id);
    if (!pushed) return;
    const faults = new Map(pushed.faults);
    for (const [property, own] of pushed.ways) {
      const wrong = own.flatMap(({ lane }) => lane.fault ?? lane.refusals.get(`${id}/${property}`) ?? []);
      const all = [faults.get(property), ...wrong].filter((text) => text !== undefined);
      if (all.length > 0) faults.set(property, all.join('; '));
    }
    this.deps.report(id, faults);
  }

  /** Lets go of targets that nobody needs any more. */
  private tidy(): void {
    const used = new Set(
      [...this.devices.values()].flatMap(({ ways }) => [...ways.values()].flat()).map(({ lane }) => lane),
    );
    for (const [key, lane] of this.lanes) {
      if (used.has(lane) || !lane.isIdle || this.box.waiting(key).count > 0) continue;
      this.lanes.delete(key);
      void lane.stop();
    }
  }

  private lanesOf(method: Method): Lane[] {
    return [...this.lanes.values()].filter(({ target }) => target.method === method);
  }

  private waiting(method: Method): Waiting {
    let count = 0;
    let bytes = 0;
    for (const lane of this.lanesOf(method)) {
      const stored = this.box.waiting(JSON.stringify(lane.target));
      count += lane.unsaved.count + stored.count;
      bytes += lane.unsaved.bytes + stored.bytes;
    }
    return { count, bytes };
  }
}

function methodOf(key: string): Method {
  return (JSON.parse(key) as Target).method;
}

import type { Clock, Timer } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import type { NodeProblem } from '../core/node-problem.ts';
import { minutes, seconds } from '../core/units.ts';
import type { Budgets } from './budgets.ts';
import type { Disk, Sensors } from './sensors.ts';

export type HostCareDeps = {
  readonly sensors: Sensors;
  readonly budgets: Pick<Budgets, 'look' | 'over'>;
  /** Folders whose room is told: state, volumes and logs of pods. */
  readonly folders: readonly string[];
  /** Whether the clock follows a time server; undefined where nobody knows. */
  readonly isSynchronised: () => boolean | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
};

const LOOK = seconds(30);
/** A problem that comes and goes is told as one: every change is a write to the API server. */
const HOLD = minutes(10);
/** The Raspberry Pi slows itself down from 80 °C on; most chips of this class do so there or above. */
const HOT = 80;
const LIFE = 0.9;

type ProblemState = { until: number; message: string };
type Looked = Omit<NodeProblem, 'is'> & { readonly found: string | undefined; readonly hold: number };

/** Looks after what a gateway suffers from: heat, a weak supply, a worn card, a clock that nobody sets. Told as metrics, as
 * conditions of the node, and once in the log. What a machine does not measure is not told. */
export class HostCare {
  readonly name = 'host';
  private readonly deps: HostCareDeps;
  private readonly log: Logger;
  private readonly states = new Map<string, ProblemState>();
  private current: readonly NodeProblem[] = [];
  private timer: Timer | undefined;

  constructor(deps: HostCareDeps) {
    this.deps = deps;
    this.log = deps.log.child('host');
    this.measure();
  }

  async start(): Promise<void> {
    this.timer = this.deps.clock.every(LOOK, () => this.look());
    this.look();
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
  }

  /** What is measured here, and whether it is a problem. */
  get problems(): readonly NodeProblem[] {
    return this.current;
  }

  private look(): void {
    // What it finds is told at the next look.
    void this.deps.budgets.look();
    const now = this.deps.clock.monotonic();
    this.current = this.findings().map((finding) => this.judge(finding, now));
  }

  private judge({ type, bad, good, found, hold }: Looked, now: number): NodeProblem {
    const before = this.states.get(type);
    if (found !== undefined) {
      if (!before) this.log.warn('the machine has a problem', { resource: type, reason: found });
      this.states.set(type, { until: now + hold, message: before?.message ?? found });
    } else if (before && now >= before.until) {
      this.states.delete(type);
      this.log.info('the machine no longer has the problem', { resource: type });
    }
    const state = this.states.get(type);
    return { type, bad, good, is: state?.message };
  }

  private findings(): Looked[] {
    const { sensors } = this.deps;
    const found: Looked[] = [];
    const power = sensors.power();
    if (power)
      found.push({
        type: 'Undervoltage',
        bad: 'SupplyTooWeak',
        good: 'SupplySufficient',
        found: power.undervoltage
          ? 'the supply voltage is too low: use a stronger supply or cable'
          : undefined,
        hold: HOLD,
      });
    const temperatures = sensors.temperatures();
    const hottest = temperatures.reduce(
      (most, { celsius }) => Math.max(most, celsius),
      Number.NEGATIVE_INFINITY,
    );
    if (temperatures.length > 0)
      found.push({
        type: 'Overheated',
        bad: 'TooHot',
        good: 'TemperatureNormal',
        found: hottest >= HOT ? `${HOT} °C or more: the processor slows itself down` : undefined,
        hold: HOLD,
      });
    found.push(...this.flash(sensors.disks()));
    const isSynchronised = this.deps.isSynchronised();
    if (isSynchronised !== undefined)
      found.push({
        type: 'ClockUnsynchronised',
        bad: 'NoTimeServer',
        good: 'ClockSynchronised',
        found: isSynchronised ? undefined : 'the clock follows no time server',
        hold: 0,
      });
    found.push(...this.budgets());
    return found;
  }

  private budgets(): Looked[] {
    const { state, writes } = this.deps.budgets.over;
    const room = { type: 'StateOverBudget', bad: 'TooLarge', good: 'WithinBudget', hold: 0 };
    const wear = { type: 'FlashWritesOverBudget', bad: 'TooManyWrites', good: 'WithinBudget', hold: HOLD };
    return [...(state ? [{ ...room, ...state }] : []), ...(writes ? [{ ...wear, ...writes }] : [])];
  }

  private flash(disks: readonly Disk[]): Looked[] {
    const known = disks.filter(({ lifeUsed, isNearEnd }) => lifeUsed !== undefined || isNearEnd);
    if (known.length === 0) return [];
    const worn = known.filter(({ lifeUsed = 0, isNearEnd }) => isNearEnd || lifeUsed >= LIFE);
    const names = worn.map(({ device }) => device).join(', ');
    return [
      {
        type: 'FlashWorn',
        bad: 'FlashNearEndOfLife',
        good: 'FlashHealthy',
        found: worn.length > 0 ? `${names}: the flash tells that its life is nearly used up` : undefined,
        hold: 0,
      },
    ];
  }

  /** Read when somebody asks for the metrics. */
  private measure(): void {
    const { sensors, metrics, folders } = this.deps;
    for (const { zone } of sensors.temperatures())
      metrics.gauge(
        'edgecore_host_temperature_celsius',
        'Temperature of a part of the machine.',
        () => sensors.temperatures().find((one) => one.zone === zone)?.celsius ?? Number.NaN,
        { zone },
      );
    if (sensors.power()) this.measurePower();
    const disk = (device: string): Disk | undefined => sensors.disks().find((one) => one.device === device);
    for (const { device, lifeUsed } of sensors.disks()) {
      const written = 'Bytes written to a disk since the machine started, by everybody.';
      metrics.gauge('edgecore_host_disk_written_bytes', written, () => disk(device)?.written ?? Number.NaN, {
        device,
      });
      if (lifeUsed === undefined) continue;
      const life = 'How much of its life a flash has used, in steps of a tenth.';
      metrics.gauge('edgecore_host_flash_life_used', life, () => disk(device)?.lifeUsed ?? Number.NaN, {
        device,
      });
    }
    metrics.gauge(
      'edgecore_host_own_written_bytes',
      'Bytes that edgecore has had written to disks since it started.',
      () => sensors.ownWrites() ?? Number.NaN,
    );
    for (const folder of folders)
      metrics.gauge(
        'edgecore_host_available_bytes',
        'Room left where a folder lies.',
        () => sensors.room(folder)?.available ?? Number.NaN,
        { folder },
      );
    metrics.gauge('edgecore_host_clock_synchronised', '1 while the clock follows a time server.', () => {
      const is = this.deps.isSynchronised();
      return is === undefined ? Number.NaN : Number(is);
    });
  }

  private measurePower(): void {
    const { sensors, metrics } = this.deps;
    for (const what of ['undervoltage', 'throttled'] as const)
      metrics.gauge(`edgecore_host_${what}`, `1 while the Raspberry Pi reports ${what}.`, () =>
        Number(sensors.power()?.[what] ?? Number.NaN),
      );
  }
}

import type { Clock, Timer } from '../core/clock.ts';
import { TokenBucket } from '../core/token-bucket.ts';
import type { DeviceTwinConfig } from './config.ts';

export type PaceDeps = {
  readonly clock: Clock;
  readonly config: DeviceTwinConfig['cloudReport'];
};

type Turn = { bucket: TokenBucket; timer: Timer | undefined };

/** A second. */
const NO_LIMIT = 1e6;

/** When which device may speak to the cloud: one that was quiet at once, one that changes all the time once in an
 * interval, and all of them together only so fast. What waits is a device and not a value, so the newest value goes. */
export class Pace<D extends object> {
  private readonly deps: PaceDeps;
  private readonly all: TokenBucket;
  private readonly turns = new Map<D, Turn>();
  /** Devices whose own turn has come, in that order, with what they want to do: first those that were quiet, so that many
   * which change all the time do not hold up the one that changes now and then. */
  private readonly lanes = { quiet: new Map<D, () => void>(), busy: new Map<D, () => void>() };
  private timer: Timer | undefined;

  constructor(deps: PaceDeps) {
    const { clock, config } = deps;
    this.deps = deps;
    const rate = config.messagesPerSecond;
    this.all = new TokenBucket({ clock, rate, burst: rate });
  }

  /** How many devices wait for a turn. */
  get waiting(): number {
    let own = 0;
    for (const { timer } of this.turns.values()) if (timer) own++;
    return own + this.lanes.quiet.size + this.lanes.busy.size;
  }

  /** Calls `speak` at the device's next turn; a call that waits already stays. */
  ask(device: D, speak: () => void): void {
    const turn = this.turnOf(device);
    if (turn.timer || this.lanes.quiet.has(device) || this.lanes.busy.has(device)) return;
    const { wait } = turn.bucket;
    if (wait === 0) return this.enqueue(device, speak);
    turn.timer = this.deps.clock.after(wait, () => {
      turn.timer = undefined;
      this.enqueue(device, speak);
    });
  }

  /** The device speaks now, because what it says cannot wait; it counts like any other turn. */
  speaksNow(device: D): void {
    this.cancel(device);
    this.count(this.turnOf(device).bucket);
    this.count(this.all);
  }

  /** Lets a device's turn go, and keeps in mind how much it has spoken. */
  cancel(device: D): void {
    const turn = this.turns.get(device);
    turn?.timer?.cancel();
    if (turn) turn.timer = undefined;
    this.lanes.quiet.delete(device);
    this.lanes.busy.delete(device);
  }

  /** The device is no more. */
  forget(device: D): void {
    this.cancel(device);
    this.turns.delete(device);
  }

  stop(): void {
    for (const device of [...this.turns.keys()]) this.forget(device);
    this.timer?.cancel();
    this.timer = undefined;
  }

  private enqueue(device: D, speak: () => void): void {
    const isQuiet = this.turnOf(device).bucket.level > this.deps.config.burst / 2;
    this.lanes[isQuiet ? 'quiet' : 'busy'].set(device, speak);
    this.drain();
  }

  private drain(): void {
    const { quiet, busy } = this.lanes;
    for (const lane of [quiet, busy]) {
      for (const [device, speak] of lane) {
        if (!this.all.hasToken) break;
        lane.delete(device);
        this.all.take();
        this.turnOf(device).bucket.take();
        speak();
      }
    }
    if (quiet.size + busy.size === 0 || this.timer) return;
    this.timer = this.deps.clock.after(this.all.wait, () => {
      this.timer = undefined;
      this.drain();
    });
  }

  /** What went without asking makes no debt: a device that flaps would otherwise be silent for hours. */
  private count(bucket: TokenBucket): void {
    if (bucket.hasToken) bucket.take();
  }

  private turnOf(device: D): Turn {
    const known = this.turns.get(device);
    if (known) return known;
    const { clock, config } = this.deps;
    const rate = config.interval === 0 ? NO_LIMIT : 1 / config.interval;
    const turn = { bucket: new TokenBucket({ clock, rate, burst: config.burst }), timer: undefined };
    this.turns.set(device, turn);
    return turn;
  }
}

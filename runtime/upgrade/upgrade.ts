import { readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Clock, Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Condition } from '../core/k8s.ts';
import type { Logger } from '../core/log.ts';
import { seconds } from '../core/units.ts';
import { Gate, type Vitals } from './gate.ts';
import { BASE, FileSlots, type Outcome, type SlotAdapter } from './slots.ts';

/** One kind of slots. */
export type SlotPlace = {
  readonly slots: SlotAdapter;
  /** The slot that this process runs from. */
  readonly own: string;
  /** Notes that it runs on trial. */
  readonly reached?: () => Promise<void>;
  /** Has what was there before the trial start. */
  readonly leave: (reason: string) => void;
};

export type UpgradeDeps = {
  /** The system first: while it is on trial, nothing is done about what lies within it. */
  readonly places: readonly SlotPlace[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly vitals: () => Vitals;
  /** Something new is to be told of {@link Upgrade.condition}. */
  readonly changed: () => void;
};

const LOOK = seconds(1);

/** What a running edgecore has to do with upgrades: on trial it watches its own health, is kept or gives up; else it notes
 * what became of a trial that ended by itself. */
export class Upgrade {
  readonly name = 'upgrade';
  private readonly deps: UpgradeDeps;
  private readonly log: Logger;
  private timer: Timer | undefined;
  private last: Outcome | undefined;
  private isEnding = false;
  private readonly listeners: ((outcome: Outcome) => void)[] = [];

  constructor(deps: UpgradeDeps) {
    this.deps = deps;
    this.log = deps.log.child('upgrade');
  }

  /** What became of the last upgrade. */
  get outcome(): Outcome | undefined {
    return this.last;
  }

  /** Calls back with each outcome from now on. */
  onOutcome(listener: (outcome: Outcome) => void): void {
    this.listeners.push(listener);
  }

  /** For the Node's status; undefined while there was no upgrade. */
  get condition(): Pick<Condition, 'type' | 'status' | 'reason' | 'message'> | undefined {
    if (!this.last) return undefined;
    const { result, version, from, reason } = this.last;
    return result === 'confirmed'
      ? {
          type: 'UpgradeKept',
          status: 'True',
          reason: 'Confirmed',
          message: `upgraded from ${from} to ${version}`,
        }
      : {
          type: 'UpgradeKept',
          status: 'False',
          reason: 'RolledBack',
          message: `${version} was given up for ${from}: ${reason}`,
        };
  }

  async start(): Promise<void> {
    for (const place of this.deps.places) if (await this.begin(place)) return;
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
  }

  /** The modules could not start: a version on trial is given up at once.
   * @returns when that is noted */
  async failed(reason: string): Promise<void> {
    const { places, clock } = this.deps;
    try {
      for (const { slots, own, leave } of places) {
        if (!(await isOnTrial(slots, own))) continue;
        this.note(await slots.rollback(`it could not start: ${reason}`, clock.now()));
        leave(reason);
      }
    } catch (error) {
      // Whoever started the trial goes back all the same, with less of a reason.
      this.log.error('the trial could not be ended', { reason: errorText(error) });
    }
  }

  /** @returns whether the place is on trial */
  private async begin(place: SlotPlace): Promise<boolean> {
    const { slots, own, reached } = place;
    const { clock } = this.deps;
    try {
      const { trial, request, outcome } = await slots.state();
      this.last ??= outcome;
      if (trial?.phase === 'running' && trial.slot === own && request) {
        await reached?.();
        this.log.info('on trial', { slot: own, from: request.from, within: request.within });
        const gate = new Gate(request, clock.monotonic());
        this.timer = clock.every(LOOK, () => void this.look(gate, place));
        return true;
      }
      this.note(await slots.recover(clock.now()));
    } catch (error) {
      // The version in use runs all the same.
      this.log.error('the state of the upgrade cannot be read', { reason: errorText(error) });
    }
    return false;
  }

  private async look(gate: Gate, { slots, own, leave }: SlotPlace): Promise<void> {
    const { clock, vitals } = this.deps;
    const verdict = gate.judge(vitals(), clock.monotonic());
    if (verdict.kind === 'wait' || this.isEnding) return;
    this.isEnding = true;
    try {
      // Somebody may have decided by hand meanwhile.
      if (!(await isOnTrial(slots, own))) this.note((await slots.state()).outcome);
      else if (verdict.kind === 'confirm') this.note(await slots.confirm(clock.now()));
      else {
        this.note(await slots.rollback(verdict.reason, clock.now()));
        leave(verdict.reason);
      }
      this.timer?.cancel();
    } catch (error) {
      // Tried again; when it never works whoever started the trial ends it, and the version before starts.
      this.log.error('the trial could not be ended', { reason: errorText(error) });
    } finally {
      this.isEnding = false;
    }
  }

  private note(outcome: Outcome | undefined): void {
    if (!outcome) return;
    this.last = outcome;
    const { version, from, reason } = outcome;
    if (outcome.result === 'confirmed') this.log.info('the upgrade is kept', { version, from });
    else this.log.error('the upgrade was rolled back', { version, from, reason });
    this.deps.changed();
    for (const listener of this.listeners) listener(outcome);
  }
}

async function isOnTrial(slots: SlotAdapter, own: string): Promise<boolean> {
  const { trial } = await slots.state();
  return trial?.phase === 'running' && trial.slot === own;
}

/** Where the launcher says that slots are. */
export type SlotPlaces = {
  /** Of the slots. */
  readonly folder: string;
  /** Of the package. */
  readonly base: string;
};

/** @returns the slots; undefined for an edgecore that was not started by its launcher */
export function slotsAt(places: SlotPlaces | undefined): FileSlots | undefined {
  const version = places && baseVersion(places.base);
  return version === undefined ? undefined : new FileSlots(places?.folder ?? '', version);
}

/** @returns the slot whose program lies in `folder` */
export function slotOf(folder: string, places: SlotPlaces | undefined): string {
  return places && dirname(folder) === realPath(places.folder) ? basename(folder) : BASE;
}

function realPath(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder; // there is none yet
  }
}

function baseVersion(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'version'), 'utf8').trim();
  } catch {
    return undefined;
  }
}

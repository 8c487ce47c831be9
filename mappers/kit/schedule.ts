import { type Millis, millis } from '../../runtime/core/units.ts';
import type { DriverPoint } from './driver.ts';

type Group = {
  readonly period: Millis;
  readonly points: readonly DriverPoint[];
  next: number;
  last: number | undefined;
  /** What the period has become, smoothed over about ten turns. */
  achieved: number;
};

/** A cycle that is not kept: what was asked, and what comes of it. */
export type Lag = { readonly asked: Millis; readonly achieved: Millis };

/** Timers may fire a little before their time by the monotonic clock. */
const EARLY = 2;
const SMOOTHING = 0.1;
/** How much longer than asked a cycle may be. */
const TOLERANCE = 1.2;
const CACHED_SETS = 64;

/** When which points of a device are due. All cycles of a device lie on one grid, so that points of 500 ms and of 1 s are
 * read together every second time. A turn that comes late shifts none that follow, and those that were missed are
 * left out. */
export class Schedule {
  private readonly groups: readonly Group[];
  private readonly grid: number;
  /** Points of several groups that were due together. */
  private sets: Map<string, readonly DriverPoint[]> | undefined;

  /** @param first when everything is read the first time, monotonic
   * @param grid an instant of the grid, monotonic; differs between devices, so that their turns spread */
  constructor(points: readonly DriverPoint[], first: Millis, grid: Millis) {
    this.grid = grid;
    const periods = [...new Set(points.map((p) => p.cycle))];
    this.groups = periods.map((period) => ({
      period,
      points: points.filter((p) => p.cycle === period),
      next: first,
      last: undefined,
      achieved: period,
    }));
  }

  /** When something is due next, monotonic; infinite without points. */
  get next(): number {
    return this.groups.reduce((least, { next }) => Math.min(least, next), Number.POSITIVE_INFINITY);
  }

  /** Takes what is due; the same points come as the same array. */
  take(now: Millis): readonly DriverPoint[] {
    const due = this.groups.filter(({ next }) => next <= now + EARLY);
    for (const group of due) {
      const turns = Math.floor((now + EARLY - this.grid) / group.period) + 1;
      group.next = this.grid + turns * group.period;
      if (group.last !== undefined) group.achieved += (now - group.last - group.achieved) * SMOOTHING;
      group.last = now;
    }
    return this.pointsOf(due);
  }

  /** Makes everything due: what a device did while it was away is not known. */
  restart(now: Millis): void {
    for (const group of this.groups)
      Object.assign(group, { next: now, last: undefined, achieved: group.period });
  }

  /** The cycle that is kept worst, when it is not kept. */
  get lag(): Lag | undefined {
    let worst: Group | undefined;
    for (const group of this.groups) {
      if (group.achieved <= group.period * TOLERANCE) continue;
      if (!worst || group.achieved / group.period > worst.achieved / worst.period) worst = group;
    }
    return worst && { asked: worst.period, achieved: millis(Math.round(worst.achieved)) };
  }

  private pointsOf(groups: readonly Group[]): readonly DriverPoint[] {
    if (groups.length === 1) return groups[0]?.points ?? [];
    const key = groups.map(({ period }) => period).join();
    this.sets ??= new Map();
    let points = this.sets.get(key);
    if (!points) {
      if (this.sets.size >= CACHED_SETS) this.sets.clear();
      points = groups.flatMap((group) => group.points);
      this.sets.set(key, points);
    }
    return points;
  }
}

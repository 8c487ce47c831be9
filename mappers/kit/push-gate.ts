import type { Device, DeviceProperty } from '../../runtime/core/devices.ts';
import { isRecord } from '../../runtime/core/message.ts';
import { type Millis, millis } from '../../runtime/core/units.ts';

/** How often values are pushed of a property that does not say so.
 * @source KubeEdge mapper-framework pkg/common/const.go DefaultReportCycle */
const DEFAULT_CYCLE = millis(1000);
/** Readings come a little before or after their time. */
const EARLY = 0.1;

/** How often each property with a `pushMethod` is pushed. */
export type PushCycles = ReadonlyMap<string, Millis>;

/** Of nearly all devices. */
const NONE: PushCycles = new Map();

export function pushCycles({ spec }: Device): PushCycles {
  const pushed = (spec.properties ?? []).filter(isPushed);
  if (pushed.length === 0) return NONE;
  return new Map(
    pushed.map(({ name, reportCycle = 0 }) => [
      name,
      Number.isInteger(reportCycle) && reportCycle > 0 ? millis(reportCycle) : DEFAULT_CYCLE,
    ]),
  );
}

/** Which readings go to where their `pushMethod` says: those that are good, changed or not, in their report cycle. */
export class PushGate {
  private readonly cycles: PushCycles;
  private readonly next = new Map<string, number>();

  constructor(cycles: PushCycles) {
    this.cycles = cycles;
  }

  /** The readings that are due.
   * @param now monotonic */
  due<R extends { readonly property: string }>(readings: readonly R[], now: Millis): R[] {
    return readings.filter(({ property }) => this.take(property, now));
  }

  /** Whether a reading is due, which counts as its turn. Turns lie on a grid, so that one reading that comes late shifts
   * none that follow.
   * @param now monotonic */
  take(property: string, now: Millis): boolean {
    const cycle = this.cycles.get(property);
    if (cycle === undefined) return false;
    const next = this.next.get(property) ?? now;
    if (now < next - cycle * EARLY) return false;
    this.next.set(property, Math.max(next + cycle, now + cycle / 2));
    return true;
  }
}

function isPushed({ pushMethod }: DeviceProperty): boolean {
  if (!isRecord(pushMethod)) return false;
  return Object.keys(pushMethod).some((key) => key.toLowerCase() !== 'anomalydetection');
}

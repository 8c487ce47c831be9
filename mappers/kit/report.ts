import type { Millis } from '../../runtime/core/units.ts';
import type { DriverPoint } from './driver.ts';
import type { ReportRule, ReportRules } from './report-rules.ts';

/** `at` is when it went up last. */
type Rule = ReportRule & { readonly cycle: Millis; at?: Millis };
type Said = { readonly property: string; readonly value: string };

/** Binary fractions make 0.3 - 0.2 a little less than 0.1. */
const ROUNDING = 1 - 1e-9;
const NO_RULES: ReadonlyMap<string, Rule> = new Map();

/** Report by exception: a value goes up when it differs enough from the one that went up last, not more often than its
 * report cycle, and again after its heartbeat. */
export class Reporter {
  private readonly rules: ReadonlyMap<string, Rule>;
  /** What was reported last of each property. */
  private readonly last = new Map<string, string>();

  /** @param points whose report cycles hold */
  constructor(points: readonly Pick<DriverPoint, 'property' | 'reportCycle'>[], rules: ReportRules) {
    const none: ReportRule = { deadband: 0, deadbandPercent: 0 };
    const special = points.filter((point) => point.reportCycle > 0 || rules.has(point.property));
    if (special.length === 0) {
      this.rules = NO_RULES;
      return;
    }
    this.rules = new Map(
      special.map(({ property, reportCycle }) => {
        return [property, { ...none, ...rules.get(property), cycle: reportCycle }];
      }),
    );
  }

  /** The readings that are due.
   * @param now monotonic */
  due<R extends Said>(readings: readonly R[], now: Millis): R[] {
    return readings.filter((reading) => this.take(reading, now));
  }

  /** Whether a reading is due; then it counts as reported.
   * @param now monotonic */
  take({ property, value }: Said, now: Millis): boolean {
    if (!this.isDue(property, value, now)) return false;
    this.note(property, value, now);
    return true;
  }

  /** Notes what was reported without having been asked whether it is due. */
  said(readings: readonly Said[], now: Millis): void {
    for (const { property, value } of readings) this.note(property, value, now);
  }

  /** Forgets what was reported: the next reading of every property goes up. */
  reset(): void {
    this.last.clear();
  }

  private note(property: string, value: string, now: Millis): void {
    this.last.set(property, value);
    const rule = this.rules.get(property);
    if (rule) rule.at = now;
  }

  private isDue(property: string, value: string, now: Millis): boolean {
    const last = this.last.get(property);
    if (last === undefined) return true;
    const rule = this.rules.get(property);
    if (!rule) return last !== value;
    const waited = now - (rule.at ?? now);
    if (rule.heartbeat !== undefined && waited >= rule.heartbeat) return true;
    return last !== value && waited >= rule.cycle && passes(last, value, rule);
  }
}

/** Whether a value is beyond the deadband around the one before; what is no number always is. */
function passes(before: string, value: string, { deadband, deadbandPercent }: ReportRule): boolean {
  if (deadband === 0 && deadbandPercent === 0) return true;
  const [from, to] = [Number(before), Number(value)];
  const least = Math.max(deadband, (Math.abs(from) * deadbandPercent) / 100);
  return !(Math.abs(to - from) < least * ROUNDING);
}

/** Where a rule comes from. */
export type RuleOrigin = 'cluster' | 'file';

/** What becomes of a rule: refused; waiting for its conditions; pending while they hold but not for long enough; active
 * since it acted and they hold; stopped for having set itself off. */
export type RuleStanding = 'refused' | 'waiting' | 'pending' | 'active' | 'stopped';

/** A rule, or a file that is refused, as it is shown. */
export type RuleView = {
  readonly id: string;
  readonly origin: RuleOrigin;
  readonly state: RuleStanding;
  readonly fired: number;
  /** ms since epoch. */
  readonly firedAt?: number;
  /** Why it is refused or stopped. */
  readonly reason?: string;
  readonly lastError?: string;
};

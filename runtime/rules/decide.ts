import { type Condition, type Rule, sameText, type Test } from './rule.ts';

/** What is known of a rule between two events. Times are monotonic ms. */
export type RuleState = {
  readonly conditions: readonly ConditionState[];
  /** Since when the conditions hold; undefined while they do not. */
  readonly since: number | undefined;
  /** It has acted, and the conditions have held ever since. */
  readonly active: boolean;
  /** When it acted last. */
  readonly firedAt: number;
  /** The condition whose value came last, for the templates. */
  readonly last: number;
};

export type ConditionState = {
  readonly holds: boolean;
  /** The last value; undefined until one came. */
  readonly value: string | undefined;
  /** When it came; when the rule was begun, until then. */
  readonly heardAt: number;
};

export type RuleEvent =
  /** A value for one of the conditions. */
  | { readonly kind: 'value'; readonly condition: number; readonly value: string }
  /** Time has passed. */
  | { readonly kind: 'time' };

export type Decision = {
  readonly state: RuleState;
  /** Which list of actions is to be done. */
  readonly acts: 'do' | 'otherwise' | undefined;
  /** A moment that counted came too soon after the last one, and is left out. */
  readonly suppressed: boolean;
  /** When to ask again, if no value comes before; undefined = no need. */
  readonly wakeAt: number | undefined;
  /** Why the value cannot be judged; the condition stays as it was. */
  readonly fault: string | undefined;
};

/** What was kept of a rule over a restart. */
export type KeptState = { readonly active: boolean; readonly holds: readonly boolean[] };

/** A rule that begins. One that was active when edgecore ended still is, so that its end is not missed; a `for` begins
 * anew. */
export function beginState({ conditions }: Rule, now: number, kept?: KeptState): RuleState {
  return {
    conditions: conditions.map((_, i) => ({
      // What held then holds until a value says otherwise; a silence, too.
      holds: kept?.active === true && kept.holds[i] === true,
      value: undefined,
      heardAt: now,
    })),
    since: kept?.active ? now : undefined,
    active: kept?.active ?? false,
    firedAt: Number.NEGATIVE_INFINITY,
    last: 0,
  };
}

/** What a rule does about an event. Pure: the input is untouched.
 * @param now monotonic ms */
export function decide(rule: Rule, state: RuleState, event: RuleEvent, now: number): Decision {
  const heard = hear(rule, state, event, now);
  const steady = whole(rule, heard.conditions);
  // A change is a moment: it counts for this event only.
  const holds = heard.pulse === undefined ? steady : whole(rule, heard.conditions, heard.pulse);
  const since = holds ? (state.since ?? now) : undefined;
  const last = event.kind === 'value' ? event.condition : state.last;
  const before = { ...state, conditions: heard.conditions, since: steady ? since : undefined, last };
  const isFree = now >= state.firedAt + rule.every;
  const isRipe = since !== undefined && now - since >= rule.holdFor;
  const isMoment = holds && !steady;
  if (isRipe && isFree && (!state.active || rule.trigger === 'level')) {
    const next = { ...before, active: steady, firedAt: now };
    return { state: next, acts: 'do', suppressed: false, wakeAt: wakeTime(rule, next), fault: heard.fault };
  }
  const ends = state.active && !steady;
  const next = ends ? { ...before, active: false } : before;
  return {
    state: next,
    acts: ends ? 'otherwise' : undefined,
    suppressed: isMoment && isRipe && !isFree,
    wakeAt: wakeTime(rule, next),
    fault: heard.fault,
  };
}

type Heard = {
  readonly conditions: readonly ConditionState[];
  /** The condition that holds for this event only. */
  readonly pulse: number | undefined;
  readonly fault: string | undefined;
};

function hear({ conditions }: Rule, state: RuleState, event: RuleEvent, now: number): Heard {
  if (event.kind === 'time')
    return { conditions: silences(conditions, state, now), pulse: undefined, fault: undefined };
  const condition = conditions[event.condition];
  const before = state.conditions[event.condition];
  if (!condition || !before) return { conditions: state.conditions, pulse: undefined, fault: undefined };
  const { test } = condition;
  const verdict = judge(test, event.value, before.holds);
  const isPulse = test.kind === 'changes' && before.value !== undefined && before.value !== event.value;
  const after = {
    holds: typeof verdict === 'boolean' ? verdict : before.holds,
    value: event.value,
    heardAt: now,
  };
  return {
    conditions: silences(
      conditions,
      { ...state, conditions: state.conditions.map((one, i) => (i === event.condition ? after : one)) },
      now,
    ),
    pulse: isPulse ? event.condition : undefined,
    fault: typeof verdict === 'boolean' ? undefined : verdict.fault,
  };
}

/** Notices what has not been heard of for long enough. */
function silences(
  conditions: readonly Condition[],
  state: RuleState,
  now: number,
): readonly ConditionState[] {
  const isSilent = ({ test }: Condition, { holds, heardAt }: ConditionState): boolean =>
    test.kind === 'silent' && !holds && now >= heardAt + test.after;
  if (!conditions.some((condition, i) => isSilent(condition, state.conditions[i] as ConditionState)))
    return state.conditions;
  return state.conditions.map((one, i) =>
    isSilent(conditions[i] as Condition, one) ? { ...one, holds: true } : one,
  );
}

/** Whether a condition holds with a value. @param held whether it did before */
function judge(test: Test, value: string, held: boolean): boolean | { readonly fault: string } {
  switch (test.kind) {
    case 'above': {
      const number = numberOf(value);
      return typeof number === 'number' ? number > (held ? test.clear : test.limit) : number;
    }
    case 'below': {
      const number = numberOf(value);
      return typeof number === 'number' ? number < (held ? test.clear : test.limit) : number;
    }
    case 'equals':
      return sameText(value, test.value);
    case 'notEquals':
      return !sameText(value, test.value);
    case 'changes':
    case 'silent':
      return false;
    default:
      return test satisfies never;
  }
}

function numberOf(value: string): number | { readonly fault: string } {
  const number = value.trim() === '' ? Number.NaN : Number(value);
  return Number.isNaN(number) ? { fault: `${JSON.stringify(value.slice(0, 60))} is no number` } : number;
}

function whole({ match }: Rule, conditions: readonly ConditionState[], pulse?: number): boolean {
  const holds = ({ holds }: ConditionState, i: number): boolean => holds || i === pulse;
  return match === 'all' ? conditions.every(holds) : conditions.some(holds);
}

function wakeTime(rule: Rule, { conditions, since, active, firedAt }: RuleState): number | undefined {
  let at = Number.POSITIVE_INFINITY;
  if (since !== undefined && (!active || rule.trigger === 'level'))
    at = Math.max(since + rule.holdFor, firedAt + rule.every);
  for (const [i, { test }] of rule.conditions.entries()) {
    const one = conditions[i];
    if (test.kind === 'silent' && one && !one.holds) at = Math.min(at, one.heardAt + test.after);
  }
  return at === Number.POSITIVE_INFINITY ? undefined : at;
}

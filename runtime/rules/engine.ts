import type { Clock, Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { partAt } from '../core/json-path.ts';
import type { Logger } from '../core/log.ts';
import type { DeviceId } from '../core/units.ts';
import { millis } from '../core/units.ts';
import { beginState, decide, type KeptState, type RuleEvent, type RuleState } from './decide.ts';
import { type Cause, type LoopLimit, Loops } from './loops.ts';
import type { Action, Rule } from './rule.ts';
import type { TemplateValues } from './template.ts';

/** Something that a rule wants done. */
export type Act = {
  readonly live: LiveRule;
  readonly action: Action;
  readonly values: TemplateValues;
  readonly chain: ReadonlySet<string>;
};

/** Where messages of topics come from. */
export interface TopicSource {
  /** @returns how to end it
   * @throws EdgeError MQTT_TOPIC_INVALID */
  subscribe(topic: string, handler: (topic: string, payload: Buffer) => void): () => void;
  /** What is retained there; absent where it comes by itself after the subscription. */
  retained?(topic: string): Buffer | undefined;
}

export type EngineDeps = {
  readonly node: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limit: LoopLimit;
  readonly sources: readonly TopicSource[];
  /** The value that a property has now, when it was heard in this run. */
  readonly current: (device: DeviceId, property: string) => string | undefined;
  readonly act: (acts: readonly Act[]) => void;
  /** What is kept or shown of a rule has changed. */
  readonly changed: (live: LiveRule, what: 'fired' | 'ended' | 'error' | 'stopped') => void;
};

/** A rule at work. */
export type LiveRule = {
  readonly key: string;
  readonly rule: Rule;
  state: RuleState;
  cause: Cause;
  timer: { readonly timer: Timer; readonly due: number } | undefined;
  /** Why it was stopped. */
  stopped: string | undefined;
  fired: number;
  /** ms since epoch. */
  firedAt: number | undefined;
  lastError: string | undefined;
};

/** What a rule goes on with. */
export type Begin = {
  readonly kept?: KeptState;
  readonly stopped?: string | undefined;
  readonly fired?: number;
  readonly firedAt?: number | undefined;
};

type Target = { readonly live: LiveRule; readonly condition: number };
type Topic = { readonly targets: Set<Target>; readonly end: () => void };

/** A value or a payload that is longer is not judged. */
const LONGEST_VALUE = 4096;
const LARGEST_PAYLOAD = 65_536;

/** Feeds values to the rules that want them: what no rule asks for costs a look into a map. */
export class RuleEngine {
  private readonly deps: EngineDeps;
  private readonly loops: Loops;
  private readonly rules = new Map<string, LiveRule>();
  private readonly properties = new Map<DeviceId, Map<string, Set<Target>>>();
  private readonly topics = new Map<string, Topic>();

  constructor(deps: EngineDeps) {
    this.deps = deps;
    this.loops = new Loops(deps.limit);
  }

  get(key: string): LiveRule | undefined {
    return this.rules.get(key);
  }

  /** Takes a rule, new or changed; it begins with what is known of its properties. */
  set(key: string, rule: Rule, { kept, stopped, fired = 0, firedAt }: Begin = {}): LiveRule {
    this.remove(key);
    const { clock } = this.deps;
    const state = beginState(rule, clock.monotonic(), kept);
    const more = { cause: undefined, timer: undefined, lastError: undefined };
    const live: LiveRule = { key, rule, state, stopped, fired, firedAt, ...more };
    this.rules.set(key, live);
    for (const [condition, { input }] of rule.conditions.entries()) {
      const target = { live, condition };
      if (input.kind === 'topic') this.listen(input.topic, target);
      else targetsOf(this.properties, input.device, input.property).add(target);
    }
    for (const [condition, { input }] of rule.conditions.entries()) {
      if (input.kind === 'topic') {
        for (const source of this.deps.sources) {
          const payload = source.retained?.(input.topic);
          if (payload) this.message(input.topic, payload, [{ live, condition }]);
        }
        continue;
      }
      const value = this.deps.current(input.device, input.property);
      if (value !== undefined) this.event(live, { kind: 'value', condition, value }, undefined);
    }
    this.event(live, { kind: 'time' }, undefined);
    return live;
  }

  remove(key: string): void {
    const live = this.rules.get(key);
    if (!live) return;
    this.rules.delete(key);
    this.loops.forget(key);
    live.timer?.timer.cancel();
    live.timer = undefined;
    for (const { input } of live.rule.conditions) {
      if (input.kind === 'topic') this.unlisten(input.topic, live);
      else this.unindex(input.device, input.property, live);
    }
  }

  stop(): void {
    for (const key of [...this.rules.keys()]) this.remove(key);
  }

  /** A property has been reported, or a device's state has. */
  heard(device: DeviceId, property: string, value: string): void {
    const targets = this.properties.get(device)?.get(property);
    if (!targets) return;
    const cause = this.loops.causeOf(propertyKey(device, property), value, this.deps.clock.monotonic());
    for (const { live, condition } of targets) this.event(live, { kind: 'value', condition, value }, cause);
  }

  /** Whether some rule listens to a device: what nobody asks for need not be looked at. */
  wants(device: DeviceId): boolean {
    return this.properties.has(device);
  }

  /** A rule's action is about to be done. @param value what comes back when it works */
  acted(target: string, value: string, chain: ReadonlySet<string>): void {
    this.loops.acted(target, value, chain, this.deps.clock.monotonic());
  }

  failed(live: LiveRule, reason: string): void {
    if (live.lastError === reason) return;
    live.lastError = reason;
    this.deps.log.warn('a rule could not do what it is to do', { resource: live.rule.id, reason });
    this.deps.changed(live, 'error');
  }

  private message(topic: string, payload: Buffer, targets: Iterable<Target>): void {
    const text = payload.length > LARGEST_PAYLOAD ? undefined : payload.toString();
    const cause = this.loops.causeOf(topic, text ?? '', this.deps.clock.monotonic());
    let parsed: { value: unknown } | undefined;
    for (const { live, condition } of targets) {
      const input = live.rule.conditions[condition]?.input;
      if (input?.kind !== 'topic') continue;
      if (input.path) parsed ??= { value: parseJson(text ?? '') };
      const value =
        text === undefined ? undefined : input.path ? valueText(partAt(parsed?.value, input.path)) : text;
      if (value === undefined) this.failed(live, `${topic}: ${faultOf(text, parsed)}`);
      else this.event(live, { kind: 'value', condition, value }, cause);
    }
  }

  private event(live: LiveRule, event: RuleEvent, cause: Cause): void {
    if (live.stopped !== undefined) return;
    if (event.kind === 'value' && event.value.length > LONGEST_VALUE)
      return this.failed(
        live,
        `condition ${event.condition + 1}: a value of ${event.value.length} characters`,
      );
    const { clock } = this.deps;
    const before = live.state;
    const { state, acts, wakeAt, fault } = decide(live.rule, before, event, clock.monotonic());
    live.state = state;
    if (event.kind === 'value' && (cause || acts || state.since !== before.since)) live.cause = cause;
    if (fault) this.failed(live, `condition ${state.last + 1}: ${fault}`);
    if (acts) this.fire(live, acts);
    this.arm(live, wakeAt);
  }

  private fire(live: LiveRule, acts: 'do' | 'otherwise'): void {
    const { clock, act, changed } = this.deps;
    const actions = live.rule[acts];
    const chain = actions.length > 0 && this.loops.fires(live.key, live.cause, clock.monotonic());
    if (chain === undefined) return this.halt(live);
    if (acts === 'do') {
      // What goes wrong from now on is the last error.
      live.lastError = undefined;
      live.fired++;
      live.firedAt = clock.now();
    }
    changed(live, acts === 'do' ? 'fired' : 'ended');
    if (!chain) return;
    const values = this.valuesOf(live);
    act(actions.map((action) => ({ live, action, values, chain })));
  }

  /** Stops a rule that sets itself off, until it is changed. */
  private halt(live: LiveRule): void {
    const { times, window } = this.deps.limit;
    const others = [...(live.cause ?? [])].flatMap((key) =>
      key === live.key ? [] : (this.rules.get(key)?.rule.id ?? key),
    );
    const over = others.length > 0 ? ` over ${others.join(', ')}` : '';
    live.stopped = `it has set itself off${over} more than ${times} times in ${window / 1000} s`;
    live.timer?.timer.cancel();
    live.timer = undefined;
    this.deps.changed(live, 'stopped');
  }

  private valuesOf({ rule, state }: LiveRule): TemplateValues {
    const values = state.conditions.map(({ value = '' }) => value);
    const input = rule.conditions[state.last]?.input;
    return {
      value: values[state.last] ?? '',
      values,
      rule: rule.id,
      node: this.deps.node,
      device: input?.kind === 'property' ? input.device : '',
      property: input?.kind === 'property' ? input.property : '',
      topic: input?.kind === 'topic' ? input.topic : '',
      now: this.deps.clock.now(),
    };
  }

  /** A timer that is due earlier than needed stays: setting one for each value would cost more than asking in vain. */
  private arm(live: LiveRule, wakeAt: number | undefined): void {
    if (live.stopped !== undefined) return;
    if (wakeAt === undefined || (live.timer && live.timer.due <= wakeAt)) return;
    live.timer?.timer.cancel();
    const { clock } = this.deps;
    const wait = millis(Math.max(0, Math.ceil(wakeAt - clock.monotonic())));
    const timer = clock.after(wait, () => {
      live.timer = undefined;
      this.event(live, { kind: 'time' }, undefined);
    });
    live.timer = { timer, due: wakeAt };
  }

  private listen(topic: string, target: Target): void {
    const known = this.topics.get(topic);
    if (known) {
      known.targets.add(target);
      return;
    }
    const ends: (() => void)[] = [];
    const end = (): void => {
      for (const stop of ends) stop();
    };
    const targets = new Set([target]);
    this.topics.set(topic, { targets, end });
    try {
      for (const source of this.deps.sources)
        ends.push(source.subscribe(topic, (_, payload) => this.message(topic, payload, [...targets])));
    } catch (error) {
      this.failed(target.live, errorText(error));
    }
  }

  private unlisten(topic: string, live: LiveRule): void {
    const known = this.topics.get(topic);
    if (!known) return;
    for (const target of known.targets) if (target.live === live) known.targets.delete(target);
    if (known.targets.size > 0) return;
    known.end();
    this.topics.delete(topic);
  }

  private unindex(device: DeviceId, property: string, live: LiveRule): void {
    const known = this.properties.get(device);
    const targets = known?.get(property);
    if (!known || !targets) return;
    for (const target of targets) if (target.live === live) targets.delete(target);
    if (targets.size === 0) known.delete(property);
    if (known.size === 0) this.properties.delete(device);
  }
}

/** What a property is called among deeds. */
export function propertyKey(device: DeviceId, property: string): string {
  return `${device} ${property}`;
}

function targetsOf(
  index: Map<DeviceId, Map<string, Set<Target>>>,
  device: DeviceId,
  property: string,
): Set<Target> {
  const properties = index.get(device) ?? new Map<string, Set<Target>>();
  index.set(device, properties);
  const targets = properties.get(property) ?? new Set<Target>();
  properties.set(property, targets);
  return targets;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function valueText(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function faultOf(text: string | undefined, parsed: { value: unknown } | undefined): string {
  if (text === undefined) return `a payload of more than ${LARGEST_PAYLOAD} bytes`;
  return parsed?.value === undefined ? 'the payload is no JSON' : 'the payload has nothing at the path';
}

import * as v from 'valibot';
import { type ConfigFault, faultsOf } from '../core/config-faults.ts';
import { parseJsonPath } from '../core/json-path.ts';
import { isRecord } from '../core/message.ts';
import { type DeviceId, deviceId, millis } from '../core/units.ts';
import type { Action, Condition, Input, Rule, Test } from './rule.ts';
import { type RawAction, type RawCondition, type RawRule, ruleSchema } from './schema.ts';
import { parseTemplate, type Template } from './template.ts';

/** Whatever is said here stops counting what was known of the rule: `kubectl annotate` starts a stopped one again. */
export const RESET_ANNOTATION = 'rules.edgecore.io/reset';

/** Reads a LocalRule, an object of the cluster or a document of a file.
 * @returns the rule, or everything that is wrong with it */
export function parseRule(raw: unknown): Rule | { readonly faults: readonly ConfigFault[] } {
  const result = v.safeParse(ruleSchema, raw);
  if (!result.success) return { faults: faultsOf(result.issues) };
  const reader = new Reader(result.output);
  const rule = reader.rule();
  return reader.faults.length > 0 ? { faults: reader.faults } : rule;
}

/** One line of what is wrong with a rule. */
export function nameOf(raw: unknown): string {
  const { metadata } = isRecord(raw) ? raw : {};
  return isRecord(metadata) && typeof metadata.name === 'string' ? metadata.name : '(without a name)';
}

class Reader {
  readonly faults: ConfigFault[] = [];
  private readonly raw: RawRule;

  constructor(raw: RawRule) {
    this.raw = raw;
  }

  rule(): Rule {
    const { metadata, spec } = this.raw;
    const { namespace, name } = metadata;
    const { all, any } = spec.when;
    if ((all === undefined) === (any === undefined)) this.wrong('spec.when', 'want either all or any');
    const list = all ?? any ?? [];
    const kind = all ? 'all' : 'any';
    const conditions = list.map((one, i) => this.condition(one, `spec.when.${kind}.${i}`));
    this.checkTimes(conditions);
    const of = (key: 'do' | 'otherwise'): Action[] =>
      spec[key].map((one, i) => this.action(one, `spec.${key}.${i}`, list.length));
    return {
      id: `${namespace}/${name}`,
      namespace,
      name,
      fingerprint: JSON.stringify([spec, metadata.annotations?.[RESET_ANNOTATION] ?? '']),
      match: kind,
      conditions,
      holdFor: millis(spec.for),
      every: millis(spec.every),
      trigger: spec.trigger,
      do: of('do'),
      otherwise: of('otherwise'),
    };
  }

  /** A change is a moment: it cannot last. */
  private checkTimes(conditions: readonly Condition[]): void {
    const { trigger, every, otherwise, for: holdFor } = this.raw.spec;
    const moments = conditions.some(({ test }) => test.kind === 'changes');
    if (moments && holdFor > 0)
      this.wrong('spec.for', 'want none with a condition that says changes: it is a moment');
    if (moments && trigger === 'level')
      this.wrong('spec.trigger', 'want edge with a condition that says changes: it is a moment');
    if (trigger === 'level' && every < 100) this.wrong('spec.every', 'want 100ms or more with trigger level');
    if (
      conditions.length > 0 &&
      conditions.every(({ test }) => test.kind === 'changes') &&
      otherwise.length > 0
    )
      this.wrong('spec.otherwise', 'want none where all conditions say changes: there is no end of a moment');
  }

  private condition(raw: RawCondition, path: string): Condition {
    return { input: this.input(raw, path), test: this.test(raw, path) };
  }

  private input({ device, property, topic, path: at }: RawCondition, path: string): Input {
    if (topic !== undefined) {
      if (device !== undefined || property !== undefined)
        this.wrong(path, 'want either device and property, or topic');
      const parsed = at === undefined ? undefined : parseJsonPath(at);
      if (!parsed || !('fault' in parsed)) return { kind: 'topic', topic, path: parsed };
      this.wrong(`${path}.path`, parsed.fault, at);
      return { kind: 'topic', topic, path: undefined };
    }
    if (device === undefined || property === undefined)
      this.wrong(path, 'want either device and property, or topic');
    if (at !== undefined) this.wrong(`${path}.path`, 'want none without topic');
    return {
      kind: 'property',
      device: this.device(device ?? '', `${path}.device`),
      property: property ?? '',
    };
  }

  private test(raw: RawCondition, path: string): Test {
    const { above, below, equals, notEquals, changes, noValueFor, hysteresis = 0 } = raw;
    const tests: (Test | undefined)[] = [
      above === undefined ? undefined : { kind: 'above', limit: above, clear: above - hysteresis },
      below === undefined ? undefined : { kind: 'below', limit: below, clear: below + hysteresis },
      equals === undefined ? undefined : { kind: 'equals', value: equals },
      notEquals === undefined ? undefined : { kind: 'notEquals', value: notEquals },
      changes ? { kind: 'changes' } : undefined,
      noValueFor === undefined ? undefined : { kind: 'silent', after: millis(noValueFor) },
    ];
    const found = tests.filter((test) => test !== undefined);
    const [test = { kind: 'changes' }] = found;
    if (found.length !== 1)
      this.wrong(path, 'want one of above, below, equals, notEquals, changes, noValueFor');
    if (raw.hysteresis !== undefined && test.kind !== 'above' && test.kind !== 'below')
      this.wrong(`${path}.hysteresis`, 'want none without above or below');
    if (noValueFor !== undefined && noValueFor < 100) this.wrong(`${path}.noValueFor`, 'want 100ms or more');
    return test;
  }

  private action(raw: RawAction, path: string, conditions: number): Action {
    const { write, publish, http } = raw;
    if ([write, publish, http].filter(Boolean).length !== 1)
      this.wrong(path, 'want one of write, publish, http');
    const template = (text: string, key: string): Template =>
      this.template(text, `${path}.${key}`, conditions);
    if (http) {
      const { body, timeout, ...rest } = http;
      const filled = body === undefined ? undefined : template(body, 'http.body');
      return { kind: 'http', ...rest, body: filled, timeout: millis(timeout) };
    }
    if (publish)
      return { kind: 'publish', ...publish, payload: template(publish.payload, 'publish.payload') };
    const { device = '', property = '', value = '' } = write ?? {};
    if (property.startsWith('$'))
      this.wrong(`${path}.write.property`, 'want a property of the device', property);
    const id = this.device(device, `${path}.write.device`);
    return { kind: 'write', device: id, property, value: template(value, 'write.value') };
  }

  private template(text: string, path: string, conditions: number): Template {
    const parsed = parseTemplate(text, conditions);
    if (!('fault' in parsed)) return parsed;
    this.wrong(path, parsed.fault, text);
    return [];
  }

  /** `name`, in the rule's namespace, or `namespace/name`. */
  private device(text: string, path: string): DeviceId {
    const parts = text.split('/');
    if (parts.length > 2 || parts.includes('')) {
      if (text !== '') this.wrong(path, 'want NAME or NAMESPACE/NAME', text);
      return deviceId('', '');
    }
    const [first = '', second] = parts;
    return second === undefined ? deviceId(this.raw.metadata.namespace, first) : deviceId(first, second);
  }

  private wrong(path: string, wrong: string, value?: string): void {
    this.faults.push({
      path,
      wrong,
      ...(value === undefined ? {} : { value: JSON.stringify(value.slice(0, 80)) }),
    });
  }
}

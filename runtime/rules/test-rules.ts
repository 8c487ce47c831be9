import { parseRule } from './parse-rule.ts';
import type { Rule } from './rule.ts';

/** The least of a rule around a spec, for tests. */
export function ruleObject(name: string, spec: object, metadata: object = {}) {
  return {
    apiVersion: 'rules.edgecore.io/v1alpha1',
    kind: 'LocalRule',
    metadata: { name, namespace: 'default', ...metadata },
    spec,
  };
}

/** A publish action that shows what the rule saw. */
export const say = (topic: string) => [{ publish: { topic, payload: '{{value}}' } }];

/** @throws Error with what is wrong */
export function ruleOf(spec: object): Rule {
  const rule = parseRule(ruleObject('r', { do: say('out'), ...spec }));
  if ('faults' in rule) throw new Error(JSON.stringify(rule.faults));
  return rule;
}

export const temperature = { device: 'plc', property: 'temperature' };

import { objectAt } from '../json.ts';
import { qosClass, withPodDefaults } from './pod-defaults.ts';
import { podFaults, podUpdateFaults } from './pod-validation.ts';
import type { Strategy } from './resource.ts';

/** Pods: defaults, a fresh status, and a spec that hardly changes later. */
export const podStrategy: Strategy = {
  prepare: (pod) => {
    const filled = withPodDefaults(pod);
    return { ...filled, status: { phase: 'Pending', qosClass: qosClass(filled) } };
  },
  prepareUpdate: (next, old) => {
    const filled = withPodDefaults(next);
    const { priority } = objectAt(old, 'spec');
    const spec = { ...(priority === undefined ? {} : { priority }), ...objectAt(filled, 'spec') };
    return { ...filled, spec };
  },
  validate: podFaults,
  validateUpdate: podUpdateFaults,
};

import { randomUUID } from 'node:crypto';
import type { Config } from './config/schema.ts';
import { type CoreEvent, type KubeObject, kubeTime } from './core/k8s.ts';
import type { TimeTrust } from './core/time-trust.ts';
import type { DeviceId } from './core/units.ts';
import { undesirable } from './desires.ts';
import type { DeviceTwin } from './devicetwin/devicetwin.ts';
import type { EdgeHub } from './edgehub/edgehub.ts';
import type { EventBus } from './eventbus/eventbus.ts';
import type { MetaManager } from './metamanager/metamanager.ts';
import { currentValues } from './rules/current.ts';
import { Rules, type RulesDeps } from './rules/rules.ts';
import type { RuleView } from './rules/view.ts';

export type LocalRulesDeps = Omit<
  RulesDeps,
  'config' | 'outbox' | 'objects' | 'undesirable' | 'desire' | 'current' | 'alarm'
> & {
  readonly all: Config;
  readonly time: TimeTrust;
  readonly hub: Pick<EdgeHub, 'outbox'>;
  /** Asked once they all exist. */
  readonly parts: () => { readonly meta: MetaManager; readonly twins: DeviceTwin; readonly bus: EventBus };
};

/** The rules of this node, between the modules that they listen to and those that do what they want. */
export function localRules({ parts, hub, all, ...shared }: LocalRulesDeps): Rules {
  const { clock, node, log } = shared;
  const twins = { get: (id: DeviceId) => parts().twins.get(id) };
  return new Rules({
    ...shared,
    config: all.modules.rules,
    outbox: hub.outbox,
    objects: () => parts().meta.localRules(),
    undesirable: (id, property, value) => undesirable(twins.get(id), property, value),
    desire: (id, values) => parts().meta.desire(id, values),
    current: currentValues({ ...shared, twins }),
    alarm: (view, object) => {
      const { id: rule, reason } = view;
      const { bus, meta } = parts();
      log.error('a rule was stopped', { resource: rule, reason });
      bus.publish(`$hw/events/node/${node}/rules/alarm`, { rule, reason, timestamp: clock.now() });
      if (object) meta.event(stoppedEvent(object, view, node, clock.now()));
    },
  });
}

function stoppedEvent(
  { metadata }: KubeObject,
  { reason = '' }: RuleView,
  node: string,
  now: number,
): CoreEvent {
  const { namespace = 'default', name, uid } = metadata;
  const time = kubeTime(now);
  return {
    metadata: { namespace, name: `${name}.${randomUUID().slice(0, 8)}` },
    involvedObject: {
      apiVersion: 'rules.edgecore.io/v1alpha1',
      kind: 'LocalRule',
      namespace,
      name,
      ...(uid ? { uid } : {}),
    },
    reason: 'RuleStopped',
    message: `on node ${node}: ${reason}`,
    type: 'Warning',
    count: 1,
    firstTimestamp: time,
    lastTimestamp: time,
    source: { component: 'edgecore', host: node },
    reportingComponent: 'edgecore',
    reportingInstance: node,
  };
}

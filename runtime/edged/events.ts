import { randomBytes } from 'node:crypto';
import { type CoreEvent, kubeTime } from '../core/k8s.ts';
import type { Pod } from '../core/pod.ts';

/** An event about a pod, as `kubectl describe pod` shows it. */
export function podEvent(
  pod: Pod,
  event: { readonly type: CoreEvent['type']; readonly reason: string; readonly message: string },
  node: string,
  now: number,
): CoreEvent {
  const { name, namespace = 'default', uid = '' } = pod.metadata;
  const time = kubeTime(now);
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${now.toString(16)}${randomBytes(3).toString('hex')}`, namespace },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
    ...event,
    count: 1,
    firstTimestamp: time,
    lastTimestamp: time,
    source: { component: 'edged', host: node },
    reportingComponent: 'edged',
    reportingInstance: node,
  };
}

import type { Condition } from '../core/k8s.ts';
import type { PodRef, PodStatus } from '../core/pod.ts';

/** The strategic-merge patch that makes a pod's status in the cluster equal to `status`.
 * Conditions merge by type there, so a text that is gone must be said to be gone.
 * @returns JSON
 * @source KubeEdge edge/pkg/edged, podpatch; kubelet status manager */
export function podStatusPatch(pod: PodRef, status: PodStatus): string {
  const conditions = status.conditions?.map(withNulls);
  const { reason, message } = status;
  return JSON.stringify({
    metadata: { uid: pod.uid },
    status: {
      ...status,
      reason: reason ?? null,
      message: message ?? null,
      ...(conditions ? { conditions } : {}),
    },
  });
}

function withNulls(condition: Condition): Record<string, unknown> {
  return { ...condition, reason: condition.reason ?? null, message: condition.message ?? null };
}

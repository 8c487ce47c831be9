import { isRecord } from '../../core/message.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A pod's status when both the cluster and the node that runs it have a say: the node's fields and conditions go
 * first, those that others set in the cluster stay.
 * @param own a status as the node reports it, or as it was merged before */
export function mergePodStatus(cluster: unknown, own: unknown): Fields {
  if (!isRecord(own) || !own.phase) return isRecord(cluster) ? cluster : {};
  const { reason: _reason, message: _message, ...rest } = isRecord(cluster) ? cluster : {};
  return { ...rest, ...own, conditions: mergeConditions(rest.conditions, own.conditions) };
}

function mergeConditions(cluster: unknown, own: unknown): unknown[] {
  const mine = Array.isArray(own) ? own.filter(isRecord) : [];
  const types = new Set(mine.map(({ type }) => type));
  const others = Array.isArray(cluster)
    ? cluster.filter(isRecord).filter(({ type }) => !types.has(type))
    : [];
  return [...others, ...mine];
}

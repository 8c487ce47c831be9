import { type ApiObject, type JsonObject, objectAt, objectsAt, textAt } from '../json.ts';
import { milliValue, quantity } from '../kinds/quantity.ts';
import { matchesExpressions } from '../selectors.ts';

/** Chooses a node for a pod: ready, asked for, tolerated, with room; the one with the fewest pods.
 * @returns its name, or why none fits
 * @source Kubernetes: kube-scheduler filtering */
export function chooseNode(
  pod: ApiObject,
  nodes: readonly ApiObject[],
  pods: readonly ApiObject[],
): { node: string } | { why: string } {
  const faults: string[] = [];
  const fitting: { name: string; pods: number }[] = [];
  for (const node of nodes) {
    const name = node.metadata.name ?? '';
    const there = pods.filter((other) => textAt(other, 'spec', 'nodeName') === name && !isOver(other));
    const fault = misfit(pod, node, there);
    if (fault) faults.push(fault);
    else fitting.push({ name, pods: there.length });
  }
  fitting.sort((a, b) => a.pods - b.pods || (a.name < b.name ? -1 : 1));
  const [best] = fitting;
  if (best) return { node: best.name };
  const counts = new Map<string, number>();
  for (const fault of faults) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  const list = [...counts].map(([fault, count]) => `${count} ${fault}`).join(', ');
  return { why: `0/${nodes.length} nodes are available${list ? `: ${list}` : ''}.` };
}

/** The taint that this node is kept free for, which the pod does not tolerate. */
export function untolerated(pod: ApiObject, node: ApiObject): JsonObject | undefined {
  const tolerations = objectsAt(pod, 'spec', 'tolerations');
  return objectsAt(node, 'spec', 'taints')
    .filter((taint) => taint.effect !== 'PreferNoSchedule')
    .find((taint) => !tolerations.some((t) => tolerates(t, taint)));
}

function misfit(pod: ApiObject, node: ApiObject, there: readonly ApiObject[]): string | undefined {
  const ready = objectsAt(node, 'status', 'conditions').find((c) => c.type === 'Ready');
  if (ready?.status !== 'True') return 'node(s) were not ready';
  if (objectAt(node, 'spec').unschedulable === true) return 'node(s) were unschedulable';
  const taint = untolerated(pod, node);
  if (taint) return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`;
  const labels = objectAt(node, 'metadata', 'labels');
  if (!Object.entries(objectAt(pod, 'spec', 'nodeSelector')).every(([key, value]) => labels[key] === value))
    return "node(s) didn't match Pod's node affinity/selector";
  const terms = objectsAt(
    pod,
    'spec',
    'affinity',
    'nodeAffinity',
    'requiredDuringSchedulingIgnoredDuringExecution',
    'nodeSelectorTerms',
  );
  if (terms.length > 0 && !terms.some((term) => matchesTerm(term, labels, node.metadata.name ?? '')))
    return "node(s) didn't match Pod's node affinity/selector";
  return lacking(pod, node, there);
}

/** A term that asks for nothing matches nothing. */
function matchesTerm(term: JsonObject, labels: JsonObject, name: string): boolean {
  const expressions = objectsAt(term, 'matchExpressions');
  const fields = objectsAt(term, 'matchFields');
  if (expressions.length + fields.length === 0) return false;
  return matchesExpressions(expressions, labels) && matchesExpressions(fields, { 'metadata.name': name });
}

function lacking(pod: ApiObject, node: ApiObject, there: readonly ApiObject[]): string | undefined {
  const allocatable = objectAt(node, 'status', 'allocatable');
  const limit = quantity(allocatable.pods);
  if (limit !== undefined && there.length >= limit) return 'Too many pods';
  for (const resource of ['cpu', 'memory']) {
    const total = milliValue(allocatable[resource]);
    const used = [...there, pod].reduce((sum, each) => sum + requested(each, resource), 0);
    if (total !== undefined && used > total && requested(pod, resource) > 0)
      return `Insufficient ${resource}`;
  }
  return undefined;
}

/** In thousandths. */
function requested(pod: ApiObject, resource: string): number {
  return objectsAt(pod, 'spec', 'containers').reduce(
    (sum, container) => sum + (milliValue(objectAt(container, 'resources', 'requests')[resource]) ?? 0),
    0,
  );
}

function tolerates(toleration: JsonObject, taint: JsonObject): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (!toleration.key) return toleration.operator === 'Exists';
  if (toleration.key !== taint.key) return false;
  return toleration.operator === 'Exists' || (toleration.value ?? '') === (taint.value ?? '');
}

function isOver(pod: ApiObject): boolean {
  const phase = textAt(pod, 'status', 'phase');
  return phase === 'Succeeded' || phase === 'Failed';
}

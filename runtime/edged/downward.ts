import { EdgeError } from '../core/errors.ts';
import type { FieldSelector, Pod, ResourceFieldSelector } from '../core/pod.ts';
import { quantity, thousandths } from './quantity.ts';

/** What a pod can learn of where it runs. */
export type PodFacts = { readonly nodeName: string; readonly hostIP: string; readonly podIP: string };

/** The value of a field of the pod, as a container may ask for it.
 * @throws EdgeError OBJECT_INVALID for a field that cannot be given
 * @source Kubernetes: Downward API */
export function fieldValue(pod: Pod, { fieldPath }: FieldSelector, facts: PodFacts): string {
  const { metadata, spec } = pod;
  const entry = fieldPath.match(/^metadata\.(labels|annotations)\['(.+)'\]$/);
  if (entry?.[1] && entry[2]) return metadata[entry[1] as 'labels' | 'annotations']?.[entry[2]] ?? '';
  const values: Readonly<Record<string, () => string>> = {
    'metadata.name': () => metadata.name,
    'metadata.namespace': () => metadata.namespace ?? '',
    'metadata.uid': () => metadata.uid ?? '',
    'metadata.labels': () => lines(metadata.labels),
    'metadata.annotations': () => lines(metadata.annotations),
    'spec.nodeName': () => facts.nodeName,
    'spec.serviceAccountName': () => spec.serviceAccountName ?? 'default',
    'status.hostIP': () => facts.hostIP,
    'status.hostIPs': () => facts.hostIP,
    'status.podIP': () => facts.podIP,
    'status.podIPs': () => facts.podIP,
  };
  const value = values[fieldPath];
  if (!value) throw new EdgeError('OBJECT_INVALID', { detail: `fieldRef ${fieldPath} is not offered` });
  return value();
}

/** A container's own limit or request as a number, rounded up in units of the divisor.
 * @throws EdgeError OBJECT_INVALID */
export function resourceValue(pod: Pod, selector: ResourceFieldSelector, container: string): string {
  const name = selector.containerName ?? container;
  const found = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((c) => c.name === name);
  const [kind, resource] = selector.resource.split('.', 2);
  if (!found || !resource || (kind !== 'limits' && kind !== 'requests')) {
    throw new EdgeError('OBJECT_INVALID', { detail: `resourceFieldRef ${name}: ${selector.resource}` });
  }
  const value = quantity(found.resources?.[kind]?.[resource]) ?? 0;
  const units = resource === 'cpu' ? thousandths : Math.ceil;
  return String(Math.ceil(units(value) / units(quantity(selector.divisor) || 1)));
}

function lines(entries: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(entries ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

import { isRecord } from '../core/message.ts';
import type { Pod } from '../core/pod.ts';

/** What this node does not do for a pod, named by its path; undefined when it can be run.
 * The API server has checked the object's form; a cut object or one of a later version must not end in a crash. */
export function podFault(pod: unknown): string | undefined {
  if (!isRecord(pod) || !isRecord(pod.metadata) || !isRecord(pod.spec)) return 'the pod has no spec';
  const {
    containers,
    initContainers = [],
    volumes = [],
  } = pod.spec as Partial<Pod['spec']> & { containers?: unknown };
  if (typeof pod.metadata.uid !== 'string' || pod.metadata.uid === '') return 'metadata.uid: is missing';
  if (!Array.isArray(containers) || containers.length === 0) return 'spec.containers: is empty';
  if (!Array.isArray(initContainers) || !Array.isArray(volumes))
    return 'spec: initContainers or volumes is no list';
  const all: unknown[] = [...containers, ...initContainers];
  for (const [index, container] of all.entries()) {
    if (!isRecord(container) || typeof container.name !== 'string')
      return `spec.containers[${index}]: is no container with a name`;
    if (typeof container.image !== 'string' || container.image === '')
      return `spec.containers[${index}].image: is missing`;
  }
  return undefined;
}

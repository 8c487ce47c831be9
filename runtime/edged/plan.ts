import type { Container, Pod, PodPhase } from '../core/pod.ts';
import { containerHash } from './container-config.ts';
import { latest, type ObservedContainer, type ObservedPod } from './observed.ts';

/** What is to be done for a pod now. */
export type PodPlan = {
  /** A new sandbox is needed; everything else of the pod goes first. */
  readonly createSandbox: boolean;
  readonly kill: readonly { readonly container: ObservedContainer; readonly reason: string }[];
  readonly start: readonly { readonly container: Container; readonly attempt: number }[];
  /** Nothing will run any more: the sandbox can go. */
  readonly finished: boolean;
  /** ms since epoch when to look again, for a restart that waits; 0 for none. */
  readonly wakeAt: number;
};

export type PlanInput = {
  readonly pod: Pod;
  readonly observed: Pick<ObservedPod, 'sandboxes' | 'containers'>;
  /** ms since epoch. */
  readonly now: number;
  /** Before when (ms since epoch) a container must not be started; 0 when it may. */
  readonly notBefore: (container: string) => number;
  /** Containers whose probe has failed. */
  readonly unhealthy: ReadonlySet<string>;
  /** Init containers with `restartPolicy: Always` count as started once their probe says so. */
  readonly isStarted: (containerId: string) => boolean;
};

/** Decides what a pod needs, from what there is.
 * @source kubelet computePodActions, computeInitContainerActions */
export function planPod(input: PlanInput): PodPlan {
  const { pod, observed } = input;
  const sandbox = observed.sandboxes[0];
  if (isOver(pod, observed)) return { createSandbox: false, kill: [], start: [], finished: true, wakeAt: 0 };
  if (!sandbox?.ready) {
    const running = observed.containers.filter((c) => c.state === 'running');
    return {
      createSandbox: true,
      kill: running.map((container) => ({ container, reason: 'its sandbox is gone' })),
      start: [],
      finished: false,
      wakeAt: 0,
    };
  }
  const kill = killList(input);
  const waits: number[] = [];
  const start = startable(input).flatMap((container) => {
    const before = input.notBefore(container.name);
    if (before > input.now) {
      waits.push(before);
      return [];
    }
    return [{ container, attempt: (latest(observed, container.name)?.attempt ?? -1) + 1 }];
  });
  const dying = new Set(kill.map(({ container }) => container.name));
  return {
    createSandbox: false,
    kill,
    start: start.filter(({ container }) => !dying.has(container.name)),
    finished: false,
    wakeAt: waits.length > 0 ? Math.min(...waits) : 0,
  };
}

/** True when a pod has done all that its restart policy lets it do. */
export function isOver(pod: Pod, observed: Pick<ObservedPod, 'containers'>): boolean {
  // What has ended in the cluster never runs again, also when the runtime knows nothing of it any more.
  if (isFinal(pod.status?.phase) || initFailed(pod, observed)) return true;
  return (
    initDone(pod, observed) &&
    pod.spec.containers.every((container) => {
      const last = latest(observed, container.name);
      return last?.state === 'exited' && !restarts(pod, last);
    })
  );
}

/** A phase that no pod leaves. */
export function isFinal(phase: PodPhase | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** True when an init container failed and may not be tried again. */
export function initFailed(pod: Pod, observed: Pick<ObservedPod, 'containers'>): boolean {
  if (pod.spec.restartPolicy !== 'Never') return false;
  return runOnce(pod).some((container) => {
    const last = latest(observed, container.name);
    return last?.state === 'exited' && last.exitCode !== 0;
  });
}

/** Init containers that run to completion, one after the other. */
function runOnce(pod: Pod): Container[] {
  return (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy !== 'Always');
}

/** True when every init container that runs to completion has done so. */
export function initDone(pod: Pod, observed: Pick<ObservedPod, 'containers'>): boolean {
  // A container that has run proves that the init containers had: theirs may have been cleaned up since.
  if (pod.spec.containers.some((c) => latest(observed, c.name))) return true;
  return runOnce(pod).every((container) => {
    const last = latest(observed, container.name);
    return last?.state === 'exited' && last.exitCode === 0;
  });
}

function restarts(pod: Pod, exited: ObservedContainer): boolean {
  const policy = pod.spec.restartPolicy ?? 'Always';
  return policy === 'Always' || (policy === 'OnFailure' && exited.exitCode !== 0);
}

function killList({ pod, observed, unhealthy }: PlanInput): PodPlan['kill'] {
  const specs = new Map([...(pod.spec.initContainers ?? []), ...pod.spec.containers].map((c) => [c.name, c]));
  return observed.containers
    .filter((c) => c.state === 'running')
    .flatMap((container) => {
      const spec = specs.get(container.name);
      if (!spec) return [{ container, reason: 'it is no longer part of the pod' }];
      if (container.hash !== '' && container.hash !== containerHash(spec))
        return [{ container, reason: 'its definition changed' }];
      return unhealthy.has(container.id) ? [{ container, reason: 'its liveness probe failed' }] : [];
    });
}

/** The containers that should run now and do not. */
function startable({ pod, observed, isStarted }: PlanInput): Container[] {
  const idle = (container: Container): boolean => {
    const last = latest(observed, container.name);
    return !last || last.state === 'created' || last.state === 'unknown' || last.state === 'exited';
  };
  const wanted: Container[] = [];
  for (const container of initDone(pod, observed) ? sidecars(pod) : (pod.spec.initContainers ?? [])) {
    const last = latest(observed, container.name);
    if (container.restartPolicy === 'Always') {
      if (idle(container)) wanted.push(container);
      if (!initDone(pod, observed) && !(last?.state === 'running' && isStarted(last.id))) return wanted;
    } else if (last?.state === 'exited' && last.exitCode === 0) continue;
    else return idle(container) ? [...wanted, container] : wanted;
  }
  const main = pod.spec.containers.filter((container) => {
    const last = latest(observed, container.name);
    return idle(container) && (last?.state !== 'exited' || restarts(pod, last));
  });
  return [...wanted, ...main];
}

function sidecars(pod: Pod): Container[] {
  return (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
}

import { type Condition, kubeTime } from '../core/k8s.ts';
import type { Container, ContainerState, ContainerStatus, Pod, PodPhase, PodStatus } from '../core/pod.ts';
import { latest, type ObservedContainer, type ObservedPod } from './observed.ts';
import { initDone, initFailed, isFinal, isOver } from './plan.ts';
import { qosClass } from './resources.ts';

export type Waiting = { readonly reason: string; readonly message?: string };

export type StatusInput = {
  readonly pod: Pod;
  readonly observed: Pick<ObservedPod, 'sandboxes' | 'containers'>;
  /** What was told last, or the cluster's copy after a restart. */
  readonly previous: PodStatus | undefined;
  readonly now: number;
  readonly hostIP: string;
  readonly podIP: string;
  /** Why a container that should run does not, by its name. */
  readonly waiting: ReadonlyMap<string, Waiting>;
  readonly isReady: (containerId: string) => boolean;
  readonly isStarted: (containerId: string) => boolean;
  /** The pod is being deleted. */
  readonly terminating: boolean;
};

/** A pod's status for the cluster.
 * @source kubelet convertStatusToAPIStatus, getPhase; Kubernetes: Pod Lifecycle */
export function podStatus(input: StatusInput): PodStatus {
  const { pod, previous, now, hostIP, podIP } = input;
  const phase = phaseOf(input);
  const containerStatuses = pod.spec.containers.map((c) => containerStatus(c, input));
  const initContainerStatuses = (pod.spec.initContainers ?? []).map((c) => initStatus(c, input));
  return {
    phase,
    conditions: conditionsOf(input, phase, containerStatuses),
    hostIP,
    hostIPs: [{ ip: hostIP }],
    ...(podIP && !isFinal(phase) ? { podIP, podIPs: [{ ip: podIP }] } : {}),
    startTime: previous?.startTime ?? kubeTime(now),
    qosClass: previous?.qosClass ?? qosClass(pod),
    containerStatuses,
    ...(initContainerStatuses.length > 0 ? { initContainerStatuses } : {}),
  };
}

/** The status of a pod that this node will not run, ever.
 * @param reason `UnexpectedAdmissionError` and the like */
export function refusedStatus(reason: string, message: string, now: number): PodStatus {
  return { phase: 'Failed', reason, message, startTime: kubeTime(now) };
}

function phaseOf({ pod, observed, terminating, previous }: StatusInput): PodPhase {
  if (previous?.phase && isFinal(previous.phase)) return previous.phase;
  if (initFailed(pod, observed)) return 'Failed';
  const main = pod.spec.containers.map((c) => latest(observed, c.name));
  if (isOver(pod, observed) || (terminating && main.every((c) => !c || c.state === 'exited'))) {
    return main.every((c) => c?.exitCode === 0 && c.state === 'exited') ? 'Succeeded' : 'Failed';
  }
  return main.some((c) => c?.state === 'running' || c?.state === 'exited') &&
    main.every((c) => c !== undefined)
    ? 'Running'
    : 'Pending';
}

function containerStatus(container: Container, input: StatusInput): ContainerStatus {
  const last = latest(input.observed, container.name);
  const known = input.previous?.containerStatuses?.find((s) => s.name === container.name);
  return statusOf(container, last, known, input);
}

function initStatus(container: Container, input: StatusInput): ContainerStatus {
  const last = latest(input.observed, container.name);
  const known = input.previous?.initContainerStatuses?.find((s) => s.name === container.name);
  const status = statusOf(container, last, known, input);
  const done = status.state.terminated?.exitCode === 0;
  return container.restartPolicy === 'Always' ? status : { ...status, ready: done };
}

function statusOf(
  container: Container,
  last: ObservedContainer | undefined,
  known: ContainerStatus | undefined,
  input: StatusInput,
): ContainerStatus {
  const waiting = input.waiting.get(container.name);
  const running = last?.state === 'running';
  // What the runtime no longer has is remembered as it was told last.
  if (!last && known?.containerID && !waiting) return { ...known, ready: false, started: false };
  const previousRun = input.observed.containers.find(
    (c) => c.name === container.name && c.attempt === (last?.attempt ?? 0) - 1,
  );
  const waits = waiting !== undefined && !running;
  return {
    name: container.name,
    image: container.image,
    imageID: last?.imageRef ?? known?.imageID ?? '',
    ...(last ? { containerID: `containerd://${last.id}` } : {}),
    ready: running && input.isReady(last.id),
    started: running && input.isStarted(last.id),
    restartCount: Math.max(last?.attempt ?? 0, known?.restartCount ?? 0),
    state: waits ? { waiting } : stateOf(last),
    lastState: lastStateOf(waits ? last : previousRun, known),
  };
}

function stateOf(container: ObservedContainer | undefined): ContainerState {
  if (container?.state === 'running') return { running: { startedAt: kubeTime(container.startedAt) } };
  if (container?.state === 'exited') return terminated(container);
  return { waiting: { reason: 'ContainerCreating' } };
}

function lastStateOf(
  container: ObservedContainer | undefined,
  known: ContainerStatus | undefined,
): ContainerState {
  if (container?.state === 'exited') return terminated(container);
  return known?.lastState ?? {};
}

function terminated(container: ObservedContainer): ContainerState {
  const { exitCode, reason, message, startedAt, finishedAt, id } = container;
  return {
    terminated: {
      exitCode,
      reason: reason || (exitCode === 0 ? 'Completed' : 'Error'),
      ...(message ? { message } : {}),
      startedAt: kubeTime(startedAt),
      finishedAt: kubeTime(finishedAt),
      containerID: `containerd://${id}`,
    },
  };
}

function conditionsOf(
  input: StatusInput,
  phase: PodPhase,
  statuses: readonly ContainerStatus[],
): Condition[] {
  const { pod, observed } = input;
  const unready = statuses.filter((s) => !s.ready).map((s) => s.name);
  const why = {
    reason: 'ContainersNotReady',
    message: `containers with unready status: [${unready.join(' ')}]`,
  };
  const ready = isFinal(phase)
    ? { status: 'False' as const, reason: phase === 'Failed' ? 'PodFailed' : 'PodCompleted' }
    : unready.length > 0
      ? { status: 'False' as const, ...why }
      : { status: 'True' as const };
  const wanted: Condition[] = [
    { type: 'PodReadyToStartContainers', status: observed.sandboxes[0]?.ready ? 'True' : 'False' },
    initDone(pod, observed)
      ? { type: 'Initialized', status: 'True' }
      : { type: 'Initialized', status: 'False', reason: 'ContainersNotInitialized' },
    { type: 'Ready', ...ready },
    { type: 'ContainersReady', ...ready },
    { type: 'PodScheduled', status: 'True' },
  ];
  return wanted.map((condition) => {
    const before = input.previous?.conditions?.find((c) => c.type === condition.type);
    const same = before?.status === condition.status && before.lastTransitionTime;
    return { ...condition, lastProbeTime: null, lastTransitionTime: same ? same : kubeTime(input.now) };
  });
}

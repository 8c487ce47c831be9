import type { CriCall } from '../wire/cri.ts';
import { containerState, sandboxState } from '../wire/cri-messages.ts';

/** Labels and annotations that name a pod's parts in the runtime.
 * @source kubelet pkg/kubelet/types labels; `edgecore.io/` ones are ours */
export const label = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUid: 'io.kubernetes.pod.uid',
  container: 'io.kubernetes.container.name',
  hash: 'edgecore.io/container-hash',
} as const;

export type ObservedState = 'created' | 'running' | 'exited' | 'unknown';

/** A container as the runtime has it. Times in ms since epoch, 0 when not there. */
export type ObservedContainer = {
  readonly id: string;
  readonly name: string;
  readonly attempt: number;
  readonly state: ObservedState;
  readonly createdAt: number;
  readonly image: string;
  readonly imageRef: string;
  /** Of the container's spec at its creation; empty when another agent made it. */
  readonly hash: string;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
  readonly logPath: string;
};

export type ObservedSandbox = {
  readonly id: string;
  readonly ready: boolean;
  readonly attempt: number;
  readonly createdAt: number;
};

/** A pod as the runtime has it. */
export type ObservedPod = {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** Newest first. */
  readonly sandboxes: readonly ObservedSandbox[];
  /** Newest attempt first. */
  readonly containers: readonly ObservedContainer[];
};

export const nothingObserved: Pick<ObservedPod, 'sandboxes' | 'containers'> = {
  sandboxes: [],
  containers: [],
};

const stateNames: Readonly<Record<number, ObservedState>> = {
  [containerState.created]: 'created',
  [containerState.running]: 'running',
  [containerState.exited]: 'exited',
};

/** Lists what the runtime has of pods, without the particulars of exits.
 * @param uid of the one pod that is wanted, else all
 * @throws GrpcError */
export async function listPods(call: CriCall, uid?: string): Promise<Map<string, ObservedPod>> {
  const filter = uid === undefined ? undefined : { labelSelector: { [label.podUid]: uid } };
  const [{ items }, { containers }] = await Promise.all([
    call('listPodSandbox', { filter }),
    call('listContainers', { filter }),
  ]);
  const pods = new Map<
    string,
    ObservedPod & { sandboxes: ObservedSandbox[]; containers: ObservedContainer[] }
  >();
  const podOf = (labels: Readonly<Record<string, string>>) => {
    const uid = labels[label.podUid];
    if (!uid) return undefined;
    const known = pods.get(uid);
    if (known) return known;
    const { [label.podNamespace]: namespace = '', [label.podName]: name = '' } = labels;
    const pod = { uid, namespace, name, sandboxes: [], containers: [] };
    pods.set(uid, pod);
    return pod;
  };
  for (const { id, state, metadata, createdAt, labels } of items) {
    const ready = state === sandboxState.ready;
    podOf(labels)?.sandboxes.push({ id, ready, attempt: metadata?.attempt ?? 0, createdAt: createdAt / 1e6 });
  }
  for (const c of containers) {
    podOf(c.labels)?.containers.push({
      id: c.id,
      name: c.labels[label.container] ?? c.metadata?.name ?? '',
      attempt: c.metadata?.attempt ?? 0,
      state: stateNames[c.state] ?? 'unknown',
      createdAt: c.createdAt / 1e6,
      image: c.image?.image ?? '',
      imageRef: c.imageRef,
      hash: c.annotations[label.hash] ?? '',
      startedAt: 0,
      finishedAt: 0,
      exitCode: 0,
      reason: '',
      message: '',
      logPath: '',
    });
  }
  for (const pod of pods.values()) {
    pod.sandboxes.sort((a, b) => b.createdAt - a.createdAt);
    pod.containers.sort((a, b) => b.createdAt - a.createdAt);
  }
  return pods;
}

/** Adds the particulars of each container: when it ran, how it ended. */
export async function withDetails(call: CriCall, pod: ObservedPod): Promise<ObservedPod> {
  const containers = await Promise.all(
    pod.containers.map(async (container) => {
      const { status } = await call('containerStatus', { containerId: container.id });
      if (!status) return container;
      return {
        ...container,
        state: stateNames[status.state] ?? 'unknown',
        startedAt: status.startedAt / 1e6,
        finishedAt: status.finishedAt / 1e6,
        exitCode: status.exitCode,
        reason: status.reason,
        message: status.message,
        logPath: status.logPath,
      };
    }),
  );
  return { ...pod, containers };
}

/** Tells whether anything happened to a pod between two lists. */
export function signature(pod: ObservedPod | undefined): string {
  if (!pod) return '';
  const sandboxes = pod.sandboxes.map((s) => `${s.id}:${s.ready}`);
  return [...sandboxes, ...pod.containers.map((c) => `${c.id}:${c.state}`)].join(' ');
}

/** The newest container of that name. */
export function latest(pod: Pick<ObservedPod, 'containers'>, name: string): ObservedContainer | undefined {
  return pod.containers.find((container) => container.name === name);
}

import type { KubeObject } from '../../core/k8s.ts';
import { isRecord } from '../../core/message.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The cells of a pod that follow its name. @source kubernetes pkg/printers/internalversion printPod */
export const podCells: Readonly<Record<string, (pod: KubeObject) => unknown>> = {
  Ready: (pod) => {
    const ready = statuses(pod, 'containerStatuses').filter((status) => status.ready === true);
    return `${ready.length}/${recordsOf(fieldsOf(pod, 'spec').containers).length}`;
  },
  Status: reasonOf,
  Restarts: (pod) =>
    String(
      statuses(pod, 'containerStatuses').reduce((sum, status) => sum + Number(status.restartCount ?? 0), 0),
    ),
};

/** The phase, or the most telling reason below it. */
function reasonOf(pod: KubeObject): string {
  if (pod.metadata.deletionTimestamp) return 'Terminating';
  const { phase, reason } = fieldsOf(pod, 'status');
  const first = textOf(reason) || textOf(phase) || 'Unknown';
  const inits = statuses(pod, 'initContainerStatuses');
  const pending = inits.findIndex((status) => !isOver(status));
  const init = inits[pending];
  if (init) {
    const why = stateReason(init);
    return why && why !== 'PodInitializing' ? `Init:${why}` : `Init:${pending}/${inits.length}`;
  }
  const all = statuses(pod, 'containerStatuses');
  const reasons = all.map(stateReason).filter(Boolean);
  // A pod of which one container is done and another runs is running.
  if (reasons.every((why) => why === 'Completed') && all.some((status) => status.ready === true))
    return first;
  return reasons[0] ?? first;
}

/** Whether an init container is through: ended well, or a sidecar that has started. */
function isOver(status: Fields): boolean {
  const { terminated } = fields(status.state);
  return (isRecord(terminated) && terminated.exitCode === 0) || status.started === true;
}

/** Why a container waits or how it ended; empty while it runs. */
function stateReason(status: Fields): string {
  const { waiting, terminated } = fields(status.state);
  if (isRecord(waiting)) return textOf(waiting.reason);
  if (!isRecord(terminated)) return '';
  const { reason, signal, exitCode } = terminated;
  return textOf(reason) || (signal ? `Signal:${signal}` : `ExitCode:${exitCode ?? 0}`);
}

function statuses(pod: KubeObject, list: string): Fields[] {
  return recordsOf(fieldsOf(pod, 'status')[list]);
}

function fieldsOf(object: KubeObject, name: string): Fields {
  return fields((object as KubeObject & Fields)[name]);
}

function fields(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

function recordsOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

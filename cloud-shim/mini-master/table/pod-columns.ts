import { type ApiObject, type Json, type JsonObject, listAt, objectAt, objectsAt, textAt } from '../json.ts';
import { age, ageColumn, type Column, column, nameColumn } from './column.ts';

/** The columns of pods. @source kubernetes pkg/printers/internalversion printPod */
export const podColumns: readonly Column[] = [
  nameColumn,
  column('Ready', ready),
  column('Status', podReason),
  column('Restarts', restarts),
  ageColumn,
  column('IP', (pod) => textAt(pod, 'status', 'podIP') || '<none>', { priority: 1 }),
  column('Node', (pod) => textAt(pod, 'spec', 'nodeName') || '<none>', { priority: 1 }),
  column('Nominated Node', (pod) => textAt(pod, 'status', 'nominatedNodeName') || '<none>', { priority: 1 }),
  column('Readiness Gates', readinessGates, { priority: 1 }),
];

function ready(pod: ApiObject): Json {
  const total = listAt(pod, 'spec', 'containers').length + sidecars(pod).size;
  const up = containerStatuses(pod).filter((s) => s.ready === true && 'running' in objectAt(s, 'state'));
  return `${up.length}/${total}`;
}

/** Names of init containers that go on running. */
function sidecars(pod: ApiObject): Set<Json | undefined> {
  const init = objectsAt(pod, 'spec', 'initContainers');
  return new Set(init.filter((c) => c.restartPolicy === 'Always').map((c) => c.name));
}

/** Statuses of the containers that stay: the main ones and the sidecars. */
function containerStatuses(pod: ApiObject): JsonObject[] {
  const side = sidecars(pod);
  const init = objectsAt(pod, 'status', 'initContainerStatuses').filter((s) => side.has(s.name));
  return [...init, ...objectsAt(pod, 'status', 'containerStatuses')];
}

function restarts(pod: ApiObject, now: number): Json {
  // Of init containers that are done nobody wants to know.
  const statuses =
    initReason(pod) === undefined
      ? containerStatuses(pod)
      : objectsAt(pod, 'status', 'initContainerStatuses');
  const count = statuses.reduce((sum, s) => sum + Number(s.restartCount ?? 0), 0);
  const finished = statuses
    .map((s) => textAt(s, 'lastState', 'terminated', 'finishedAt'))
    .filter((t) => t !== '');
  const last = finished.sort().at(-1);
  return count > 0 && last ? `${count} (${age(last, now)} ago)` : String(count);
}

/** What the Status column says: the phase, or the most telling reason below it. */
export function podReason(pod: ApiObject): string {
  let reason = textAt(pod, 'status', 'reason') || textAt(pod, 'status', 'phase');
  const scheduled = objectsAt(pod, 'status', 'conditions').find((c) => c.type === 'PodScheduled');
  if (scheduled?.reason === 'SchedulingGated') reason = 'SchedulingGated';
  const init = initReason(pod);
  if (init !== undefined) reason = init;
  else reason = mainReason(pod, reason);
  if (pod.metadata.deletionTimestamp) {
    return textAt(pod, 'status', 'reason') === 'NodeLost' ? 'Unknown' : 'Terminating';
  }
  return reason;
}

/** The reason while an init container has not ended well. */
function initReason(pod: ApiObject): string | undefined {
  const side = sidecars(pod);
  const total = listAt(pod, 'spec', 'initContainers').length;
  for (const [i, status] of objectsAt(pod, 'status', 'initContainerStatuses').entries()) {
    const state = objectAt(status, 'state');
    const terminated = objectAt(state, 'terminated');
    if ('terminated' in state && terminated.exitCode === 0) continue;
    if (side.has(status.name) && status.started === true) continue;
    if ('terminated' in state) return `Init:${terminationReason(terminated)}`;
    const waiting = textAt(state, 'waiting', 'reason');
    return waiting && waiting !== 'PodInitializing' ? `Init:${waiting}` : `Init:${i}/${total}`;
  }
  return undefined;
}

function terminationReason(terminated: JsonObject): string {
  if (typeof terminated.reason === 'string' && terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode ?? 0}`;
}

function mainReason(pod: ApiObject, start: string): string {
  let reason = start;
  let running = false;
  for (const status of objectsAt(pod, 'status', 'containerStatuses').reverse()) {
    const state = objectAt(status, 'state');
    const waiting = textAt(state, 'waiting', 'reason');
    if (waiting) reason = waiting;
    else if ('terminated' in state) reason = terminationReason(objectAt(state, 'terminated'));
    else if (status.ready === true && 'running' in state) running = true;
  }
  if (reason !== 'Completed' || !running) return reason;
  const isReady = objectsAt(pod, 'status', 'conditions').some(
    (c) => c.type === 'Ready' && c.status === 'True',
  );
  return isReady ? 'Running' : 'NotReady';
}

function readinessGates(pod: ApiObject): Json {
  const gates = objectsAt(pod, 'spec', 'readinessGates');
  if (gates.length === 0) return '<none>';
  const conditions = objectsAt(pod, 'status', 'conditions');
  const met = gates.filter((g) => conditions.some((c) => c.type === g.conditionType && c.status === 'True'));
  return `${met.length}/${gates.length}`;
}

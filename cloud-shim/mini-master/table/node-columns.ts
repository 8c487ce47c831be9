import { type ApiObject, type Json, objectAt, objectsAt, textAt } from '../json.ts';
import { ageColumn, type Column, column, nameColumn } from './column.ts';

const ROLE = 'node-role.kubernetes.io/';

/** The columns of nodes. @source kubernetes pkg/printers/internalversion printNode */
export const nodeColumns: readonly Column[] = [
  nameColumn,
  column('Status', nodeState),
  column('Roles', roles),
  ageColumn,
  column('Version', (node) => textAt(node, 'status', 'nodeInfo', 'kubeletVersion')),
  column('Internal-IP', (node) => address(node, 'InternalIP'), { priority: 1 }),
  column('External-IP', (node) => address(node, 'ExternalIP'), { priority: 1 }),
  column('OS-Image', (node) => info(node, 'osImage'), { priority: 1 }),
  column('Kernel-Version', (node) => info(node, 'kernelVersion'), { priority: 1 }),
  column('Container-Runtime', (node) => info(node, 'containerRuntimeVersion'), { priority: 1 }),
];

function nodeState(node: ApiObject): Json {
  const ready = objectsAt(node, 'status', 'conditions').find((c) => c.type === 'Ready');
  const state = !ready ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return objectAt(node, 'spec').unschedulable === true ? `${state},SchedulingDisabled` : state;
}

function roles(node: ApiObject): Json {
  const labels = objectAt(node, 'metadata', 'labels');
  const names = Object.keys(labels).flatMap((key) => {
    if (key.startsWith(ROLE)) return key.length > ROLE.length ? [key.slice(ROLE.length)] : [];
    return key === 'kubernetes.io/role' ? [String(labels[key])] : [];
  });
  return [...new Set(names)].sort().join(',') || '<none>';
}

function address(node: ApiObject, type: string): Json {
  const found = objectsAt(node, 'status', 'addresses').find((a) => a.type === type);
  return found?.address ?? '<none>';
}

function info(node: ApiObject, key: string): Json {
  return textAt(node, 'status', 'nodeInfo', key) || '<unknown>';
}

import type { KubeObject } from '../../core/k8s.ts';
import { isApiObject } from './object-cache.ts';

/** The API's names of what the link calls by a word; not every cloud sends them along. */
export const wireTypes: Readonly<Record<string, { readonly apiVersion: string; readonly kind: string }>> = {
  pod: { apiVersion: 'v1', kind: 'Pod' },
  configmap: { apiVersion: 'v1', kind: 'ConfigMap' },
  secret: { apiVersion: 'v1', kind: 'Secret' },
  node: { apiVersion: 'v1', kind: 'Node' },
  persistentvolume: { apiVersion: 'v1', kind: 'PersistentVolume' },
  persistentvolumeclaim: { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
  device: { apiVersion: 'devices.kubeedge.io/v1beta1', kind: 'Device' },
  devicemodel: { apiVersion: 'devices.kubeedge.io/v1beta1', kind: 'DeviceModel' },
  localrule: { apiVersion: 'rules.edgecore.io/v1alpha1', kind: 'LocalRule' },
  serviceaccountaccess: { apiVersion: 'policy.kubeedge.io/v1alpha1', kind: 'ServiceAccountAccess' },
};

/** An object of the link as the API has it; undefined when nobody can say what it is. */
export function apiObject(type: string, object: unknown): KubeObject | undefined {
  if (!isApiObject(object)) return undefined;
  if (object.apiVersion && object.kind) return object;
  const names = wireTypes[type];
  return names && { ...names, ...object, ...names };
}

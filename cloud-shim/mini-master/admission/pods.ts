import { randomBytes } from 'node:crypto';
import { type ApiObject, type Json, type JsonObject, objectAt, objectsAt, textAt } from '../json.ts';
import type { Resource } from '../kinds/resource.ts';
import { forbidden } from '../status.ts';
import type { Store } from '../store/store.ts';

const TOKEN_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
const TOKEN_LIFE = 3607;
const GRACE_FOR_LOST_NODES = 300;

/** What a cluster's admission does to a new pod: its service account, that account's token, tolerations of a lost node.
 * Throws 403 when the account does not exist.
 * @source kubernetes plugin/pkg/admission/serviceaccount, defaulttolerationseconds */
export function admitPod(
  store: Store,
  object: ApiObject,
  resource: Resource,
  operation: 'create' | 'update',
): ApiObject {
  if (resource.kind !== 'Pod' || resource.group || operation !== 'create') return object;
  const spec = objectAt(object, 'spec');
  const account = textAt(spec, 'serviceAccountName') || 'default';
  const { name = '', namespace = '' } = object.metadata;
  const found = store.get('serviceaccounts', namespace, account);
  if (!found) {
    const why = `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`;
    throw forbidden(resource, name, why);
  }
  const admitted: JsonObject = {
    preemptionPolicy: 'PreemptLowerPriority',
    priority: 0,
    ...spec,
    serviceAccountName: account,
    serviceAccount: account,
    tolerations: tolerations(spec),
  };
  const mounts = spec.automountServiceAccountToken ?? found.automountServiceAccountToken ?? true;
  return { ...object, spec: mounts === false ? admitted : withToken(admitted) };
}

function tolerations(spec: JsonObject): Json[] {
  const own = objectsAt(spec, 'tolerations');
  const added = ['not-ready', 'unreachable']
    .map((name) => `node.kubernetes.io/${name}`)
    .filter((key) => !own.some((t) => (t.key === key || !t.key) && (t.effect === 'NoExecute' || !t.effect)))
    .map((key) => ({
      key,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: GRACE_FOR_LOST_NODES,
    }));
  return [...own, ...added];
}

function withToken(spec: JsonObject): JsonObject {
  const containers = [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')];
  const lacking = containers.filter(
    (c) => !objectsAt(c, 'volumeMounts').some((m) => m.mountPath === TOKEN_FOLDER),
  );
  if (lacking.length === 0) return spec;
  const name = `kube-api-access-${randomBytes(4).toString('hex').slice(0, 5)}`;
  const mount = { name, mountPath: TOKEN_FOLDER, readOnly: true };
  const mounted = (list: readonly JsonObject[]): Json[] =>
    list.map((c) =>
      lacking.includes(c) ? { ...c, volumeMounts: [...objectsAt(c, 'volumeMounts'), mount] } : c,
    );
  return {
    ...spec,
    containers: mounted(objectsAt(spec, 'containers')),
    ...(spec.initContainers ? { initContainers: mounted(objectsAt(spec, 'initContainers')) } : {}),
    volumes: [...objectsAt(spec, 'volumes'), tokenVolume(name)],
  };
}

function tokenVolume(name: string): JsonObject {
  const namespace = { path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } };
  const sources: Json[] = [
    { serviceAccountToken: { expirationSeconds: TOKEN_LIFE, path: 'token' } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    { downwardAPI: { items: [namespace] } },
  ];
  return { name, projected: { sources, defaultMode: 420 } };
}

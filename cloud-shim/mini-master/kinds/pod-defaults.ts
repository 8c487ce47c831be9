import {
  type ApiObject,
  isObject,
  type Json,
  type JsonObject,
  objectAt,
  objectsAt,
  textAt,
} from '../json.ts';
import { quantity } from './quantity.ts';

const PROBE = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };
const DEFAULT_MODE = 0o644;

/** Fills in what a pod's author left out. @source kubernetes pkg/apis/core/v1/defaults.go */
export function withPodDefaults(pod: ApiObject): ApiObject {
  const spec = objectAt(pod, 'spec');
  const hostNetwork = spec.hostNetwork === true;
  const filled: JsonObject = {
    restartPolicy: 'Always',
    dnsPolicy: 'ClusterFirst',
    terminationGracePeriodSeconds: 30,
    securityContext: {},
    schedulerName: 'default-scheduler',
    enableServiceLinks: true,
    ...spec,
    ...listWith(spec, 'containers', (c) => containerDefaults(c, hostNetwork)),
    ...listWith(spec, 'initContainers', (c) => containerDefaults(c, hostNetwork)),
    ...listWith(spec, 'volumes', volumeDefaults),
  };
  const account = textAt(filled, 'serviceAccountName') || textAt(filled, 'serviceAccount');
  if (account) Object.assign(filled, { serviceAccountName: account, serviceAccount: account });
  return { ...pod, spec: filled };
}

function listWith(owner: JsonObject, key: string, fill: (item: JsonObject) => Json): JsonObject {
  const list = owner[key];
  return Array.isArray(list) ? { [key]: list.map((item) => (isObject(item) ? fill(item) : item)) } : {};
}

function containerDefaults(container: JsonObject, hostNetwork: boolean): JsonObject {
  const resources = objectAt(container, 'resources');
  const limits = objectAt(resources, 'limits');
  const requests = { ...limits, ...objectAt(resources, 'requests') };
  const filled: JsonObject = {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: pullPolicy(textAt(container, 'image')),
    ...container,
    resources: Object.keys(requests).length > 0 ? { ...resources, requests } : resources,
    ...listWith(container, 'ports', (p) => portDefaults(p, hostNetwork)),
    ...listWith(container, 'env', envDefaults),
  };
  for (const key of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[key];
    if (isObject(probe)) filled[key] = { ...PROBE, ...withHttpDefaults(probe) };
  }
  if (isObject(container.lifecycle)) {
    const hooks = Object.entries(container.lifecycle).map(([k, v]) => [
      k,
      isObject(v) ? withHttpDefaults(v) : v,
    ]);
    filled.lifecycle = Object.fromEntries(hooks);
  }
  return filled;
}

/** An image without a tag, or tagged latest, is pulled each time; one named by digest or tag only when missing. */
function pullPolicy(image: string): string {
  const [named = '', digest] = image.split('@');
  const tag = /:([^/:]+)$/.exec(named)?.[1] ?? (digest ? '' : 'latest');
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function portDefaults(port: JsonObject, hostNetwork: boolean): JsonObject {
  const filled: JsonObject = { protocol: 'TCP', ...port };
  if (hostNetwork && filled.hostPort === undefined) filled.hostPort = port.containerPort;
  return filled;
}

function envDefaults(env: JsonObject): JsonObject {
  const field = objectAt(env, 'valueFrom', 'fieldRef');
  if (!field.fieldPath) return env;
  return { ...env, valueFrom: { ...objectAt(env, 'valueFrom'), fieldRef: { apiVersion: 'v1', ...field } } };
}

function withHttpDefaults(action: JsonObject): JsonObject {
  if (!isObject(action.httpGet)) return action;
  return { ...action, httpGet: { path: '/', scheme: 'HTTP', ...action.httpGet } };
}

function volumeDefaults(volume: JsonObject): JsonObject {
  const filled: JsonObject = { ...volume };
  const sources = Object.keys(volume).filter((key) => key !== 'name');
  if (sources.length === 0) filled.emptyDir = {};
  for (const key of ['secret', 'configMap', 'downwardAPI', 'projected']) {
    const source = volume[key];
    if (isObject(source)) filled[key] = { defaultMode: DEFAULT_MODE, ...source };
  }
  if (isObject(volume.hostPath)) filled.hostPath = { type: '', ...volume.hostPath };
  if (isObject(volume.projected)) filled.projected = projectedDefaults(objectAt(filled, 'projected'));
  return filled;
}

function projectedDefaults(projected: JsonObject): JsonObject {
  return {
    ...projected,
    ...listWith(projected, 'sources', (source) => {
      if (!isObject(source.serviceAccountToken)) return source;
      return { ...source, serviceAccountToken: { expirationSeconds: 3600, ...source.serviceAccountToken } };
    }),
  };
}

/** Guaranteed, Burstable or BestEffort. @source kubernetes pkg/apis/core/v1/helper/qos */
export function qosClass(pod: ApiObject): string {
  const containers = [...objectsAt(pod, 'spec', 'containers'), ...objectsAt(pod, 'spec', 'initContainers')];
  // Nothing and zero are the same, and so are 1 and 1000m.
  const of = (c: JsonObject, kind: string, resource: string): number =>
    quantity(objectAt(c, 'resources', kind)[resource]) ?? 0;
  const counted = ['cpu', 'memory'];
  const none = containers.every((c) =>
    counted.every((r) => of(c, 'requests', r) === 0 && of(c, 'limits', r) === 0),
  );
  if (none) return 'BestEffort';
  const guaranteed = containers.every((c) =>
    counted.every((r) => of(c, 'limits', r) > 0 && of(c, 'limits', r) === of(c, 'requests', r)),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

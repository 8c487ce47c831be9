import { type ApiObject, asText, equal, isObject, type JsonObject, objectAt, objectsAt } from '../json.ts';
import { type Cause, cause } from '../status.ts';
import { nameFault } from './names.ts';
import { isQuantity } from './quantity.ts';
import { volumeSources } from './volume-schema.ts';

const RESTART = ['Always', 'OnFailure', 'Never'];
const DNS = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const PULL = ['Always', 'IfNotPresent', 'Never'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const ENV_NAME = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;
const PORT_TEXT = 'must be between 1 and 65535, inclusive';
const IMMUTABLE =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** What makes an object no pod, in the words of the real API server.
 * @source kubernetes pkg/apis/core/validation ValidatePod */
export function podFaults(pod: ApiObject): Cause[] {
  const spec = objectAt(pod, 'spec');
  const volumes = objectsAt(spec, 'volumes');
  const containers = objectsAt(spec, 'containers');
  const init = objectsAt(spec, 'initContainers');
  const causes: Cause[] = [...volumeFaults(volumes)];
  if (containers.length === 0) causes.push(cause.required('spec.containers'));
  const names = new Set<string>();
  const known = new Set(volumes.map((v) => asText(v.name)));
  for (const [i, c] of containers.entries())
    causes.push(...containerFaults(c, `spec.containers[${i}]`, names, known));
  for (const [i, c] of init.entries())
    causes.push(...containerFaults(c, `spec.initContainers[${i}]`, names, known));
  return [
    ...causes,
    ...oneOf(spec, 'restartPolicy', RESTART),
    ...oneOf(spec, 'dnsPolicy', DNS),
    ...specFaults(spec),
  ];
}

function oneOf(spec: JsonObject, key: string, allowed: readonly string[], path = 'spec'): Cause[] {
  const value = asText(spec[key]);
  return allowed.includes(value) ? [] : [cause.unsupported(`${path}.${key}`, value, allowed)];
}

function specFaults(spec: JsonObject): Cause[] {
  const causes: Cause[] = [];
  for (const key of ['nodeName', 'serviceAccountName', 'priorityClassName', 'runtimeClassName']) {
    const name = asText(spec[key]);
    const fault = name ? nameFault(name, 'subdomain') : undefined;
    if (fault) causes.push(cause.invalid(`spec.${key}`, name, fault));
  }
  const grace = spec.terminationGracePeriodSeconds;
  if (typeof grace === 'number' && grace < 0) {
    causes.push(
      cause.invalid('spec.terminationGracePeriodSeconds', grace, 'must be greater than or equal to 0'),
    );
  }
  for (const [i, toleration] of objectsAt(spec, 'tolerations').entries()) {
    const effects = ['', 'NoSchedule', 'PreferNoSchedule', 'NoExecute'];
    const path = `spec.tolerations[${i}]`;
    if (!effects.includes(asText(toleration.effect)))
      causes.push(cause.unsupported(`${path}.effect`, toleration.effect, effects.slice(1)));
    const operator = asText(toleration.operator) || 'Equal';
    if (operator !== 'Equal' && operator !== 'Exists') {
      causes.push(cause.unsupported(`${path}.operator`, operator, ['Equal', 'Exists']));
    }
    if (!toleration.key && operator !== 'Exists') {
      causes.push(cause.invalid(`${path}.operator`, operator, 'operator must be Exists when `key` is empty'));
    }
  }
  return causes;
}

function volumeFaults(volumes: readonly JsonObject[]): Cause[] {
  const names = new Set<string>();
  return volumes.flatMap((volume, i) => {
    const path = `spec.volumes[${i}]`;
    const causes = uniqueName(volume, path, names);
    const sources = Object.keys(volume).filter((key) => Object.hasOwn(volumeSources, key));
    if (sources.length === 0) causes.push(cause.required(path, 'must specify a volume type'));
    for (const extra of sources.slice(1)) {
      causes.push(cause.forbidden(`${path}.${extra}`, 'may not specify more than 1 volume type'));
    }
    for (const [source, key] of [
      ['hostPath', 'path'],
      ['secret', 'secretName'],
      ['configMap', 'name'],
    ] as const) {
      const value = volume[source];
      if (isObject(value) && !value[key]) causes.push(cause.required(`${path}.${source}.${key}`));
    }
    return causes;
  });
}

function uniqueName(owner: JsonObject, path: string, seen: Set<string>): Cause[] {
  const name = asText(owner.name);
  if (!name) return [cause.required(`${path}.name`)];
  const fault = nameFault(name, 'label');
  if (fault) return [cause.invalid(`${path}.name`, name, fault)];
  if (seen.has(name)) return [cause.duplicate(`${path}.name`, name)];
  seen.add(name);
  return [];
}

function containerFaults(
  c: JsonObject,
  path: string,
  names: Set<string>,
  volumes: ReadonlySet<string>,
): Cause[] {
  const causes = uniqueName(c, path, names);
  const image = asText(c.image);
  if (!image) causes.push(cause.required(`${path}.image`));
  else if (image !== image.trim()) {
    causes.push(cause.invalid(`${path}.image`, image, 'must not have leading or trailing whitespace'));
  }
  causes.push(...oneOf(c, 'imagePullPolicy', PULL, path));
  causes.push(...portFaults(c, path), ...envFaults(c, path), ...mountFaults(c, path, volumes));
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    if (isObject(c[probe])) causes.push(...probeFaults(objectAt(c, probe), `${path}.${probe}`));
  }
  return [...causes, ...resourceFaults(c, path)];
}

function portFaults(c: JsonObject, path: string): Cause[] {
  const isPort = (value: unknown): boolean => typeof value === 'number' && value >= 1 && value <= 65_535;
  return objectsAt(c, 'ports').flatMap((port, i) => {
    const at = `${path}.ports[${i}]`;
    const causes = oneOf(port, 'protocol', PROTOCOLS, at);
    if (port.containerPort === undefined) causes.push(cause.required(`${at}.containerPort`));
    else if (!isPort(port.containerPort))
      causes.push(cause.invalid(`${at}.containerPort`, port.containerPort, PORT_TEXT));
    const { hostPort } = port;
    if (hostPort !== undefined && hostPort !== 0 && !isPort(hostPort)) {
      causes.push(cause.invalid(`${at}.hostPort`, hostPort, PORT_TEXT));
    }
    return causes;
  });
}

function envFaults(c: JsonObject, path: string): Cause[] {
  return objectsAt(c, 'env').flatMap((env, i) => {
    const at = `${path}.env[${i}]`;
    const name = asText(env.name);
    const causes: Cause[] = [];
    if (!name) causes.push(cause.required(`${at}.name`));
    else if (!ENV_NAME.test(name))
      causes.push(
        cause.invalid(
          `${at}.name`,
          name,
          "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit",
        ),
      );
    if (env.value && isObject(env.valueFrom)) {
      causes.push(cause.invalid(`${at}.valueFrom`, '', 'may not be specified when `value` is not empty'));
    }
    if (isObject(env.valueFrom) && Object.keys(env.valueFrom).length !== 1) {
      causes.push(cause.invalid(`${at}.valueFrom`, '', 'must specify exactly one source'));
    }
    return causes;
  });
}

function mountFaults(c: JsonObject, path: string, volumes: ReadonlySet<string>): Cause[] {
  const paths = new Set<string>();
  return objectsAt(c, 'volumeMounts').flatMap((mount, i) => {
    const at = `${path}.volumeMounts[${i}]`;
    const name = asText(mount.name);
    const mountPath = asText(mount.mountPath);
    const causes: Cause[] = [];
    if (!name) causes.push(cause.required(`${at}.name`));
    else if (!volumes.has(name)) causes.push(cause.notFound(`${at}.name`, name));
    if (!mountPath) causes.push(cause.required(`${at}.mountPath`));
    else if (paths.has(mountPath)) causes.push(cause.invalid(`${at}.mountPath`, mountPath, 'must be unique'));
    paths.add(mountPath);
    return causes;
  });
}

function probeFaults(probe: JsonObject, path: string): Cause[] {
  const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'].filter((key) => isObject(probe[key]));
  if (handlers.length === 0) return [cause.required(path, 'must specify a handler type')];
  return handlers
    .slice(1)
    .map((key) => cause.forbidden(`${path}.${key}`, 'may not specify more than 1 handler type'));
}

function resourceFaults(c: JsonObject, path: string): Cause[] {
  return ['limits', 'requests'].flatMap((kind) =>
    Object.entries(objectAt(c, 'resources', kind)).flatMap(([name, amount]) => {
      const at = `${path}.resources.${kind}[${name}]`;
      const detail =
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
      return isQuantity(amount) ? [] : [cause.invalid(at, amount, detail)];
    }),
  );
}

/** What an update of a pod may not change. @source kubernetes ValidatePodUpdate */
export function podUpdateFaults(next: ApiObject, old: ApiObject): Cause[] {
  if (equal(comparable(next), comparable(old)) && keepsTolerations(next, old)) return [];
  return [cause.forbidden('spec', IMMUTABLE)];
}

/** The spec without what may change. */
function comparable(pod: ApiObject): JsonObject {
  const spec = objectAt(pod, 'spec');
  const bare = (key: string): JsonObject[] => objectsAt(spec, key).map((c) => ({ ...c, image: '' }));
  return {
    ...spec,
    containers: bare('containers'),
    initContainers: bare('initContainers'),
    ephemeralContainers: [],
    activeDeadlineSeconds: 0,
    tolerations: [],
    schedulingGates: [],
  };
}

function keepsTolerations(next: ApiObject, old: ApiObject): boolean {
  const after = objectsAt(next, 'spec', 'tolerations');
  return objectsAt(old, 'spec', 'tolerations').every((t) => after.some((a) => equal(a, t)));
}

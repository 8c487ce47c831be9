import { EdgeError } from '../core/errors.ts';
import type { ConfigMap, Secret } from '../core/k8s.ts';
import type { Container, EnvVar, Pod } from '../core/pod.ts';
import { fieldValue, type PodFacts, resourceValue } from './downward.ts';

/** Where configuration comes from: the store, else the cloud. */
export interface ConfigSource {
  /** @throws EdgeError OBJECT_NOT_FOUND, LINK_OFFLINE, LINK_TIMEOUT */
  configMap(namespace: string, name: string): Promise<ConfigMap>;
  /** @throws EdgeError OBJECT_NOT_FOUND, LINK_OFFLINE, LINK_TIMEOUT */
  secret(namespace: string, name: string): Promise<Secret>;
}

/** A container's environment, references between variables expanded.
 * @throws EdgeError OBJECT_NOT_FOUND, OBJECT_INVALID, LINK_OFFLINE
 * @source kubelet makeEnvironmentVariables */
export async function environment(
  pod: Pod,
  container: Container,
  facts: PodFacts,
  source: ConfigSource,
): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  const namespace = pod.metadata.namespace ?? 'default';
  const { envFrom = [], env = [] } = container;
  // All is asked for at once: on a slow link each answer takes its time.
  const [objects, values] = await Promise.all([
    Promise.all(envFrom.map(async (from) => ({ from, data: await wholeObject(namespace, from, source) }))),
    Promise.all(
      env.map(async (variable) => ({
        variable,
        value: await variableValue(pod, container, variable, facts, source),
      })),
    ),
  ]);
  for (const { from, data } of objects)
    for (const [key, value] of Object.entries(data)) result.set(`${from.prefix ?? ''}${key}`, value);
  for (const { variable, value } of values) {
    if (value === undefined) continue;
    // Only what the pod's author wrote is expanded: a password may hold any dollar sign.
    result.set(variable.name, variable.valueFrom ? value : expand(value, result));
  }
  return result;
}

/** Replaces `$(NAME)` by a variable's value; `$$(NAME)` stands for itself, an unknown name stays.
 * @source Kubernetes third_party/forked/golang/expansion */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (all, after: string, name: string) =>
    after === '$' ? '$' : (variables.get(name) ?? all),
  );
}

/** A configMap's entries as bytes: text ones and binary ones. */
export function configMapData(object: ConfigMap): Map<string, Buffer> {
  const data = Object.entries(object.data ?? {}).map(([k, v]) => [k, Buffer.from(v)] as const);
  const binary = Object.entries(object.binaryData ?? {}).map(
    ([k, v]) => [k, Buffer.from(v, 'base64')] as const,
  );
  return new Map([...data, ...binary]);
}

/** A secret's entries as bytes. */
export function secretData(object: Secret): Map<string, Buffer> {
  return new Map(Object.entries(object.data ?? {}).map(([k, v]) => [k, Buffer.from(v, 'base64')]));
}

/** Reads an object that may be absent when its user says so. */
export async function optionally<T>(
  optional: boolean | undefined,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (optional && error instanceof EdgeError && error.code === 'OBJECT_NOT_FOUND') return undefined;
    throw error;
  }
}

async function wholeObject(
  namespace: string,
  from: NonNullable<Container['envFrom']>[number],
  source: ConfigSource,
): Promise<Record<string, string>> {
  const { configMapRef, secretRef } = from;
  const entries = configMapRef
    ? await optionally(configMapRef.optional, () =>
        source.configMap(namespace, configMapRef.name).then(configMapData),
      )
    : secretRef &&
      (await optionally(secretRef.optional, () => source.secret(namespace, secretRef.name).then(secretData)));
  return Object.fromEntries([...(entries ?? [])].map(([key, bytes]) => [key, bytes.toString()]));
}

async function variableValue(
  pod: Pod,
  container: Container,
  { name, value, valueFrom }: EnvVar,
  facts: PodFacts,
  source: ConfigSource,
): Promise<string | undefined> {
  if (!valueFrom) return value ?? '';
  const namespace = pod.metadata.namespace ?? 'default';
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (fieldRef) return fieldValue(pod, fieldRef, facts);
  if (resourceFieldRef) return resourceValue(pod, resourceFieldRef, container.name);
  const ref = configMapKeyRef ?? secretKeyRef;
  if (!ref) throw new EdgeError('OBJECT_INVALID', { detail: `env ${name}: no source that is known` });
  const entries = await optionally(ref.optional, () =>
    configMapKeyRef
      ? source.configMap(namespace, ref.name).then(configMapData)
      : source.secret(namespace, ref.name).then(secretData),
  );
  const bytes = entries?.get(ref.key);
  if (bytes || ref.optional) return bytes?.toString();
  const kind = configMapKeyRef ? 'configmap' : 'secret';
  throw new EdgeError('OBJECT_NOT_FOUND', { detail: `key ${ref.key} in ${kind} ${namespace}/${ref.name}` });
}

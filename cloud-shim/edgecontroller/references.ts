import type { Container, Pod, Volume } from '../../runtime/core/pod.ts';

/** The configMaps and secrets that a pod names, as `configmap/NAME` and `secret/NAME` of its namespace. */
export function referencesOf(pod: Pod): Set<string> {
  const { containers = [], initContainers = [], volumes = [], imagePullSecrets = [] } = pod.spec;
  const found = [
    ...[...containers, ...initContainers].flatMap(ofContainer),
    ...volumes.flatMap(ofVolume),
    ...imagePullSecrets.map(({ name }) => `secret/${name}`),
  ];
  return new Set(found);
}

function ofContainer({ env = [], envFrom = [] }: Container): string[] {
  const variables = env.flatMap(({ valueFrom }) => [
    ...(valueFrom?.configMapKeyRef ? [`configmap/${valueFrom.configMapKeyRef.name}`] : []),
    ...(valueFrom?.secretKeyRef ? [`secret/${valueFrom.secretKeyRef.name}`] : []),
  ]);
  const all = envFrom.flatMap(({ configMapRef, secretRef }) => [
    ...(configMapRef ? [`configmap/${configMapRef.name}`] : []),
    ...(secretRef ? [`secret/${secretRef.name}`] : []),
  ]);
  return [...variables, ...all];
}

function ofVolume({ configMap, secret, projected }: Volume): string[] {
  const parts = [...(projected?.sources ?? []), ...(configMap ? [{ configMap }] : [])];
  const named = parts.flatMap((part) => [
    ...(part.configMap ? [`configmap/${part.configMap.name}`] : []),
    ...('secret' in part && part.secret ? [`secret/${part.secret.name}`] : []),
  ]);
  return secret ? [...named, `secret/${secret.secretName}`] : named;
}

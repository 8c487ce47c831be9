import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EdgeError } from '../core/errors.ts';
import type { ServiceAccountToken, TokenRequestSpec } from '../core/k8s.ts';
import type { KeyToPath, Pod, ProjectedSource, Volume } from '../core/pod.ts';
import { type VolumeFile, writeAtomically } from './atomic-writer.ts';
import { fieldValue, type PodFacts, resourceValue } from './downward.ts';
import { type ConfigSource, configMapData, optionally, secretData } from './env.ts';

export interface VolumeSource extends ConfigSource {
  serviceAccountToken(
    namespace: string,
    account: string,
    spec: TokenRequestSpec,
  ): Promise<ServiceAccountToken>;
}

const FILE_MODE = 0o644;
const TOKEN_LIFE = 3600;
const plugins = {
  emptyDir: 'kubernetes.io~empty-dir',
  configMap: 'kubernetes.io~configmap',
  secret: 'kubernetes.io~secret',
  projected: 'kubernetes.io~projected',
  downwardAPI: 'kubernetes.io~downward-api',
} as const;

/** Makes the volumes of a pod ready, or brings them up to date.
 * @param podFolder `<rootDirectory>/pods/<uid>`
 * @returns the host path of each volume
 * @throws EdgeError OBJECT_NOT_FOUND, OBJECT_INVALID, LINK_OFFLINE
 * @source kubelet pkg/volume */
export async function mountVolumes(
  pod: Pod,
  podFolder: string,
  facts: PodFacts,
  source: VolumeSource,
): Promise<Map<string, string>> {
  const mounted = (pod.spec.volumes ?? []).map(async (volume) => {
    return [volume.name, await mountVolume(pod, volume, podFolder, facts, source)] as const;
  });
  return new Map(await Promise.all(mounted));
}

/** Removes what a pod had on disk. */
export function removeVolumes(podFolder: string): void {
  rmSync(podFolder, { recursive: true, force: true });
}

async function mountVolume(
  pod: Pod,
  volume: Volume,
  podFolder: string,
  facts: PodFacts,
  source: VolumeSource,
): Promise<string> {
  if (volume.hostPath) return hostPath(volume.name, volume.hostPath);
  const kind = (Object.keys(plugins) as (keyof typeof plugins)[]).find((name) => volume[name]);
  if (!kind) {
    const asked = Object.keys(volume).filter((key) => key !== 'name');
    throw new EdgeError('OBJECT_INVALID', {
      detail: `volume ${volume.name}: ${asked.join()} is not offered here`,
    });
  }
  const folder = join(podFolder, 'volumes', plugins[kind], volume.name);
  if (kind === 'emptyDir') return emptyDirectory(folder);
  writeAtomically(folder, await filesOf(pod, volume, facts, source));
  return folder;
}

function emptyDirectory(folder: string): string {
  mkdirSync(folder, { recursive: true });
  return folder;
}

async function filesOf(
  pod: Pod,
  volume: Volume,
  facts: PodFacts,
  source: VolumeSource,
): Promise<VolumeFile[]> {
  const namespace = pod.metadata.namespace ?? 'default';
  const { configMap, secret, downwardAPI, projected } = volume;
  const one = (part: ProjectedSource, mode: number | undefined): Promise<VolumeFile[]> =>
    projectedFiles(pod, namespace, part, mode ?? FILE_MODE, facts, source);
  if (configMap) return one({ configMap }, configMap.defaultMode);
  if (secret) return one({ secret: { ...secret, name: secret.secretName } }, secret.defaultMode);
  if (downwardAPI) return one({ downwardAPI }, downwardAPI.defaultMode);
  const parts = await Promise.all(
    (projected?.sources ?? []).map((part) => one(part, projected?.defaultMode)),
  );
  return parts.flat();
}

async function projectedFiles(
  pod: Pod,
  namespace: string,
  part: ProjectedSource,
  mode: number,
  facts: PodFacts,
  source: VolumeSource,
): Promise<VolumeFile[]> {
  const { configMap, secret, downwardAPI, serviceAccountToken } = part;
  if (configMap) {
    const read = (): Promise<Map<string, Buffer>> =>
      source.configMap(namespace, configMap.name).then(configMapData);
    return pick(await optionally(configMap.optional, read), configMap, `configmap ${configMap.name}`, mode);
  }
  if (secret) {
    const read = (): Promise<Map<string, Buffer>> => source.secret(namespace, secret.name).then(secretData);
    return pick(await optionally(secret.optional, read), secret, `secret ${secret.name}`, mode);
  }
  if (downwardAPI) {
    return (downwardAPI.items ?? []).map((item) => ({
      path: item.path,
      mode: item.mode ?? mode,
      content: Buffer.from(
        item.fieldRef
          ? fieldValue(pod, item.fieldRef, facts)
          : resourceValue(pod, item.resourceFieldRef ?? { resource: '' }, ''),
      ),
    }));
  }
  if (!serviceAccountToken)
    throw new EdgeError('OBJECT_INVALID', { detail: `projected: ${Object.keys(part).join()}` });
  const spec = tokenSpec(pod, serviceAccountToken);
  const { token } = await source.serviceAccountToken(
    namespace,
    pod.spec.serviceAccountName ?? 'default',
    spec,
  );
  // Readable for the user that the containers run as, whoever that is, as a projected token is in Kubernetes.
  return [{ path: serviceAccountToken.path, mode: 0o644, content: Buffer.from(token) }];
}

function tokenSpec(pod: Pod, wanted: NonNullable<ProjectedSource['serviceAccountToken']>): TokenRequestSpec {
  return {
    audiences: wanted.audience ? [wanted.audience] : null,
    expirationSeconds: wanted.expirationSeconds ?? TOKEN_LIFE,
    boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: pod.metadata.name, uid: pod.metadata.uid ?? '' },
  };
}

/** All entries under their own names, or the named ones where they are wanted. */
function pick(
  entries: ReadonlyMap<string, Buffer> | undefined,
  wanted: { readonly items?: readonly KeyToPath[]; readonly optional?: boolean },
  what: string,
  mode: number,
): VolumeFile[] {
  if (!entries) return [];
  if (!wanted.items) return [...entries].map(([path, content]) => ({ path, content, mode }));
  return wanted.items.flatMap(({ key, path, mode: own }) => {
    const content = entries.get(key);
    if (content) return [{ path, content, mode: own ?? mode }];
    if (wanted.optional) return [];
    throw new EdgeError('OBJECT_NOT_FOUND', { detail: `key ${key} in ${what}` });
  });
}

/** @source Kubernetes: hostPath volume types */
function hostPath(name: string, { path, type = '' }: NonNullable<Volume['hostPath']>): string {
  if (type === 'DirectoryOrCreate') mkdirSync(path, { recursive: true, mode: 0o755 });
  if (type === 'FileOrCreate' && !existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '', { mode: 0o644 });
  }
  if (type === '') return path;
  const stats = statSync(path, { throwIfNoEntry: false });
  const fits: Readonly<Record<string, boolean | undefined>> = {
    Directory: stats?.isDirectory(),
    DirectoryOrCreate: stats?.isDirectory(),
    File: stats?.isFile(),
    FileOrCreate: stats?.isFile(),
    Socket: stats?.isSocket(),
    CharDevice: stats?.isCharacterDevice(),
    BlockDevice: stats?.isBlockDevice(),
  };
  if (fits[type]) return path;
  throw new EdgeError('OBJECT_INVALID', { detail: `volume ${name}: hostPath ${path} is no ${type}` });
}

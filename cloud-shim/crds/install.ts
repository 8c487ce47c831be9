import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type Clock, sleep } from '../../runtime/core/clock.ts';
import { EdgeError } from '../../runtime/core/errors.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { seconds } from '../../runtime/core/units.ts';
import type { KubeApi } from '../kube/client.ts';
import { kinds } from '../kube/resource-kind.ts';

export type InstallDeps = {
  readonly api: KubeApi;
  /** The folder of the definitions. */
  readonly folder: string;
  /** API groups whose definitions are left out. */
  readonly without?: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
};

type Definition = KubeObject & {
  readonly spec: {
    readonly group: string;
    readonly versions: readonly { readonly name: string; readonly served: boolean }[];
  };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
};

const CHECK = seconds(0.2);
const LIMIT = seconds(30);

/** Which of our files a definition was made from. Only what carries it is ours to bring up to date. */
const DIGEST = 'edgecore.io/definition-digest';

/** Makes the CRDs that the cluster lacks, brings those that a shim of another version made to its own, and waits until
 * they are served. What an administrator, or KubeEdge's own installer, put there stays as it is.
 * @throws EdgeError CLOUD_REFUSED, also when a definition that is there lacks the version in use */
export async function installCrds({ api, folder, without = [], clock, log }: InstallDeps): Promise<void> {
  const definitions = readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => marked(parse(readFileSync(join(folder, file), 'utf8')) as Definition))
    .filter(({ spec }) => !without.includes(spec.group));
  for (const definition of definitions) {
    const { name } = definition.metadata;
    const made = await api.create<Definition>(kinds.crd, { name: '' }, definition);
    if ('object' in made) log.info('a CustomResourceDefinition was made', { resource: name });
    else if (made.status.reason !== 'AlreadyExists')
      throw new EdgeError('CLOUD_REFUSED', { detail: `CRD ${name}: ${made.status.message}` });
    else if (await bringUpToDate(api, definition))
      log.info('a CustomResourceDefinition was brought up to date', { resource: name });
  }
  const end = clock.monotonic() + LIMIT;
  for (const definition of definitions) {
    for (;;) {
      const fault = await faultOf(api, definition);
      if (fault === undefined) break;
      if (clock.monotonic() > end) throw new EdgeError('CLOUD_REFUSED', { detail: fault });
      await sleep(clock, CHECK);
    }
  }
}

function marked(definition: Definition): Definition {
  const digest = createHash('sha256').update(JSON.stringify(definition.spec)).digest('hex').slice(0, 16);
  const { metadata } = definition;
  return {
    ...definition,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [DIGEST]: digest } },
  };
}

/** @returns whether it was changed */
async function bringUpToDate(api: KubeApi, wanted: Definition): Promise<boolean> {
  const { name, annotations } = wanted.metadata;
  const there = await api.get<Definition>(kinds.crd, { name });
  if ('status' in there)
    throw new EdgeError('CLOUD_REFUSED', { detail: `CRD ${name}: ${there.status.message}` });
  const has = there.object.metadata.annotations?.[DIGEST];
  if (has === undefined || has === annotations?.[DIGEST]) return false;
  const metadata = {
    ...there.object.metadata,
    annotations: { ...there.object.metadata.annotations, ...annotations },
  };
  const answer = await api.update<Definition>(
    kinds.crd,
    { name },
    { ...there.object, metadata, spec: wanted.spec },
  );
  if ('object' in answer) return true;
  // A second shim of a rolling update was faster.
  if (answer.status.reason === 'Conflict') return false;
  throw new EdgeError('CLOUD_REFUSED', { detail: `CRD ${name}: ${answer.status.message}` });
}

/** @returns why objects of that definition cannot be used yet */
async function faultOf(api: KubeApi, wanted: Definition): Promise<string | undefined> {
  const { name } = wanted.metadata;
  const answer = await api.get<Definition>(kinds.crd, { name });
  if ('status' in answer) return `CRD ${name}: ${answer.status.message}`;
  const { spec, status } = answer.object;
  const lacking = wanted.spec.versions.filter(
    (version) => !spec.versions.some((has) => has.name === version.name && has.served),
  );
  if (lacking.length > 0) return `CRD ${name} does not serve ${lacking.map((v) => v.name).join(', ')}`;
  const established = status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True');
  return established ? undefined : `CRD ${name} is not established`;
}

import type { KubeObject } from '../../runtime/core/k8s.ts';
import type { Known } from './object-syncs.ts';

/** One thing that a node should have. */
export type Wanted = { readonly type: string; readonly object: KubeObject };

export type SyncControllerDeps = {
  readonly known: (node: string) => Iterable<Known>;
  /** What each controller wants the node to have. */
  readonly wanted: readonly ((node: string) => readonly Wanted[])[];
  readonly send: (node: string, type: string, object: KubeObject, operation: 'update' | 'delete') => void;
  /** Called before anything else is sent to a node that connects. */
  readonly greet: (node: string) => void;
};

/** The wire's word for each kind. */
const types: Readonly<Record<string, string>> = {
  Pod: 'pod',
  ConfigMap: 'configmap',
  Secret: 'secret',
  Node: 'node',
  Device: 'device',
  DeviceModel: 'devicemodel',
  LocalRule: 'localrule',
};

/** Brings a node that was away up to date: what changed is sent, what is gone is deleted.
 * @source KubeEdge cloud/pkg/synccontroller */
export class SyncController {
  private readonly deps: SyncControllerDeps;

  constructor(deps: SyncControllerDeps) {
    this.deps = deps;
  }

  connected(node: string): void {
    const { known, wanted, send, greet } = this.deps;
    greet(node);
    const changes = compare(
      [...known(node)],
      wanted.flatMap((of) => of(node)),
    );
    for (const { kind, namespace, name, uid } of changes.gone) {
      const type = types[kind];
      const metadata = { name, uid, ...(namespace ? { namespace } : {}) };
      if (type && type !== 'node') send(node, type, { kind, metadata }, 'delete');
    }
    for (const { type, object } of changes.changed) send(node, type, object, 'update');
  }
}

/** What a node lacks or has too much of. Versions are compared as numbers, as the API server of every cluster makes them. */
export function compare(
  known: readonly Known[],
  wanted: readonly Wanted[],
): { changed: Wanted[]; gone: Known[] } {
  const versions = new Map(known.map(({ uid, version }) => [uid, version]));
  const uids = new Set(wanted.map(({ object }) => object.metadata.uid));
  const changed = wanted.filter(({ object }) => {
    const has = versions.get(object.metadata.uid ?? '');
    return has === undefined || BigInt(object.metadata.resourceVersion || '0') > BigInt(has || '0');
  });
  return { changed, gone: known.filter(({ uid }) => !uids.has(uid)) };
}

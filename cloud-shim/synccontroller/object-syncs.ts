import { errorText } from '../../runtime/core/errors.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import type { KubeApi } from '../kube/client.ts';
import { kinds, type ResourceKind } from '../kube/resource-kind.ts';

/** `reliablesyncs.kubeedge.io/v1alpha1` ObjectSync and ClusterObjectSync: what version of an object a node has. */
export type ObjectSync = KubeObject & {
  readonly spec: {
    readonly objectAPIVersion?: string;
    readonly objectKind: string;
    readonly objectName: string;
  };
  readonly status?: { readonly objectResourceVersion?: string };
};

/** What a node has of one object. */
export type Known = {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly version: string;
};

export type ObjectSyncsDeps = { readonly api: KubeApi; readonly log: Logger };

/** What every node has acknowledged, kept in the cluster, so that a restart of the cloud side, or KubeEdge's own in its
 * place, knows what to send and what to delete on an edge that was away.
 * @source KubeEdge reliablesyncs.kubeedge.io, cloudhub ack handling */
export class ObjectSyncs {
  private readonly deps: ObjectSyncsDeps;
  private readonly nodes = new Map<string, Map<string, Known>>();
  /** Writes of one record follow each other; the last state wins. */
  private readonly writing = new Map<string, Promise<void>>();

  constructor(deps: ObjectSyncsDeps) {
    this.deps = deps;
  }

  /** Reads all records. @throws Error when the API server refuses */
  async load(): Promise<void> {
    for (const kind of [kinds.objectSync, kinds.clusterObjectSync]) {
      const answer = await this.deps.api.list<ObjectSync>(kind);
      if ('status' in answer) throw new Error(answer.status.message);
      for (const record of answer.object.items) this.take(record);
    }
  }

  version(node: string, uid: string): string | undefined {
    return this.nodes.get(node)?.get(uid)?.version;
  }

  /** Everything that a node has. */
  known(node: string): Iterable<Known> {
    return this.nodes.get(node)?.values() ?? [];
  }

  acknowledged(node: string, object: KubeObject, deletion: boolean): void {
    const { uid = '', name, namespace = '', resourceVersion = '' } = object.metadata;
    const of = this.nodeOf(node);
    if (deletion) of.delete(uid);
    else if (object.kind) of.set(uid, { kind: object.kind, namespace, name, uid, version: resourceVersion });
    this.write(node, uid, namespace, object.apiVersion ?? '');
  }

  /** The node starts from nothing: it has no object any more. */
  async forget(node: string): Promise<void> {
    const records = [...this.known(node)];
    this.nodes.delete(node);
    for (const { uid, namespace } of records) this.write(node, uid, namespace, '');
    await Promise.all(this.writing.values());
  }

  private nodeOf(node: string): Map<string, Known> {
    const known = this.nodes.get(node) ?? new Map<string, Known>();
    this.nodes.set(node, known);
    return known;
  }

  private take({ metadata, spec, status }: ObjectSync): void {
    // `<node>.<uid>`: node names hold dots, uids none.
    const dot = metadata.name.lastIndexOf('.');
    const uid = metadata.name.slice(dot + 1);
    const { objectKind: kind, objectName: name } = spec;
    const version = status?.objectResourceVersion ?? '0';
    this.nodeOf(metadata.name.slice(0, dot)).set(uid, {
      kind,
      namespace: metadata.namespace ?? '',
      name,
      uid,
      version,
    });
  }

  private write(node: string, uid: string, namespace: string, apiVersion: string): void {
    const key = `${node}.${uid}`;
    const before = this.writing.get(key);
    const work = (before ?? Promise.resolve())
      .then(() => this.store(node, uid, namespace, apiVersion))
      .catch((error: unknown) => {
        // Sent once more after a restart, and the node finds that it has it.
        this.deps.log.warn('what a node has could not be recorded', {
          resource: key,
          reason: errorText(error),
        });
      })
      .finally(() => {
        if (this.writing.get(key) === work) this.writing.delete(key);
      });
    this.writing.set(key, work);
  }

  private async store(node: string, uid: string, namespace: string, apiVersion: string): Promise<void> {
    const { api } = this.deps;
    const kind: ResourceKind = namespace ? kinds.objectSync : kinds.clusterObjectSync;
    const name = { name: `${node}.${uid}`, ...(namespace ? { namespace } : {}) };
    const known = this.nodes.get(node)?.get(uid);
    if (!known) {
      await api.delete(kind, name);
      return;
    }
    const status = { status: { objectResourceVersion: known.version } };
    const merge = 'application/merge-patch+json';
    const patched = await api.patch(kind, { ...name, subresource: 'status' }, merge, status);
    if ('object' in patched) return;
    if (patched.status.reason !== 'NotFound') throw new Error(patched.status.message);
    const spec = { objectAPIVersion: apiVersion, objectKind: known.kind, objectName: known.name };
    const made = await api.create(kind, name, {
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      metadata: name,
      spec,
    });
    if ('status' in made) throw new Error(made.status.message);
    await api.patch(kind, { ...name, subresource: 'status' }, merge, status);
  }
}

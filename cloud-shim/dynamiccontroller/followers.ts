import type { Clock } from '../../runtime/core/clock.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import type { MessageDraft } from '../../runtime/core/message.ts';
import { formatResource } from '../../runtime/core/resource.ts';
import type { KubeApi } from '../kube/client.ts';
import { Informer } from '../kube/informer.ts';
import type { ResourceKind } from '../kube/resource-kind.ts';

/** The way down to nodes. */
export interface NodeLink {
  deliver(node: string, draft: MessageDraft, object: KubeObject, deletion: boolean): void;
}

export type FollowersDeps = {
  readonly api: KubeApi;
  readonly link: NodeLink;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
};

/** What is followed: a collection, or a selection of it. */
export type Selection = { readonly kind: ResourceKind; readonly query: Readonly<Record<string, string>> };

/** A selection that nodes follow, one informer for all of them. */
type Followed = {
  readonly collection: string;
  readonly informer: Informer<KubeObject>;
  readonly nodes: Map<string, Set<string>>;
};

/** Brings the changes of collections to the nodes that watch them.
 * @source KubeEdge cloud/pkg/dynamiccontroller/application/handlerCenter */
export class Followers {
  private readonly deps: FollowersDeps;
  private readonly followed = new Map<string, Followed>();
  private readonly abort = new AbortController();

  constructor(deps: FollowersDeps) {
    this.deps = deps;
  }

  /** The watches of a node. */
  of(node: string): string[] {
    return [...this.followed.values()].flatMap(({ nodes }) => [...(nodes.get(node) ?? [])]);
  }

  /** Sends everything that is selected, and what changes from then on. */
  add(node: string, id: string, selection: Selection): void {
    const { kind, query } = selection;
    const collection = `${kind.apiVersion}/${kind.plural}`;
    const key = JSON.stringify([collection, query]);
    const known = this.followed.get(key);
    if (known) {
      known.nodes.set(node, (known.nodes.get(node) ?? new Set()).add(id));
      for (const object of known.informer.values()) this.send(node, object, 'insert');
      return;
    }
    const informer = new Informer<KubeObject>({ ...this.deps, kind, query });
    const followed = { collection, informer, nodes: new Map([[node, new Set([id])]]) };
    this.followed.set(key, followed);
    informer.onChange({
      changed: (object, before) => {
        for (const to of followed.nodes.keys()) this.send(to, object, before ? 'update' : 'insert');
      },
      removed: (object) => {
        for (const to of followed.nodes.keys())
          if (!this.heldElsewhere(to, followed, object)) this.send(to, object, 'delete');
      },
    });
    void informer.start(this.abort.signal);
  }

  remove(node: string, id: string): void {
    for (const [key, { informer, nodes }] of this.followed) {
      const ids = nodes.get(node);
      if (!ids?.delete(id)) continue;
      if (ids.size === 0) nodes.delete(node);
      if (nodes.size > 0) continue;
      this.followed.delete(key);
      void informer.stop();
    }
  }

  /** The node is away, and says again what it watches when it is back. */
  forget(node: string): void {
    for (const id of this.of(node)) this.remove(node, id);
  }

  async stop(): Promise<void> {
    this.abort.abort();
    await Promise.all([...this.followed.values()].map(({ informer }) => informer.stop()));
    this.followed.clear();
  }

  /** What one selection lost, another one of the same collection may hold. */
  private heldElsewhere(node: string, lost: Followed, { metadata }: KubeObject): boolean {
    return [...this.followed.values()].some(
      ({ collection, informer, nodes }) =>
        collection === lost.collection &&
        informer !== lost.informer &&
        nodes.has(node) &&
        informer.get(metadata.namespace ?? '', metadata.name) !== undefined,
    );
  }

  private send(node: string, object: KubeObject, operation: 'insert' | 'update' | 'delete'): void {
    const { namespace, name } = object.metadata;
    const type = (object.kind ?? '').toLowerCase();
    const resource = formatResource({ namespace: namespace || undefined, type, name });
    const draft = { source: 'dynamiccontroller', group: 'resource', operation, resource, content: object };
    this.deps.link.deliver(node, draft, object, operation === 'delete');
  }
}

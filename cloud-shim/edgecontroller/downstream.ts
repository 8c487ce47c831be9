import type { ConfigMap, KubeObject, Node, Secret } from '../../runtime/core/k8s.ts';
import type { MessageDraft } from '../../runtime/core/message.ts';
import type { Pod } from '../../runtime/core/pod.ts';
import { formatResource } from '../../runtime/core/resource.ts';
import type { Informer } from '../kube/informer.ts';
import { referencesOf } from './references.ts';

/** The way down to nodes. */
export interface NodeLink {
  isConnected(node: string): boolean;
  deliver(node: string, draft: MessageDraft, object: KubeObject, deletion: boolean): void;
  disconnect(node: string): void;
}

/** What a node has acknowledged. */
export interface Acknowledged {
  /** The version that it has of an object; undefined when it has none. */
  version(node: string, uid: string): string | undefined;
}

export type DownstreamDeps = {
  readonly link: NodeLink;
  readonly acknowledged: Acknowledged;
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly configMaps: Informer<ConfigMap>;
  readonly secrets: Informer<Secret>;
};

/** One thing that a node should have. */
export type Wanted = { readonly type: string; readonly object: KubeObject };

/** Brings pods, and the configuration that they name, to the nodes that run them.
 * @source KubeEdge cloud/pkg/edgecontroller/controller/downstream.go */
export class Downstream {
  private readonly deps: DownstreamDeps;

  constructor(deps: DownstreamDeps) {
    this.deps = deps;
    deps.pods.onChange({
      changed: (pod, before) => this.podChanged(pod, before),
      removed: (pod) => this.send(pod.spec.nodeName, 'pod', pod, 'delete'),
    });
    deps.nodes.onChange({
      changed: (node, before) => {
        if (before && !sameButStatus(node, before)) this.send(node.metadata.name, 'node', node, 'update');
      },
      removed: (node) => deps.link.disconnect(node.metadata.name),
    });
    this.follow('configmap', deps.configMaps);
    this.follow('secret', deps.secrets);
  }

  /** Everything that a node should have, for when it connects. */
  wanted(node: string): Wanted[] {
    const { nodes, configMaps, secrets } = this.deps;
    const own = nodes.get('', node);
    const pods = this.podsOf(node);
    const wanted: Wanted[] = own ? [{ type: 'node', object: own }] : [];
    for (const object of pods) wanted.push({ type: 'pod', object });
    for (const [type, informer] of [
      ['configmap', configMaps],
      ['secret', secrets],
    ] as const) {
      for (const object of informer.values()) {
        // The node asks for configuration itself when it needs it; what it once had is kept up to date.
        const known = this.deps.acknowledged.version(node, object.metadata.uid ?? '') !== undefined;
        if (known || this.isUsed(pods, type, object)) wanted.push({ type, object });
      }
    }
    return wanted;
  }

  /** Sends one object to its node. */
  send(
    node: string | undefined,
    type: string,
    object: KubeObject,
    operation: 'insert' | 'update' | 'delete',
  ): void {
    if (!node || !this.deps.link.isConnected(node)) return;
    const { namespace, name } = object.metadata;
    const resource = formatResource({ namespace: namespace || undefined, type, name });
    const draft = { source: 'edgecontroller', group: 'resource', operation, resource, content: object };
    this.deps.link.deliver(node, draft, object, operation === 'delete');
  }

  private podChanged(pod: Pod, before: Pod | undefined): void {
    const { nodeName } = pod.spec;
    if (before && before.spec.nodeName === nodeName && sameButStatus(pod, before)) return;
    const isNew = before?.spec.nodeName !== nodeName && !pod.metadata.deletionTimestamp;
    this.send(nodeName, 'pod', pod, isNew ? 'insert' : 'update');
  }

  private follow<T extends KubeObject>(type: 'configmap' | 'secret', informer: Informer<T>): void {
    const tell = (object: T, operation: 'update' | 'delete'): void => {
      for (const node of this.deps.nodes.values()) {
        const { name } = node.metadata;
        if (this.deps.link.isConnected(name) && this.isUsed(this.podsOf(name), type, object))
          this.send(name, type, object, operation);
      }
    };
    informer.onChange({
      changed: (object) => tell(object, 'update'),
      removed: (object) => tell(object, 'delete'),
    });
  }

  private podsOf(node: string): Pod[] {
    return [...this.deps.pods.values()].filter((pod) => pod.spec.nodeName === node);
  }

  private isUsed(pods: readonly Pod[], type: string, { metadata }: KubeObject): boolean {
    return pods.some(
      (pod) =>
        pod.metadata.namespace === metadata.namespace && referencesOf(pod).has(`${type}/${metadata.name}`),
    );
  }
}

/** Whether two states of an object differ in their status and bookkeeping only: the node wrote that itself. */
function sameButStatus(a: KubeObject, b: KubeObject): boolean {
  return essence(a) === essence(b);
}

function essence(object: KubeObject): string {
  const { status: _status, metadata, ...rest } = object as KubeObject & { status?: unknown };
  const { resourceVersion: _version, generation: _generation, ...kept } = metadata;
  const { managedFields: _fields, ...meta } = kept as typeof kept & { managedFields?: unknown };
  return JSON.stringify([rest, meta]);
}

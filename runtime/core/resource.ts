/** The resource string of a message: `<namespace>/<type>[/<name>]` on the wire.
 * Cluster-scoped objects use the namespace `null`; two segments stand for a list.
 * In the cloud it is prefixed with `node/<node>/`, which CloudHub strips and adds.
 * @source KubeEdge common/constants, pkg/metamanager resource grammar */
export type ResourcePath = {
  /** undefined for cluster-scoped objects. */
  readonly namespace: string | undefined;
  readonly type: string;
  /** undefined for a list. */
  readonly name: string | undefined;
};

const CLUSTER_SCOPE = 'null';

/** @returns undefined when the string has not two or three non-empty segments */
export function parseResource(resource: string): ResourcePath | undefined {
  const parts = resource.split('/');
  const [namespace, type, name] = parts;
  if (!namespace || !type || parts.length > 3 || name === '') return undefined;
  return { namespace: namespace === CLUSTER_SCOPE ? undefined : namespace, type, name };
}

export function formatResource(path: ResourcePath): string {
  const head = `${path.namespace ?? CLUSTER_SCOPE}/${path.type}`;
  return path.name === undefined ? head : `${head}/${path.name}`;
}

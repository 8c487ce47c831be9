import { isRecord } from '../../core/message.ts';
import { apiVersionOf, collectionOf, parseCollection, pluralOf } from './api-path.ts';
import type { CloudApi } from './cloud-api.ts';
import type { ObjectCache } from './object-cache.ts';
import { noSuchPath, Refusal } from './refusal.ts';

/** An answer that is ready to be sent. */
export type Answer = { readonly status: number; readonly type: string; readonly body: string | Buffer };

export const jsonAnswer = (value: unknown, status = 200): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(value),
});

export type Kind = { readonly kind: string; readonly namespaced: boolean };

type Row = Kind & { readonly shortNames?: readonly string[] };

const DOCUMENT =
  /^\/(api|apis|version|healthz|livez|readyz|api\/[^/]+|apis\/[^/]+(\/[^/]+)?|openapi\/v2|openapi\/v3(\/.+)?)$/;
const PROTOBUF = /application\/com\.github\.proto-openapi\.spec\.v[23]@v1\.0\+protobuf/;

/** What this node gets by itself, for where the cluster's own discovery was never asked for. */
const builtin: Readonly<Record<string, Row>> = {
  '/core/v1/pods': { kind: 'Pod', namespaced: true, shortNames: ['po'] },
  '/core/v1/configmaps': { kind: 'ConfigMap', namespaced: true, shortNames: ['cm'] },
  '/core/v1/secrets': { kind: 'Secret', namespaced: true },
  '/core/v1/nodes': { kind: 'Node', namespaced: false, shortNames: ['no'] },
  '/core/v1/namespaces': { kind: 'Namespace', namespaced: false, shortNames: ['ns'] },
  '/core/v1/services': { kind: 'Service', namespaced: true, shortNames: ['svc'] },
  '/core/v1/events': { kind: 'Event', namespaced: true, shortNames: ['ev'] },
  '/devices.kubeedge.io/v1beta1/devices': { kind: 'Device', namespaced: true },
  '/devices.kubeedge.io/v1beta1/devicemodels': { kind: 'DeviceModel', namespaced: true },
};
const VERBS = ['get', 'list', 'watch'];

/** Documents that are not objects: discovery, versions, health, schemas. The cluster's own while there is a link and
 * after that; what was never asked for is made of what is held. */
export class Documents {
  private readonly cloud: CloudApi;
  private readonly cache: ObjectCache;

  constructor(deps: { cloud: CloudApi; cache: ObjectCache }) {
    this.cloud = deps.cloud;
    this.cache = deps.cache;
  }

  static has(path: string): boolean {
    return DOCUMENT.test(path);
  }

  /** Throws the cluster's refusal. */
  async serve(path: string, accept: string): Promise<Answer> {
    const form = PROTOBUF.exec(accept)?.[0];
    const key = form ? `${path}#protobuf` : path;
    const verdict = await this.cloud.read({ key: path, verb: 'get', ...(form ? { accept: form } : {}) });
    if (verdict.kind === 'rejected') throw new Refusal(verdict.status);
    if (verdict.kind === 'away') return this.held(key) ?? this.made(path);
    const answer = { status: 200, type: verdict.type ?? typeOf(verdict.body), body: verdict.body };
    const encoding = answer.type.includes('protobuf') ? 'base64' : 'utf8';
    this.cache.keepDocument(
      key,
      JSON.stringify({ type: answer.type, encoding, text: answer.body.toString(encoding) }),
    );
    return answer;
  }

  /** What the objects of a collection are; undefined when nobody here knows. */
  kindOf(collection: string): Kind | undefined {
    const { group, version, plural } = parseCollection(collection);
    const path = group ? `/apis/${group}/${version}` : `/api/${version}`;
    const found = resourcesIn(this.held(path)).find(({ name }) => name === plural);
    if (typeof found?.kind === 'string') return { kind: found.kind, namespaced: found.namespaced === true };
    return this.rowOf(collection);
  }

  /** The plural of a kind, which no rule gives with certainty. */
  collectionOf(apiVersion: string, kind: string): string {
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
    const path = { group: group ?? '', version: version ?? '' };
    const held = this.held(path.group ? `/apis/${apiVersion}` : `/api/${apiVersion}`);
    const found = resourcesIn(held).find(
      (resource) => resource.kind === kind && !String(resource.name).includes('/'),
    );
    return collectionOf({ ...path, plural: typeof found?.name === 'string' ? found.name : pluralOf(kind) });
  }

  private rowOf(collection: string): Row | undefined {
    const known = builtin[collection];
    if (known) return known;
    const [object] = this.cache.list(collection, undefined);
    if (!object?.kind) return undefined;
    return { kind: object.kind, namespaced: Boolean(object.metadata.namespace) };
  }

  private held(key: string): Answer | undefined {
    const text = this.cache.document(key);
    if (text === undefined) return undefined;
    const document = JSON.parse(text) as { type: string; encoding: 'utf8' | 'base64'; text: string };
    return { status: 200, type: document.type, body: Buffer.from(document.text, document.encoding) };
  }

  private made(path: string): Answer {
    // This server lives and serves what it has.
    if (/^\/(healthz|livez|readyz)$/.test(path)) return { status: 200, type: 'text/plain', body: 'ok' };
    if (path === '/version') return jsonAnswer({ major: '1', minor: '32', gitVersion: 'v1.32.0-edgecore' });
    if (path === '/api')
      return jsonAnswer({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] });
    const [area, group = '', version = ''] = path.split('/').filter(Boolean);
    if (area === 'api') return jsonAnswer(this.resourceList('', group));
    if (area !== 'apis') throw noSuchPath();
    if (!group) return jsonAnswer({ kind: 'APIGroupList', apiVersion: 'v1', groups: this.groups() });
    if (version) return jsonAnswer(this.resourceList(group, version));
    const found = this.groups().find(({ name }) => name === group);
    if (!found) throw noSuchPath();
    return jsonAnswer({ kind: 'APIGroup', apiVersion: 'v1', ...found });
  }

  private groups() {
    const versions = new Map<string, Set<string>>();
    for (const collection of this.all()) {
      const { group, version } = parseCollection(collection);
      if (group) versions.set(group, (versions.get(group) ?? new Set()).add(version));
    }
    return [...versions].map(([name, of]) => {
      const list = [...of].map((version) => ({ groupVersion: `${name}/${version}`, version }));
      return { name, versions: list, preferredVersion: list[0] };
    });
  }

  private resourceList(group: string, version: string): unknown {
    const resources = this.all().flatMap((collection) => {
      const parts = parseCollection(collection);
      if (parts.group !== group || parts.version !== version) return [];
      const row = this.rowOf(collection);
      if (!row) return [];
      return [{ name: parts.plural, singularName: row.kind.toLowerCase(), verbs: VERBS, ...row }];
    });
    if (resources.length === 0) throw noSuchPath();
    const groupVersion = apiVersionOf({ group, version });
    return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
  }

  private all(): string[] {
    return [...new Set([...Object.keys(builtin), ...this.cache.collections()])];
  }
}

function resourcesIn(document: Answer | undefined): Record<string, unknown>[] {
  if (!document) return [];
  const list: unknown = JSON.parse(String(document.body));
  return isRecord(list) && Array.isArray(list.resources) ? list.resources.filter(isRecord) : [];
}

/** KubeEdge's cloud does not say what it sends. */
function typeOf(body: Buffer): string {
  return body[0] === 0x7b ? 'application/json' : 'text/plain';
}

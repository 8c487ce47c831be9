import type { PodRef, PodStatus } from '../../core/pod.ts';
import type { ObjectChange } from '../metamanager.ts';
import { collectionOfObject } from './api-path.ts';
import { ApiServer, type Gate } from './api-server.ts';
import type { SecureListeners } from './auth/secure-listeners.ts';
import { CloudApi } from './cloud-api.ts';
import { CloudWatches } from './cloud-watches.ts';
import { Documents } from './documents.ts';
import { NodeExtensions } from './extensions.ts';
import type { MetaServerDeps } from './metaserver.ts';
import { ObjectCache } from './object-cache.ts';
import { Reads } from './reads.ts';
import { Watching } from './watching.ts';
import { apiObject, wireTypes } from './wire-types.ts';
import { Writes } from './writes.ts';

/** What the cloud removes from the node's own store, it removes here. */
const OWN = ['pod', 'configmap', 'secret', 'device', 'devicemodel', 'localrule', 'serviceaccountaccess'];

type Security = { readonly gate: Gate; readonly listeners: (server: ApiServer) => SecureListeners };

/** Loaded only where it is asked for. */
async function securityOf(deps: MetaServerDeps): Promise<Security> {
  const [{ TokenGate }, { SecureListeners: Listeners }] = await Promise.all([
    import('./auth/token-gate.ts'),
    import('./auth/secure-listeners.ts'),
  ]);
  return {
    gate: new TokenGate({ ...deps, kept: deps.store.meta }),
    listeners: (server) => new Listeners({ ...deps, server }),
  };
}

/** The parts of the local API, put together. */
export class LocalApi {
  private readonly deps: MetaServerDeps;
  private readonly cache: ObjectCache;
  private readonly cloud: CloudApi;
  private readonly watches: CloudWatches;
  private readonly documents: Documents;
  private readonly server: ApiServer;
  private readonly secure: SecureListeners | undefined;
  private plainPort = 0;

  private constructor(deps: MetaServerDeps, security: Security | undefined) {
    const { store, node, link, clock, log } = deps;
    this.deps = deps;
    const cache = new ObjectCache({ store, node });
    const cloud = new CloudApi({ link, node, clock });
    const documents = new Documents({ cloud, cache });
    const reads = new Reads({ cloud, cache, documents, clock });
    this.watches = new CloudWatches({ cloud, clock, log });
    const watching = new Watching({ cache, documents, watches: this.watches, reads, clock });
    const writes = new Writes({ cloud, cache });
    this.server = new ApiServer({
      reads,
      writes,
      watching,
      documents,
      extensions: new NodeExtensions({ pods: deps.pods, own: deps.own, cache }),
      gate: security?.gate,
      log,
    });
    this.secure = security?.listeners(this.server);
    this.cache = cache;
    this.cloud = cloud;
    this.documents = documents;
  }

  /** @throws Error when a file of keys cannot be read */
  static async make(deps: MetaServerDeps): Promise<LocalApi> {
    return new LocalApi(deps, deps.authorization ? await securityOf(deps) : undefined);
  }

  /** The port of `server`, once it is open. */
  get port(): number {
    return this.secure?.port ?? this.plainPort;
  }

  async start(): Promise<void> {
    this.takeKept();
    if (this.secure) await this.secure.start();
    else this.plainPort = await this.server.listen(this.deps.config.server);
  }

  async stop(): Promise<void> {
    this.watches.stop();
    await this.secure?.stop();
    await this.server.stop();
  }

  online(up: boolean): void {
    if (!up) return;
    this.secure?.online();
    this.cloud.reconnected();
    void this.watches.reconnected();
  }

  watched({ operation, namespace, name, object }: ObjectChange): void {
    const whole = apiObject('', object);
    const { apiVersion, kind } = whole ?? {};
    // An event without an object says nothing that could be believed.
    if (!whole || !apiVersion || !kind) return;
    const collection = this.documents.collectionOf(apiVersion, kind);
    if (operation === 'delete') this.cache.remove(collection, namespace, name, whole);
    else this.cache.take(whole, false, collection);
  }

  changed(type: string, object: unknown): void {
    const whole = apiObject(type, object);
    if (whole) this.cache.take(whole, true);
  }

  removed({ type, namespace, name, object }: ObjectChange): void {
    const names = wireTypes[type];
    const collection = names && collectionOfObject({ ...names, metadata: { name } });
    if (collection) this.cache.remove(collection, namespace, name, apiObject(type, object));
  }

  podStatus({ namespace, name, uid }: PodRef, status: PodStatus): void {
    this.cache.podStatus(namespace, name, uid, status);
  }

  /** What this node has was kept before, or while this API was switched off. */
  private takeKept(): void {
    const { store } = this.deps;
    for (const type of Object.keys(wireTypes)) {
      const names = wireTypes[type];
      const collection = names && collectionOfObject({ ...names, metadata: { name: '' } });
      if (!collection) continue;
      const present = new Set<string>();
      for (const { value } of store.meta.list(type)) {
        const object = apiObject(type, JSON.parse(value));
        if (!object) continue;
        present.add(`${object.metadata.namespace ?? ''}/${object.metadata.name}`);
        this.cache.take(object, true);
      }
      if (!OWN.includes(type)) continue;
      for (const row of store.objects.list(collection)) {
        if (row.kept && !present.has(`${row.namespace}/${row.name}`))
          this.cache.remove(collection, row.namespace, row.name, undefined);
      }
    }
  }
}

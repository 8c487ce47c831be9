import type { Clock } from '../core/clock.ts';
import { type Device, type DeviceModel, objectFault } from '../core/devices.ts';
import { EdgeError } from '../core/errors.ts';
import type {
  ConfigMap,
  CoreEvent,
  KubeObject,
  Lease,
  Node,
  Secret,
  ServiceAccountToken,
  TokenRequestSpec,
} from '../core/k8s.ts';
import type { Logger } from '../core/log.ts';
import { isRecord, type MessageDraft } from '../core/message.ts';
import type { Pod, PodRef, PodStatus } from '../core/pod.ts';
import { formatResource, type ResourcePath } from '../core/resource.ts';
import { type DeviceId, deviceId, seconds } from '../core/units.ts';
import type { MetaManagerConfig } from './config.ts';
import { LocalDesires } from './local-desires.ts';
import { podStatusPatch } from './pod-patch.ts';
import { type CloudLink, Remote } from './remote.ts';
import { isFresh, type StoredToken, tokenKey } from './tokens.ts';
import { isOlder, uidOf } from './versions.ts';

/** The part of the store that keeps cloud objects. */
export interface ObjectStore {
  durable(work: () => void): Promise<void>;
  readonly meta: {
    put(row: { key: string; type: string; value: string }): void;
    get(key: string): string | undefined;
    list(type: string): { key: string; value: string }[];
    remove(key: string): void;
  };
}

/** Messages that must reach the cloud, kept until they did. */
export interface CloudOutbox {
  put(subject: string | null, draft: MessageDraft): Promise<void>;
}

/** Who acts on objects once they are kept. */
export interface ObjectConsumers {
  readonly pods: {
    applyPod(pod: Pod): void;
    removePod(pod: PodRef): void;
    configMapChanged(namespace: string, name: string): void;
    secretChanged(namespace: string, name: string): void;
  };
  readonly devices: {
    applyDevice(device: Device): void;
    removeDevice(id: DeviceId): void;
    applyModel(model: DeviceModel): void;
  };
  /** LocalRules. */
  readonly rules: {
    apply(rule: KubeObject): void;
    remove(namespace: string, name: string): void;
  };
}

/** Who shows what is kept here to others, and hears of each change after it is safe. */
export interface ObjectMirror {
  changed(type: string, object: unknown): void;
  removed(change: ObjectChange): void;
  podStatus(pod: PodRef, status: PodStatus): void;
}

export type ObjectChange = ResourcePath & {
  readonly name: string;
  readonly operation: 'insert' | 'update' | 'delete';
  readonly object: unknown;
};

export type MetaManagerDeps = {
  readonly config: MetaManagerConfig;
  readonly node: string;
  readonly reportEvent: boolean;
  readonly store: ObjectStore;
  readonly link: CloudLink;
  readonly outbox: CloudOutbox;
  readonly clock: Clock;
  readonly log: Logger;
};

/** The node's copy of its cloud objects: kept on disk first, then acted on, and served while the cloud is away.
 * @source KubeEdge edge/pkg/metamanager */
export class MetaManager {
  private readonly deps: MetaManagerDeps;
  private readonly log: Logger;
  private readonly remote: Remote;
  private readonly desires: LocalDesires;
  /** What is being asked for: twenty pods of one namespace need the same certificate at once. */
  private readonly asked = new Map<string, Promise<unknown>>();
  private consumers: ObjectConsumers | undefined;
  private mirror: ObjectMirror | undefined;

  constructor(deps: MetaManagerDeps) {
    this.deps = deps;
    this.log = deps.log.child('metamanager');
    const queryTimeout = seconds(deps.config.remoteQueryTimeout);
    this.remote = new Remote({ link: deps.link, clock: deps.clock, queryTimeout });
    const changed = (key: string, device: Device): void => {
      this.act(key, () => this.consumers?.devices.applyDevice(device));
      this.show('device', device);
    };
    this.desires = new LocalDesires({ ...deps, log: this.log, changed });
  }

  /** Says who acts on changes; everything kept so far is read by {@link pods}, {@link devices} and {@link models}. */
  connect(consumers: ObjectConsumers): void {
    this.consumers = consumers;
  }

  /** Has somebody hear of everything that is kept, and of what this node reports. */
  mirrorTo(mirror: ObjectMirror): void {
    this.mirror = mirror;
  }

  pods(): Pod[] {
    return this.stored('pod') as Pod[];
  }

  devices(): Device[] {
    return this.stored('device') as Device[];
  }

  models(): DeviceModel[] {
    return this.stored('devicemodel') as DeviceModel[];
  }

  localRules(): KubeObject[] {
    return this.stored('localrule') as KubeObject[];
  }

  /** Wants values of a device's properties without the cloud, over restarts too. */
  desire(id: DeviceId, values: ReadonlyMap<string, string>): Promise<void> {
    return this.desires.desire(id, values);
  }

  /** Keeps a change from the cloud, then hands it on.
   * A change that cannot be understood is refused in the log and counts as dealt with: sent again it would be no better,
   * and it would hold up everything behind it.
   * @returns resolves when it is on disk; rejects with STORE_WRITE_FAILED */
  async keep(change: ObjectChange): Promise<void> {
    const key = formatResource(change);
    if (change.operation === 'delete') return this.drop(key, change);
    const fault = faultOf(change);
    if (fault) {
      this.log.warn('an object from the cloud cannot be understood', { resource: key, reason: fault });
      return;
    }
    const stored = this.read(key);
    if (stored && isOlder(change.object, stored)) return;
    const value = JSON.stringify(change.object);
    await this.deps.store.durable(() => this.deps.store.meta.put({ key, type: change.type, value }));
    this.desires.forget(key);
    this.act(key, () => this.apply(change));
    this.show(change.type, change.object);
  }

  /** @throws EdgeError OBJECT_NOT_FOUND, LINK_OFFLINE, LINK_TIMEOUT */
  configMap(namespace: string, name: string): Promise<ConfigMap> {
    return this.fetch({ namespace, type: 'configmap', name }) as Promise<ConfigMap>;
  }

  /** @throws EdgeError OBJECT_NOT_FOUND, LINK_OFFLINE, LINK_TIMEOUT */
  secret(namespace: string, name: string): Promise<Secret> {
    return this.fetch({ namespace, type: 'secret', name }) as Promise<Secret>;
  }

  /** A token for a pod: the stored one while it is fresh, or while no better one can be had. */
  async serviceAccountToken(
    namespace: string,
    name: string,
    spec: TokenRequestSpec,
  ): Promise<ServiceAccountToken> {
    const key = tokenKey(namespace, name, spec);
    const stored = this.read(key) as StoredToken | undefined;
    if (stored && (isFresh(stored, this.deps.clock.now()) || !this.remote.online)) return stored;
    try {
      const token = await this.remote.token(namespace, name, spec);
      const row = { key, type: 'serviceaccounttoken', value: JSON.stringify(token) };
      await this.deps.store.durable(() => this.deps.store.meta.put(row));
      return token;
    } catch (error) {
      if (stored) return stored;
      throw error;
    }
  }

  async registerNode(node: Node): Promise<Node> {
    const registered = await this.remote.registerNode(node);
    if (registered.metadata.uid) this.show('node', registered);
    return registered;
  }

  async patchNodeStatus(name: string, patch: string): Promise<void> {
    this.show('node', await this.remote.patchNodeStatus(name, patch));
  }

  renewLease(lease: Lease): Promise<void> {
    return this.remote.renewLease(lease);
  }

  /** Brings a pod's status to the cluster, now or when the link returns; only the last one counts. */
  podStatus(pod: PodRef, status: PodStatus): void {
    this.act('podStatus', () => this.mirror?.podStatus(pod, status));
    this.post(`pod/${pod.namespace}/${pod.name}#status`, {
      operation: 'patch',
      resource: `${pod.namespace}/podpatch/${pod.name}`,
      content: podStatusPatch(pod, status),
    });
  }

  /** Tells the cluster that a pod which was to go is gone. */
  podTerminated(pod: PodRef): void {
    this.post(`pod/${pod.namespace}/${pod.name}#delete`, {
      operation: 'delete',
      resource: `${pod.namespace}/pod/${pod.name}`,
      content: { gracePeriodSeconds: 0, preconditions: { uid: pod.uid } },
    });
  }

  /** Differs: KubeEdge sends no events unless `reportEvent` is set; warnings are few and are what an operator looks for. */
  event(event: CoreEvent): void {
    if (event.type !== 'Warning' && !this.deps.reportEvent) return;
    const { namespace, name } = event.metadata;
    this.post(null, { operation: 'insert', resource: `${namespace}/event/${name}`, content: event });
  }

  private post(
    subject: string | null,
    draft: { operation: string; resource: string; content: unknown },
  ): void {
    this.deps.outbox.put(subject, { source: 'edged', group: 'meta', ...draft }).catch((error) => {
      this.log.error('a message for the cloud could not be kept', { resource: draft.resource, error });
    });
  }

  private async drop(key: string, change: ObjectChange): Promise<void> {
    const stored = this.read(key);
    const uid = uidOf(change.object);
    // The deletion of a pod that was already replaced by one of the same name must not take the new one.
    if (uid && stored && uidOf(stored) !== uid) return;
    const { meta } = this.deps.store;
    await this.deps.store.durable(() => {
      meta.remove(key);
      if (change.type === 'pod' && stored) this.dropTokens(uidOf(stored));
    });
    this.desires.forget(key);
    this.act(key, () => this.applyRemoval(change, uid ?? uidOf(stored) ?? ''));
    this.act(key, () => this.mirror?.removed(change));
  }

  /** An object that makes its consumer fail is kept all the same: unacknowledged it would hold up all that follow. */
  private act(resource: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.log.error('an object could not be acted on', { resource, error });
    }
  }

  private show(type: string, object: unknown): void {
    this.act(type, () => this.mirror?.changed(type, object));
  }

  private dropTokens(podUid: string | undefined): void {
    const { meta } = this.deps.store;
    for (const { key } of meta.list('serviceaccounttoken')) {
      if (podUid && key.includes(`/${podUid}/`)) meta.remove(key);
    }
  }

  private apply(change: ObjectChange): void {
    const { namespace = '', name, type, object } = change;
    switch (type) {
      case 'pod':
        this.consumers?.pods.applyPod(object as Pod);
        break;
      case 'configmap':
        this.consumers?.pods.configMapChanged(namespace, name);
        break;
      case 'secret':
        this.consumers?.pods.secretChanged(namespace, name);
        break;
      case 'device':
        this.consumers?.devices.applyDevice(object as Device);
        break;
      case 'devicemodel':
        this.consumers?.devices.applyModel(object as DeviceModel);
        break;
      case 'localrule':
        this.consumers?.rules.apply(object as KubeObject);
        break;
      default: // kept for whoever asks: nodes, access rules, watched objects
    }
  }

  private applyRemoval({ namespace = '', name, type }: ObjectChange, uid: string): void {
    switch (type) {
      case 'pod':
        this.consumers?.pods.removePod({ namespace, name, uid });
        break;
      case 'configmap':
        this.consumers?.pods.configMapChanged(namespace, name);
        break;
      case 'secret':
        this.consumers?.pods.secretChanged(namespace, name);
        break;
      case 'device':
        this.consumers?.devices.removeDevice(deviceId(namespace, name));
        break;
      case 'localrule':
        this.consumers?.rules.remove(namespace, name);
        break;
      default: // a model that went keeps serving its devices until they go
    }
  }

  /** From the store, else from the cloud; what came from the cloud is kept, because the cloud pushes its changes from then on. */
  private async fetch(path: ResourcePath): Promise<unknown> {
    const key = formatResource(path);
    const stored = this.read(key);
    if (stored) return stored;
    if (!this.remote.online) throw new EdgeError('LINK_OFFLINE', { detail: `${key} is not stored here` });
    const asked = this.asked.get(key) ?? this.ask(key, path).finally(() => this.asked.delete(key));
    this.asked.set(key, asked);
    return asked;
  }

  private async ask(key: string, path: ResourcePath): Promise<unknown> {
    const object = await this.remote.query(key);
    // A change may have been pushed while the answer was on its way.
    const pushed = this.read(key);
    if (pushed && isOlder(object, pushed)) return pushed;
    const row = { key, type: path.type, value: JSON.stringify(object) };
    await this.deps.store.durable(() => this.deps.store.meta.put(row));
    this.show(path.type, object);
    return object;
  }

  private read(key: string): unknown {
    const text = this.deps.store.meta.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  }

  private stored(type: string): unknown[] {
    return this.deps.store.meta.list(type).map((row) => JSON.parse(row.value));
  }
}

/** What makes an object unfit to be kept; pods are judged by edged, which answers with a status. */
function faultOf({ type, object, name }: ObjectChange): string | undefined {
  if (!isRecord(object) || !isRecord(object.metadata)) return 'no object with metadata';
  if (object.metadata.name !== name) return `metadata.name is ${JSON.stringify(object.metadata.name)}`;
  if (type === 'device' || type === 'devicemodel') return objectFault(object);
  return undefined;
}

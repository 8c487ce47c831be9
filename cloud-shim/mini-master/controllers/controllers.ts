import type { Clock, Timer } from '../../../runtime/core/clock.ts';
import { errorText } from '../../../runtime/core/errors.ts';
import { kubeTime } from '../../../runtime/core/k8s.ts';
import type { Logger } from '../../../runtime/core/log.ts';
import { millis, seconds } from '../../../runtime/core/units.ts';
import { ORPHAN } from '../api/delete-options.ts';
import type { Objects, Target, WriteOptions } from '../api/objects.ts';
import {
  type ApiObject,
  type Json,
  type JsonObject,
  listAt,
  objectAt,
  objectsAt,
  textAt,
  without,
} from '../json.ts';
import { CRD_CLEANUP } from '../kinds/crd.ts';
import { CRDS, type Registry } from '../kinds/registry.ts';
import { Refusal } from '../status.ts';
import { disowned, leaving, orphans, ownedBy, ownersOf } from './garbage.ts';
import { chooseNode } from './scheduler.ts';

export type ControllersDeps = {
  readonly objects: Objects;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Logger;
  /** PEM of the cluster's CA, for kube-root-ca.crt. */
  readonly caCert: string;
};

const TURN = seconds(5);
const NODE_LOST = 40_000;
const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';

/** What a cluster does by itself: namespaces and their content, service accounts, nodes that are lost, pods that want
 * a node, CRDs that go. Each rule looks at the store and brings it closer to what should be; all run after each change. */
export class Controllers {
  private readonly deps: ControllersDeps;
  private timer: Timer | undefined;
  private soon: Timer | undefined;
  private unwatch: (() => void) | undefined;
  /** Something was deleted: what it owned may have to go. */
  private deleted = true;
  /** Something is being deleted: it may be held for what it owns. */
  private leaving = true;

  constructor(deps: ControllersDeps) {
    this.deps = deps;
  }

  start(): void {
    for (const name of NAMESPACES) this.ensure('namespaces', '', name, {});
    this.run();
    this.unwatch = this.deps.objects.store.watch(undefined, ({ type, collection, object }) => {
      // Leases and events change often and no rule follows them at once.
      if (collection === 'events' || collection.startsWith('leases.')) return;
      if (type === 'DELETED') this.deleted = true;
      if (object.metadata.deletionTimestamp) this.leaving = true;
      this.soon ??= this.deps.clock.after(millis(0), () => this.run());
    });
    this.timer = this.deps.clock.every(TURN, () => this.run());
  }

  stop(): void {
    this.unwatch?.();
    this.timer?.cancel();
    this.soon?.cancel();
  }

  private run(): void {
    this.soon = undefined;
    const rules = [
      this.namespaces,
      this.accounts,
      this.nodes,
      this.pods,
      this.schedule,
      this.definitions,
      this.owners,
      this.garbage,
    ];
    for (const rule of rules) {
      try {
        rule.call(this);
      } catch (error) {
        this.deps.log.warn('a controller could not finish its turn', { reason: errorText(error) });
      }
    }
  }

  /** Empties a namespace that is being deleted, then lets it go. */
  private namespaces(): void {
    const { objects, registry } = this.deps;
    for (const namespace of objects.store.list('namespaces')) {
      const { name = '', deletionTimestamp } = namespace.metadata;
      if (!deletionTimestamp) continue;
      let left = 0;
      for (const resource of registry.all()) {
        const [version] = resource.versions;
        if (!resource.namespaced || !version) continue;
        for (const object of objects.store.list(resource.collection, name)) {
          if (resource.kind === 'Event' && resource.group) continue;
          const target = { served: { resource, version }, namespace: name, name: object.metadata.name ?? '' };
          if (!this.remove(target).gone) left++;
        }
      }
      if (left === 0) objects.store.remove('namespaces', namespace);
    }
  }

  /** Every namespace has its default account and the cluster's CA. */
  private accounts(): void {
    for (const { metadata } of this.deps.objects.store.list('namespaces')) {
      if (metadata.deletionTimestamp || !metadata.name) continue;
      this.ensure('serviceaccounts', metadata.name, 'default', {});
      this.ensure('configmaps', metadata.name, 'kube-root-ca.crt', { data: { 'ca.crt': this.deps.caCert } });
    }
  }

  /** A node whose lease is old is not known to be well; its taints follow its condition. */
  private nodes(): void {
    const { objects, clock } = this.deps;
    for (const node of objects.store.list('nodes')) {
      const name = node.metadata.name ?? '';
      const lease = objects.store.get('leases.coordination.k8s.io', 'kube-node-lease', name);
      const renewed = Date.parse(textAt(lease, 'spec', 'renewTime'));
      const conditions = objectsAt(node, 'status', 'conditions');
      const ready = conditions.find((c) => c.type === 'Ready');
      const lost = clock.now() - renewed > NODE_LOST;
      if (lost && ready && ready.status !== 'Unknown')
        this.patchStatus(node, { conditions: conditions.map((c) => this.unknown(c)) });
      this.taint(node, lost ? 'Unknown' : textAt(ready, 'status'));
    }
  }

  private unknown(condition: JsonObject): Json {
    const message = 'Kubelet stopped posting node status.';
    const lastTransitionTime = kubeTime(this.deps.clock.now());
    return { ...condition, status: 'Unknown', reason: 'NodeStatusUnknown', message, lastTransitionTime };
  }

  private taint(node: ApiObject, ready: string): void {
    const key = ready === 'True' ? undefined : ready === 'Unknown' ? UNREACHABLE : NOT_READY;
    const own = objectsAt(node, 'spec', 'taints').filter((t) => t.key !== NOT_READY && t.key !== UNREACHABLE);
    const wanted = key ? [...own, { key, effect: 'NoSchedule' }] : own;
    const same =
      objectsAt(node, 'spec', 'taints')
        .map((t) => t.key)
        .join() === wanted.map((t) => t.key).join();
    if (same) return;
    const spec = {
      ...without(objectAt(node, 'spec'), 'taints'),
      ...(wanted.length > 0 ? { taints: wanted as Json[] } : {}),
    };
    this.deps.objects.store.put('nodes', { ...node, spec });
  }

  /** Pods of a node that is gone, and pods that were to go before any node had them. */
  private pods(): void {
    const { objects } = this.deps;
    for (const pod of objects.store.list('pods')) {
      const node = textAt(pod, 'spec', 'nodeName');
      const orphaned = node !== '' && pod.metadata.deletionTimestamp && !objects.store.get('nodes', '', node);
      if (orphaned) objects.store.remove('pods', pod);
    }
  }

  private schedule(): void {
    const { objects, clock } = this.deps;
    const pods = objects.store.list('pods');
    for (const pod of pods) {
      const spec = objectAt(pod, 'spec');
      if (spec.nodeName || pod.metadata.deletionTimestamp || spec.schedulerName !== 'default-scheduler')
        continue;
      const choice = chooseNode(pod, objects.store.list('nodes'), objects.store.list('pods'));
      const lastTransitionTime = kubeTime(clock.now());
      if ('node' in choice) {
        bindPod(objects, pod, choice.node, lastTransitionTime);
        this.event(
          pod,
          'Normal',
          'Scheduled',
          `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to ${choice.node}`,
        );
        continue;
      }
      const known = objectsAt(pod, 'status', 'conditions').find((c) => c.type === 'PodScheduled');
      if (known?.message === choice.why) continue;
      const condition = {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message: choice.why,
        lastTransitionTime,
      };
      this.patchStatus(pod, { conditions: [condition] });
      this.event(pod, 'Warning', 'FailedScheduling', choice.why);
    }
  }

  /** The objects of a CRD that goes, go before it. */
  private definitions(): void {
    const { objects, registry } = this.deps;
    for (const crd of objects.store.list(CRDS)) {
      if (!crd.metadata.deletionTimestamp || !listAt(crd, 'metadata', 'finalizers').includes(CRD_CLEANUP))
        continue;
      const resource = registry.all().find((r) => r.collection === crd.metadata.name);
      const [version] = resource?.versions ?? [];
      let left = 0;
      for (const object of resource && version ? objects.store.list(resource.collection) : []) {
        const { namespace = '', name = '' } = object.metadata;
        if (resource && version && !this.remove({ served: { resource, version }, namespace, name }).gone)
          left++;
      }
      if (left === 0) objects.store.remove(CRDS, crd);
    }
  }

  /** What is deleted and held for what it owns goes once that was let go, or is gone. */
  private owners(): void {
    const { objects, registry } = this.deps;
    if (!this.leaving) return;
    const found = leaving(objects.store, registry);
    this.leaving = found.length > 0;
    for (const { target, object, holder } of found) {
      let left = 0;
      for (const owned of ownedBy(objects.store, registry, object)) {
        if (holder === ORPHAN || ownersOf(owned.object).length > 1)
          objects.modify(owned.target, (each) => disowned(each, object), quiet);
        else if (!this.remove(owned.target).gone) left++;
      }
      if (left === 0) objects.modify(target, (each) => released(each, holder), quiet);
    }
  }

  /** What belonged to something that is gone, goes. */
  private garbage(): void {
    const { objects, registry } = this.deps;
    if (!this.deleted) return;
    this.deleted = false;
    for (const target of orphans(objects.store, registry)) this.remove(target);
  }

  private event(pod: ApiObject, type: string, reason: string, message: string): void {
    const { clock } = this.deps;
    const { name = '', namespace = '', uid = '', resourceVersion = '' } = pod.metadata;
    const time = kubeTime(clock.now());
    const involvedObject = { apiVersion: 'v1', kind: 'Pod', namespace, name, uid, resourceVersion };
    const source = { component: 'default-scheduler' };
    this.ensure('events', namespace, `${name}.${clock.now().toString(16)}`, {
      ...{
        involvedObject,
        type,
        reason,
        message,
        source,
        count: 1,
        firstTimestamp: time,
        lastTimestamp: time,
      },
    });
  }

  private patchStatus(object: ApiObject, status: JsonObject): void {
    const collection = object.kind === 'Node' ? 'nodes' : 'pods';
    this.deps.objects.store.put(collection, {
      ...object,
      status: { ...objectAt(object, 'status'), ...status },
    });
  }

  private remove(target: Target): { gone: boolean } {
    try {
      return this.deps.objects.delete(target, {
        dryRun: false,
        gracePeriodSeconds: undefined,
        uid: '',
        resourceVersion: '',
        holder: undefined,
      });
    } catch (error) {
      if (error instanceof Refusal && error.code === 404) return { gone: true };
      throw error;
    }
  }

  private ensure(plural: string, namespace: string, name: string, content: JsonObject): void {
    const { objects, registry } = this.deps;
    if (objects.store.get(plural, namespace, name)) return;
    const served = registry.find('', 'v1', plural);
    if (served)
      objects.create({ served, namespace, name }, { ...content, metadata: { name, namespace } }, quiet);
  }
}

const quiet: WriteOptions = {
  dryRun: false,
  manager: 'mini-master',
  fieldValidation: 'Ignore',
  subresource: '',
  warn: () => {},
};

function released(object: ApiObject, holder: string): ApiObject {
  const finalizers = listAt(object, 'metadata', 'finalizers').filter((name) => name !== holder);
  return { ...object, metadata: { ...object.metadata, finalizers } };
}

/** Gives a pod its node. */
export function bindPod(objects: Objects, pod: ApiObject, nodeName: string, time: string): void {
  const others = objectsAt(pod, 'status', 'conditions').filter((c) => c.type !== 'PodScheduled');
  const condition = { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: time };
  objects.store.put('pods', {
    ...pod,
    spec: { ...objectAt(pod, 'spec'), nodeName },
    status: { ...objectAt(pod, 'status'), conditions: [...others, condition] },
  });
}

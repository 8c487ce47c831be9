import { randomUUID } from 'node:crypto';
import type { Clock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel, DeviceStatus } from '../../runtime/core/devices.ts';
import { errorText } from '../../runtime/core/errors.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { contentObject, type Message, type MessageDraft } from '../../runtime/core/message.ts';
import { formatResource } from '../../runtime/core/resource.ts';
import type { KubeApi } from '../kube/client.ts';
import type { Informer } from '../kube/informer.ts';
import { kinds } from '../kube/resource-kind.ts';
import { mergeState, mergeTwins } from './twin-status.ts';

export type DeviceControllerDeps = {
  readonly api: KubeApi;
  readonly link: {
    isConnected(node: string): boolean;
    send(node: string, draft: MessageDraft): void;
    deliver(node: string, draft: MessageDraft, object: KubeObject, deletion: boolean): void;
  };
  readonly devices: Informer<Device>;
  readonly models: Informer<DeviceModel>;
  readonly statuses: Informer<DeviceStatus>;
  readonly clock: Clock;
  readonly log: Logger;
};

export type Wanted = { readonly type: string; readonly object: KubeObject };
export type Reply = {
  readonly content: unknown;
  readonly source?: string;
  readonly group?: string;
  readonly resource?: string;
};

type Status = DeviceStatus['status'];

const CONFIRMED: Reply = { content: 'OK', source: 'devicecontroller', group: 'twin', resource: 'twin' };

/** Devices and their models down to their nodes; twins and states up into DeviceStatus.
 * @source KubeEdge cloud/pkg/devicecontroller */
export class DeviceController {
  private readonly deps: DeviceControllerDeps;
  /** What stands in the cluster, or will when the write under way is through. */
  private readonly known = new Map<string, Status>();
  private readonly writing = new Map<string, Promise<void>>();

  constructor(deps: DeviceControllerDeps) {
    this.deps = deps;
    deps.devices.onChange({
      changed: (device, before) => this.deviceChanged(device, before),
      removed: (device) => this.deviceRemoved(device),
    });
    deps.models.onChange({
      // Differs: KubeEdge sends a model that changes, or comes after its devices, with the next change of a device.
      changed: (model, before) => {
        const operation = before ? 'update' : 'insert';
        for (const node of this.nodesOf(model)) this.send(node, 'devicemodel', model, operation);
      },
      removed: () => {},
    });
  }

  /** What a node should have, models before the devices that use them. */
  wanted(node: string): Wanted[] {
    const devices = this.devicesOf(node);
    const models = new Set(devices.flatMap((device) => this.modelOf(device) ?? []));
    return [
      ...[...models].map((object) => ({ type: 'devicemodel', object })),
      ...devices.map((object) => ({ type: 'device', object })),
    ];
  }

  /** Tells a node that connects which devices it has. */
  greet(node: string): void {
    const devices = this.devicesOf(node);
    if (devices.length > 0) this.sendMembership(node, devices, []);
  }

  /** Takes an edge's report. The answer goes out when the cluster has it, so that the edge may forget. */
  async handle(node: string, message: Message): Promise<Reply | undefined> {
    const { resource } = message.route;
    const match = resource.match(/^device\/([^/]+)\/([^/]+)\/(twin\/edge_updated|state\/update)$/);
    if (!match?.[1] || !match[2]) return undefined;
    const device = this.deps.devices.get(match[1], match[2]);
    const content = contentObject(message.content);
    // Deleted, moved, or nothing that can be read: sent again it would be no better.
    if (device?.spec.nodeName !== node || !content) return CONFIRMED;
    const properties = new Set((device.spec.properties ?? []).map(({ name }) => name));
    const change = (status: Status): Status =>
      match[3] === 'state/update'
        ? mergeState(status, content.device)
        : mergeTwins(status, content.twin, properties);
    await this.write(device, change);
    return CONFIRMED;
  }

  private deviceChanged(device: Device, before: Device | undefined): void {
    const { nodeName } = device.spec;
    const previous = before?.spec.nodeName;
    if (before && previous && previous !== nodeName) this.takeFrom(previous, before);
    if (!before) void this.write(device, (status) => status).catch(() => {});
    if (!nodeName || (before && previous === nodeName && sameSpec(device, before))) return;
    if (previous !== nodeName) this.sendMembership(nodeName, [device], []);
    const model = this.modelOf(device);
    if (model) this.send(nodeName, 'devicemodel', model, previous === nodeName ? 'update' : 'insert');
    this.send(nodeName, 'device', device, previous === nodeName ? 'update' : 'insert');
  }

  private deviceRemoved(device: Device): void {
    this.known.delete(keyOf(device));
    if (device.spec.nodeName) this.takeFrom(device.spec.nodeName, device);
  }

  private takeFrom(node: string, device: Device): void {
    this.sendMembership(node, [], [device]);
    const model = this.modelOf(device);
    const used = this.devicesOf(node).some((other) => other !== device && this.modelOf(other) === model);
    if (model && !used) this.send(node, 'devicemodel', model, 'delete');
    this.send(node, 'device', device, 'delete');
  }

  private sendMembership(node: string, added: readonly Device[], removed: readonly Device[]): void {
    const entry = (device: Device) => ({ id: keyOf(device), name: device.metadata.name, description: '' });
    const content = {
      event_id: randomUUID(),
      timestamp: this.deps.clock.now(),
      added_devices: added.length > 0 ? added.map(entry) : null,
      removed_devices: removed.length > 0 ? removed.map(entry) : null,
    };
    this.deps.link.send(node, {
      source: 'devicecontroller',
      group: 'twin',
      operation: 'update',
      resource: 'membership',
      content,
    });
  }

  send(node: string, type: string, object: KubeObject, operation: 'insert' | 'update' | 'delete'): void {
    if (!this.deps.link.isConnected(node)) return;
    const { namespace, name } = object.metadata;
    const resource = formatResource({ namespace, type, name });
    const draft = { source: 'devicecontroller', group: 'resource', operation, resource, content: object };
    this.deps.link.deliver(node, draft, object, operation === 'delete');
  }

  /** Writes a change of a device's status after those before it. Rejects when the API server does not take it. */
  private write(device: Device, change: (status: Status) => Status): Promise<void> {
    const key = keyOf(device);
    const before = this.writing.get(key) ?? Promise.resolve();
    const work = before.catch(() => {}).then(() => this.store(device, change));
    this.writing.set(key, work);
    const forget = (): void => {
      if (this.writing.get(key) === work) this.writing.delete(key);
    };
    work.then(forget, forget);
    return work;
  }

  private async store(device: Device, change: (status: Status) => Status): Promise<void> {
    const { api, statuses, log } = this.deps;
    const key = keyOf(device);
    const { namespace = 'default', name } = device.metadata;
    const current = this.known.get(key) ?? statuses.get(namespace, name)?.status ?? {};
    const next = change(current);
    const where = { namespace, name };
    const answer = await api.patch(kinds.deviceStatus, where, 'application/merge-patch+json', {
      status: replacing(current, next),
    });
    if ('object' in answer) {
      this.known.set(key, next);
      return;
    }
    if (answer.status.reason === 'NotFound') {
      const made = await api.create(kinds.deviceStatus, where, statusObject(device, next));
      if ('object' in made) {
        this.known.set(key, next);
        return;
      }
    }
    this.known.delete(key);
    log.warn("a device's status could not be written", {
      device: key,
      reason: errorText(answer.status.message),
    });
    throw new Error(answer.status.message);
  }

  private devicesOf(node: string): Device[] {
    return [...this.deps.devices.values()].filter((device) => device.spec.nodeName === node);
  }

  private nodesOf(model: DeviceModel): Set<string> {
    const users = [...this.deps.devices.values()].filter((device) => this.modelOf(device) === model);
    return new Set(users.flatMap((device) => device.spec.nodeName ?? []));
  }

  private modelOf(device: Device): DeviceModel | undefined {
    return this.deps.models.get(
      device.metadata.namespace ?? 'default',
      device.spec.deviceModelRef?.name ?? '',
    );
  }
}

/** A merge patch leaves out what is gone, so it has to be said: null. */
function replacing(current: Status, next: Status): unknown {
  const gone = Object.keys(current.extensions ?? {}).filter((key) => next.extensions?.[key] === undefined);
  const faults = next.extensions?.faults as Record<string, unknown> | undefined;
  const before = current.extensions?.faults as Record<string, unknown> | undefined;
  const healed = Object.keys(before ?? {}).filter((key) => faults && faults[key] === undefined);
  const extensions = {
    ...next.extensions,
    ...Object.fromEntries(gone.map((key) => [key, null])),
    ...(faults ? { faults: { ...faults, ...Object.fromEntries(healed.map((key) => [key, null])) } } : {}),
  };
  return { ...next, extensions };
}

function statusObject(device: Device, status: Status): unknown {
  const { name, namespace, uid } = device.metadata;
  const { apiVersion, kind } = kinds.device;
  const owner = { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
  return {
    apiVersion: kinds.deviceStatus.apiVersion,
    kind: kinds.deviceStatus.kind,
    metadata: { name, namespace, ownerReferences: [owner] },
    spec: {},
    status,
  };
}

function sameSpec(a: Device, b: Device): boolean {
  return JSON.stringify(a.spec) === JSON.stringify(b.spec);
}

function keyOf(device: Device): string {
  return `${device.metadata.namespace ?? 'default'}/${device.metadata.name}`;
}

import { randomUUID } from 'node:crypto';
import type { Clock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel, DeviceStatus } from '../../runtime/core/devices.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { contentObject, type Message, type MessageDraft } from '../../runtime/core/message.ts';
import { formatResource } from '../../runtime/core/resource.ts';
import type { KubeApi } from '../kube/client.ts';
import type { Informer } from '../kube/informer.ts';
import type { DeviceControllerConfig } from './config.ts';
import { keyOf, StatusWriter } from './status-writer.ts';
import { mergeState, mergeTwins, type Status } from './twin-status.ts';

export type DeviceControllerDeps = {
  readonly config: DeviceControllerConfig;
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

const CONFIRMED: Reply = { content: 'OK', source: 'devicecontroller', group: 'twin', resource: 'twin' };

/** Devices and their models down to their nodes; twins and states up into DeviceStatus.
 * @source KubeEdge cloud/pkg/devicecontroller */
export class DeviceController {
  private readonly deps: DeviceControllerDeps;
  private readonly writer: StatusWriter;

  constructor(deps: DeviceControllerDeps) {
    this.deps = deps;
    this.writer = new StatusWriter({ ...deps, config: deps.config.statusWrites });
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

  async stop(): Promise<void> {
    this.writer.stop();
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
    const change = (status: Status): Status =>
      match[3] === 'state/update'
        ? mergeState(status, content.device)
        : mergeTwins(status, content.twin, namesOf(device));
    await this.writer.write(device, change);
    return CONFIRMED;
  }

  private deviceChanged(device: Device, before: Device | undefined): void {
    const { nodeName } = device.spec;
    const previous = before?.spec.nodeName;
    if (before && previous && previous !== nodeName) this.takeFrom(previous, before);
    if (before && sameSpec(device, before)) return;
    // Also drops the twins of properties that are gone.
    void this.writer.write(device, (status) => mergeTwins(status, {}, namesOf(device))).catch(() => {});
    if (!nodeName) return;
    const stays = before !== undefined && previous === nodeName;
    if (!stays) this.sendMembership(nodeName, [device], []);
    this.bringModel(nodeName, device, stays ? before : undefined);
    this.send(nodeName, 'device', device, stays ? 'update' : 'insert');
    if (stays) this.dropModel(nodeName, before, device);
  }

  private deviceRemoved(device: Device): void {
    this.writer.forget(device);
    if (device.spec.nodeName) this.takeFrom(device.spec.nodeName, device);
  }

  private takeFrom(node: string, device: Device): void {
    this.sendMembership(node, [], [device]);
    this.dropModel(node, device);
    this.send(node, 'device', device, 'delete');
  }

  /** Sends a device's model unless the node has it for another device, or for the same one before.
   * Differs: KubeEdge sends it with every change of a device; here its own changes go to every node that has it. */
  private bringModel(node: string, device: Device, before?: Device): void {
    const model = this.modelOf(device);
    if (!model || (before && this.modelOf(before) === model)) return;
    const has = this.devicesOf(node).some((other) => other !== device && this.modelOf(other) === model);
    if (!has) this.send(node, 'devicemodel', model, 'insert');
  }

  /** Takes the model from a node that no device of that node needs any more.
   * @param now the device as it is, when it stays */
  private dropModel(node: string, device: Device, now?: Device): void {
    const model = this.modelOf(device);
    if (!model || (now && this.modelOf(now) === model)) return;
    const used = this.devicesOf(node).some((other) => other !== device && this.modelOf(other) === model);
    if (!used) this.send(node, 'devicemodel', model, 'delete');
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

function sameSpec(a: Device, b: Device): boolean {
  return JSON.stringify(a.spec) === JSON.stringify(b.spec);
}

function namesOf(device: Device): Set<string> {
  return new Set((device.spec.properties ?? []).map(({ name }) => name));
}

import * as v from 'valibot';
import { desiredFault, type ModelProperty } from '../core/devices.ts';
import { FakeClock } from '../core/fake-clock.ts';
import type { KubeObject } from '../core/k8s.ts';
import { silentLogger } from '../core/log.ts';
import type { MessageDraft } from '../core/message.ts';
import { Metrics } from '../core/metrics.ts';
import { type DeviceId, deviceId } from '../core/units.ts';
import { rulesConfig } from './config.ts';
import type { RuleStore } from './records.ts';
import { RuleHost } from './rule-host.ts';
import type { RuleView } from './view.ts';

/** A table in memory. */
export class MemoryStore implements RuleStore {
  readonly rows = new Map<string, { key: string; type: string; value: string }>();
  readonly meta: RuleStore['meta'] = {
    put: (row) => this.rows.set(row.key, row),
    list: (type) => [...this.rows.values()].filter((row) => row.type === type),
    remove: (key) => this.rows.delete(key),
  };

  async durable(work: () => void): Promise<void> {
    work();
  }
}

/** A node around the rules: a PLC whose mapper writes at once, and a broker that hears itself. */
export class TestNode {
  readonly clock = new FakeClock();
  readonly metrics = new Metrics();
  readonly store: MemoryStore;
  /** `topic payload` and `device property value`, in order. */
  readonly done: string[] = [];
  readonly alarms: string[] = [];
  readonly statuses: MessageDraft[] = [];
  /** What properties are now, for rules that begin. */
  readonly current = new Map<string, string>();
  /** Whether what is written is reported, as a mapper reads it back. */
  readsBack = true;
  host: RuleHost;
  /** Retained payloads, by topic. */
  readonly retained = new Map<string, string>();
  private readonly handlers = new Map<string, Set<(topic: string, payload: Buffer) => void>>();
  private readonly path: string;

  constructor({ path = '', store = new MemoryStore() }: { path?: string; store?: MemoryStore } = {}) {
    this.path = path;
    this.store = store;
    this.host = this.boot();
  }

  get subscriptions(): string[] {
    return [...this.handlers].filter(([, handlers]) => handlers.size > 0).map(([topic]) => topic);
  }

  /** Ends edgecore and starts it again on the same store; rules of the cluster are given anew. */
  async restart(...rules: readonly KubeObject[]): Promise<void> {
    await this.host.stop();
    this.host = this.boot();
    for (const rule of rules) this.host.apply(rule);
    this.host.start();
    this.host.settle();
  }

  /** A property of the PLC is reported. */
  async report(property: string, value: string): Promise<void> {
    this.host.heard(PLC, property, value);
    await this.clock.advance(0);
  }

  publish(topic: string, payload: string): void {
    for (const handler of this.handlers.get(topic) ?? []) handler(topic, Buffer.from(payload));
  }

  view(id: string): RuleView | undefined {
    return this.host.list().find((rule) => rule.id === id);
  }

  private boot(): RuleHost {
    const { clock, store } = this;
    return new RuleHost({
      config: v.parse(rulesConfig, { path: this.path }),
      node: 'edge-1',
      clock,
      log: silentLogger,
      metrics: this.metrics,
      random: () => 0.5,
      store,
      outbox: {
        put: async (_, draft) => {
          this.statuses.push(draft);
        },
      },
      brokers: () => [this.broker],
      undesirable: (id, property, value) => {
        if (id !== PLC) return 'the device is not on this node';
        const model = properties.find(({ name }) => name === property);
        return model ? desiredFault(value, model) : 'it has no such property';
      },
      desire: async (id, values) => {
        for (const [property, value] of values) {
          this.done.push(`${id} ${property} ${value}`);
          if (this.readsBack) this.host.heard(id, property, value);
        }
      },
      current: (id, property) => this.current.get(`${id} ${property}`),
      alarm: ({ id, reason }) => this.alarms.push(`${id}: ${reason}`),
      changed: () => {},
    });
  }

  private get broker() {
    return {
      publish: ({ topic, payload }: { topic: string; payload: Buffer }) => {
        this.done.push(`${topic} ${payload}`);
        this.publish(topic, payload.toString());
      },
      retained: (topic: string) => {
        const payload = this.retained.get(topic);
        return payload === undefined ? undefined : Buffer.from(payload);
      },
      subscribe: (topic: string, handler: (topic: string, payload: Buffer) => void) => {
        const handlers = this.handlers.get(topic) ?? new Set();
        this.handlers.set(topic, handlers.add(handler));
        return () => handlers.delete(handler);
      },
    };
  }
}

export const PLC: DeviceId = deviceId('default', 'plc');
const properties: readonly ModelProperty[] = [
  { name: 'temperature', type: 'FLOAT', accessMode: 'ReadOnly' },
  { name: 'switch', type: 'BOOLEAN', accessMode: 'ReadWrite' },
  { name: 'lamp', type: 'BOOLEAN', accessMode: 'ReadWrite' },
];

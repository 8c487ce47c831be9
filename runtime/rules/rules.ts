import type { KubeObject } from '../core/k8s.ts';
import type { DeviceId } from '../core/units.ts';
import { STATE_TYPE } from './records.ts';
import type { RuleHost, RuleHostDeps } from './rule-host.ts';
import type { RuleStanding, RuleView } from './view.ts';

export type RulesDeps = Omit<RuleHostDeps, 'changed'> & {
  /** What the cluster wants of this node, at boot. */
  readonly objects: () => readonly KubeObject[];
};

/** A property before and after a change. */
type Change = {
  readonly name: string;
  readonly last: { readonly actual?: { readonly value: string } } | undefined;
  readonly current: { readonly actual?: { readonly value: string } };
};

const STANDINGS: readonly RuleStanding[] = ['refused', 'waiting', 'pending', 'active', 'stopped'];

/** What the node does by itself: when values meet conditions, it writes, publishes or calls. Without a rule nothing of it
 * is loaded. */
export class Rules {
  readonly name = 'rules';
  private readonly deps: RulesDeps;
  private readonly listeners = new Set<() => void>();
  private host: RuleHost | undefined;
  private loading: Promise<RuleHost> | undefined;
  private started = false;

  constructor(deps: RulesDeps) {
    this.deps = { ...deps, log: deps.log.child('rules') };
    for (const state of STANDINGS)
      deps.metrics.gauge(
        'edgecore_rules',
        'Rules of this node by what becomes of them.',
        () => this.list().filter((rule) => rule.state === state).length,
        { state },
      );
  }

  async start(): Promise<void> {
    const { config, objects, store } = this.deps;
    if (!config.enable) return;
    this.started = true;
    const kept = objects();
    if (!config.path && kept.length === 0 && store.meta.list(STATE_TYPE).length === 0) return;
    const host = await this.load();
    for (const object of kept) host.apply(object);
    host.start();
    host.settle();
  }

  async stop(): Promise<void> {
    this.started = false;
    const host = await this.loading;
    await host?.stop();
  }

  // --- from the cluster

  apply(object: KubeObject): void {
    this.with((host) => host.apply(object));
  }

  remove(namespace: string, name: string): void {
    if (this.loading) this.with((host) => host.removeObject(namespace, name));
  }

  // --- from devices

  /** Twins of a device have changed. */
  heard(device: DeviceId, changes: readonly Change[]): void {
    const { host } = this;
    if (!host?.wants(device)) return;
    for (const { name, last, current } of changes)
      if (current.actual && current.actual !== last?.actual) host.heard(device, name, current.actual.value);
  }

  /** A device's state was told. */
  heardState(device: DeviceId, state: string): void {
    this.host?.heard(device, '$state', state);
  }

  // --- for the console

  list(): RuleView[] {
    return this.host?.list() ?? [];
  }

  /** Calls `listener` after any change of a rule; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private with(work: (host: RuleHost) => void): void {
    // Before the start the store says what there is.
    if (!this.started) return;
    if (this.host) return work(this.host);
    this.load().then(work, (error: unknown) => this.deps.log.error('rules cannot be loaded', { error }));
  }

  private load(): Promise<RuleHost> {
    this.loading ??= import('./rule-host.ts').then(({ RuleHost }) => {
      const changed = (): void => {
        for (const listener of this.listeners) listener();
      };
      this.host = new RuleHost({ ...this.deps, changed });
      return this.host;
    });
    return this.loading;
  }
}

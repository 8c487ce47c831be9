import type { Clock } from '../core/clock.ts';
import { faultLine } from '../core/config-faults.ts';
import type { KubeObject } from '../core/k8s.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import { type DeviceId, seconds } from '../core/units.ts';
import { Actions, type ActionsDeps } from './actions.ts';
import type { RulesConfig } from './config.ts';
import { type Begin, type LiveRule, RuleEngine, type TopicSource } from './engine.ts';
import { HttpSender } from './http-sender.ts';
import { parseRule } from './parse-rule.ts';
import { type RuleRecord, RuleRecords, type RuleStore } from './records.ts';
import type { Rule } from './rule.ts';
import { RuleFiles } from './rule-files.ts';
import { StatusReport, type StatusReportDeps } from './status-report.ts';
import type { RuleOrigin, RuleView } from './view.ts';

export type RuleHostDeps = Pick<StatusReportDeps, 'outbox'> &
  Pick<ActionsDeps, 'undesirable' | 'desire'> & {
    readonly config: RulesConfig;
    readonly node: string;
    readonly clock: Clock;
    readonly log: Logger;
    readonly metrics: MetricSource;
    /** [0, 1) */
    readonly random: () => number;
    readonly store: RuleStore;
    /** Every broker of the bus. */
    readonly brokers: () => readonly (TopicSource & { publish: ActionsDeps['publish'] })[];
    readonly current: (device: DeviceId, property: string) => string | undefined;
    /** A rule was stopped. */
    readonly alarm: (view: RuleView, object: KubeObject | undefined) => void;
    /** What is shown has changed. */
    readonly changed: () => void;
  };

type Entry = {
  readonly id: string;
  readonly origin: RuleOrigin;
  readonly object: KubeObject | undefined;
  readonly refused?: string;
};

/** All rules of the node, wherever they come from, and everything that serves them. Loaded with the first rule. */
export class RuleHost {
  private readonly deps: RuleHostDeps;
  private readonly engine: RuleEngine;
  private readonly actions: Actions;
  private readonly records: RuleRecords;
  private readonly report: StatusReport;
  private readonly entries = new Map<string, Entry>();
  private readonly files: RuleFiles | undefined;
  /** What was kept of rules that have not come yet. */
  private readonly kept: Map<string, RuleRecord>;
  private readonly fired;
  private http: HttpSender | undefined;

  constructor(deps: RuleHostDeps) {
    this.deps = deps;
    const { clock, log, metrics, config, store } = deps;
    this.records = new RuleRecords(deps);
    this.kept = this.records.load();
    this.report = new StatusReport(deps);
    this.fired = metrics.counter('edgecore_rules_fired_total', 'Times that a rule has acted.');
    const failures = metrics.counter(
      'edgecore_rules_failures_total',
      'Times that something went wrong with a rule.',
    );
    this.engine = new RuleEngine({
      ...deps,
      limit: { times: config.loop.times, window: seconds(config.loop.seconds) },
      sources: deps.brokers(),
      act: (acts) => this.actions.add(acts),
      changed: (live, what) => {
        if (what === 'error') failures.add();
        this.changed(live, what);
      },
    });
    const { engine } = this;
    this.actions = new Actions({
      ...deps,
      publish: (message) => {
        for (const broker of deps.brokers()) broker.publish(message);
      },
      http: () => {
        this.http ??= this.sender();
        return this.http;
      },
      acted: (target, value, chain) => engine.acted(target, value, chain),
      failed: (live, reason) => engine.failed(live, reason),
    });
    if (store.meta.list('localrulerequest').length > 0) this.http = this.sender();
    if (config.path) this.files = new RuleFiles({ path: config.path, node: deps.node, clock });
    log.debug('rules are loaded', () => ({ path: config.path }));
  }

  /** Follows the files, when there are any. */
  start(): void {
    this.readFiles();
    this.files?.start(() => this.readFiles());
  }

  /** All rules of the last run have come by now: what was kept of others is of no use. */
  settle(): void {
    for (const key of this.kept.keys()) if (!this.entries.has(key)) this.records.remove(key);
    this.kept.clear();
  }

  /** Takes a rule of the cluster. One that is refused does not run, nor does what it was before. */
  apply(object: KubeObject): void {
    const key = clusterKey(object);
    const rule = parseRule(object);
    if ('faults' in rule) this.refuse(key, idOf(object), object, rule.faults.map(faultLine).join('; '));
    else this.take(key, 'cluster', rule, object);
    this.tell(key, 'now');
  }

  removeObject(namespace: string, name: string): void {
    const key = clusterKey({ metadata: { namespace, name } });
    const object = this.entries.get(key)?.object;
    if (object) this.report.forget(object);
    this.drop(key);
  }

  heard(device: DeviceId, property: string, value: string): void {
    this.engine.heard(device, property, value);
  }

  wants(device: DeviceId): boolean {
    return this.engine.wants(device);
  }

  list(): RuleView[] {
    return [...this.entries].map(([key, entry]) => this.view(key, entry));
  }

  async stop(): Promise<void> {
    this.files?.stop();
    this.report.stop();
    this.engine.stop();
    await this.actions.stop();
    await this.http?.stop();
    this.records.flush();
  }

  private readFiles(): void {
    if (!this.files) return;
    const { log, changed } = this.deps;
    const { rules, refused } = this.files.read();
    const wanted = new Set<string>();
    for (const rule of rules) {
      const key = `file/${rule.id}`;
      wanted.add(key);
      this.take(key, 'file', rule, undefined);
    }
    for (const [path, lines] of refused) {
      const key = `file ${path}`;
      wanted.add(key);
      this.refuse(key, path, undefined, lines.join('; '));
      for (const line of lines)
        log.error('a file of rules is refused, what it said before goes on', { resource: line });
    }
    const gone = [...this.entries].filter(([key, { origin }]) => origin === 'file' && !wanted.has(key));
    for (const [key] of gone) this.drop(key);
    log.info('files of rules were read', { rules: rules.length, refused: refused.size });
    changed();
  }

  private take(key: string, origin: RuleOrigin, rule: Rule, object: KubeObject | undefined): void {
    this.entries.set(key, { id: rule.id, origin, object });
    // Sent again, or only told anew: it goes on as it is.
    if (this.engine.get(key)?.rule.fingerprint === rule.fingerprint) return;
    const record = this.kept.get(key);
    this.kept.delete(key);
    this.engine.set(key, rule, record?.fingerprint === rule.fingerprint ? beginOf(record) : {});
    this.deps.changed();
  }

  private refuse(key: string, id: string, object: KubeObject | undefined, refused: string): void {
    const { log, changed } = this.deps;
    this.engine.remove(key);
    if (object) {
      this.records.remove(key);
      log.warn('a rule is refused', { resource: id, reason: refused });
    }
    this.entries.set(key, { id, origin: object ? 'cluster' : 'file', object, refused });
    changed();
  }

  private drop(key: string): void {
    this.kept.delete(key);
    if (!this.entries.delete(key)) return;
    this.engine.remove(key);
    this.records.remove(key);
    this.deps.changed();
  }

  private changed(live: LiveRule, what: 'fired' | 'ended' | 'error' | 'stopped'): void {
    const { key } = live;
    if (what === 'fired') this.fired.add();
    if (what !== 'error') this.records.note(key, () => recordOf(live));
    this.tell(key, what === 'stopped' ? 'now' : 'in turn');
    this.deps.changed();
    const entry = this.entries.get(key);
    if (what === 'stopped' && entry) this.deps.alarm(this.view(key, entry), entry.object);
  }

  private tell(key: string, when: 'now' | 'in turn'): void {
    const object = this.entries.get(key)?.object;
    if (!object) return;
    const view = (): RuleView =>
      this.view(key, this.entries.get(key) ?? { id: key, origin: 'cluster', object });
    this.report.tell(object, view, when);
  }

  private view(key: string, { id, origin, refused }: Entry): RuleView {
    const live = this.engine.get(key);
    if (!live) return { id, origin, state: 'refused', fired: 0, ...(refused ? { reason: refused } : {}) };
    const { stopped, state, fired, firedAt, lastError } = live;
    const running = state.active ? 'active' : state.since === undefined ? 'waiting' : 'pending';
    return {
      id,
      origin,
      state: stopped === undefined ? running : 'stopped',
      fired,
      ...(firedAt === undefined ? {} : { firedAt }),
      ...(stopped === undefined ? {} : { reason: stopped }),
      ...(lastError === undefined ? {} : { lastError }),
    };
  }

  private sender(): HttpSender {
    return new HttpSender({
      ...this.deps,
      failed: (rule, reason) => {
        const live = this.engine.get(rule);
        if (live) this.engine.failed(live, reason);
      },
    });
  }
}

function recordOf({ rule, state, stopped, fired, firedAt }: LiveRule): RuleRecord {
  return {
    fingerprint: rule.fingerprint,
    active: state.active,
    holds: state.conditions.map(({ holds }) => holds),
    ...(stopped === undefined ? {} : { stopped }),
    fired,
    ...(firedAt === undefined ? {} : { firedAt }),
  };
}

function beginOf({ active, holds, stopped, fired, firedAt }: RuleRecord): Begin {
  return { kept: { active, holds }, stopped, fired, firedAt };
}

function idOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? 'default'}/${metadata.name}`;
}

function clusterKey(object: KubeObject): string {
  return `cluster/${idOf(object)}`;
}

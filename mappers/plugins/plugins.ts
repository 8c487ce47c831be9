import type { Timer } from '../../runtime/core/clock.ts';
import type { DeviceMapper } from '../../runtime/core/dmi.ts';
import { errorText } from '../../runtime/core/errors.ts';
import type { MetricSource } from '../../runtime/core/metrics.ts';
import { type Millis, seconds } from '../../runtime/core/units.ts';
import { mkdir } from './files.ts';
import { type Candidate, type Kept, PluginFolder } from './folder.ts';
import type { Plugin, PluginDeps } from './plugin.ts';
import { HOLD, StartGuard } from './start-guard.ts';
import { type PluginStatus, pluginStates, printOf, StatusFile } from './status.ts';

export type PluginsDeps = Omit<PluginDeps, 'desk' | 'restarts' | 'dropped' | 'program'> & {
  /** The folder that plugins are dropped into. */
  readonly directory: string;
  /** The program of their workers; undefined when it is not installed. */
  readonly program: string | undefined;
  readonly metrics: MetricSource;
  /** How often the folder is looked at. */
  readonly every?: Millis;
  /** Mappers that are no plugins, by protocol. */
  readonly others: Pick<ReadonlyMap<string, string>, 'get'>;
  /** Where mappers are known. */
  readonly registry: {
    addMapper(mapper: DeviceMapper): void;
    removeMapper(mapper: DeviceMapper, reason: string): void;
  };
};

/** A name in the folder: what was seen of it, what runs of it. */
type Entry = {
  /** As it was when it was last looked at, and when it was last judged. */
  seen: string;
  judged: string | undefined;
  plugin: Plugin | undefined;
  /** Why what lies in the folder does not run. */
  refused: string;
  disabled: boolean;
};

const LOOK = seconds(1);

/** Keeps what runs as what lies in the plugins' folder. Looks every second, and judges what has stopped changing: files
 * may be copied one by one. A version that does not load is refused and the one before it runs on. */
export class Plugins {
  readonly name = 'mappers';
  private readonly deps: PluginsDeps;
  private readonly folder: PluginFolder;
  private readonly status: StatusFile;
  private readonly guard: StartGuard;
  private readonly entries = new Map<string, Entry>();
  private readonly pluginDeps: Omit<PluginDeps, 'desk'>;
  private desk: PluginDeps['desk'] | undefined;
  private timer: Timer | undefined;
  private looking: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(deps: PluginsDeps) {
    const { metrics } = deps;
    this.deps = { ...deps, log: deps.log.child('mappers') };
    this.folder = new PluginFolder(deps.directory);
    this.status = new StatusFile(deps.directory);
    this.guard = new StartGuard(deps.directory, deps.clock);
    this.pluginDeps = {
      ...this.deps,
      program: deps.program ?? '',
      restarts: metrics.counter(
        'edgecore_mapper_plugin_restarts_total',
        'Plugins that ended and were started again.',
      ),
      dropped: metrics.counter(
        'edgecore_mapper_plugin_dropped_total',
        'Entries of plugins’ reports that found no place.',
      ),
    };
    for (const state of pluginStates)
      metrics.gauge('edgecore_mapper_plugins', 'Installed mappers.', () => this.count(state), { state });
  }

  /** Loads what lies in the folder; boot does not wait for it. */
  async start(): Promise<void> {
    const blamed = await this.open().catch((error) => this.unusable(error));
    if (blamed) await this.hold(blamed);
    else this.look(true);
  }

  /** The folder is there to drop something into, and says that edgecore runs.
   * @returns why plugins should wait, or undefined */
  private async open(): Promise<string | undefined> {
    await mkdir(this.deps.directory, { recursive: true });
    await this.status.write([]);
    return (await this.folder.scan()).size > 0 ? this.guard.begin() : undefined;
  }

  private unusable(error: unknown): undefined {
    const { log, directory } = this.deps;
    log.warn('the folder of mapper plugins cannot be used', { path: directory, reason: errorText(error) });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    await this.looking;
    await this.guard.end();
    await Promise.all([...this.entries.values()].map(({ plugin }) => plugin?.stop()));
  }

  /** How every plugin fares. */
  list(): PluginStatus[] {
    return [...this.entries].map(([name, entry]) => statusOf(name, entry));
  }

  /** Plugins may be what ends edgecore: without them it comes up. */
  private async hold(reason: string): Promise<void> {
    this.deps.log.error('mapper plugins are not started for now', { reason });
    for (const name of (await this.folder.scan()).keys())
      this.entries.set(name, { ...newEntry(), refused: reason });
    await this.status.write(this.list());
    this.timer = this.deps.clock.after(HOLD, () => this.look(true));
  }

  /** @param atOnce what is there is judged without waiting whether it still changes */
  private look(atOnce = false): void {
    this.looking = this.pass(atOnce).catch((error) => this.unusable(error));
    void this.looking.then(() => {
      if (!this.stopped) this.timer = this.deps.clock.after(this.deps.every ?? LOOK, () => this.look());
    });
  }

  private async pass(atOnce: boolean): Promise<void> {
    const found = await this.folder.scan();
    if (atOnce) await this.folder.sweep(found);
    for (const [name, seen] of found) {
      if (this.stopped) return;
      const entry = this.entries.get(name) ?? newEntry();
      const settled = atOnce || entry.seen === seen;
      this.entries.set(name, entry);
      entry.seen = seen;
      if (settled && entry.judged !== seen) await this.judge(name, entry);
    }
    for (const [name, entry] of this.entries) if (!found.has(name)) await this.removed(name, entry);
    await this.status.write(this.list());
  }

  private async judge(name: string, entry: Entry): Promise<void> {
    entry.judged = entry.seen;
    entry.disabled = await this.folder.isDisabled(name);
    if (entry.disabled) {
      entry.refused = '';
      return this.drop(entry, `mapper ${name} is disabled`);
    }
    const candidate = await this.folder.read(name);
    const digest = 'refused' in candidate ? undefined : candidate.digest;
    if (entry.plugin && entry.plugin.kept.digest === digest) {
      entry.refused = '';
      return entry.plugin.hurry();
    }
    entry.refused =
      'refused' in candidate ? candidate.refused : await this.runCandidate(name, entry, candidate);
    if (entry.refused === '') return this.folder.forgetKept(name, digest);
    if (!entry.plugin) await this.runKept(name, entry, digest);
    const { log } = this.deps;
    const runs = entry.plugin
      ? `version ${entry.plugin.kept.manifest.version} runs on`
      : 'nothing runs instead';
    log.warn('a plugin was refused', { plugin: name, reason: entry.refused, instead: runs });
  }

  private async runCandidate(name: string, entry: Entry, candidate: Candidate): Promise<string> {
    let kept: Kept;
    try {
      kept = await this.folder.keep(candidate);
    } catch (error) {
      return `it cannot be copied to where it runs: ${errorText(error)}`;
    }
    return this.run(name, entry, kept);
  }

  /** What ran before the last start of edgecore runs again when its successor does not. */
  private async runKept(name: string, entry: Entry, digest: string | undefined): Promise<void> {
    const before = await this.folder.keptBefore(name, digest);
    if (before) await this.run(name, entry, before);
  }

  /** @returns why it cannot run, or nothing */
  private async run(name: string, entry: Entry, kept: Kept): Promise<string> {
    const { registry, log, program } = this.deps;
    const { protocols, version } = kept.manifest;
    if (!program) return 'mapper-worker.mjs does not lie beside the program: install edgecore anew';
    const taken = this.taken(name, protocols);
    if (taken) return taken;
    const plugin = entry.plugin ?? (await this.newPlugin(kept));
    const worker = await plugin.tryVersion(kept);
    if (typeof worker === 'string') return worker;
    const before = entry.plugin?.kept.manifest;
    const moves = before !== undefined && before.protocols.join() !== protocols.join();
    if (moves) registry.removeMapper(plugin, `mapper ${name} no longer serves its protocol`);
    await plugin.adopt(kept, worker);
    entry.plugin = plugin;
    if (!before || moves) registry.addMapper(plugin);
    log.info('a plugin runs', { plugin: name, version, protocols: protocols.join(', ') });
    return '';
  }

  private async newPlugin(kept: Kept): Promise<Plugin> {
    // Loaded when there is one: workers are a part of Node that a gateway without plugins can do without.
    const { Plugin } = await import('./plugin.ts');
    const { SerialDesk } = await import('./serial-desk.ts');
    this.desk ??= new SerialDesk();
    return new Plugin({ ...this.pluginDeps, desk: this.desk }, kept);
  }

  private taken(name: string, protocols: readonly string[]): string | undefined {
    for (const protocol of protocols) {
      const other = this.deps.others.get(protocol) ?? this.pluginFor(protocol, name);
      if (other !== undefined)
        return `mapper.json: protocols: ${protocol} is served by mapper ${other}: remove that one, or name another protocol`;
    }
    return undefined;
  }

  private pluginFor(protocol: string, except: string): string | undefined {
    for (const [name, { plugin }] of this.entries)
      if (name !== except && plugin?.protocols.includes(protocol)) return name;
    return undefined;
  }

  private async removed(name: string, entry: Entry): Promise<void> {
    this.entries.delete(name);
    await this.drop(entry, `mapper ${name} was removed`);
    await this.folder.forgetKept(name);
  }

  private async drop(entry: Entry, reason: string): Promise<void> {
    const { plugin } = entry;
    if (!plugin) return;
    entry.plugin = undefined;
    this.deps.registry.removeMapper(plugin, reason);
    await plugin.stop();
    // Somebody may have been refused for the sake of its protocols.
    for (const other of this.entries.values()) if (other.refused !== '') other.judged = undefined;
    this.deps.log.info('a plugin runs no more', { plugin: plugin.kept.manifest.name, reason });
  }

  /** The plugin that serves a protocol. */
  servedBy(protocol: string): string | undefined {
    return this.pluginFor(protocol, '');
  }

  private count(state: PluginStatus['state']): number {
    return this.list().filter((status) => status.state === state).length;
  }
}

function newEntry(): Entry {
  return { seen: '', judged: undefined, plugin: undefined, refused: '', disabled: false };
}

function statusOf(name: string, { plugin, refused, disabled, judged = '' }: Entry): PluginStatus {
  if (!plugin) {
    const state = disabled ? 'disabled' : refused ? 'refused' : 'loading';
    return { name, version: '', protocols: [], state, reason: refused, devices: 0, judged: printOf(judged) };
  }
  const { version, protocols } = plugin.kept.manifest;
  const { state, reason } = plugin.condition;
  const why = [reason, refused && `what lies in the folder is refused: ${refused}`]
    .filter(Boolean)
    .join('; ');
  return {
    name,
    version,
    protocols,
    state,
    reason: why,
    devices: plugin.deviceCount,
    judged: printOf(judged),
  };
}

import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../../runtime/core/clock.ts';
import type { DeviceManager, ReadingSink } from '../../runtime/core/dmi.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { TokenBucket } from '../../runtime/core/token-bucket.ts';
import { type DeviceId, millis, seconds } from '../../runtime/core/units.ts';
import { AskedWrites } from './asked-writes.ts';
import type { Kept } from './folder.ts';
import {
  type FromWorker,
  type Handed,
  LONGEST_TEXT,
  MOST_ENTRIES,
  parseFromWorker,
  type Report,
  type ToWorker,
  type WorkerStart,
} from './messages.ts';
import type { SerialDesk } from './serial-desk.ts';
import { importFault } from './worker/load.ts';

export type PluginWorkerDeps = {
  /** Path of the program that runs in the worker. */
  readonly program: string;
  readonly kept: Kept;
  /** The devices of the plugin; nothing is believed of others. */
  readonly devices: ReadonlyMap<DeviceId, Handed>;
  readonly manager: DeviceManager;
  readonly sink: ReadingSink;
  readonly desk: SerialDesk;
  readonly clock: Clock;
  readonly log: Logger;
  /** Resident bytes of the process. */
  readonly rss: () => number;
  /** Entries of reports that found no place. */
  readonly dropped: (count: number) => void;
  /** It has ended after it was ready, without having been asked to. */
  readonly ended: (why: string) => void;
};

const LOAD_LIMIT = seconds(10);
const STOP_LIMIT = seconds(2);
const END_LIMIT = seconds(5);
const WATCH = seconds(1);
/** A worker that says nothing for so long is ended. */
const SILENT = seconds(5);
/** Least time between two reports, and entries of reports a second. */
const REPORT_GAP = millis(50);
const REPORT_RATE = 300;
const LOG_RATE = { rate: 1, burst: 20 };
/** Buffers that nobody needs any more stay until V8 collects them: so long, and so many times the limit. */
const GARBAGE = seconds(10);
const MUCH_TOO_MUCH = 4;
const MB = 1e6;

/** One life of a plugin's worker: loaded, watched, ended. */
export class PluginWorker {
  private readonly deps: PluginWorkerDeps;
  private readonly worker: Worker;
  private readonly port: MessagePort;
  private readonly pace: TokenBucket;
  private readonly logPace: TokenBucket;
  private readonly watch: Timer;
  /** Devices of which the worker has not been told. */
  private readonly pending = new Set<DeviceId>();
  private telling = false;
  private readonly writes = new AskedWrites();
  private readonly exited: Promise<void>;
  private readonly loaded: Promise<string | undefined>;
  private isLoaded: (refused?: string) => void = () => {};
  private ready = false;
  private stopping = false;
  /** Its thread is gone. */
  hasEnded = false;
  private endedBy: string | undefined;
  private lastBeat: number;
  private lastWatch: number;
  private rssAtBeat: number;
  private note: Timer | undefined;
  /** Since when it holds more than it may outside of the heap. */
  private heldTooMuch: number | undefined;

  constructor(deps: PluginWorkerDeps) {
    this.deps = deps;
    const { clock, kept } = deps;
    this.pace = new TokenBucket({ clock, rate: REPORT_RATE, burst: REPORT_RATE });
    this.logPace = new TokenBucket({ clock, ...LOG_RATE });
    this.lastBeat = clock.monotonic();
    this.lastWatch = this.lastBeat;
    this.rssAtBeat = deps.rss();
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    port1.on('message', (raw) => this.hear(raw));
    this.worker = startWorker(deps.program, kept, port2);
    this.worker.on('error', (error) => this.failed(error));
    this.loaded = new Promise((resolve) => {
      this.isLoaded = resolve;
    });
    this.exited = new Promise((resolve) => {
      this.worker.once('exit', (code) => {
        this.gone(code);
        resolve();
      });
    });
    this.watch = clock.every(WATCH, () => this.look());
  }

  /** Resolves when the plugin is loaded. @returns undefined, or why it cannot be; then it has ended */
  async load(): Promise<string | undefined> {
    const { clock } = this.deps;
    const late = clock.after(LOAD_LIMIT, () => this.isLoaded(`it does not load in ${LOAD_LIMIT / 1000} s`));
    const refused = await this.loaded;
    late.cancel();
    if (refused !== undefined) await this.terminate();
    return refused;
  }

  /** A device of the plugin is new, has changed or has gone. */
  changed(id: DeviceId): void {
    this.pending.add(id);
    this.tell();
  }

  /** @returns why the device does not have the value; undefined when it has */
  write(id: DeviceId, property: string, value: string): Promise<string | undefined> {
    return this.writes.ask((number) => this.post({ kind: 'write', number, id, property, value }));
  }

  /** Asks it to let go of its devices, and ends it. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.post({ kind: 'stop' });
    const limit = this.deps.clock.after(STOP_LIMIT, () => void this.terminate());
    await this.exited;
    limit.cancel();
  }

  /** Ends it. A thread that waits in the kernel can only end later: nobody waits for that for ever. */
  private async terminate(): Promise<void> {
    this.stopping = true;
    void this.worker.terminate();
    let limit: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      limit = this.deps.clock.after(END_LIMIT, resolve);
    });
    await Promise.race([this.exited, late]);
    limit?.cancel();
  }

  private hear(raw: unknown): void {
    const message = parseFromWorker(raw);
    if (!message) return;
    switch (message.kind) {
      case 'ready':
        this.ready = true;
        return this.isLoaded();
      case 'refused':
        return this.isLoaded(message.reason);
      case 'beat':
        return this.beat(message.held);
      case 'took':
        return this.took(message);
      case 'report':
        return this.take(message);
      case 'wrote':
        return this.writes.answered(message.number, message.fault);
      case 'log':
        return this.logText(message.level, message.text);
      case 'serial':
        return void this.deps.desk.open(message.options, message.port);
      default:
        return message satisfies never;
    }
  }

  private tell(): void {
    if (this.telling || !this.ready || this.pending.size === 0) return;
    const ids = [...this.pending].slice(0, MOST_ENTRIES);
    const apply: Handed[] = [];
    const remove: DeviceId[] = [];
    for (const id of ids) {
      this.pending.delete(id);
      const handed = this.deps.devices.get(id);
      if (handed) apply.push(handed);
      else remove.push(id);
    }
    this.telling = true;
    this.post({ kind: 'devices', apply, remove });
  }

  private took({ faults }: Extract<FromWorker, { kind: 'took' }>): void {
    this.telling = false;
    for (const { id, fault } of faults)
      if (this.deps.devices.has(id)) this.deps.manager.reportDeviceState(id, 'unhealthy', fault);
    this.tell();
  }

  private take({ readings, states, writes, pushes, dropped }: Report): void {
    if (this.note) return; // It did not wait for its turn, so it is not the kit that speaks.
    const { manager, sink, devices, clock } = this.deps;
    const at = clock.now();
    for (const [id, own] of groupBy(readings, devices))
      manager.reportDeviceStatus(
        id,
        own.map(({ property, value }) => ({ property, value, at })),
      );
    for (const [id, own] of groupBy(pushes, devices))
      sink.push(
        id,
        own.map(({ property, value, age }) => ({ property, value, at: millis(at - age) })),
      );
    for (const { id, state, reason } of states)
      if (devices.has(id)) manager.reportDeviceState(id, state, reason);
    for (const [id, own] of groupBy(writes, devices)) manager.reportWrites(id, own);
    if (dropped > 0) this.deps.dropped(dropped);
    for (let i = 0; i < readings.length + states.length + writes.length + pushes.length; i++)
      this.pace.take();
    this.note = clock.after(millis(Math.max(REPORT_GAP, this.pace.wait)), () => {
      this.note = undefined;
      this.post({ kind: 'noted' });
    });
  }

  private beat(held: number): void {
    this.lastBeat = this.deps.clock.monotonic();
    this.rssAtBeat = this.deps.rss();
    const { memory } = this.deps.kept.manifest;
    if (held <= memory * MB) this.heldTooMuch = undefined;
    else this.heldTooMuch ??= this.lastBeat;
    const since = this.lastBeat - (this.heldTooMuch ?? this.lastBeat);
    if (since > GARBAGE || held > MUCH_TOO_MUCH * memory * MB)
      this.end(`it holds ${Math.round(held / MB)} MB of buffers: mapper.json allows it ${memory}`);
  }

  private look(): void {
    const now = this.deps.clock.monotonic();
    // When this thread itself was late, what the worker said meanwhile has not been heard yet.
    if (now - this.lastWatch > 2 * WATCH) this.lastBeat = now;
    this.lastWatch = now;
    const silent = now - this.lastBeat;
    if (silent > SILENT) return this.end(`its loop is blocked: nothing heard of it for ${SILENT / 1000} s`);
    const grown = this.deps.rss() - this.rssAtBeat;
    if (silent > WATCH && grown > 2 * this.deps.kept.manifest.memory * MB)
      this.end(`its loop is blocked and memory has grown by ${Math.round(grown / MB)} MB meanwhile`);
  }

  private end(why: string): void {
    this.endedBy ??= why;
    void this.worker.terminate();
  }

  private failed(error: unknown): void {
    const { memory } = this.deps.kept.manifest;
    const isMemory = error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    this.endedBy ??= isMemory
      ? `it needs more than the ${memory} MB that mapper.json allows it`
      : importFault(error);
  }

  private gone(code: number): void {
    this.hasEnded = true;
    this.watch.cancel();
    this.note?.cancel();
    this.port.close();
    const why = this.endedBy ?? `it ended itself with process.exit(${code})`;
    this.isLoaded(why);
    this.writes.end(`its mapper ended: ${why}`);
    if (this.ready && !this.stopping) this.deps.ended(why);
  }

  private logText(level: 'info' | 'warn', text: string): void {
    if (!this.logPace.hasToken) return;
    this.logPace.take();
    this.deps.log[level]('a plugin says', {
      plugin: this.deps.kept.manifest.name,
      text: text.trim().slice(0, LONGEST_TEXT),
    });
  }

  private post(message: ToWorker): void {
    this.port.postMessage(message);
  }
}

function startWorker(program: string, { manifest, main }: Kept, port: MessagePort): Worker {
  const start: WorkerStart = { name: manifest.name, protocols: manifest.protocols, main, port };
  return new Worker(program, {
    name: `mapper ${manifest.name}`,
    workerData: start,
    // The process's own flags, a test runner's loader for instance, are none of a plugin's business.
    execArgv: [],
    transferList: [port],
    // The worker sends what is printed as lines for the log; these streams are only not to be the process's own.
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: manifest.memory, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 },
  });
}

/** By device, without those that are not the plugin's. */
function groupBy<T extends { readonly id: DeviceId }>(
  entries: readonly T[],
  devices: ReadonlyMap<DeviceId, unknown>,
): Map<DeviceId, T[]> {
  const groups = new Map<DeviceId, T[]>();
  for (const entry of entries) {
    if (!devices.has(entry.id)) continue;
    const group = groups.get(entry.id);
    if (group) group.push(entry);
    else groups.set(entry.id, [entry]);
  }
  return groups;
}

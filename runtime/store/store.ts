import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import { closeQuietly } from './database.ts';
import { DeviceTable } from './device-table.ts';
import { syncFile } from './files.ts';
import { GroupCommit } from './group-commit.ts';
import { HealthKeeper, type StoreHealth } from './health.ts';
import { Home } from './home.ts';
import { MetaTable } from './meta-table.ts';
import { MqttTables } from './mqtt-tables.ts';
import { ObjectTable } from './object-table.ts';
import { OutboxTable } from './outbox-table.ts';
import { PushTable } from './push-table.ts';
import { Redo } from './redo.ts';
import { Sql } from './sql.ts';
import { TopicTable } from './topic-table.ts';
import { Volume } from './volume.ts';

export type StoreDeps = {
  /** The database file; its directory is made when missing. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
  /** Makes a file's content durable; the system's fdatasync unless a test has another. */
  readonly syncFile?: (path: string) => Promise<void>;
};

/** The durable state of the node: typed tables, and the two ways of writing to them. */
export class Store {
  readonly meta: MetaTable;
  readonly devices: DeviceTable;
  readonly outbox: OutboxTable;
  readonly topics: TopicTable;
  readonly mqtt: MqttTables;
  private apiObjects: ObjectTable | undefined;
  private pushRows: PushTable | undefined;
  private readonly sql: Sql;
  private readonly commits: GroupCommit;
  private readonly home: Home;
  private readonly keeper: HealthKeeper;

  /** Takes the data directory and opens the database.
   * @throws EdgeError STORE_LOCKED, STORE_WRITE_FAILED, STORE_NEWER */
  constructor(deps: StoreDeps) {
    const { path, clock, metrics } = deps;
    const log = deps.log.child('store');
    this.home = new Home({ path, now: () => clock.now(), log });
    this.keeper = new HealthKeeper(clock, log);
    const redo = new Redo();
    try {
      const { db, trouble } = this.home.open();
      this.sql = new Sql(db);
      if (trouble) this.keeper.degrade(path, trouble);
    } catch (error) {
      this.home.leave();
      throw error;
    }
    const volume = new Volume({ home: this.home, sql: this.sql, syncFile: deps.syncFile ?? syncFile });
    this.commits = new GroupCommit({
      sql: this.sql,
      redo,
      volume,
      health: this.keeper,
      clock,
      log,
    });
    this.meta = new MetaTable(this.sql);
    this.devices = new DeviceTable(this.sql);
    this.outbox = new OutboxTable(this.sql);
    this.topics = new TopicTable(this.sql);
    this.mqtt = new MqttTables(this.sql, (bytes) => this.commits.weigh(bytes));
    this.measure(metrics, redo, volume);
  }

  /** What the local API serves; its statements are made when it is first asked for. */
  get objects(): ObjectTable {
    this.apiObjects ??= new ObjectTable(this.sql);
    return this.apiObjects;
  }

  /** What waits to be pushed to where devices' values go. */
  get push(): PushTable {
    this.pushRows ??= new PushTable(this.sql);
    return this.pushRows;
  }

  /** Writes what somebody will be told is safe.
   * @returns resolves once on disk; rejects with EdgeError STORE_WRITE_FAILED */
  durable(work: () => void): Promise<void> {
    return this.commits.durable(work);
  }

  /** Writes what is sampled again anyway; reaches the disk within ten seconds, with the next durable batch if one comes.
   * While the disk cannot be written it is kept in memory, within bounds. Never throws. */
  lazy(work: () => void): void {
    this.commits.lazy(work);
  }

  /** Asks `prepare` what to write when the next batch is about to be committed, soon: what became needless by then is
   * never written.
   * @returns resolves once on disk, at once when there was nothing; rejects with EdgeError STORE_WRITE_FAILED */
  atCommit(prepare: () => (() => void) | undefined): Promise<void> {
    return this.commits.atCommit(prepare);
  }

  /** Has `work` write with the next batch that comes, or within ten seconds: what changes often is written once. */
  withCommit(work: () => void): void {
    this.commits.withCommit(work);
  }

  /** One more of what an {@link atCommit} is about to write is waited for. */
  arrived(bytes: number): void {
    this.commits.arrived(bytes);
  }

  /** Whether what is written reaches the disk. */
  health(): StoreHealth {
    return this.keeper.current;
  }

  /** Ms since when the disk does not answer; 0 while it does, also with a refusal. */
  stalledFor(): number {
    return this.commits.stalledFor;
  }

  /** Calls `listener` after each change of {@link health}; returns how to stop that. */
  onChange(listener: () => void): () => void {
    return this.keeper.onChange(listener);
  }

  /** Makes everything durable, if the disk lets it, and lets go of the data directory. */
  async close(): Promise<void> {
    try {
      await this.commits.close();
    } finally {
      closeQuietly(this.sql);
      this.home.leave();
    }
  }

  private measure(metrics: MetricSource, redo: Redo, volume: Volume): void {
    const { keeper, home, commits } = this;
    metrics.gauge('edgecore_store_commits_total', 'Transactions committed.', () => commits.commits);
    metrics.gauge('edgecore_store_syncs_total', 'Syncs of the database files.', () => volume.syncs);
    metrics.gauge('edgecore_store_checkpoints_total', 'WAL checkpoints.', () => commits.checkpointCount);
    metrics.gauge('edgecore_store_degraded', '1 while nothing can be written to the disk.', () =>
      keeper.isDegraded ? 1 : 0,
    );
    metrics.gauge(
      'edgecore_store_waiting_writes',
      'Writes in memory until they are committed.',
      () => redo.size,
    );
    metrics.gauge(
      'edgecore_store_dropped_total',
      'Writes given up on a disk that took none.',
      () => redo.dropped,
    );
    for (const result of ['kept', 'refused'] as const)
      metrics.gauge(
        'edgecore_store_salvaged_rows',
        'Rows of a damaged database, at the last start: taken over, and not what was written.',
        () => home.salvaged?.[result] ?? 0,
        { result },
      );
  }
}

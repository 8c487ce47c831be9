import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import { type Database, openDatabase } from './database.ts';
import { DeviceTable } from './device-table.ts';
import { GroupCommit } from './group-commit.ts';
import { MetaTable } from './meta-table.ts';
import { MqttTables } from './mqtt-tables.ts';
import { ObjectTable } from './object-table.ts';
import { OutboxTable } from './outbox-table.ts';
import { takeOwnerLock } from './owner-lock.ts';
import { TopicTable } from './topic-table.ts';

export type StoreDeps = {
  /** The database file; its directory is made when missing. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
};

/** The durable state of the node: typed tables, and the two ways of writing to them. */
export class Store {
  readonly meta: MetaTable;
  readonly devices: DeviceTable;
  readonly outbox: OutboxTable;
  readonly topics: TopicTable;
  readonly mqtt: MqttTables;
  private apiObjects: ObjectTable | undefined;
  private readonly db: Database;
  private readonly commits: GroupCommit;
  private readonly unlock: () => void;

  /** Takes the data directory and opens the database.
   * @throws EdgeError STORE_LOCKED, STORE_WRITE_FAILED, STORE_NEWER */
  constructor(deps: StoreDeps) {
    const { path, clock, metrics } = deps;
    const log = deps.log.child('store');
    makeDirectory(dirname(path));
    this.unlock = takeOwnerLock(`${path}.owner`);
    try {
      this.db = openDatabase(path, clock.now(), log);
    } catch (error) {
      this.unlock();
      throw error;
    }
    this.commits = new GroupCommit({ db: this.db, path, clock, log });
    this.meta = new MetaTable(this.db);
    this.devices = new DeviceTable(this.db);
    this.outbox = new OutboxTable(this.db);
    this.topics = new TopicTable(this.db);
    this.mqtt = new MqttTables(this.db, (bytes) => this.commits.weigh(bytes));
    const { stats } = this.commits;
    metrics.gauge('edgecore_store_commits_total', 'Transactions committed.', () => stats.commits);
    metrics.gauge('edgecore_store_syncs_total', 'Syncs of the database files.', () => stats.syncs);
    metrics.gauge('edgecore_store_checkpoints_total', 'WAL checkpoints.', () => stats.checkpoints);
  }

  /** What the local API serves; its statements are made when it is first asked for. */
  get objects(): ObjectTable {
    this.apiObjects ??= new ObjectTable(this.db);
    return this.apiObjects;
  }

  /** Writes what somebody will be told is safe.
   * @returns resolves once on disk; rejects with EdgeError STORE_WRITE_FAILED */
  durable(work: () => void): Promise<void> {
    return this.commits.durable(work);
  }

  /** Writes what is sampled again anyway; reaches the disk within ten seconds, with the next durable batch if one comes. */
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

  /** Makes everything durable and lets go of the data directory. */
  async close(): Promise<void> {
    try {
      await this.commits.close();
      for (const table of [this.meta, this.devices, this.outbox, this.topics, this.mqtt]) table.finalize();
      this.apiObjects?.finalize();
      this.db.close();
    } finally {
      this.unlock();
    }
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new EdgeError('STORE_WRITE_FAILED', {
      detail: `the data directory ${path} cannot be made`,
      cause: error,
    });
  }
}

import fs from 'node:fs';
import sqlite from 'node-sqlite3-wasm';
import { POINTS, payloadOf, RATE } from './flash-payload.ts';
import { bytesWrittenBy } from './process-meter.ts';

/** Figures of the same name as edgecore's. */
export type DefaultResult = {
  readonly mb_per_hour?: number;
  readonly write_amplification?: number;
  readonly fsync_per_s?: number;
  readonly puback_p99_ms?: number;
};

/** Seconds of work that are done, as fast as they can be: what is written does not depend on the pace. */
const SECONDS = 10;
let syncs = 0;
const sync = fs.fsyncSync;
fs.fsyncSync = (fd) => {
  syncs++;
  sync(fd);
};

const [path = '', scenario = ''] = process.argv.slice(2);
// Journal DELETE, synchronous FULL, each statement a transaction: what the library does unless it is told otherwise.
const db = new sqlite.Database(path);
db.exec(`
  CREATE TABLE device_twin (deviceid TEXT, name TEXT, value TEXT, PRIMARY KEY (deviceid, name)) WITHOUT ROWID;
  CREATE TABLE message (seq INTEGER PRIMARY KEY, topic TEXT, payload BLOB);
  CREATE TABLE session (sid INTEGER PRIMARY KEY, client_id TEXT, cursor INTEGER);
`);
const latencies: number[] = [];
syncs = 0;
const before = bytesWrittenBy(process.pid);
if (scenario === 'load') for (let second = 0; second < SECONDS; second++) writeLoad(second);
if (scenario === 'offline_subscriber')
  for (let second = 0; second < SECONDS; second++) writeMessages(second, 'away/line/3');
const written = bytesWrittenBy(process.pid) - before;
db.close();
process.stdout.write(JSON.stringify(result(written)));

function result(bytes: number): DefaultResult {
  const mb_per_hour = (bytes / 1e6 / SECONDS) * 3600;
  if (scenario === 'idle') return { mb_per_hour };
  if (scenario === 'one_at_a_time') return {};
  const puback_p99_ms = latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)] ?? 0;
  return {
    mb_per_hour,
    fsync_per_s: syncs / SECONDS,
    puback_p99_ms,
    write_amplification: bytes / (SECONDS * RATE * payloadOf(0).length),
  };
}

function writeLoad(second: number): void {
  for (let i = 0; i < POINTS; i++) {
    const side = { value: `${(second * 7 + i) % 1000}`, metadata: { timestamp: Date.now() } };
    const twin = { actual: side, optional: true, metadata: { type: 'int' } };
    const value = JSON.stringify({ twin, synced: false });
    db.run('INSERT OR REPLACE INTO device_twin VALUES (?, ?, ?)', ['default/points', `p${i}`, value]);
  }
  const first = writeMessages(second, 'flash/0');
  for (let i = 0; i < RATE; i++) {
    db.run('DELETE FROM message WHERE seq = ?', first + i);
    db.run('INSERT OR REPLACE INTO session VALUES (?, ?, ?)', [i % 5, `online-${i % 5}`, first + i]);
  }
}

function writeMessages(second: number, topic: string): number {
  const first = second * RATE;
  for (let i = 0; i < RATE; i++) {
    const start = performance.now();
    db.run('INSERT INTO message VALUES (?, ?, ?)', [first + i, topic, payloadOf(first + i)]);
    latencies.push(performance.now() - start);
  }
  return first;
}

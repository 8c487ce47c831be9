import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../runtime/core/clock.ts';
import { type LogFields, type Logger, silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { seededRandom, testSeed } from '../../runtime/core/test-random.ts';
import { openDatabase } from '../../runtime/store/database.ts';
import { unsqueeze } from '../../runtime/store/squeeze.ts';
import { Store } from '../../runtime/store/store.ts';

/** A power cut may take of the WAL whatever came after the last sync, and leave anything in its place. The files are
 * looked at after each sync; what a cut at some later moment leaves is made of them. */
const isLong = process.env.EDGECORE_LONG === 'true';
const seed = testSeed();
const random = seededRandom(seed);
const CUTS = isLong ? 12 : 2;
const MESSAGES = 80;
/** Of what an earlier round left behind the end of the WAL, so much is looked at. */
const TAIL = 20_000;

/** The two files at a moment in which messages 1 to `safe` had been said to be safe. */
type Moment = { readonly safe: number; readonly db: Buffer; readonly wal: Buffer };
type Context = { dir: string; moments: Moment[]; pageSize: number; cut: (db: Buffer, wal: Buffer) => number };
const test = suite<Context>(`a power cut, seed ${seed}`);

test.before(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-torn-'));
  const path = join(context.dir, 'live', 'edgecore.db');
  const store = new Store({ path, clock: systemClock, log: silentLogger, metrics: new Metrics() });
  context.moments = [];
  for (let n = 1; n <= MESSAGES; n++) {
    await store.durable(() => {
      const size = random() < 0.7 ? 20 + random() * 3000 : 60_000 + random() * 200_000;
      store.mqtt.putBatch({ first: n, body: new Uint8Array(size).fill(n) });
      // Rows that go make pages that are used again.
      if (n % 7 === 0) store.mqtt.putRetained(`t${n % 3}`, new Uint8Array(n * 50));
    });
    const last = context.moments.at(-1)?.db;
    const db = readFileSync(path);
    const wal = readFileSync(`${path}-wal`);
    context.moments.push({
      safe: n,
      db: last?.equals(db) ? last : db,
      wal: Buffer.from(wal.subarray(0, endOf(wal) + TAIL)),
    });
  }
  await store.close();
  context.pageSize = context.moments[0]?.wal.readUInt32BE(8) ?? 0;
  let made = 0;
  context.cut = (db, wal) => survivors(join(context.dir, `cut${++made}`), db, wal);
});
test.after(({ dir }) => rmSync(dir, { recursive: true }));

/** Opens what a cut left.
 * @returns the number up to which messages are there, all of them
 * @throws AssertionError when the database is damaged, or a message is missing or altered */
function survivors(dir: string, db: Buffer, wal: Buffer): number {
  mkdirSync(dir);
  const path = join(dir, 'edgecore.db');
  writeFileSync(path, db);
  writeFileSync(`${path}-wal`, wal);
  const log: Logger = {
    ...silentLogger,
    error: (message: string, fields?: LogFields) =>
      assert.unreachable(`${message} ${JSON.stringify(fields)}`),
  };
  const { db: opened } = openDatabase(path, 0, log);
  try {
    assert.equal(opened.all('PRAGMA integrity_check'), [{ integrity_check: 'ok' }]);
    const rows = opened.all('SELECT first, body FROM mqtt_batch ORDER BY first');
    for (const [i, row] of rows.entries()) {
      assert.is(Number(row?.first), i + 1);
      const body = Buffer.from(unsqueeze(row?.body as Uint8Array));
      assert.ok(body.equals(Buffer.alloc(body.length, i + 1)));
    }
    return rows.length;
  } finally {
    opened.close();
    rmSync(dir, { recursive: true });
  }
}

/** Where the last commit of a WAL ends. Frames of an earlier round, behind it, have other salts.
 * @source https://sqlite.org/fileformat2.html#walformat */
function endOf(wal: Buffer): number {
  const frame = 24 + wal.readUInt32BE(8);
  const salts = wal.subarray(16, 24);
  let end = 32;
  for (let at = 32; at + frame <= wal.length && wal.subarray(at + 8, at + 16).equals(salts); at += frame)
    if (wal.readUInt32BE(at + 4) !== 0) end = at + frame;
  return end;
}

/** False when the WAL began anew between the two. */
function isOneRound(before: Moment, after: Moment): boolean {
  return before.wal.subarray(16, 24).equals(after.wal.subarray(16, 24));
}

/** True when a checkpoint ended here and the WAL has not begun anew: the database file holds what the whole of it says, and
 * a part of it would take some pages back and leave others. */
function isCopied(before: Moment | undefined, here: Moment): boolean {
  return before !== undefined && isOneRound(before, here) && before.db !== here.db;
}

/** The first `kept` bytes, and then what a file system may leave of what was not synced. */
function torn(wal: Buffer, kept: number): Buffer {
  const cut = Buffer.from(wal);
  const kind = random();
  if (kind < 0.4) return cut.subarray(0, kept);
  if (kind < 0.7) return cut.fill(0, kept);
  for (let at = kept; at < cut.length; at++) if (random() < 0.02) cut[at] = Math.floor(random() * 256);
  return cut;
}

test('whatever is torn off behind the last sync, what was safe is there', ({ moments, cut }) => {
  for (let i = 0; i + 1 < moments.length; i++) {
    const [before, after] = [moments[i] as Moment, moments[i + 1] as Moment];
    // The next commit was on its way: of it anything may have reached the disk. A checkpoint comes before it when the WAL
    // began anew, else after it.
    const [db, synced] = isOneRound(before, after) ? [before.db, endOf(before.wal)] : [after.db, 0];
    for (let k = 0; k < CUTS; k++) {
      const kept = synced + Math.floor(random() * (endOf(after.wal) - synced + 1));
      const there = cut(db, torn(after.wal, kept));
      assert.ok(there >= before.safe && there <= after.safe, `${before.safe} was safe, ${there} is there`);
    }
    assert.is(cut(after.db, after.wal.subarray(0, endOf(after.wal))), after.safe);
  }
});

test('torn before the last sync, which no disk should do, it is a whole database of an earlier time', ({
  moments,
  cut,
}) => {
  for (const [i, moment] of moments.entries()) {
    if (isCopied(moments[i - 1], moment)) continue;
    const { safe, db, wal } = moment;
    for (let k = 0; k < CUTS; k++) {
      const there = cut(db, torn(wal, Math.floor(random() * endOf(wal))));
      assert.ok(there <= safe);
    }
  }
});

test('a cut in the middle of a checkpoint leaves the WAL, which makes good what was half copied', ({
  moments,
  pageSize,
  cut,
}) => {
  let checkpoints = 0;
  for (let i = 0; i + 1 < moments.length; i++) {
    const [before, after] = [moments[i] as Moment, moments[i + 1] as Moment];
    if (before.db.equals(after.db)) continue;
    checkpoints++;
    const { wal, safe } = isOneRound(before, after) ? after : before;
    for (let k = 0; k < 10 * CUTS; k++) {
      const half = Buffer.from(random() < 0.5 ? after.db : after.db.subarray(0, before.db.length));
      before.db.copy(half);
      for (let at = 0; at < half.length; at += pageSize)
        if (random() < 0.5) after.db.copy(half, at, at, Math.min(at + pageSize, half.length));
      assert.is(cut(half, wal), safe);
    }
  }
  assert.ok(checkpoints > 0);
});

test.run();

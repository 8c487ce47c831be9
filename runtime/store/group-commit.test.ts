import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../core/clock.ts';
import { errorCode } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { type LogFields, type Logger, silentLogger } from '../core/log.ts';
import { type Database, openDatabase } from './database.ts';
import { GroupCommit } from './group-commit.ts';

type Context = { dir: string; path: string; db: Database };
const test = suite<Context>('group commit');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'commit-'));
  context.path = join(context.dir, 'test.db');
  context.db = openDatabase(context.path, 0, silentLogger);
  context.db.exec('CREATE TABLE t (a TEXT PRIMARY KEY)');
});
test.after.each(({ dir, db }) => {
  if (db.isOpen) db.close();
  rmSync(dir, { recursive: true });
});

const put = (db: Database, value: string) => () =>
  void db.run('INSERT OR REPLACE INTO t VALUES (?)', [value]);
const kept = (db: Database): string[] => db.all('SELECT a FROM t ORDER BY a').map((row) => String(row?.a));

/** The database, whose next `fails` commits are refused, as a full disk does. */
function faulty(db: Database): { db: Database; fail: (commits: number) => void } {
  let left = 0;
  const exec = (sql: string): void => {
    if (sql === 'COMMIT' && left > 0) {
      left--;
      throw new Error('database or disk is full');
    }
    db.exec(sql);
  };
  const proxy = new Proxy(db, {
    get(target, name) {
      if (name === 'exec') return exec;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return {
    db: proxy,
    fail: (commits) => {
      left = commits;
    },
  };
}

async function refused(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    assert.is(errorCode(error), 'STORE_WRITE_FAILED');
    return;
  }
  assert.unreachable('it should have been refused');
}

test('what is needless by the time of the commit is never written', async ({ db, path }) => {
  const clock = new FakeClock();
  const commits = new GroupCommit({ db, path, clock, log: silentLogger });
  let asked = 0;
  const done = commits.atCommit(() => {
    asked++;
    return undefined;
  });
  assert.is(asked, 0);
  await clock.advance(4);
  await done;
  assert.equal([asked, commits.stats.commits, commits.stats.syncs], [1, 0, 0]);
  await commits.close();
});

test('work for the next commit does not start one soon, and rides along with one that comes', async ({
  db,
  path,
}) => {
  const clock = new FakeClock();
  const commits = new GroupCommit({ db, path, clock, log: silentLogger });
  commits.withCommit(put(db, 'cursor'));
  await clock.advance(9000);
  assert.equal(kept(db), []);
  const done = commits.atCommit(() => put(db, 'batch'));
  await clock.advance(4);
  await done;
  assert.equal(kept(db), ['batch', 'cursor']);
  assert.equal(commits.stats.commits, 1);
  await commits.close();
});

test('bookkeeping alone is committed after ten seconds, without a sync', async ({ db, path }) => {
  const clock = new FakeClock();
  const commits = new GroupCommit({ db, path, clock, log: silentLogger });
  commits.withCommit(put(db, 'cursor'));
  await clock.advance(10_000);
  assert.equal([kept(db), commits.stats.commits, commits.stats.syncs], [['cursor'], 1, 0]);
  await commits.close();
});

test('a piece that fails refuses only its own, and a bad question only itself', async ({ db, path }) => {
  const commits = new GroupCommit({ db, path, clock: systemClock, log: silentLogger });
  const good = commits.atCommit(() => put(db, 'good'));
  const bad = commits.atCommit(() => () => {
    put(db, 'half')();
    throw new Error('no');
  });
  const worse = commits.atCommit(() => {
    throw new Error('no');
  });
  await Promise.all([good, refused(bad), refused(worse)]);
  assert.equal(kept(db), ['good']);
  await commits.close();
});

test('a refused commit takes nothing durable along; bookkeeping is written with the next', async ({
  db,
  path,
}) => {
  const disk = faulty(db);
  const clock = new FakeClock();
  const commits = new GroupCommit({ db: disk.db, path, clock, log: silentLogger });
  disk.fail(1);
  commits.lazy(put(db, 'lazy'));
  commits.withCommit(put(db, 'cursor'));
  const first = refused(commits.durable(put(db, 'durable')));
  const second = refused(commits.atCommit(() => put(db, 'batch')));
  await clock.advance(4);
  await Promise.all([first, second]);
  assert.is(commits.stats.commits, 0);
  await clock.advance(10_000);
  assert.equal(kept(db), ['cursor', 'lazy']);
  await commits.close();
});

test('bookkeeping survives any number of refused commits, in its order', async ({ db, path }) => {
  const disk = faulty(db);
  const clock = new FakeClock();
  const commits = new GroupCommit({ db: disk.db, path, clock, log: silentLogger });
  disk.fail(3);
  commits.lazy(put(db, 'x'));
  commits.lazy(() => void db.run('DELETE FROM t WHERE a = ?', ['x']));
  commits.lazy(put(db, 'y'));
  await clock.advance(40_000);
  assert.equal([kept(db), commits.stats.commits], [['y'], 1]);
  await commits.close();
});

test('what is written while a sync fails is committed by itself', async ({ db, path }) => {
  const commits = new GroupCommit({ db, path: `${path}-none`, clock: systemClock, log: silentLogger });
  const first = refused(commits.durable(put(db, 'first')));
  // Written in the moment in which the sync is under way.
  const inTime = new Promise<void>((resolve) => {
    const look = (): void => {
      if (commits.stats.commits === 0) setImmediate(look);
      else resolve(refused(commits.durable(put(db, 'second'))));
    };
    look();
  });
  await first;
  await inTime;
  assert.is(db.inTransaction, false);
  assert.equal(kept(db), ['first', 'second']);
  await commits.close();
});

test('under steady load checkpoints come, and the WAL does not grow', async ({ db, path }) => {
  const warnings: string[] = [];
  const log: Logger = { ...silentLogger, warn: (message: string, _?: LogFields) => warnings.push(message) };
  const commits = new GroupCommit({ db, path, clock: systemClock, log });
  let isOver = false;
  let n = 0;
  // Somebody writes in every turn of the event loop, so that a transaction is always open.
  const load = new Promise<void>((resolve) => {
    const more = (): void => {
      if (isOver) return resolve();
      commits.lazy(put(db, `lazy${n++ % 100}`));
      setImmediate(more);
    };
    more();
  });
  for (let i = 0; i < 6; i++) {
    commits.weigh(100 * 4096);
    await commits.durable(put(db, `d${i}`));
  }
  isOver = true;
  await load;
  assert.equal(warnings, []);
  assert.ok(commits.stats.checkpoints >= 1);
  await commits.close();
});

test('a close checkpoints also what an earlier process left in the WAL', async ({ path, db }) => {
  const commits = new GroupCommit({ db, path, clock: systemClock, log: silentLogger });
  assert.ok(statSync(`${path}-wal`).size > 0);
  await commits.close();
  assert.is(commits.stats.checkpoints, 1);
});

test.run();

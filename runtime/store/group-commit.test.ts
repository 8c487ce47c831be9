import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Clock } from '../core/clock.ts';
import { systemClock } from '../core/clock.ts';
import { errorCode } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { type LogFields, type Logger, silentLogger } from '../core/log.ts';
import type { Database } from './database.ts';
import { syncFile } from './files.ts';
import { GroupCommit } from './group-commit.ts';
import { HealthKeeper } from './health.ts';
import { Home } from './home.ts';
import { Redo } from './redo.ts';
import { Sql } from './sql.ts';
import { tables } from './tables.ts';
import { Volume } from './volume.ts';

type Context = { dir: string; path: string; home: Home; db: Database };
const test = suite<Context>('group commit');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'commit-'));
  context.path = join(context.dir, 'test.db');
  context.home = new Home({ path: context.path, now: () => 0, log: silentLogger });
  context.db = context.home.open().db;
});
test.after.each(({ dir, home, db }) => {
  if (db.isOpen) db.close();
  home.leave();
  rmSync(dir, { recursive: true });
});

function start(
  { home, db }: Pick<Context, 'home' | 'db'>,
  clock: Clock,
  options: { log?: Logger; sync?: typeof syncFile } = {},
) {
  const { log = silentLogger, sync = syncFile } = options;
  const sql = new Sql(db);
  const volume = new Volume({ home, sql, syncFile: sync });
  const health = new HealthKeeper(clock, log);
  const commits = new GroupCommit({ sql, redo: new Redo(), volume, health, clock, log });
  const put = (value: string) => () => sql.put(tables.subTopics, [value]);
  const remove = (value: string) => () => sql.remove(tables.subTopics, [value]);
  const kept = (): string[] =>
    sql.all('SELECT topic FROM sub_topics ORDER BY topic').map((row) => String(row.topic));
  return { commits, volume, put, remove, kept, stop: () => commits.close().finally(() => sql.close()) };
}

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

test('what is needless by the time of the commit is never written', async (context) => {
  const clock = new FakeClock();
  const { commits, volume, stop } = start(context, clock);
  let asked = 0;
  const done = commits.atCommit(() => {
    asked++;
    return undefined;
  });
  assert.is(asked, 0);
  await clock.advance(4);
  await done;
  assert.equal([asked, commits.commits, volume.syncs], [1, 0, 0]);
  await stop();
});

test('work for the next commit does not start one soon, and rides along with one that comes', async (context) => {
  const clock = new FakeClock();
  const { commits, put, kept, stop } = start(context, clock);
  commits.withCommit(put('cursor'));
  await clock.advance(9000);
  assert.equal(kept(), []);
  const done = commits.atCommit(() => put('batch'));
  await clock.advance(4);
  await done;
  assert.equal(kept(), ['batch', 'cursor']);
  assert.equal(commits.commits, 1);
  await stop();
});

test('bookkeeping alone is committed after ten seconds, without a sync', async (context) => {
  const clock = new FakeClock();
  const { commits, volume, put, kept, stop } = start(context, clock);
  commits.withCommit(put('cursor'));
  await clock.advance(10_000);
  assert.equal([kept(), commits.commits, volume.syncs], [['cursor'], 1, 0]);
  await stop();
});

test('a piece that fails refuses only its own, and a bad question only itself', async (context) => {
  const { commits, put, kept, stop } = start(context, systemClock);
  const good = commits.atCommit(() => put('good'));
  const bad = commits.atCommit(() => () => {
    put('half')();
    throw new Error('no');
  });
  const worse = commits.atCommit(() => {
    throw new Error('no');
  });
  await Promise.all([good, refused(bad), refused(worse)]);
  assert.equal(kept(), ['good']);
  await stop();
});

test('a refused commit takes nothing durable along; bookkeeping is written with the next', async (context) => {
  const disk = faulty(context.db);
  const clock = new FakeClock();
  const { commits, put, kept, stop } = start({ ...context, db: disk.db }, clock);
  disk.fail(1);
  commits.lazy(put('lazy'));
  commits.withCommit(put('cursor'));
  const first = refused(commits.durable(put('durable')));
  const second = refused(commits.atCommit(() => put('batch')));
  await clock.advance(4);
  await Promise.all([first, second]);
  assert.is(commits.commits, 0);
  await clock.advance(10_000);
  assert.equal(kept(), ['cursor', 'lazy']);
  await stop();
});

test('bookkeeping survives any number of refused commits, in its order', async (context) => {
  const disk = faulty(context.db);
  const clock = new FakeClock();
  const { commits, put, remove, kept, stop } = start({ ...context, db: disk.db }, clock);
  disk.fail(3);
  commits.lazy(put('x'));
  commits.lazy(remove('x'));
  commits.lazy(put('y'));
  await clock.advance(40_000);
  assert.equal([kept(), commits.commits], [['y'], 1]);
  await stop();
});

test('who comes while a sync fails is refused with those who wait; bookkeeping is kept', async (context) => {
  let fails = true;
  const sync = async (path: string): Promise<void> => {
    if (!fails) return syncFile(path);
    fails = false;
    late.push(refused(commits.durable(put('second'))));
    commits.lazy(put('lazy'));
    throw new Error('i/o error');
  };
  const late: Promise<void>[] = [];
  const { commits, put, kept, stop } = start(context, systemClock, { sync });
  await refused(commits.durable(put('first')));
  await Promise.all(late);
  assert.is(late.length, 1);
  assert.equal(kept(), ['first', 'lazy']);
  await stop();
});

test('under steady load checkpoints come, and the WAL does not grow', async (context) => {
  const warnings: string[] = [];
  const log: Logger = { ...silentLogger, warn: (message: string, _?: LogFields) => warnings.push(message) };
  const { commits, put, stop } = start(context, systemClock, { log });
  let isOver = false;
  let n = 0;
  // Somebody writes in every turn of the event loop, so that a transaction is always open.
  const load = new Promise<void>((resolve) => {
    const more = (): void => {
      if (isOver) return resolve();
      commits.lazy(put(`lazy${n++ % 100}`));
      setImmediate(more);
    };
    more();
  });
  for (let i = 0; i < 8; i++) {
    commits.weigh(100 * 4096);
    await commits.durable(put(`d${i}`));
  }
  isOver = true;
  await load;
  assert.equal(warnings, []);
  assert.ok(commits.checkpointCount >= 1);
  await stop();
});

test('a WAL that killed processes left behind is checkpointed with the first commit, and is small again', async (context) => {
  const first = start(context, systemClock);
  for (let i = 0; i < 10; i++) await first.commits.durable(first.put(`${i}`.padEnd(1024 * 1024, 'x')));
  // What a kill leaves.
  const dir = mkdtempSync(join(tmpdir(), 'commit-killed-'));
  const path = join(dir, 'test.db');
  for (const part of ['', '-wal']) copyFileSync(`${context.path}${part}`, `${path}${part}`);
  await first.stop();
  const home = new Home({ path, now: () => 0, log: silentLogger });
  const { commits, put, kept, stop } = start({ home, db: home.open().db }, systemClock);
  assert.ok(statSync(`${path}-wal`).size > 10 * 1024 * 1024);
  // The second may still go into the WAL before the checkpoint that is due with the first, the third starts it over.
  for (const value of ['first', 'second', 'third']) await commits.durable(put(value));
  assert.is(commits.checkpointCount, 1);
  assert.ok(statSync(`${path}-wal`).size <= 8 * 1024 * 1024);
  assert.is(kept().length, 13);
  await stop();
  home.leave();
  rmSync(dir, { recursive: true });
});

test('a close checkpoints also what an earlier process left in the WAL', async (context) => {
  const { commits, stop } = start(context, systemClock);
  assert.ok(statSync(`${context.path}-wal`).size > 0);
  await stop();
  assert.is(commits.checkpointCount, 1);
});

test('a sync that never ends shows as a standstill, quiet times do not', async (context) => {
  const clock = new FakeClock();
  let release = (): void => {};
  const sync = (): Promise<void> =>
    new Promise((resolve) => {
      release = resolve;
    });
  const { commits, put, stop } = start(context, clock, { sync });
  await clock.advance(600_000);
  assert.is(commits.stalledFor, 0);
  const kept = commits.durable(put('a'));
  await clock.advance(61_000);
  assert.ok(commits.stalledFor >= 60_000, `stalled for ${commits.stalledFor} ms`);
  release();
  await kept;
  assert.is(commits.stalledFor, 0);
  const stopped = stop();
  const releasing = setInterval(() => release(), 1);
  await stopped;
  clearInterval(releasing);
});

test.run();

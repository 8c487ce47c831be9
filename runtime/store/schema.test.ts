import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError } from '../core/errors.ts';
import { silentLogger } from '../core/log.ts';
import { type Database, openDatabase } from './database.ts';
import { migrations, released, type Steps, waysBack } from './migrations.ts';
import { rowSum } from './row-sum.ts';

const test = suite<{ dir: string; path: string }>('schema');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-schema-'));
  context.path = join(context.dir, 'edgecore.db');
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true, force: true }));

const next = migrations.length + 1;
/** A later edgecore: a table of its own, then a column in a table that there was. */
const later: Steps = {
  forwards: [
    ...migrations,
    'CREATE TABLE IF NOT EXISTS recipe (name TEXT PRIMARY KEY, body TEXT NOT NULL)',
    "ALTER TABLE meta ADD COLUMN origin TEXT NOT NULL DEFAULT 'cloud'",
  ],
  back: { ...waysBack, [next]: '', [next + 1]: 'ALTER TABLE meta DROP COLUMN origin' },
};

function use<T>(path: string, steps: Steps, work: (db: Database) => T): T {
  const { db, salvage } = openDatabase(path, 0, silentLogger, steps);
  assert.is(salvage, undefined, 'nothing was damaged');
  try {
    return work(db);
  } finally {
    db.close();
  }
}

function put(db: Database, key: string, ...more: string[]): void {
  const sum = rowSum([key, 'pod', '{}', ...more]);
  const columns = more.length > 0 ? '(key, type, value, origin, sum)' : '(key, type, value, sum)';
  db.run(`INSERT INTO meta ${columns} VALUES (${['?', '?', '?', ...more.map(() => '?'), '?'].join(', ')})`, [
    key,
    'pod',
    '{}',
    ...more,
    sum,
  ]);
}

const keys = (db: Database): unknown[] => db.all('SELECT key FROM meta ORDER BY key').map(({ key }) => key);
const versionOf = (db: Database): unknown => db.get('PRAGMA user_version')?.user_version;

test('an edgecore goes back over the steps of a later one, and keeps what was written meanwhile', ({
  path,
}) => {
  use(path, released, (db) => put(db, 'before'));
  use(path, later, (db) => {
    assert.is(versionOf(db), migrations.length + 2);
    db.run("UPDATE meta SET sum = ? WHERE key = 'before'", [rowSum(['before', 'pod', '{}'])]);
    put(db, 'meanwhile');
    db.run("INSERT INTO recipe VALUES ('bread', 'flour')");
  });
  use(path, released, (db) => {
    assert.is(versionOf(db), migrations.length);
    assert.equal(keys(db), ['before', 'meanwhile']);
    put(db, 'after');
  });
  use(path, later, (db) => {
    assert.equal(keys(db), ['after', 'before', 'meanwhile']);
    assert.is(db.get('SELECT body FROM recipe')?.body, 'flour', 'what the earlier one did not know stayed');
  });
});

test('the database from before the way back is kept beside it', ({ dir, path }) => {
  use(path, later, () => {});
  use(path, released, () => {});
  assert.ok(readdirSync(dir).includes(`edgecore.db.backup-v${migrations.length + 2}`));
});

for (const [what, harm] of [
  ['is missing', 'DELETE FROM schema_back'],
  ['is not what was written', "UPDATE schema_back SET sql = 'DROP TABLE meta'"],
] as const) {
  test(`a way back that ${what} is not gone, and nothing is changed`, ({ path }) => {
    use(path, later, (db) => {
      put(db, 'meanwhile');
      db.exec(harm);
    });
    assert.throws(
      () => openDatabase(path, 0, silentLogger),
      (error: unknown) => error instanceof EdgeError && error.code === 'STORE_NEWER',
    );
    use(path, later, (db) => assert.equal(keys(db), ['meanwhile']));
  });
}

test('a way back that fails half-way changes nothing', ({ path }) => {
  const blocked: Steps = {
    ...later,
    back: { ...later.back, [next]: 'DROP TABLE meta; DROP TABLE nowhere' },
  };
  use(path, blocked, (db) => put(db, 'meanwhile'));
  assert.throws(() => openDatabase(path, 0, silentLogger), /way back to schema \d+ is blocked/);
  use(path, blocked, (db) => assert.equal(keys(db), ['meanwhile']));
});

test('each released step that an earlier edgecore cannot know has its way back', () => {
  for (let version = 6; version <= migrations.length; version++)
    assert.type(waysBack[version], 'string', `step ${version}`);
});

test.run();

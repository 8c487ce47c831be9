import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DEFAULT_CONFIG, loadConfig } from '../config/config.ts';
import type { Config } from '../config/schema.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import { silentLogger } from '../core/log.ts';
import { openDatabase } from '../store/database.ts';
import { syncDirectory, syncFileNow } from '../store/files.ts';
import { forgetSchema } from '../store/known-schema.ts';
import { readArchive, writeArchive } from './archive.ts';
import { readArgs } from './arguments.ts';
import type { Command } from './cli.ts';
import { runningPid } from './running.ts';

const usage = `edgecore backup: store, configuration and certificates in one file, while edgecore runs

  backup [FILE]     default: backup/edgecore-TIME.tar.gz beside the database

  --config FILE     edgecore's configuration, default ${DEFAULT_CONFIG}

The file holds the node's private key: only its owner can read it. All that was acknowledged before the command began
is in it. \`edgecore restore\` puts it back.
`;

const restoreUsage = `edgecore restore: what \`edgecore backup\` has kept

  restore FILE

  --store-only      leave the configuration and the certificates as they are
  --config FILE     where the configuration goes, default ${DEFAULT_CONFIG}

edgecore must not run meanwhile. What is replaced stays beside it, as NAME.before-restore. What was acknowledged after
the backup is not in it: the cloud and the devices are asked anew, messages for MQTT clients since then are gone.
`;

const where = { config: { type: 'string', default: DEFAULT_CONFIG } } as const;
const FILES = { tlsCaFile: 'ca.crt', tlsCertFile: 'node.crt', tlsPrivateKeyFile: 'node.key' } as const;
const STORE = 'edgecore.db';
const CONFIG = 'edgecore.yaml';
/** A checkpoint that is under way must be over, ms. */
const QUIET = 50;
const ATTEMPTS = 40;

/** `edgecore backup`. @source KubeEdge keadm backup edge */
export const backup: Command = {
  usage,
  async run(args, { print, version }) {
    const { values, positionals } = readArgs(args, ['[FILE]'], where);
    const config = loadConfig(values.config);
    const { dataSource } = config.database;
    const time = new Date().toISOString().replace(/[:.]/g, '-');
    const out = positionals[0] ?? join(dirname(dataSource), 'backup', `edgecore-${time}.tar.gz`);
    await guarded(out, async () => {
      mkdirSync(dirname(out), { recursive: true, mode: 0o700 });
      const draft = mkdtempSync(`${out}.`);
      try {
        await copyStore(dataSource, join(draft, STORE));
        await writeArchive(join(draft, 'archive'), contents(config, values.config, draft, version));
        syncFileNow(join(draft, 'archive'));
        renameSync(join(draft, 'archive'), out);
        syncDirectory(out);
      } finally {
        rmSync(draft, { recursive: true });
      }
    });
    print(`${out}: ${(statSync(out).size / 1e6).toFixed(1)} MB\n`);
    return 0;
  },
};

export const restore: Command = {
  usage: restoreUsage,
  async run(args, { print }) {
    const { values, positionals } = readArgs(args, ['FILE'], {
      ...where,
      'store-only': { type: 'boolean', default: false },
    });
    const [file = ''] = positionals;
    const draft = mkdtempSync(join(dirname(file), '.restore-'));
    await guarded(file, async () => {
      try {
        const names = await readArchive(file, draft);
        if (!names.includes(STORE) || !names.includes(CONFIG)) throw new Error('it is no backup of edgecore');
        const told = values['store-only'] ? values.config : join(draft, CONFIG);
        const config = loadConfig(told);
        checkStopped(config);
        checkStore(join(draft, STORE));
        putStore(join(draft, STORE), config.database.dataSource);
        if (!values['store-only']) putOthers(config, draft, names, values.config);
      } finally {
        rmSync(draft, { recursive: true });
      }
    });
    print('restored; start edgecore now (systemctl start edgecore)\n');
    return 0;
  },
};

async function guarded(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    if (cause instanceof EdgeError) throw cause;
    throw new EdgeError('BACKUP_REFUSED', { detail: `${path}: ${errorText(cause)}`, cause });
  }
}

function* contents(config: Config, path: string, draft: string, version: string) {
  yield { name: 'version', content: Buffer.from(`${version}\n`) };
  yield { name: CONFIG, content: readFileSync(path) };
  yield { name: STORE, content: readFileSync(join(draft, STORE)) };
  for (const [key, name] of Object.entries(FILES)) {
    const from = config.modules.edgeHub[key as keyof typeof FILES];
    if (existsSync(from)) yield { name, content: readFileSync(from) };
  }
}

/** Copies the database and its WAL under a process that writes to them. The WAL only grows, and its last frames count only
 * when they are whole; the database file changes in checkpoints only. So the copies belong together when the file was not
 * written from before the first until after the second, and the copy is what was committed by then. */
async function copyStore(from: string, to: string): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = statSync(from);
    if (Date.now() - before.mtimeMs > QUIET) {
      copyFileSync(from, to);
      rmSync(`${to}-wal`, { force: true });
      if (existsSync(`${from}-wal`)) copyFileSync(`${from}-wal`, `${to}-wal`);
      await pause();
      const after = statSync(from);
      if (after.mtimeMs === before.mtimeMs && after.size === before.size && after.ino === before.ino)
        return checkStore(to);
    }
    await pause();
  }
  throw new Error('the database was written all the time: try again');
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, QUIET));
}

/** Opens it as edgecore does, sums included; what is in the WAL comes into the file.
 * @throws EdgeError STORE_NEWER, BACKUP_REFUSED */
function checkStore(path: string): void {
  const { db, salvage } = openDatabase(path, Date.now(), silentLogger);
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
  rmSync(`${path}-wal`, { force: true });
  if (salvage)
    throw new EdgeError('BACKUP_REFUSED', {
      detail: `the database is damaged: ${salvage.refused + salvage.cut} parts cannot be read`,
    });
}

function checkStopped(config: Config): void {
  const pid = runningPid(config);
  if (pid !== undefined)
    throw new EdgeError('BACKUP_REFUSED', {
      detail: `edgecore runs as process ${pid}: stop it first (systemctl stop edgecore)`,
    });
}

function putStore(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  const draft = `${to}.restored`;
  copyFileSync(from, draft);
  syncFileNow(draft);
  for (const suffix of ['', '-wal'])
    if (existsSync(to + suffix)) renameSync(to + suffix, `${to}.before-restore${suffix}`);
  forgetSchema(to);
  renameSync(draft, to);
  syncDirectory(to);
}

function putOthers(config: Config, draft: string, names: readonly string[], configPath: string): void {
  put(join(draft, CONFIG), configPath);
  for (const [key, name] of Object.entries(FILES))
    if (names.includes(name)) put(join(draft, name), config.modules.edgeHub[key as keyof typeof FILES]);
}

function put(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  if (existsSync(to)) renameSync(to, `${to}.before-restore`);
  writeFileSync(`${to}.new`, readFileSync(from), { mode: 0o600 });
  renameSync(`${to}.new`, to);
  syncDirectory(to);
}

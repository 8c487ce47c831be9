import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { cpioOf } from './cpio.ts';
import { kernelOf } from './root.ts';
import { run } from './run.ts';

/** Programs of busybox that `init` calls. */
const applets = [
  ...[
    'sh',
    'mount',
    'mkdir',
    'modprobe',
    'cat',
    'cut',
    'echo',
    'find',
    'findfs',
    'mv',
    'reboot',
    'sleep',
    'sort',
  ],
  ...['switch_root', 'sync', 'tail', 'tr', 'usleep'],
] as const;

/** Of file systems and whatever all boards have. */
const alwaysDrivers = [
  ...['fs/ext4/ext4', 'fs/fat/vfat', 'fs/nls/nls_cp437', 'fs/nls/nls_ascii'],
  'drivers/watchdog',
] as const;
/** What ext4 asks for by another way than modules.dep; newer kernels have it built in. */
const CHECKSUM = 'crypto/crc32c_generic';

/** What a machine starts with until its root is there: `init`, busybox, e2fsck and the drivers of its disks.
 * @param root where programs and drivers are taken from
 * @param drivers below `kernel/` of the modules, single ones or folders
 * @param work for files in between */
export function initramfsOf(root: string, drivers: readonly string[], work: string): Buffer {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, 'bin'), { recursive: true });
  copyFileSync(join(root, 'usr/bin/busybox'), join(work, 'bin/busybox'));
  copyFileSync(join(root, 'usr/sbin/e2fsck.static'), join(work, 'bin/e2fsck'));
  for (const applet of applets) symlinkSync('busybox', join(work, 'bin', applet));
  copyFileSync('build/image/init', join(work, 'init'));
  chmodSync(join(work, 'init'), 0o755);
  const checksum = existsSync(join(modulesOf(root), `kernel/${CHECKSUM}.ko.xz`)) ? [CHECKSUM] : [];
  const names = copyDrivers(root, [...checksum, ...alwaysDrivers, ...drivers], work);
  writeFileSync(join(work, 'drivers'), `${names.join('\n')}\n`);
  return gzipSync(cpioOf(work), { level: 6 });
}

/** Copies drivers and what they need, unpacked, as busybox's modprobe wants them.
 * @returns the names of those that were asked for one by one; folders are for the machine to choose from */
function copyDrivers(root: string, drivers: readonly string[], work: string): string[] {
  const version = kernelOf(root);
  const from = modulesOf(root);
  const to = join(work, 'lib/modules', version);
  const needs = dependencies(from);
  const wanted = drivers.flatMap((path) => filesOf(from, `kernel/${path}`));
  const all = new Set(wanted.flatMap((path) => [path, ...(needs.get(path) ?? [])]));
  for (const path of all) {
    mkdirSync(join(to, dirname(path)), { recursive: true });
    copyFileSync(join(from, path), join(to, path));
  }
  for (const name of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order'])
    cpSync(join(from, name), join(to, name));
  const packed = [...all].filter((path) => path.endsWith('.xz')).map((path) => join(to, path));
  if (packed.length > 0) run('xz', ['-d', ...packed]);
  run('depmod', ['-b', work, version]);
  return drivers.filter((path) => !existsSync(join(from, 'kernel', path))).map((path) => basename(path));
}

function modulesOf(root: string): string {
  return join(root, 'usr/lib/modules', kernelOf(root));
}

function filesOf(from: string, path: string): string[] {
  const folder = join(from, path);
  if (existsSync(folder))
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.includes('.ko'))
      .map((name) => `${path}/${name}`);
  const file = [`${path}.ko.xz`, `${path}.ko`].find((name) => existsSync(join(from, name)));
  if (!file) throw new Error(`the kernel has no driver ${path}`);
  return [file];
}

/** modules.dep: `a.ko.xz: b.ko.xz c.ko.xz`. */
function dependencies(from: string): Map<string, string[]> {
  const lines = readFileSync(join(from, 'modules.dep'), 'utf8').split('\n');
  return new Map(
    lines.map((line) => {
      const [name = '', rest = ''] = line.split(':');
      return [name, rest.split(' ').filter(Boolean)];
    }),
  );
}

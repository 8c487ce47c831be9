import { spawnSync } from 'node:child_process';

export type RunOptions = { readonly input?: string; readonly env?: NodeJS.ProcessEnv; readonly cwd?: string };

const packageOf: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  mke2fs: 'e2fsprogs',
  mformat: 'mtools',
  mcopy: 'mtools',
  sfdisk: 'fdisk',
  depmod: 'kmod',
  dtc: 'device-tree-compiler',
  xz: 'xz-utils',
};

/** Runs a program to its end.
 * @returns what it printed
 * @throws Error with what it said, or with the Debian package that it is in when it is not there */
export function run(command: string, args: readonly string[], options: RunOptions = {}): string {
  const { status, error, stdout, stderr, signal } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...options.env },
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.cwd ? { cwd: options.cwd } : {}),
  });
  if (error && 'code' in error && error.code === 'ENOENT')
    throw new Error(`${command} is not installed (apt-get install ${packageOf[command] ?? command})`);
  if (error || status !== 0)
    throw new Error(
      `${command} ${args.join(' ')}: ${error?.message ?? (stderr || stdout || `ended with ${signal ?? status}`)}`,
    );
  return stdout;
}

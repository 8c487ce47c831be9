import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NODE_ABI } from '../../build/deb/node-builds.ts';
import { makeUpgradeBundle } from '../../build/upgrade-bundle.ts';
import { newKeys } from '../upgrade/small.ts';

/** Makes versions of edgecore for the board, signed with a key of its own: the same program each time, under another
 * number. */
export class Bundles {
  private readonly dir: string;
  private readonly keys = newKeys();

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Whoever has it in its folder of keys takes these bundles; PEM. */
  get publicKey(): string {
    return this.keys.public;
  }

  /** @returns the archive that `edgecore upgrade` takes */
  async make(version: string): Promise<Buffer> {
    const folder = join(this.dir, version);
    const options = ['--target', 'linux-arm64', '--edgecore', folder, '--version', version];
    await promisify(execFile)(process.execPath, ['--import', 'tsx', 'build/bundle.ts', ...options]);
    // As in the package: the native files of other versions of Node.js than its own are left out.
    for (const name of readdirSync(folder))
      if (/^uws_.*\.node$/.test(name) && !name.endsWith(`_${NODE_ABI}.node`)) rmSync(join(folder, name));
    const out = join(this.dir, `${version}.tar.gz`);
    const key = this.keys.private;
    await makeUpgradeBundle({ folder, out, key, platform: 'linux-arm64', builtAt: Date.now() });
    return readFileSync(out);
  }
}

import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeLauncher } from '../../build/launcher.ts';
import { makeUpgradeBundle } from '../../build/upgrade-bundle.ts';
import type { BundleManifest } from '../../runtime/upgrade/manifest.ts';

export const platform = `${process.platform}-${process.arch}`;

export type Keys = { readonly private: string; readonly public: string };

export function newKeys(): Keys {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    private: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    public: String(publicKey.export({ type: 'spki', format: 'pem' })),
  };
}

/** A gateway with a program that only says what it is: the launcher is the real one. */
export class SmallGateway {
  readonly dir: string;
  readonly base: string;
  readonly slots: string;
  readonly keysFolder: string;
  readonly keys = newKeys();

  /** @param version of the package */
  constructor(dir: string, version: string) {
    this.dir = dir;
    this.base = join(dir, 'base');
    this.slots = join(dir, 'slots');
    this.keysFolder = join(dir, 'keys');
    for (const folder of [this.base, this.keysFolder]) mkdirSync(folder, { recursive: true });
    writeFileSync(join(this.keysFolder, 'vendor.pem'), this.keys.public);
    writeFileSync(join(this.base, 'version'), `${version}\n`);
    writeLauncher(join(this.base, 'edgecore'), { script: 'edgecore.cjs', env: '', flags: '', slots: true });
    program(join(this.base, 'node'), 'base');
  }

  /** @returns the path of a signed bundle */
  async bundle(version: string, options: { key?: string; platform?: string } = {}): Promise<string> {
    const folder = join(this.dir, `build-${version}`);
    mkdirSync(join(folder, 'lib'), { recursive: true });
    writeFileSync(join(folder, 'version'), `${version}\n`);
    program(join(folder, 'edgecore'), version);
    writeFileSync(join(folder, 'lib', 'part.bin'), noise(version));
    const out = join(this.dir, `edgecore-${version}.tar.gz`);
    await makeUpgradeBundle({ folder, out, key: this.keys.private, platform, builtAt: 0, ...options });
    return out;
  }

  /** Starts the launcher. @returns what runs: a version, or `base` */
  start(...args: string[]): string {
    const { stdout, stderr, status } = spawnSync(join(this.base, 'edgecore'), args, {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, EDGECORE_SLOTS: this.slots },
    });
    if (status !== 0) throw new Error(`the launcher ended with ${status}: ${stderr}`);
    return stdout.trim();
  }

  /** @returns what is wrong with a slot's files */
  faultOf(slot: string): string | undefined {
    const folder = join(this.slots, slot);
    const path = join(folder, 'manifest.json');
    if (!existsSync(path)) return `${slot} has no manifest`;
    const { files } = JSON.parse(readFileSync(path, 'utf8')) as BundleManifest;
    return Object.entries(files).find(
      ([name, { sha256 }]) =>
        createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex') !== sha256,
    )?.[0];
  }
}

/** 64 KB that no compression makes smaller. */
function noise(seed: string): Buffer {
  return Buffer.concat(
    Array.from({ length: 2048 }, (_, i) => createHash('sha256').update(`${seed} ${i}`).digest()),
  );
}

function program(path: string, says: string): void {
  writeFileSync(path, `#!/bin/sh\necho ${says}\n`);
  chmodSync(path, 0o755);
}

import { createHash, createPrivateKey } from 'node:crypto';
import { createWriteStream, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import {
  type BundleFile,
  type BundleManifest,
  MANIFEST,
  parseManifest,
  SIGNATURE,
  signManifest,
} from '../runtime/upgrade/manifest.ts';
import { tarEnd, tarHeader, tarPadding } from '../runtime/upgrade/tar.ts';

export type UpgradeBundle = {
  /** What is packed: a folder that the build has made. */
  readonly folder: string;
  /** Where the archive goes. */
  readonly out: string;
  /** PEM of an Ed25519 private key. */
  readonly key: string;
  /** `linux-arm64` */
  readonly platform: string;
  /** ms since epoch. */
  readonly builtAt: number;
};

/** Packs a built edgecore for `edgecore upgrade`, and signs it. The same input makes the same archive. */
export async function makeUpgradeBundle({
  folder,
  out,
  key,
  platform,
  builtAt,
}: UpgradeBundle): Promise<BundleManifest> {
  const paths = [...filesBelow(folder)].sort();
  const manifest = JSON.stringify({
    format: 1,
    name: 'edgecore',
    version: readFileSync(join(folder, 'version'), 'utf8').trim(),
    platform,
    builtAt: new Date(builtAt).toISOString(),
    files: Object.fromEntries(paths.map((path) => [path, describe(join(folder, path))])),
  } satisfies BundleManifest);
  const parsed = parseManifest(manifest);
  if ('wrong' in parsed) throw new Error(`${folder}: ${parsed.wrong}`);
  const signature = signManifest(manifest, createPrivateKey(key));
  const time = Math.floor(builtAt / 1000);
  const pieces = (function* () {
    yield* entry(MANIFEST, Buffer.from(manifest), 0o644, time);
    yield* entry(SIGNATURE, signature, 0o644, time);
    for (const path of paths) {
      const mode = parsed.files[path]?.executable ? 0o755 : 0o644;
      yield* entry(path, readFileSync(join(folder, path)), mode, time);
    }
    yield tarEnd;
  })();
  await pipeline(Readable.from(pieces), createGzip({ level: 9 }), createWriteStream(out));
  return parsed;
}

function* entry(name: string, content: Buffer, mode: number, time: number): Generator<Buffer> {
  yield tarHeader(name, content.length, mode, time);
  yield content;
  yield tarPadding(content.length);
}

function* filesBelow(folder: string, prefix = ''): Generator<string> {
  for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory()) yield* filesBelow(folder, `${path}/`);
    else if (entry.isFile()) yield path;
    else throw new Error(`${path} is neither a file nor a folder`);
  }
}

function describe(path: string): BundleFile {
  const content = readFileSync(path);
  return {
    bytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
    executable: (lstatSync(path).mode & 0o111) !== 0,
  };
}

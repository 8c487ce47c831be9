import { createHash, createPrivateKey } from 'node:crypto';
import {
  closeSync,
  createWriteStream,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
} from 'node:fs';
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
  /** Default: the program alone, its version in the folder's file `version`. */
  readonly system?: { readonly version: string };
};

/** Packs a built edgecore for `edgecore upgrade`, and signs it. The same input makes the same archive. */
export async function makeUpgradeBundle({
  folder,
  out,
  key,
  platform,
  builtAt,
  system,
}: UpgradeBundle): Promise<BundleManifest> {
  const paths = [...filesBelow(folder)].sort();
  const manifest = JSON.stringify({
    format: 1,
    name: system ? 'edgecore-system' : 'edgecore',
    version: system?.version ?? readFileSync(join(folder, 'version'), 'utf8').trim(),
    platform,
    builtAt: new Date(builtAt).toISOString(),
    files: Object.fromEntries(paths.map((path) => [path, describe(join(folder, path))])),
  } satisfies BundleManifest);
  const parsed = parseManifest(manifest);
  if ('wrong' in parsed) throw new Error(`${folder}: ${parsed.wrong}`);
  const signature = signManifest(manifest, createPrivateKey(key));
  const time = Math.floor(builtAt / 1000);
  const pieces = (function* () {
    yield* entry(MANIFEST, [Buffer.from(manifest)], Buffer.byteLength(manifest), 0o644, time);
    yield* entry(SIGNATURE, [signature], signature.length, 0o644, time);
    for (const path of paths) {
      const { executable = false, bytes = 0 } = parsed.files[path] ?? {};
      yield* entry(path, piecesOf(join(folder, path)), bytes, executable ? 0o755 : 0o644, time);
    }
    yield tarEnd;
  })();
  // A system is hundreds of megabytes, which the last hundredth of its size is not worth minutes for.
  await pipeline(Readable.from(pieces), createGzip({ level: system ? 6 : 9 }), createWriteStream(out));
  return parsed;
}

function* entry(
  name: string,
  content: Iterable<Buffer>,
  bytes: number,
  mode: number,
  time: number,
): Generator<Buffer> {
  yield tarHeader(name, bytes, mode, time);
  yield* content;
  yield tarPadding(bytes);
}

function* piecesOf(path: string): Generator<Buffer> {
  const file = openSync(path, 'r');
  try {
    for (;;) {
      const piece = Buffer.allocUnsafe(PIECE);
      const length = readSync(file, piece, 0, PIECE, null);
      if (length === 0) return;
      yield piece.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

const PIECE = 256 * 1024;

function* filesBelow(folder: string, prefix = ''): Generator<string> {
  for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory()) yield* filesBelow(folder, `${path}/`);
    else if (entry.isFile()) yield path;
    else throw new Error(`${path} is neither a file nor a folder`);
  }
}

function describe(path: string): BundleFile {
  const hash = createHash('sha256');
  for (const piece of piecesOf(path)) hash.update(piece);
  const { size, mode } = lstatSync(path);
  return { bytes: size, sha256: hash.digest('hex'), executable: (mode & 0o111) !== 0 };
}

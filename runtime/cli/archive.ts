import { createReadStream, createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { readTar, tarEnd, tarHeader, tarPadding } from '../upgrade/tar.ts';

export type ArchiveFile = { readonly name: string; readonly content: Buffer };

/** Writes a tar archive, zipped, that only its owner may read. */
export async function writeArchive(
  path: string,
  files: Iterable<ArchiveFile> | AsyncIterable<ArchiveFile>,
): Promise<void> {
  const time = Math.floor(Date.now() / 1000);
  const pieces = (async function* () {
    for await (const { name, content } of files) {
      yield tarHeader(name, content.length, 0o600, time);
      yield content;
      yield tarPadding(content.length);
    }
    yield tarEnd;
  })();
  await pipeline(Readable.from(pieces), createGzip(), createWriteStream(path, { mode: 0o600 }));
}

/** Unpacks what {@link writeArchive} has written.
 * @returns the names
 * @throws Error that says what is wrong with it */
export async function readArchive(path: string, into: string): Promise<string[]> {
  const names: string[] = [];
  const unzipped = createReadStream(path);
  const pieces = createGunzip();
  unzipped.once('error', (error) => pieces.destroy(error));
  for await (const { name, content } of readTar(unzipped.pipe(pieces))) {
    if (normalize(name) !== name || name.startsWith('/') || name.startsWith('..'))
      throw new Error(`${name} leads out of it`);
    const parts: Buffer[] = [];
    for await (const piece of content) parts.push(piece);
    mkdirSync(dirname(join(into, name)), { recursive: true, mode: 0o700 });
    writeFileSync(join(into, name), Buffer.concat(parts), { mode: 0o600 });
    names.push(name);
  }
  return names;
}

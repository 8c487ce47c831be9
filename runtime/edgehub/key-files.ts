import { createPrivateKey, X509Certificate } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

export type KeyPair = { readonly cert: string; readonly key: string };

type Paths = { readonly certFile: string; readonly keyFile: string };

/** The files of a certificate and its key.
 *
 * Two files cannot be replaced at once. So the new pair is first written whole to a third, `<certificate>.next`; whoever
 * finds that one carries the replacement through. At no moment does a power cut leave less than one pair that fits. */
export class KeyFiles {
  private readonly paths: Paths;

  constructor(paths: Paths) {
    this.paths = paths;
  }

  /** @returns the pair when it fits together */
  load(): KeyPair | undefined {
    const next = this.next();
    if (next) this.spread(next);
    const { certFile, keyFile } = this.paths;
    if (!existsSync(certFile) || !existsSync(keyFile)) return undefined;
    return fitting({ cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') });
  }

  /** On disk when it returns. */
  store(pair: KeyPair): void {
    writePrivately(this.nextFile, JSON.stringify(pair));
    this.spread(pair);
  }

  private get nextFile(): string {
    return `${this.paths.certFile}.next`;
  }

  private next(): KeyPair | undefined {
    if (!existsSync(this.nextFile)) return undefined;
    try {
      return fitting(JSON.parse(readFileSync(this.nextFile, 'utf8')) as KeyPair);
    } catch {
      return undefined;
    }
  }

  private spread({ cert, key }: KeyPair): void {
    writePrivately(this.paths.keyFile, key);
    writePrivately(this.paths.certFile, cert);
    rmSync(this.nextFile, { force: true });
  }
}

/** Writes a file that only its owner reads, whole or not at all. */
export function writePrivately(path: string, text: string): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What was cut short by a power failure is no pair. */
function fitting(pair: KeyPair): KeyPair | undefined {
  try {
    return new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key)) ? pair : undefined;
  } catch {
    return undefined;
  }
}

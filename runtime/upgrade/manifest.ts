import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { isRecord } from '../core/message.ts';

/** What a bundle says of itself: `manifest.json`, the first file of its archive. `manifest.sig`, the second, is its Ed25519
 * signature, so that nothing of a bundle is believed, or written, before it is known whose it is. */
export type BundleManifest = {
  readonly format: 1;
  /** The program alone, or a whole system of build/image. */
  readonly name: 'edgecore' | 'edgecore-system';
  readonly version: string;
  /** Node.js' names, `linux-arm64`, `linux-arm`, `linux-x64`; of a system its board. */
  readonly platform: string;
  /** ISO 8601. */
  readonly builtAt: string;
  /** By path below the bundle's folder. */
  readonly files: Readonly<Record<string, BundleFile>>;
};

export type BundleFile = {
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
  readonly executable: boolean;
};

export const MANIFEST = 'manifest.json';
export const SIGNATURE = 'manifest.sig';
/** The file system of a system's slot. The other files go beside its kernel. */
export const ROOT = 'root.ext4';
/** What each kind must have. */
const needed: Readonly<Record<BundleManifest['name'], readonly string[]>> = {
  edgecore: ['edgecore'],
  'edgecore-system': [ROOT, 'vmlinuz', 'initrd', 'arguments'],
};
const MOST_FILES = 4096;
/** A path of plain names: nothing that leads out of the folder, nothing hidden. */
const PATH = /^(?:[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*\/)*[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*$/;
const VERSION = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?$/;

/** @returns the manifest, or what is wrong with it */
export function parseManifest(text: string): BundleManifest | { readonly wrong: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { wrong: 'it is no JSON' };
  }
  if (!isRecord(value)) return { wrong: 'it is no object' };
  const { format, name, version, platform, builtAt, files } = value;
  if (format !== 1)
    return { wrong: `format ${format} is not known here: upgrade to a version in between first` };
  if (name !== 'edgecore' && name !== 'edgecore-system')
    return { wrong: `it is of ${name}, not of edgecore` };
  if (typeof version !== 'string' || !isVersion(version)) return { wrong: `version ${version} is none` };
  if (typeof platform !== 'string' || typeof builtAt !== 'string' || !isRecord(files))
    return { wrong: 'platform, builtAt or files is missing' };
  const entries = Object.entries(files);
  if (entries.length > MOST_FILES) return { wrong: `it has more than ${MOST_FILES} files` };
  const bad = entries.find(([path, file]) => !PATH.test(path) || !isBundleFile(file));
  if (bad) return { wrong: `the entry ${bad[0]} is not understood` };
  const missing = needed[name].find((path) => !(path in files));
  if (missing !== undefined) return { wrong: `it has no file ${missing}` };
  return value as BundleManifest;
}

export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

function isBundleFile(file: unknown): file is BundleFile {
  return (
    isRecord(file) &&
    Number.isSafeInteger(file.bytes) &&
    (file.bytes as number) >= 0 &&
    typeof file.sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(file.sha256) &&
    typeof file.executable === 'boolean'
  );
}

export function signManifest(text: string, key: KeyObject): Buffer {
  return Buffer.from(`${sign(undefined, Buffer.from(text), key).toString('base64')}\n`);
}

/** @param signature base64
 * @returns whether one of the keys has signed it */
export function isSigned(text: string, signature: string, keys: readonly KeyObject[]): boolean {
  const bytes = Buffer.from(signature, 'base64');
  return keys.some((key) => verify(undefined, Buffer.from(text), key, bytes));
}

/** @param pem an Ed25519 public key
 * @returns the key, or what is wrong */
export function readPublicKey(pem: string): KeyObject | { readonly wrong: string } {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
    return { wrong: `its key is of type ${key.asymmetricKeyType}, want ed25519` };
  } catch {
    return { wrong: 'it is no public key in PEM' };
  }
}

/** What tells one bundle from another of the same version. @returns hex */
export function digestOf(manifestText: string): string {
  return createHash('sha256').update(manifestText).digest('hex');
}

/** As versions are ordered: 1.10.0 after 1.9.0, 1.0.0-rc.1 before 1.0.0.
 * @returns below 0 when `a` is the earlier one */
export function compareVersions(a: string, b: string): number {
  const [coreA = '', preA = ''] = split(a);
  const [coreB = '', preB = ''] = split(b);
  const order = compareDotted(coreA, coreB);
  if (order !== 0 || preA === preB) return order;
  if (preA === '' || preB === '') return preA === '' ? 1 : -1;
  return compareDotted(preA, preB);
}

function split(version: string): [string, string] {
  const [core = '', ...pre] = version.split('-');
  return [core, pre.join('-')];
}

function compareDotted(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const order = compareParts(left[i], right[i]);
    if (order !== 0) return order;
  }
  return 0;
}

function compareParts(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
  const numbers = /^\d+$/.test(a) && /^\d+$/.test(b);
  if (numbers) return Number(a) - Number(b);
  return a < b ? -1 : 1;
}

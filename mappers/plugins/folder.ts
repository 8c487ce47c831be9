import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { errorCode, errorText } from '../../runtime/core/errors.ts';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from './files.ts';
import { isPluginName, MANIFEST, type Manifest, parseManifest } from './manifest.ts';

/** A file of this name in a plugin's folder switches it off. */
export const DISABLED = 'disabled';
/** Below the plugins' folder: the copies that run. */
const KEPT = '.kept';
const KEPT_MAIN = 'main.mjs';
const LARGEST_MANIFEST = 64 * 1024;
const LARGEST_MAIN = 4 * 1024 * 1024;
const MOST_PLUGINS = 64;
const MOST_FILES = 256;

/** A plugin that can be tried: its manifest, its code. */
export type Candidate = {
  readonly manifest: Manifest;
  readonly code: Buffer;
  /** Differs when either does. */
  readonly digest: string;
};

/** A plugin's copy that a worker loads: what is running does not change under it. */
export type Kept = { readonly manifest: Manifest; readonly digest: string; readonly main: string };

/** The folder that plugins are dropped into. It is the truth: command line and edgecore meet only here. */
export class PluginFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** What lies there: by name a text that changes when any of its files does. */
  async scan(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    for (const name of (await namesIn(this.path)).filter(isPluginName).sort().slice(0, MOST_PLUGINS)) {
      const print = await fingerprint(join(this.path, name));
      if (print !== undefined) found.set(name, print);
    }
    return found;
  }

  async isDisabled(name: string): Promise<boolean> {
    return (await sizeOf(join(this.path, name, DISABLED))) !== undefined;
  }

  /** Reads and checks a plugin. @returns it, or why it cannot be tried */
  async read(name: string): Promise<Candidate | { readonly refused: string }> {
    return readCandidate(join(this.path, name), name);
  }

  /** Copies a candidate to where a worker may load it. */
  async keep({ manifest, code, digest }: Candidate): Promise<Kept> {
    const folder = join(this.path, KEPT, `${manifest.name}@${digest}`);
    const main = join(folder, KEPT_MAIN);
    const kept = { manifest, digest, main };
    if ((await sizeOf(main)) !== undefined) return kept;
    const draft = `${folder}.new`;
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { recursive: true });
    await writeFile(join(draft, KEPT_MAIN), code);
    await writeFile(join(draft, MANIFEST), JSON.stringify(manifest));
    await rename(draft, folder);
    return kept;
  }

  /** The copy that ran before, when it is not `digest` and still can be tried. */
  async keptBefore(name: string, digest?: string): Promise<Kept | undefined> {
    for (const entry of await this.copiesOf(name)) {
      if (entry === `${name}@${digest}` || entry.endsWith('.new')) continue;
      const folder = join(this.path, KEPT, entry);
      const candidate = await readCandidate(folder, name, KEPT_MAIN);
      if (!('refused' in candidate))
        return {
          manifest: candidate.manifest,
          digest: entry.slice(name.length + 1),
          main: join(folder, KEPT_MAIN),
        };
    }
    return undefined;
  }

  /** Removes a plugin's copies, except for one. */
  async forgetKept(name: string, except?: string): Promise<void> {
    for (const entry of await this.copiesOf(name)) {
      if (entry !== `${name}@${except}`)
        await rm(join(this.path, KEPT, entry), { recursive: true, force: true });
    }
  }

  /** Removes the copies of plugins that are gone: one that comes by such a name later has nothing to do with them. */
  async sweep(there: ReadonlyMap<string, unknown>): Promise<void> {
    for (const entry of await namesIn(join(this.path, KEPT)))
      if (!there.has(entry.split('@', 1)[0] ?? ''))
        await rm(join(this.path, KEPT, entry), { recursive: true, force: true });
  }

  private async copiesOf(name: string): Promise<string[]> {
    return (await namesIn(join(this.path, KEPT))).filter((entry) => entry.startsWith(`${name}@`));
  }
}

/** Reads a plugin from any folder. @param name what it has to be called */
export async function readCandidate(
  folder: string,
  name?: string,
  main?: string,
): Promise<Candidate | { readonly refused: string }> {
  try {
    const text = await readLimited(join(folder, MANIFEST), LARGEST_MANIFEST);
    if (typeof text === 'string') return { refused: `${MANIFEST}: ${text}` };
    const manifest = parseManifest(text.toString());
    if ('refused' in manifest) return manifest;
    if (name !== undefined && manifest.name !== name)
      return {
        refused: `${MANIFEST}: name = "${manifest.name}": the folder is called ${name}; name both alike`,
      };
    const code = await readLimited(join(folder, main ?? manifest.main), LARGEST_MAIN);
    if (typeof code === 'string') return { refused: `${manifest.main}: ${code}` };
    return { manifest, code, digest: digestOf(manifest, code) };
  } catch (error) {
    return { refused: errorText(error) };
  }
}

function digestOf(manifest: Manifest, code: Buffer): string {
  return createHash('sha256').update(JSON.stringify(manifest)).update(code).digest('hex').slice(0, 16);
}

/** @returns the content, or what is wrong */
async function readLimited(path: string, most: number): Promise<Buffer | string> {
  const size = await sizeOf(path);
  if (size === undefined) return 'is missing';
  if (size > most) return `has ${size} bytes: ${most} at most`;
  return readFile(path);
}

/** Of a regular file; undefined when there is none. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

async function fingerprint(folder: string): Promise<string | undefined> {
  try {
    if (!(await stat(folder)).isDirectory()) return undefined;
    const parts: string[] = [];
    for (const file of (await namesIn(folder)).sort().slice(0, MOST_FILES)) {
      const { size, mtimeMs, ino } = await stat(join(folder, file));
      parts.push(`${file} ${size} ${mtimeMs} ${ino}`);
    }
    return parts.join('\n');
  } catch {
    return undefined; // It goes away while it is looked at: the next look finds what is left.
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return [];
    throw error;
  }
}

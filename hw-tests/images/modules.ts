import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What kernel modules a place has, and what devices they are for. */
export class Modules {
  private readonly files: ReadonlySet<string>;
  private readonly dep: string;
  private readonly builtin: ReadonlySet<string>;
  private readonly aliases: readonly RegExp[];

  /** @param texts `modules.dep`, `modules.alias` and `modules.builtin`
   * @param paths of all modules that are there, as in modules.dep */
  constructor(
    texts: { readonly dep: string; readonly alias: string; readonly builtin: string },
    paths: readonly string[],
  ) {
    this.dep = texts.dep;
    this.files = new Set(paths);
    const loadable = [...texts.alias.matchAll(/^alias (\S+) /gm)].map((match) => match[1] ?? '');
    this.builtin = new Set(texts.builtin.split('\n').map(nameOf));
    this.aliases = loadable.filter((alias) => alias.startsWith('of:')).map(patternOf);
  }

  /** Modules that another one needs and that are not there. */
  missing(): string[] {
    const wanted = this.dep.split('\n').flatMap((line) => line.replace(':', '').split(' ').filter(Boolean));
    return [...new Set(wanted)].filter((path) => !this.files.has(path));
  }

  /** Whether one of them drives what calls itself so in a device tree. */
  drives(compatible: string): boolean {
    return this.aliases.some((alias) => alias.test(`of:NnameT(null)C${compatible}`));
  }

  has(name: string): boolean {
    return [...this.files].some((path) => nameOf(path) === name);
  }

  /** Whether the kernel has it without a module. */
  isBuiltin(name: string): boolean {
    return this.builtin.has(name);
  }

  /** @param folder `lib/modules` of a root */
  static ofRoot(folder: string): Modules {
    const [version = ''] = readdirSync(folder);
    const text = (name: string): string => readFileSync(join(folder, version, name), 'utf8');
    const paths = readdirSync(join(folder, version), { recursive: true, encoding: 'utf8' });
    return new Modules(
      { dep: text('modules.dep'), alias: text('modules.alias'), builtin: text('modules.builtin') },
      paths.filter((name) => name.includes('.ko')),
    );
  }

  static ofInitramfs(files: ReadonlyMap<string, Buffer>): Modules {
    const folder = [...files.keys()].find((name) => /^lib\/modules\/[^/]+$/.test(name)) ?? '';
    const text = (name: string): string => files.get(join(folder, name))?.toString('utf8') ?? '';
    const paths = [...files.keys()].filter((name) => name.endsWith('.ko'));
    return new Modules(
      { dep: text('modules.dep'), alias: text('modules.alias'), builtin: text('modules.builtin') },
      paths.map((path) => path.slice(folder.length + 1)),
    );
  }
}

function nameOf(path: string): string {
  return path.split('/').at(-1)?.split('.')[0] ?? '';
}

/** `of:N*T*Cbrcm,bcm2835-sdhost*` as a regular expression. */
function patternOf(alias: string): RegExp {
  const escaped = alias.replace(/[.+^${}()|\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace(/\*/g, '.*').replace(/\?/g, '.')}$`);
}

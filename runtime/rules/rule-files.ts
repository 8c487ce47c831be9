import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ParsedNode, parseAllDocuments } from 'yaml';
import { appearance, POLL, SETTLE } from '../broker/auth/watched-file.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { type ConfigFault, faultLine } from '../core/config-faults.ts';
import { errorText } from '../core/errors.ts';
import { isRecord } from '../core/message.ts';
import { nameOf, parseRule } from './parse-rule.ts';
import type { Rule } from './rule.ts';

/** What the files say now. */
export type FileRules = {
  readonly rules: readonly Rule[];
  /** Of files that are not followed, by their path: each line is `FILE:LINE: rule NAME: FIELD: what is wrong`. */
  readonly refused: ReadonlyMap<string, readonly string[]>;
};

export type RuleFilesDeps = {
  /** A file, or a folder of files whose names end with `.yaml` or `.yml`. */
  readonly path: string;
  readonly node: string;
  readonly clock: Clock;
};

const MOST_FILES = 100;
const LARGEST_FILE = 1024 * 1024;
const LONGEST_REFUSAL = 20;

/** Rules of this node in files. A file with a fault is not followed, and what it said before goes on. */
export class RuleFiles {
  private readonly deps: RuleFilesDeps;
  /** What each file said when it was sound last. */
  private readonly sound = new Map<string, readonly Rule[]>();
  private known = '';
  private poll: Timer | undefined;
  private settling: Timer | undefined;
  private watcher: FSWatcher | undefined;

  constructor(deps: RuleFilesDeps) {
    this.deps = deps;
  }

  /** Reads all files. */
  read(): FileRules {
    this.known = this.appearance(); // before reading: what is written meanwhile is noticed as a change
    const refused = new Map<string, readonly string[]>();
    const paths = this.paths(refused);
    for (const path of this.sound.keys()) if (!paths.includes(path)) this.sound.delete(path);
    const owners = new Map<string, string>();
    for (const path of paths) {
      const read = readRules(path, this.deps.node, owners);
      if ('rules' in read) this.sound.set(path, read.rules);
      else refused.set(path, read.lines.slice(0, LONGEST_REFUSAL));
      for (const { id } of this.sound.get(path) ?? []) owners.set(id, path);
    }
    return { rules: [...this.sound.values()].flat(), refused };
  }

  /** Calls back when a file was changed, came or went, until `stop`. */
  start(changed: () => void): void {
    const look = (): void => {
      const now = this.appearance();
      if (!this.settling && now !== this.known) this.settle(now, changed);
    };
    this.poll = this.deps.clock.every(POLL, look);
    try {
      const folder = isFolder(this.deps.path) ? this.deps.path : dirname(this.deps.path);
      this.watcher = watch(folder, { persistent: false }, look);
      this.watcher.on('error', () => this.watcher?.close());
    } catch {
      // Not there yet, or no watches left: it is polled.
    }
  }

  stop(): void {
    this.poll?.cancel();
    this.settling?.cancel();
    this.watcher?.close();
  }

  /** What looks the same twice is written to its end. */
  private settle(before: string, changed: () => void): void {
    this.settling = this.deps.clock.after(SETTLE, () => {
      this.settling = undefined;
      const now = this.appearance();
      if (now === this.known) return;
      if (now !== before) return this.settle(now, changed);
      changed();
    });
  }

  private appearance(): string {
    return [this.deps.path, ...this.paths()].map((path) => `${path} ${appearance(path)}`).join('\n');
  }

  private paths(refused?: Map<string, readonly string[]>): string[] {
    const { path } = this.deps;
    if (!isFolder(path)) return [path];
    try {
      const files = readdirSync(path).filter((name) => /^[^.].*\.ya?ml$/.test(name));
      if (files.length > MOST_FILES)
        refused?.set(path, [`${path}: ${files.length} files: the first ${MOST_FILES} by name are read`]);
      return files
        .sort()
        .slice(0, MOST_FILES)
        .map((name) => join(path, name));
    } catch (error) {
      refused?.set(path, [`${path}: ${errorText(error)}`]);
      return [];
    }
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // what is wrong is told by whoever reads it
  }
}

type Read = { readonly rules: readonly Rule[] } | { readonly lines: readonly string[] };

/** @param owners which file has a rule already, by its id */
function readRules(path: string, node: string, owners: ReadonlyMap<string, string>): Read {
  let text: string;
  try {
    if (statSync(path).size > LARGEST_FILE) return { lines: [`${path}: more than 1 MiB`] };
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { lines: [errorText(error)] };
  }
  const documents = parseAllDocuments(text, { uniqueKeys: true });
  const rules = new Map<string, Rule>();
  const lines: string[] = [];
  for (const document of documents as Iterable<YamlDocument>) {
    const lineOf = (path: string): number => lineAt(document, path, text);
    for (const error of document.errors)
      lines.push(`${path}:${error.linePos?.[0].line ?? 1}: ${error.message.split('\n', 1)[0]}`);
    if (document.errors.length > 0 || document.contents === null) continue;
    const raw = objectOf(document);
    if ('fault' in raw) {
      lines.push(`${path}:${lineOf('')}: ${raw.fault}`);
      continue;
    }
    if (raw.value === null) continue; // nothing stands between two lines of dashes
    const rule = parseRule(raw.value);
    const faults = 'faults' in rule ? rule.faults : placeFaults(rule, raw.value, node, rules, owners);
    const name = nameOf(raw.value);
    for (const fault of faults)
      lines.push(`${path}:${lineOf(fault.path)}: rule ${name}: ${faultLine(fault)}`);
    if (!('faults' in rule)) rules.set(rule.id, rule);
  }
  return lines.length > 0 ? { lines } : { rules: [...rules.values()] };
}

/** A file speaks to the node that it lies on, and a rule stands in one file. */
function placeFaults(
  { id }: Rule,
  raw: unknown,
  node: string,
  rules: ReadonlyMap<string, Rule>,
  owners: ReadonlyMap<string, string>,
): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const spec = isRecord(raw) && isRecord(raw.spec) ? raw.spec : {};
  if (spec.nodeName !== undefined && spec.nodeName !== node)
    faults.push({
      path: 'spec.nodeName',
      value: JSON.stringify(spec.nodeName),
      wrong: `want ${node}, or leave it out`,
    });
  if (spec.nodeSelector !== undefined)
    faults.push({
      path: 'spec.nodeSelector',
      wrong: 'want none in a file: it is for the node that it lies on',
    });
  const owner = rules.has(id) ? 'this file' : owners.get(id);
  if (owner)
    faults.push({ path: 'metadata.name', wrong: `want another name: ${id} stands in ${owner}, too` });
  return faults;
}

type YamlDocument = {
  readonly errors: readonly {
    readonly message: string;
    readonly linePos?: [{ line: number }, ...unknown[]];
  }[];
  readonly contents: ParsedNode | null;
  getIn(path: Iterable<unknown>, keepScalar: true): unknown;
  toJS(): unknown;
};

function objectOf(document: YamlDocument): { readonly value: unknown } | { readonly fault: string } {
  try {
    return { value: document.toJS() };
  } catch (error) {
    // Aliases without end.
    return { fault: errorText(error) };
  }
}

/** The line of a field, or of what should hold it. */
function lineAt(document: YamlDocument, path: string, text: string): number {
  const keys = path.split('.').map((key) => (/^\d+$/.test(key) ? Number(key) : key));
  for (let length = keys.length; length >= 0; length--) {
    const node = length === 0 ? document.contents : document.getIn(keys.slice(0, length), true);
    const range = isRecord(node) && Array.isArray(node.range) ? node.range : undefined;
    if (typeof range?.[0] === 'number') return text.slice(0, range[0]).split('\n').length;
  }
  return 1;
}

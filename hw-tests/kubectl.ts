import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { requireProgram } from './real-parts.ts';

/** Collecting garbage is a third of what a short run of a Go program costs. */
const shortLived = { ...process.env, GOGC: 'off' };

/** Real kubectl against one cluster and namespace. */
export class Kubectl {
  readonly program: string;
  private readonly kubeconfig: string;
  private readonly namespace: string;

  constructor(options: { program: string; kubeconfig: string; namespace: string }) {
    this.program = options.program;
    this.kubeconfig = options.kubeconfig;
    this.namespace = options.namespace;
  }

  /** @returns what it printed
   * @throws Error with what it said when it fails */
  async run(args: readonly string[], input?: string): Promise<string> {
    const { status, stdout, stderr } = await this.try(args, input);
    if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr || stdout}`);
    return stdout;
  }

  /** The same for what may fail. */
  try(args: readonly string[], input?: string): Promise<{ status: number; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
      const child = execFile(
        this.program,
        [...this.common, ...args],
        { timeout: 60_000, maxBuffer: 16 * 1024 * 1024, env: shortLived },
        (error, stdout, stderr) =>
          resolve({ status: error ? Number(error.code ?? 1) || 1 : 0, stdout, stderr }),
      );
      child.stdin?.end(input);
    });
  }

  /** @returns what it printed */
  create(object: unknown, ...args: readonly string[]): Promise<string> {
    return this.run(['create', '-f', '-', ...args], JSON.stringify(object));
  }

  /** What it says when it refuses.
   * @throws Error when it does not */
  async refusal(args: readonly string[], input?: unknown): Promise<string> {
    const given = input === undefined ? undefined : JSON.stringify(input);
    const { status, stdout, stderr } = await this.try(args, given);
    if (status === 0) throw new Error(`kubectl ${args.join(' ')} was to fail, and says ${stdout}`);
    return stderr || stdout;
  }

  apply(...objects: readonly unknown[]): Promise<string> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    return this.run(['apply', '-f', '-'], JSON.stringify(list));
  }

  /** The value of a jsonpath, empty while there is none. */
  async value(what: readonly string[], path: string): Promise<string> {
    const { status, stdout } = await this.try(['get', ...what, '-o', `jsonpath=${path}`]);
    return status === 0 ? stdout : '';
  }

  /** Starts a command that goes on, such as `get -w`, and gives its lines. */
  follow(args: readonly string[], line: (text: string) => void): ChildProcess {
    const child = spawn(this.program, [...this.common, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
    createInterface({ input: child.stdout }).on('line', line);
    return child;
  }

  private get common(): string[] {
    // What a cluster serves is remembered beside its kubeconfig, and forgotten with it.
    const cache = join(dirname(this.kubeconfig), 'cache');
    return ['--kubeconfig', this.kubeconfig, '--namespace', this.namespace, '--cache-dir', cache];
  }
}

/** The kubectl programs of this machine: the first of the path, and those of other versions that lie where Google's
 * SDK puts them. */
export function kubectlPrograms(): string[] {
  const found = requireProgram('kubectl', 'kubernetes-client');
  const folder = '/usr/lib/google-cloud-sdk/bin';
  const versions = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => /^kubectl\.1\.\d+$/.test(name))
        .map((name) => join(folder, name))
    : [];
  return found ? [found, ...versions] : [];
}

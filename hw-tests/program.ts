import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

export type ProgramOptions = {
  /** What people call it. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Where what it prints is kept. */
  readonly log: string;
  /** Whether a line that it prints says that it serves. */
  readonly isReady: (line: string) => boolean;
  readonly env?: NodeJS.ProcessEnv;
};

const READY_LIMIT = 30_000;
const STOP_LIMIT = 20_000;
const LAST_LINES = 8;

/** A program that runs beside this one: started, waited for, stopped. */
export class Program {
  readonly name: string;
  /** Resolves when it has ended. */
  readonly ended: Promise<string>;
  private readonly child: ChildProcess;
  private readonly options: ProgramOptions;
  private readonly readyLine: Promise<string>;

  constructor(options: ProgramOptions) {
    this.options = options;
    this.name = options.name;
    mkdirSync(dirname(options.log), { recursive: true });
    // A process group of its own: Ctrl-C in the terminal reaches only the one that stops them in order.
    this.child = spawn(options.command, options.args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    this.ended = new Promise((resolve) => {
      this.child.once('error', (error) => resolve(error.message));
      this.child.once('close', (code, signal) => resolve(signal ?? `status ${code}`));
    });
    this.readyLine = new Promise((resolve) => this.follow(resolve));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined;
  }

  /** @returns the line that said so
   * @throws Error with what it printed last, when it ends or is not ready in time */
  async ready(): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(this.failure(`is not ready after ${READY_LIMIT / 1000} s`)),
        READY_LIMIT,
      );
    });
    const gone = this.ended.then((how) => Promise.reject(this.failure(`ended with ${how}`)));
    try {
      return await Promise.race([this.readyLine, gone, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks it to stop, and makes it when it does not. */
  async stop(): Promise<void> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), STOP_LIMIT);
    await this.ended;
    clearTimeout(timer);
  }

  /** Pulls the plug. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.child.kill(signal);
  }

  private follow(ready: (line: string) => void): void {
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        appendFileSync(this.options.log, `${line}\n`);
        if (this.options.isReady(line)) ready(line);
      });
    }
  }

  private failure(what: string): Error {
    let lines: string[] = [];
    try {
      lines = readFileSync(this.options.log, 'utf8').trimEnd().split('\n').slice(-LAST_LINES);
    } catch {
      // It printed nothing.
    }
    return new Error(`${this.name} ${what}; ${this.options.log} ends with\n  ${lines.join('\n  ')}`);
  }
}

/** Resolves when `check` gives something; it is asked again every 25 ms.
 * @throws Error after `limit` ms, naming what was waited for and the last refusal */
export async function until<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  limit = 30_000,
): Promise<T> {
  const end = performance.now() + limit;
  let refusal = '';
  for (;;) {
    try {
      const found = await check();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      refusal = String(error);
    }
    if (performance.now() > end) throw new Error(`not within ${limit / 1000} s: ${what} ${refusal}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

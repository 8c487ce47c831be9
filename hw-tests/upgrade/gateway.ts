import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SlotState } from '../../runtime/upgrade/slots.ts';
import { Program } from '../program.ts';
import { newKeys } from './small.ts';
import { builtVersion, type Change, copyProgram, signedVersion } from './version.ts';

export type Ran = { readonly code: number | null; readonly out: string };

/** A gateway as its package leaves it, with something that starts edgecore anew whenever it ends, as systemd does. */
export class Gateway {
  readonly dir: string;
  /** Starts of edgecore so far. */
  starts = 0;
  private readonly consolePort: number;
  private readonly keys = newKeys();
  private program: Program | undefined;
  private isWanted = false;
  private watching: Promise<void> = Promise.resolve();

  /** @param dir with an edgecore.yaml of a node that has joined, and does not run
   * @param consolePort of that configuration */
  constructor(dir: string, consolePort: number) {
    this.dir = dir;
    this.consolePort = consolePort;
    mkdirSync(this.keysFolder);
    writeFileSync(join(this.keysFolder, 'vendor.pem'), this.keys.public);
    copyProgram(join(dir, 'base'));
  }

  get keysFolder(): string {
    return join(this.dir, 'keys');
  }

  get slots(): string {
    return join(this.dir, 'slots');
  }

  get pid(): number {
    return this.program?.pid ?? 0;
  }

  /** @param key another one than the vendor's
   * @returns the path of a bundle */
  bundle(version: string, change?: Change, key = this.keys.private): Promise<string> {
    return signedVersion({ dir: this.dir, version, change, key });
  }

  /** Of the package. */
  get version(): string {
    return builtVersion();
  }

  /** Runs edgecore from now on, whatever comes. */
  run(): void {
    this.isWanted = true;
    this.watching = this.watch();
  }

  async stop(): Promise<void> {
    this.isWanted = false;
    await this.program?.stop();
    await this.watching;
  }

  /** `edgecore ARGS`. @param started is told of the process */
  command(args: readonly string[], started: (kill: () => void) => void = () => {}): Promise<Ran> {
    const child = spawn(join(this.dir, 'base', 'edgecore'), args, {
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    started(() => child.kill('SIGKILL'));
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (out += piece));
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, out })));
  }

  upgrade(bundle: string, ...more: string[]): Promise<Ran> {
    const config = ['--keys', this.keysFolder, '--config', this.config];
    return this.command(['upgrade', bundle, ...config, ...more]);
  }

  async state(): Promise<SlotState & { version: string }> {
    const { out } = await this.command(['upgrade', '--status', '--output', 'json']);
    return JSON.parse(out);
  }

  /** The version that runs, as its console says. */
  async running(): Promise<string | undefined> {
    const response = await fetch(`http://127.0.0.1:${this.consolePort}/api/state`);
    const { version, link } = (await response.json()) as { version: string; link: { state: string } };
    return link.state === 'online' ? version : undefined;
  }

  get config(): string {
    return join(this.dir, 'edgecore.yaml');
  }

  private get env(): NodeJS.ProcessEnv {
    return { ...process.env, EDGECORE_SLOTS: this.slots };
  }

  private async watch(): Promise<void> {
    while (this.isWanted) {
      this.starts++;
      this.program = new Program({
        name: 'edgecore',
        command: join(this.dir, 'base', 'edgecore'),
        args: ['--config', this.config],
        log: join(this.dir, 'log', 'supervised.log'),
        isReady: () => false,
        env: this.env,
      });
      await this.program.ended;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Program } from '../program.ts';

/** The foreign Modbus party of foreign.c, compiled for this run. */
export class Foreign {
  private readonly dir = mkdtempSync(join(tmpdir(), 'edgecore-foreign-'));
  private readonly program = join(this.dir, 'foreign');
  private readonly running: Program[] = [];

  constructor() {
    const source = fileURLToPath(new URL('foreign.c', import.meta.url));
    const flags = ['-Wall', '-Werror', '-I/usr/include/modbus', source, '-lmodbus'];
    execFileSync('gcc', ['-o', this.program, ...flags], { stdio: 'inherit' });
  }

  /** Starts a slave. @param args `tcp PORT` or `rtu DEVICE BAUD UNIT` */
  async serve(...args: readonly string[]): Promise<Program> {
    const slave = new Program({
      name: 'libmodbus slave',
      command: this.program,
      args: ['serve', ...args],
      log: join(this.dir, 'foreign.log'),
      isReady: (line) => line === 'ready',
    });
    this.running.push(slave);
    await slave.ready();
    return slave;
  }

  /** A master uses every function at a server, one line each. */
  ask(port: number): Program {
    return new Program({
      name: 'libmodbus master',
      command: this.program,
      args: ['ask', 'tcp', String(port)],
      log: join(this.dir, 'ask.log'),
      isReady: () => false,
    });
  }

  /** What the master printed. */
  get askLog(): string {
    return join(this.dir, 'ask.log');
  }

  async remove(): Promise<void> {
    for (const slave of this.running) await slave.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { until } from '../program.ts';

/** A datagram socket as systemd has one, held by a program in C: Node.js has none. */
export class NotifySocket {
  readonly path: string;
  private readonly program: ChildProcess;
  private text = '';

  private constructor(path: string) {
    this.path = path;
    const program = `${path}-program`;
    const { status, stderr } = spawnSync('gcc', ['-o', program, 'hw-tests/systemd/datagrams.c'], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`datagrams.c does not compile: ${stderr}`);
    this.program = spawn(program, [path], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.program.stdout?.on('data', (chunk: Buffer) => {
      this.text += chunk;
    });
  }

  static async open(path: string): Promise<NotifySocket> {
    const socket = new NotifySocket(path);
    await until('it listens', () => existsSync(path));
    return socket;
  }

  /** Everything that came, a state each. systemd-notify sends a barrier after each word, to learn that it was read. */
  get states(): string[] {
    return this.text
      .replaceAll('BARRIER=1', '\n')
      .split('\n')
      .filter((state) => state !== '');
  }

  count(state: string): number {
    return this.states.filter((one) => one === state).length;
  }

  async close(): Promise<void> {
    this.program.kill();
    await once(this.program, 'exit');
  }
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Program } from '../program.ts';
import { freePorts } from '../stack.ts';

/** mosquitto as the broker of a site; it keeps its port from one start to the next, and what it says is kept. */
export class ExternalBroker {
  readonly port: number;
  readonly log: string;
  private readonly config: string;
  private readonly lines: readonly string[];
  private program: Program | undefined;

  private constructor(dir: string, port: number, lines: readonly string[]) {
    this.port = port;
    this.log = join(dir, 'mosquitto.log');
    this.config = join(dir, 'mosquitto.conf');
    this.lines = lines;
    mkdirSync(dir, { recursive: true });
  }

  /** @param lines more of mosquitto.conf */
  static async make(
    dir: string,
    lines: readonly string[] = ['allow_anonymous true'],
  ): Promise<ExternalBroker> {
    const { mqtt } = await freePorts();
    return new ExternalBroker(dir, mqtt, lines);
  }

  async start(): Promise<void> {
    const own = [
      `listener ${this.port} 127.0.0.1`,
      'user root', // else it gives up root before it reads the files
      'log_type all',
      'max_queued_messages 0',
    ];
    writeFileSync(this.config, `${[...own, ...this.lines].join('\n')}\n`);
    this.program = new Program({
      name: 'mosquitto',
      command: 'mosquitto',
      args: ['-c', this.config],
      log: this.log,
      isReady: (line) => line.includes('running'),
    });
    await this.program.ready();
  }

  async stop(): Promise<void> {
    await this.program?.stop();
  }

  /** Pulls the plug. */
  async kill(): Promise<void> {
    await this.program?.kill();
  }
}

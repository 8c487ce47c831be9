import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program } from '../program.ts';

/** A serial line on this machine: two pseudo terminals that socat joins, one for the master and one for the slaves. */
export class Line {
  readonly master: string;
  readonly slaves: string;
  private readonly dir = mkdtempSync(join(tmpdir(), 'edgecore-line-'));
  private socat: Program | undefined;

  constructor() {
    this.master = join(this.dir, 'master');
    this.slaves = join(this.dir, 'slaves');
  }

  /** Lays the line, or lays it again. */
  async connect(): Promise<void> {
    const end = (link: string): string => `pty,raw,echo=0,link=${link}`;
    this.socat = new Program({
      name: 'socat',
      command: 'socat',
      args: ['-d', '-d', end(this.master), end(this.slaves)],
      log: join(this.dir, 'socat.log'),
      isReady: (line) => line.includes('starting data transfer loop'),
    });
    await this.socat.ready();
  }

  /** Pulls the plug: both ends are gone at once. */
  async cut(): Promise<void> {
    await this.socat?.kill();
  }

  async remove(): Promise<void> {
    await this.cut();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

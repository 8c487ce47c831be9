import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../program.ts';

/** edgecore in a root that is not booted, with processes and a network of its own. */
export class Inside {
  private child: ChildProcess | undefined;
  private output = '';

  /** Starts edgecore by a line of shell that becomes it.
   * @throws Error with what it says, when it has not started in time */
  async start(root: string, line = 'exec edgecore'): Promise<void> {
    const script = join(root, 'start.sh');
    writeFileSync(
      script,
      `ip link set lo up
mount -t proc proc ${root}/proc
exec chroot ${root} /bin/sh -c '${line}'
`,
    );
    this.output = '';
    this.child = spawn('unshare', ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk;
      });
    try {
      await until('edgecore has started', () => this.output.includes('"message":"started"'), 120_000);
    } catch (error) {
      throw new Error(`${error}; it said: ${this.output.slice(-2000)}`);
    }
  }

  /** Has the broker keep a message.
   * @throws Error when it does not acknowledge it */
  publish(topic: string, message: string): void {
    const { status, stderr } = this.run('mosquitto_pub', ['-q', '1', '-r', '-t', topic, '-m', message]);
    if (status !== 0) throw new Error(`mosquitto_pub ended with ${status}: ${stderr}`);
  }

  /** @returns what the broker has kept; empty when it has nothing */
  retained(topic: string): string {
    return this.run('mosquitto_sub', ['-t', topic, '-C', '1', '-W', '20']).stdout.trim();
  }

  /** Pulls the plug. */
  async stop(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  private run(command: string, args: readonly string[]) {
    const target = ['--target', String(this.child?.pid), '--net', '--'];
    return spawnSync('nsenter', [...target, command, '-h', '127.0.0.1', ...args], { encoding: 'utf8' });
  }
}

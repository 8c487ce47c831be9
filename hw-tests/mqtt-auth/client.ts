import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Program, until } from '../program.ts';

/** Who a client says that it is. */
export type Who = {
  readonly id: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
};

const LIMIT = 10_000;

function credentials(port: number, { id, username, password }: Who): string[] {
  return [
    ...['-h', '127.0.0.1', '-p', `${port}`, '-i', id],
    ...(username === undefined ? [] : ['-u', username]),
    ...(password === undefined ? [] : ['-P', password]),
  ];
}

/** Runs mosquitto_pub with QoS 1: it waits for the answer.
 * @returns what it complained of, '' when all went well */
export function publish(
  port: number,
  who: Who,
  topic: string,
  payload: string,
  version: 'mqttv31' | 'mqttv311' | 'mqttv5' = 'mqttv5',
): Promise<string> {
  const args = [...credentials(port, who), '-V', version, '-q', '1', '-t', topic, '-m', payload];
  return new Promise((resolve, reject) => {
    const child = spawn('mosquitto_pub', args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    }
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (signal) reject(new Error(`mosquitto_pub got no answer within ${LIMIT} ms`));
      else resolve(said.trim() || (code === 0 ? '' : `status ${code}`));
    });
  });
}

/** A mosquitto_sub that stays, and what it got. */
export class Subscriber {
  readonly program: Program;
  private readonly log: string;

  constructor(port: number, who: Who, filters: readonly string[], log: string) {
    const wanted = filters.flatMap((filter) => ['-t', filter]);
    this.log = log;
    this.program = new Program({
      name: `mosquitto_sub of ${who.id}`,
      // Line by line, although it writes to a pipe.
      command: 'stdbuf',
      args: [
        '-oL',
        'mosquitto_sub',
        ...credentials(port, who),
        '-V',
        'mqttv5',
        '-q',
        '1',
        '-d',
        '-F',
        'GOT %t=%p',
        ...wanted,
      ],
      log,
      isReady: (line) => line.startsWith('Subscribed'),
    });
  }

  /** `topic=payload` of every message so far. */
  get received(): string[] {
    return this.lines('GOT ');
  }

  /** How often it was let in. */
  get connects(): number {
    return this.lines(`Client `).filter((line) => line.includes('received CONNACK (0)')).length;
  }

  /** Waits for a message: what was sent to it before is here then as well. */
  async got(message: string): Promise<void> {
    await until(`${this.program.name} gets ${message}`, () => this.received.includes(message), LIMIT);
  }

  private lines(start: string): string[] {
    const lines = readFileSync(this.log, 'utf8').split('\n');
    return lines.filter((line) => line.startsWith(start)).map((line) => line.slice(start.length));
  }
}

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { until } from '../program.ts';

export const versions = ['mqttv31', 'mqttv311', 'mqttv5'] as const;
export type Version = (typeof versions)[number];
export type QoS = 0 | 1 | 2;

/** A message as mosquitto_sub prints it. */
export type Received = {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: 0 | 1;
  readonly payload: string;
};

export type Outcome = { readonly status: number; readonly stderr: string; readonly stdout: Buffer };

const LIMIT = 10_000;

/** The clients of the mosquitto project against one broker. */
export class Mosquitto {
  private readonly port: number;
  private readonly more: readonly string[];
  private readonly subscribers: Subscriber[] = [];

  /** @param more arguments of every client: who it is, what it trusts */
  constructor(port: number, more: readonly string[] = []) {
    this.port = port;
    this.more = more;
  }

  /** Publishes and waits until mosquitto_pub ends, which for QoS 1 and 2 is after the broker's last word.
   * @throws Error with what it said when it fails */
  async publish(
    topic: string,
    message: string,
    options: { version?: Version; qos?: QoS; args?: readonly string[] } = {},
  ): Promise<void> {
    const { version = 'mqttv311', qos = 1, args = [] } = options;
    // By standard input, as an argument has at most 128 KiB.
    const all = ['-V', version, '-q', `${qos}`, '-t', topic, message === '' ? '-n' : '-s', ...args];
    const { status, stderr } = await this.run('mosquitto_pub', all, message);
    if (status !== 0) throw new Error(`mosquitto_pub: ${stderr}`);
  }

  /** Publishes one message a payload, over one connection and in order, and waits for the broker's last word. */
  async publishAll(topic: string, payloads: readonly string[], qos: QoS): Promise<void> {
    const args = ['-V', 'mqttv311', '-q', `${qos}`, '-t', topic, '-l'];
    const { status, stderr } = await this.run('mosquitto_pub', args, `${payloads.join('\n')}\n`);
    if (status !== 0) throw new Error(`mosquitto_pub: ${stderr}`);
  }

  /** mosquitto_pub with any arguments, for what may fail. */
  pub(...args: string[]): Promise<Outcome> {
    return this.run('mosquitto_pub', args);
  }

  /** mosquitto_sub that ends by itself, after a number of messages. */
  sub(...args: string[]): Promise<Outcome> {
    return this.run('mosquitto_sub', args);
  }

  /** Starts a mosquitto_sub; it serves when the broker has granted its subscriptions. */
  async subscribe(
    topics: readonly string[],
    options: { version?: Version; qos?: QoS; args?: readonly string[] } = {},
  ): Promise<Subscriber> {
    const { version = 'mqttv311', qos = 2, args = [] } = options;
    const filters = topics.flatMap((topic) => ['-t', topic]);
    const subscriber = new Subscriber([...this.common, '-V', version, '-q', `${qos}`, ...filters, ...args]);
    this.subscribers.push(subscriber);
    await subscriber.granted();
    return subscriber;
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    await Promise.all(this.subscribers.splice(0).map((subscriber) => subscriber.kill()));
  }

  private run(program: string, args: readonly string[], input?: string): Promise<Outcome> {
    return new Promise((resolve) => {
      const child = execFile(
        program,
        [...this.common, ...args],
        { timeout: LIMIT, maxBuffer: 8 * 1024 * 1024, encoding: 'buffer' },
        (error, stdout, stderr) =>
          resolve({ status: error ? Number(error.code ?? 1) || 1 : 0, stdout, stderr: stderr.toString() }),
      );
      if (input !== undefined) child.stdin?.end(input);
    });
  }

  private get common(): string[] {
    return ['-h', '127.0.0.1', '-p', `${this.port}`, ...this.more];
  }
}

/** A mosquitto_sub that goes on. */
export class Subscriber {
  readonly received: Received[] = [];
  private readonly log: string[] = [];
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;

  constructor(args: readonly string[]) {
    // Its log and its messages come line by line, as they happen.
    const command = ['-oL', 'mosquitto_sub', '-d', '-F', '%j', ...args];
    this.child = spawn('stdbuf', command, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.ended = new Promise((resolve) => this.child.once('close', () => resolve()));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.take(line));
    }
  }

  /** Resolves when the broker has granted the subscriptions, or has resumed a session that has them. */
  async granted(): Promise<void> {
    await until('SUBACK', () => this.log.some((line) => line.includes('received SUBACK')), LIMIT);
  }

  /** Resolves with the first message for which `wanted` holds. */
  message(what: string, wanted: (message: Received) => boolean = () => true): Promise<Received> {
    const seen = (): string => JSON.stringify(this.received.slice(-5));
    return until(
      what,
      () => {
        const found = this.received.find(wanted);
        if (!found) throw new Error(`last seen: ${seen()}; log: ${this.log.slice(-3).join(' | ')}`);
        return found;
      },
      LIMIT,
    );
  }

  /** Resolves with the messages when there are so many. */
  messages(count: number): Promise<readonly Received[]> {
    return until(
      `${count} messages, now ${this.received.length}`,
      () => this.received.length >= count && this.received,
      LIMIT,
    );
  }

  /** Resolves when it has said goodbye to the broker and ended, as `-C` lets it do. */
  async left(): Promise<void> {
    await until('it leaves', () => this.child.exitCode === 0, LIMIT);
  }

  /** Ends without a word. SIGTERM would not do: mosquitto_sub says goodbye inside of its signal handler, which now and
   * then waits for ever for a lock that it holds itself. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  private take(line: string): void {
    if (line.startsWith('{')) this.received.push(JSON.parse(line) as Received);
    else this.log.push(line);
  }
}

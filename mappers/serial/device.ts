import type { Clock } from '../../runtime/core/clock.ts';
import type { DriverDevice, Exchange, Value } from '../kit/driver.ts';
import { showLine } from '../kit/serial-port.ts';
import { WireError } from '../kit/wire-error.ts';
import { showBytes } from './bytes.ts';
import type { SerialConfig } from './config.ts';
import { openSerial, type SerialConnection } from './connection.ts';
import { Ear } from './ear.ts';
import { readField } from './fields.ts';
import type { Cut } from './framing.ts';
import type { PointWrite, SerialPoint } from './points.ts';
import { showPort } from './ports.ts';
import type { Question } from './question.ts';
import { type Answer, Session } from './session.ts';
import { render } from './template.ts';

export type SerialDeviceDeps = {
  /** `namespace/name` */
  readonly id: string;
  readonly config: SerialConfig;
  readonly shape: string;
  readonly clock: Clock;
};

type SerialExchange = Exchange<SerialConnection>;

/** A serial instrument: asks its questions, hears what it says, writes by template. */
export class SerialDevice implements DriverDevice<SerialConnection> {
  readonly bus: string;
  readonly busSettings: string;
  readonly shape: string;
  readonly points: readonly SerialPoint[];
  /** Only of a device that speaks unasked. */
  readonly listen?: (connection: SerialConnection, heard: (values: readonly Value[]) => void) => void;
  private readonly deps: SerialDeviceDeps;
  private readonly ear: Ear;
  private readonly questions: number;
  private readonly plans = new WeakMap<readonly SerialPoint[], readonly SerialExchange[]>();
  /** Questions that went unanswered since the last answer. */
  private silent = 0;

  constructor(deps: SerialDeviceDeps) {
    const { config, clock } = deps;
    this.deps = deps;
    this.bus = showPort(config.port);
    this.busSettings = showLine(config.line);
    this.shape = deps.shape;
    this.points = config.points;
    this.questions = byQuestion(config.points).size;
    const heard = config.points.filter((point) => isHeard(point));
    this.ear = new Ear({
      name: this.bus,
      points: heard,
      staleAfter: config.staleAfter,
      clock,
    });
    if (config.listen) this.listen = (connection, tell) => this.hear(connection, tell);
  }

  connect(): Promise<SerialConnection> {
    const { port, line } = this.deps.config;
    return openSerial(port, line, this.deps.clock);
  }

  /** Properties of one question share its answer; those that are heard are looked after in one go. */
  plan(due: readonly SerialPoint[]): readonly SerialExchange[] {
    const known = this.plans.get(due);
    if (known) return known;
    const exchanges = [...byQuestion(due).values()].map(
      ({ question, points }): SerialExchange => ({
        points,
        run: (connection) => this.read(connection, question, points),
      }),
    );
    const heard = due.filter((point) => isHeard(point));
    if (heard.length > 0) exchanges.push({ points: heard, run: () => this.lookAfter(heard) });
    // What is only written opens the port too: a missing one is told before somebody wants to write.
    const silent = due.filter(({ field }) => !field);
    if (silent.length > 0) exchanges.push({ points: silent, run: async () => [] });
    this.plans.set(due, exchanges);
    return exchanges;
  }

  async write(
    connection: SerialConnection,
    { property, write, question }: SerialPoint,
    value: string,
  ): Promise<void> {
    if (!write) throw new WireError('refused', 'it has no template for writing');
    const bytes = render(write.send, this.deps.config.framing.check, value, write.out);
    if ('fault' in bytes) throw new WireError('refused', `${JSON.stringify(value)}: ${bytes.fault}`);
    if (write.answer || write.refused) await this.writeAndHear(connection, bytes, write);
    else await this.writeOnly(connection, bytes);
    if (!question) this.ear.wrote(property, value);
  }

  private hear(connection: SerialConnection, tell: (values: readonly Value[]) => void): void {
    this.ear.opened();
    this.session(connection, tell);
  }

  /** @param tell of a device that speaks unasked: who takes it */
  private session(connection: SerialConnection, tell?: (values: readonly Value[]) => void): Session {
    const { id, clock, config } = this.deps;
    const known = connection.sessions.get(id);
    if (known?.owner === this && !tell) return known.session;
    known?.session.end();
    const heard = tell && { heard: (cuts: readonly Cut[]) => tell(this.ear.hear(cuts)) };
    const session = new Session({ connection, framing: config.framing, clock, ...heard });
    connection.sessions.set(id, { owner: this, session });
    return session;
  }

  private async lookAfter(points: readonly SerialPoint[]): Promise<Value[]> {
    const [first] = points;
    const readBack = points.length === 1 && first ? await this.ear.readBack(first.property) : undefined;
    return readBack ? [readBack] : this.ear.check(points);
  }

  private async read(
    connection: SerialConnection,
    question: Question,
    points: readonly SerialPoint[],
  ): Promise<Value[]> {
    const answer = await this.ask(connection, question);
    if (answer.kind !== 'frame') {
      const fault = this.faultOf(answer, question);
      return points.map(({ property }) => ({ property, fault }));
    }
    return points.flatMap(({ property, field }): Value[] => {
      if (!field) return [];
      const value = readField(answer.bytes, field);
      if (typeof value === 'string') return [{ property, value }];
      const said = `${question.text.trim()} was answered ${showBytes(answer.bytes)}`;
      return [
        {
          property,
          fault: value === undefined ? `${said}, which has no such value` : `${said}: ${value.fault}`,
        },
      ];
    });
  }

  /** Asks until an answer comes whole, as often as is allowed. */
  private async ask(connection: SerialConnection, { send, expect }: Question): Promise<Answer> {
    const { framing, timeout, pause, retries } = this.deps.config;
    const bytes = render(send, framing.check);
    if ('fault' in bytes) throw new WireError('refused', bytes.fault);
    const session = this.session(connection);
    let answer: Answer = { kind: 'silence' };
    for (let attempt = 0; attempt <= retries; attempt++) {
      answer = await session.ask({ bytes, expect, timeout, pause });
      if (answer.kind === 'frame' || answer.kind === 'other') break;
      // One silence may be a damaged question; a device that is away would cost the line a timeout each time.
      if (answer.kind === 'silence' && (this.silent > 0 || attempt > 0)) break;
    }
    this.silent = answer.kind === 'silence' ? this.silent + 1 : 0;
    if (answer.kind === 'frame') this.ear.answered();
    return answer;
  }

  /** @throws WireError `timeout` when none of the questions is answered any more: then the device is away, unless
   * it is still heard */
  private faultOf(answer: Exclude<Answer, { kind: 'frame' }>, { text }: Question): string {
    switch (answer.kind) {
      case 'silence':
        if (this.silent >= this.questions && (!this.listen || this.ear.isSilent))
          throw new WireError('timeout', `${this.bus}: no answer in time`);
        return `${text.trim()} was not answered in time`;
      case 'damaged':
        return `the answer to ${text.trim()} came damaged: ${answer.why}`;
      case 'other':
        return `${text.trim()} was answered ${showBytes(answer.bytes)}`;
      default:
        return answer satisfies never;
    }
  }

  private async writeOnly(connection: SerialConnection, bytes: Buffer): Promise<void> {
    await connection.settle(this.deps.config.pause);
    connection.send(bytes);
  }

  private async writeAndHear(
    connection: SerialConnection,
    bytes: Buffer,
    { answer: yes, refused: no }: PointWrite,
  ): Promise<void> {
    const { timeout, pause, listen } = this.deps.config;
    // Among other frames only what one of the patterns knows is the answer.
    const both = [yes, no].flatMap((pattern) => (pattern ? [`(?:${pattern.source})`] : []));
    const expect = listen ? new RegExp(both.join('|')) : undefined;
    const answer = await this.session(connection).ask({ bytes, expect, timeout, pause });
    if (answer.kind === 'silence')
      throw new WireError('timeout', `${this.bus}: no answer in time to a write`);
    // Whether a damaged answer said yes is told by reading back.
    if (answer.kind === 'damaged') return;
    const text = answer.bytes.toString('latin1');
    if (no?.test(text) || (yes && !yes.test(text)))
      throw new WireError('exception', `it answers ${showBytes(answer.bytes)}`);
  }
}

function isHeard({ question, field }: SerialPoint): boolean {
  return question === undefined && field !== undefined;
}

function byQuestion(
  points: readonly SerialPoint[],
): Map<string, { question: Question; points: SerialPoint[] }> {
  const groups = new Map<string, { question: Question; points: SerialPoint[] }>();
  for (const point of points) {
    const { question } = point;
    if (!question) continue;
    const key = `${question.text}\0${question.expect?.source ?? ''}`;
    const group = groups.get(key) ?? { question, points: [] };
    group.points.push(point);
    groups.set(key, group);
  }
  return groups;
}

import { realpath, stat } from 'node:fs/promises';
import type { SerialPort } from 'serialport';
import type { Clock, Timer } from '../../runtime/core/clock.ts';
import { sleep } from '../../runtime/core/clock.ts';
import { errorText } from '../../runtime/core/errors.ts';
import { type Millis, millis, seconds } from '../../runtime/core/units.ts';
import type { Connection } from '../kit/driver.ts';
import { type LineSettings, openSerialPort } from '../kit/serial-port.ts';
import { WireError } from '../kit/wire-error.ts';
import { findPort, type PortName, showPort } from './ports.ts';
import type { Session } from './session.ts';

/** What a connection needs of an open port. */
export interface Wire {
  /** @param on.lost the port is gone; nothing is told after it */
  listen(on: { data(chunk: Buffer): void; lost(reason: string): void }): void;
  send(bytes: Buffer): void;
  /** Resolves when the device is free. */
  close(): Promise<void>;
}

/** How often an open port is looked for: some adapters vanish without a word. */
const WATCH = seconds(1);
/** The silence after which a late answer is taken to be over. */
const LATE_GAP = millis(50);

/** An open serial line, which several devices may share. */
export class SerialConnection implements Connection {
  /** Of the port, for texts. */
  readonly name: string;
  readonly lost: Promise<string>;
  /** By device; one that is configured anew, another owner, takes the place of its former self. */
  readonly sessions = new Map<string, { readonly owner: object; readonly session: Session }>();
  private readonly wire: Wire;
  private readonly clock: Clock;
  private readonly listeners = new Set<(chunk: Buffer) => void>();
  private readonly losers = new Set<(error: WireError) => void>();
  private gone: WireError | undefined;
  /** When the last byte came or went. */
  private active: number;
  private owedUntil = 0;

  constructor(deps: { name: string; wire: Wire; clock: Clock }) {
    this.name = deps.name;
    this.wire = deps.wire;
    this.clock = deps.clock;
    this.active = deps.clock.monotonic();
    this.lost = new Promise((resolve) => {
      deps.wire.listen({
        data: (chunk) => this.take(chunk),
        lost: (reason) => {
          this.end(reason);
          resolve(`${this.name}: ${reason}`);
        },
      });
    });
  }

  close(): Promise<void> {
    this.end('closed');
    this.listeners.clear();
    this.sessions.clear();
    return this.wire.close();
  }

  /** @returns how to stop */
  onData(listener: (chunk: Buffer) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Is told at once when it is lost already. @returns how to stop */
  onLost(listener: (error: WireError) => void): () => void {
    if (this.gone) listener(this.gone);
    else this.losers.add(listener);
    return () => this.losers.delete(listener);
  }

  send(bytes: Buffer): void {
    this.active = this.clock.monotonic();
    if (!this.gone) this.wire.send(bytes);
  }

  /** A request went unanswered: for so long the answer may still come, and would be taken for that to the next one. */
  owe(wait: Millis): void {
    this.owedUntil = this.clock.monotonic() + wait;
  }

  /** Waits until a request may be sent: no late answer is to be feared, and the line has been silent for `pause`. */
  async settle(pause: Millis): Promise<void> {
    if (this.owedUntil > this.clock.monotonic()) await this.lateAnswer(this.owedUntil);
    this.owedUntil = 0;
    const wait = this.active + pause - this.clock.monotonic();
    if (wait > 0) await sleep(this.clock, millis(wait));
  }

  private lateAnswer(until: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        timer.cancel();
        stops.forEach((stop) => void stop());
        resolve();
      };
      const rest = (): number => until - this.clock.monotonic();
      let timer: Timer = this.clock.after(millis(rest()), finish);
      const stops = [
        this.onData(() => {
          timer.cancel();
          timer = this.clock.after(millis(Math.max(0, Math.min(LATE_GAP, rest() + LATE_GAP))), finish);
        }),
        this.onLost(() => queueMicrotask(finish)),
      ];
    });
  }

  private take(chunk: Buffer): void {
    this.active = this.clock.monotonic();
    for (const listener of [...this.listeners]) listener(chunk);
  }

  private end(reason: string): void {
    this.gone ??= new WireError('unreachable', `${this.name}: ${reason}`);
    for (const loser of [...this.losers]) loser(this.gone);
    this.losers.clear();
  }
}

/** Finds the port and opens it.
 * @throws WireError `unreachable` with the reason for the operator */
export async function openSerial(
  name: PortName,
  line: LineSettings,
  clock: Clock,
): Promise<SerialConnection> {
  const text = showPort(name);
  try {
    const path = await findPort(name);
    const port = await openSerialPort(path, line);
    const device = await realpath(path).catch(() => path);
    const wire = new PortWire({ port, device, identity: await identityOf(device), clock });
    return new SerialConnection({ name: text, wire, clock });
  } catch (error) {
    throw new WireError('unreachable', `${text}: ${errorText(error)}`);
  }
}

/** A port that comes back is another device, even when it has the old name. */
async function identityOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found && `${found.dev} ${found.ino} ${found.rdev}`;
}

type PortWireDeps = {
  readonly port: SerialPort;
  /** Behind the links of udev. */
  readonly device: string;
  readonly identity: string | undefined;
  readonly clock: Clock;
};

/** A port of the package serialport. */
class PortWire implements Wire {
  private readonly deps: PortWireDeps;
  private watch: Timer | undefined;
  private closing: Promise<void> | undefined;

  constructor(deps: PortWireDeps) {
    this.deps = deps;
  }

  listen(on: { data(chunk: Buffer): void; lost(reason: string): void }): void {
    const { port, device, identity, clock } = this.deps;
    let isLost = false;
    const lost = (): void => {
      if (isLost || this.closing) return;
      isLost = true;
      // A file that stays open keeps the name taken: the adapter would come back as ttyUSB1.
      void this.close();
      on.lost('the port is gone: was the adapter pulled out?');
    };
    port.on('data', on.data);
    port.on('close', lost);
    this.watch = clock.every(WATCH, () => {
      void identityOf(device).then((now) => {
        if (now !== identity) lost();
      });
    });
  }

  send(bytes: Buffer): void {
    this.deps.port.write(bytes);
  }

  close(): Promise<void> {
    this.watch?.cancel();
    const { port } = this.deps;
    this.closing ??= new Promise((resolve) => (port.isOpen ? port.close(() => resolve()) : resolve()));
    return this.closing;
  }
}

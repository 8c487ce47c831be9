import { SerialPort } from 'serialport';
import { sumOf } from '../../mappers/kit/checksum.ts';

/** How a line or its instrument misbehaves; each share is of all bytes or frames, 0 to 1. */
export type LineFaults = {
  /** Bytes that become another one. */
  readonly damaged: number;
  /** Bytes that are lost. */
  readonly dropped: number;
  /** Frames that break off somewhere. */
  readonly cut: number;
  /** Frames that follow a burst of garbage. */
  readonly garbage: number;
  /** ms before a frame is sent. */
  readonly delay: number;
  readonly silent: boolean;
};

const calm: LineFaults = { damaged: 0, dropped: 0, cut: 0, garbage: 0, delay: 0, silent: false };

export type InstrumentOptions = {
  readonly baudRate?: number;
  /** For faults, [0, 1). */
  readonly random?: () => number;
};

/** An instrument at one end of a serial line. */
export abstract class Instrument {
  faults: LineFaults = calm;
  /** Frames that it sent, whole or not. */
  sent = 0;
  private readonly baudRate: number;
  private readonly random: () => number;
  private port: SerialPort | undefined;
  private readonly timers = new Set<NodeJS.Timeout>();

  constructor({ baudRate = 9600, random = Math.random }: InstrumentOptions = {}) {
    this.baudRate = baudRate;
    this.random = random;
  }

  /** Takes its end of the line. */
  async open(path: string): Promise<void> {
    const port = new SerialPort({ path, baudRate: this.baudRate, autoOpen: false });
    port.on('data', (chunk: Buffer) => this.take(chunk));
    port.on('error', () => {}); // a line that is gone is no news to an instrument
    await new Promise<void>((resolve, reject) => port.open((error) => (error ? reject(error) : resolve())));
    this.port = port;
    this.started();
  }

  async close(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    this.timers.clear();
    const { port } = this;
    this.port = undefined;
    await new Promise<void>((resolve) => (port?.isOpen ? port.close(() => resolve()) : resolve()));
  }

  /** Sets some faults, and ends the others. */
  misbehave(faults: Partial<LineFaults>): void {
    this.faults = { ...calm, ...faults };
  }

  protected started(): void {}
  protected abstract take(chunk: Buffer): void;

  protected every(period: number, task: () => void): void {
    this.timers.add(setInterval(task, period));
  }

  /** Sends a frame, as well as the faults let it. */
  protected say(text: string): void {
    const { delay, silent, garbage } = this.faults;
    if (silent) return;
    this.sent++;
    const burst = this.random() < garbage ? this.noise(1 + Math.floor(this.random() * 40)) : Buffer.alloc(0);
    const bytes = Buffer.concat([burst, this.spoil(Buffer.from(text, 'latin1'))]);
    if (delay === 0) this.write(bytes);
    else this.timers.add(setTimeout(() => this.write(bytes), delay));
  }

  private write(bytes: Buffer): void {
    if (this.port?.isOpen) this.port.write(bytes);
  }

  private spoil(frame: Buffer): Buffer {
    const { damaged, dropped, cut } = this.faults;
    const whole = this.random() < cut ? frame.subarray(0, Math.floor(this.random() * frame.length)) : frame;
    const bytes = [...whole].flatMap((byte) => {
      if (dropped > 0 && this.random() < dropped) return [];
      return damaged > 0 && this.random() < damaged ? [...this.noise(1)] : [byte];
    });
    return Buffer.from(bytes);
  }

  private noise(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => Math.floor(this.random() * 256)));
  }
}

/** An instrument that takes commands, each ended by `end`. */
abstract class CommandedInstrument extends Instrument {
  protected abstract readonly end: string;
  private rest = '';

  protected take(chunk: Buffer): void {
    this.rest += chunk.toString('latin1');
    for (let at = this.rest.indexOf(this.end); at >= 0; at = this.rest.indexOf(this.end)) {
      const command = this.rest.slice(0, at);
      this.rest = this.rest.slice(at + this.end.length);
      this.command(command);
    }
    this.rest = this.rest.slice(-200);
  }

  protected abstract command(text: string): void;
}

/** Asked and answering, with a checksum (CRC-16/CCITT-FALSE in hexadecimal) both ways. It says nothing to a command
 * whose checksum is wrong. */
export class Thermometer extends CommandedInstrument {
  protected readonly end = '\r';
  temperature = 20;
  setpoint = 18;
  /** When set, every answer about the temperature is another one. */
  moves = false;
  /** Every temperature and setpoint that it answered, as KubeEdge writes numbers. */
  readonly told = new Set<string>();
  commands = 0;

  protected command(text: string): void {
    const body = text.slice(0, -4);
    if (body === '' || guarded(body) !== text) return;
    this.commands++;
    if (body === '#T') {
      if (this.moves) this.temperature = Math.round((this.temperature + 1.37) * 100) / 100;
      return this.tell(this.temperature);
    }
    if (body === '#SP') return this.tell(this.setpoint);
    const value = /^#SP(\d+\.\d)$/.exec(body)?.[1];
    if (value === undefined) return this.say(`${guarded('>ERR 1')}\r`);
    if (Number(value) > 60) return this.say(`${guarded('>ERR too hot')}\r`);
    this.setpoint = Number(value);
    this.say(`${guarded('>OK')}\r`);
  }

  private tell(value: number): void {
    this.told.add(String(value));
    this.say(`${guarded(`>${value.toFixed(2)}`)}\r`);
  }
}

function guarded(body: string): string {
  return body + sumOf(Buffer.from(body, 'latin1'), 'crc16-ccitt').toString(16).toUpperCase().padStart(4, '0');
}

/** Says its weight ten times a second, without a checksum. */
export class Scale extends Instrument {
  weight = 12.5;
  stable = true;

  protected take(): void {}

  protected override started(): void {
    this.every(100, () => {
      const kind = this.stable ? 'ST' : 'US';
      this.say(`${kind},GS,+${this.weight.toFixed(2).padStart(7)}kg\r\n`);
    });
  }
}

/** Says where it is and how fast ten times a second, in NMEA 0183. */
export class Gps extends Instrument {
  /** As NMEA writes it; empty = no fix. */
  latitude = '4807.0380';
  satellites = 8;
  knots = 10;

  protected take(): void {}

  protected override started(): void {
    this.every(100, () => {
      this.sentence(`GPGGA,123519,${this.latitude},N,01131.0000,E,1,${this.satellites},0.9,545.4,M,46.9,M,,`);
      this.sentence(
        `GPRMC,123519,A,${this.latitude},N,01131.0000,E,${this.knots.toFixed(1)},084.4,230394,003.1,W`,
      );
    });
  }

  /** The heading alone: a sentence so short that some come through a bad line. */
  heading(degrees: number): void {
    this.sentence(`GPHDT,${degrees.toFixed(1)},T`);
  }

  private sentence(body: string): void {
    const sum = sumOf(Buffer.from(body), 'xor').toString(16).toUpperCase().padStart(2, '0');
    this.say(`$${body}*${sum}\r\n`);
  }
}

/** Says its state as a line of JSON five times a second, and takes commands as JSON. */
export class Climate extends CommandedInstrument {
  protected readonly end = '\n';
  humidity = 40.5;
  fan = false;

  protected override started(): void {
    this.every(200, () => this.tell());
  }

  protected command(text: string): void {
    try {
      const { fan } = JSON.parse(text) as { fan?: unknown };
      if (typeof fan === 'boolean') this.fan = fan;
    } catch {
      // A command that is damaged is no command.
    }
  }

  private tell(): void {
    this.say(`${JSON.stringify({ air: { humidity: this.humidity }, fan: this.fan })}\n`);
  }
}

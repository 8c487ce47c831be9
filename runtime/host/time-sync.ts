import { execFile } from 'node:child_process';
import type { Clock, Timer } from '../core/clock.ts';
import { minutes } from '../core/units.ts';
import type { Sensors } from './sensors.ts';

/** Whether the clock follows a time server, undefined where nobody knows; and who says so. */
export type TimeWord = { readonly is: boolean | undefined; readonly by: string };

/** Runs a program. @returns what it prints; rejects when it is missing, fails or takes long */
export type Ask = (program: string, args: readonly string[]) => Promise<string>;

export type TimeSyncDeps = {
  readonly sensors: Pick<Sensors, 'timesyncd'>;
  readonly ask: Ask;
  readonly clock: Clock;
};

type Witness = {
  readonly by: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly read: (text: string) => boolean | undefined;
};

/** Who is asked, the best first. timedatectl passes on the kernel's own word, whichever daemon steers its clock; without
 * systemd the daemons tell for themselves.
 * @source org.freedesktop.timedate1(5) NTPSynchronized; chronyc(1) tracking, last column; ntpq(1) leap, 11 is "not" */
const witnesses: readonly Witness[] = [
  {
    by: 'the kernel (timedatectl)',
    program: 'timedatectl',
    args: ['show', '--property=NTPSynchronized', '--value'],
    read: (text) => ({ yes: true, no: false })[text.trim()],
  },
  {
    by: 'chronyd',
    program: 'chronyc',
    args: ['-c', 'tracking'],
    read(text) {
      const leap = text.trim().split(',').at(-1);
      if (leap === 'Not synchronised') return false;
      return leap === 'Normal' || leap?.endsWith(' second') ? true : undefined;
    },
  },
  {
    by: 'ntpd',
    program: 'ntpq',
    args: ['-c', 'rv 0 leap'],
    read(text) {
      const leap = /\bleap=([01]{2})\b/.exec(text)?.[1];
      return leap === undefined ? undefined : leap !== '11';
    },
  },
];

const LOOK = minutes(1);
/** How often a clock that follows a server is asked about again, in looks. */
const RARELY = 10;
const LIMIT = 5000;
const TIMESYNCD = 'systemd-timesyncd';

/** Asks whoever there is. Never rejects. */
export async function askTime(sensors: Pick<Sensors, 'timesyncd'>, ask: Ask): Promise<TimeWord> {
  const timesyncd = sensors.timesyncd();
  if (timesyncd === true) return { is: true, by: TIMESYNCD };
  for (const { by, program, args, read } of witnesses) {
    const is = await ask(program, args).then(read, () => undefined);
    if (is !== undefined) return { is, by };
  }
  return { is: timesyncd, by: timesyncd === undefined ? '' : TIMESYNCD };
}

/** Keeps what is known of the clock. systemd-timesyncd tells by a file; else programs are run, once a minute until the clock
 * follows a server, and every ten minutes from then on. */
export class TimeSync {
  readonly name = 'time';
  private readonly deps: TimeSyncDeps;
  private timer: Timer | undefined;
  private word: boolean | undefined;
  private looks = 0;

  constructor(deps: TimeSyncDeps) {
    this.deps = deps;
  }

  /** undefined where nobody knows. */
  get isSynchronised(): boolean | undefined {
    const timesyncd = this.deps.sensors.timesyncd();
    return timesyncd === true ? true : (this.word ?? timesyncd);
  }

  async start(): Promise<void> {
    this.timer = this.deps.clock.every(LOOK, () => void this.look());
    // The start waits for no program.
    void this.look();
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
  }

  private async look(): Promise<void> {
    const { sensors, ask } = this.deps;
    if (sensors.timesyncd() === true) return;
    this.looks = this.word === true ? (this.looks + 1) % RARELY : 0;
    if (this.looks === 0) this.word = (await askTime(sensors, ask)).is;
  }
}

export const runProgram: Ask = (program, args) =>
  new Promise((resolve, reject) => {
    const env = { ...process.env, LC_ALL: 'C' };
    execFile(program, [...args], { env, timeout: LIMIT, killSignal: 'SIGKILL' }, (error, stdout) => {
      if (error) reject(error);
      else resolve(stdout);
    });
  });

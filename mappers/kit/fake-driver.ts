import { type Millis, millis } from '../../runtime/core/units.ts';
import type { Connection, DriverDevice, DriverPoint, Exchange, Value } from './driver.ts';
import type { WireError } from './wire-error.ts';

/** A device in memory, for tests of the kit: values by property, a protocol call for each line of `log`. */
export class FakeDevice implements DriverDevice {
  readonly bus: string;
  readonly shape = '';
  readonly points: readonly DriverPoint[];
  readonly values = new Map<string, string>();
  readonly log: string[] = [];
  /** Each point is asked for on its own. */
  splits = false;
  /** What every call ends with. */
  fault: WireError | undefined;
  /** Runs within each exchange; the time it takes is the exchange's. */
  during: () => Promise<void> = () => Promise.resolve();
  /** Breaks the connection that was opened last. */
  lose: (reason: string) => void = () => {};
  heard: ((values: readonly Value[]) => void) | undefined;
  listen?: (connection: Connection, heard: (values: readonly Value[]) => void) => void;
  probe?: () => Promise<void>;

  constructor(points: readonly DriverPoint[], bus = 'bus') {
    this.points = points;
    this.bus = bus;
    for (const { property } of points) this.values.set(property, '0');
  }

  connect(): Promise<Connection> {
    const lost = new Promise<string>((resolve) => {
      this.lose = resolve;
    });
    return Promise.resolve({ lost, close: () => {} });
  }

  /** One exchange for all, or one for each. */
  plan(due: readonly DriverPoint[]): readonly Exchange[] {
    if (this.listen) return [];
    if (this.splits) return due.map((point) => ({ points: [point], run: () => this.read([point]) }));
    return [{ points: due, run: () => this.read(due) }];
  }

  async write(_: Connection, { property }: DriverPoint, value: string): Promise<void> {
    await this.call(`write ${property}=${value}`);
    this.values.set(property, value);
  }

  /** Makes it one that only speaks. */
  speaks(): this {
    this.listen = (_, heard) => {
      this.heard = heard;
    };
    return this;
  }

  /** Gives it a question that is cheaper than reading. */
  probes(): this {
    this.probe = () => this.call('probe');
    return this;
  }

  private async read(due: readonly DriverPoint[]): Promise<Value[]> {
    await this.call(`read ${due.map((p) => p.property).join(' ')}`);
    return due.map(({ property }) => ({ property, value: this.values.get(property) ?? '' }));
  }

  private async call(what: string): Promise<void> {
    this.log.push(what);
    await this.during();
    if (this.fault) throw this.fault;
  }
}

/** A point of a fake device. */
export function fakePoint(property: string, cycle = 1000, writable = true): DriverPoint {
  return { property, writable, cycle: millis(cycle), reportCycle: 0 as Millis };
}

import type { Clock } from '../../../runtime/core/clock.ts';
import type { DeviceState } from '../../../runtime/core/devices.ts';
import type { DeviceManager, Reading, ReadingSink, WriteResult } from '../../../runtime/core/dmi.ts';
import type { DeviceId } from '../../../runtime/core/units.ts';
import { LONGEST_VALUE, MOST_ENTRIES, type Report } from '../messages.ts';

/** Distinct properties that may wait; more than a gateway's devices have. */
const MOST_WAITING = 4096;

/** What a mapper in a worker tells edgecore. The newest of each waits until edgecore has taken the last report, so that
 * a plugin that talks without end costs itself memory for each property once, and edgecore none. */
export class ReportOutbox implements DeviceManager, ReadingSink {
  private readonly post: (report: Report) => void;
  private readonly clock: Pick<Clock, 'monotonic'>;
  private readonly readings = new Map<string, Report['readings'][number]>();
  private readonly states = new Map<DeviceId, Report['states'][number]>();
  private readonly writes = new Map<string, Report['writes'][number]>();
  /** In their order: of these all count. */
  private pushes: { id: DeviceId; property: string; value: string; since: number }[] = [];
  private dropped = 0;
  private underWay = false;
  private scheduled = false;

  constructor(post: (report: Report) => void, clock: Pick<Clock, 'monotonic'>) {
    this.post = post;
    this.clock = clock;
  }

  reportDeviceStatus(id: DeviceId, readings: readonly Reading[]): void {
    for (const { property, value } of readings) {
      if (value.length > LONGEST_VALUE) this.dropped++;
      else this.keep(this.readings, `${id} ${property}`, { id, property, value });
    }
  }

  /** When too many wait the oldest give way. */
  push(id: DeviceId, readings: readonly Reading[]): void {
    const since = this.clock.monotonic();
    for (const { property, value } of readings) {
      if (value.length > LONGEST_VALUE) this.dropped++;
      else this.pushes.push({ id, property, value, since });
    }
    const tooMany = Math.max(0, this.pushes.length - MOST_WAITING);
    this.pushes.splice(0, tooMany);
    this.dropped += tooMany;
    this.schedule();
  }

  reportDeviceState(id: DeviceId, state: DeviceState, reason = ''): void {
    this.keep(this.states, id, { id, state, reason });
  }

  reportWrites(id: DeviceId, writes: readonly WriteResult[]): void {
    for (const write of writes) this.keep(this.writes, `${id} ${write.property}`, { id, ...write });
  }

  /** A device has gone: what waits of it must not reach a later one of its name. */
  forget(id: DeviceId): void {
    this.states.delete(id);
    this.pushes = this.pushes.filter((push) => push.id !== id);
    for (const map of [this.readings, this.writes])
      for (const key of map.keys()) if (key.startsWith(`${id} `)) map.delete(key);
  }

  /** Edgecore has taken the last report. */
  noted(): void {
    this.underWay = false;
    this.schedule();
  }

  private keep<K, V>(map: Map<K, V>, key: K, value: V): void {
    const waiting = this.readings.size + this.states.size + this.writes.size;
    if (waiting >= MOST_WAITING && !map.has(key)) this.dropped++;
    else map.set(key, value);
    this.schedule();
  }

  /** What is said in one turn of the loop goes together. */
  private schedule(): void {
    if (this.underWay || this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  private flush(): void {
    const states = take(this.states, MOST_ENTRIES);
    const writes = take(this.writes, MOST_ENTRIES - states.length);
    const readings = take(this.readings, MOST_ENTRIES - states.length - writes.length);
    const now = this.clock.monotonic();
    const room = MOST_ENTRIES - states.length - writes.length - readings.length;
    const pushes = this.pushes.splice(0, room).map(({ since, ...push }) => ({ ...push, age: now - since }));
    if (states.length + writes.length + readings.length + pushes.length === 0) return;
    this.underWay = true;
    this.post({ readings, states, writes, pushes, dropped: this.dropped });
    this.dropped = 0;
  }
}

function take<K, V>(map: Map<K, V>, most: number): V[] {
  const taken: V[] = [];
  for (const [key, value] of map) {
    if (taken.length >= most) break;
    taken.push(value);
    map.delete(key);
  }
  return taken;
}

import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Counter, MetricSource } from '../core/metrics.ts';
import type { OutboxClass } from './outbox.ts';

const classes = ['state', 'event', 'history'] as const;

/** Why an entry never reached the cloud. */
export type DropReason = 'superseded' | 'full' | 'age' | 'size' | 'offline';

const reasons: readonly (readonly [OutboxClass, readonly DropReason[]])[] = [
  ['state', ['superseded', 'full', 'age', 'size']],
  ['event', ['full', 'age', 'size']],
  ['history', ['full', 'age', 'size', 'offline']],
];

type Totals = { count: number; bytes: number };
type OutboxTotals = readonly ({ readonly class: OutboxClass } & Readonly<Totals>)[];

/** What waits and what was lost, for the metrics, and told once for each outage. */
export class OutboxFigures {
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly totals: Record<OutboxClass, Totals>;
  private readonly counters = new Map<string, Counter>();
  /** When the link went, and what had been lost by then; undefined while there is one. */
  private outage: { since: number; lost: ReadonlyMap<string, number> } | undefined;

  constructor(deps: {
    readonly totals: OutboxTotals;
    readonly clock: Clock;
    readonly metrics: MetricSource;
    readonly log: Logger;
  }) {
    this.clock = deps.clock;
    this.log = deps.log;
    const empty = (): Totals => ({ count: 0, bytes: 0 });
    this.totals = { state: empty(), event: empty(), history: empty() };
    this.recount(deps.totals);
    this.register(deps.metrics);
    this.outage = { since: this.clock.monotonic(), lost: this.lostSoFar() };
  }

  /** Takes what the table says. */
  recount(rows: OutboxTotals): void {
    for (const of of classes) Object.assign(this.totals[of], { count: 0, bytes: 0 });
    for (const { class: of, count, bytes } of rows) Object.assign(this.totals[of], { count, bytes });
  }

  get bytes(): number {
    return this.totals.state.bytes + this.totals.event.bytes + this.totals.history.bytes;
  }

  added(of: OutboxClass, bytes: number): void {
    this.totals[of].count++;
    this.totals[of].bytes += bytes;
  }

  /** @param bytes undefined when it had gone already */
  gone(of: OutboxClass, bytes: number | undefined): void {
    if (bytes === undefined) return;
    this.totals[of].count--;
    this.totals[of].bytes -= bytes;
  }

  lost(of: OutboxClass, bytes: number, reason: DropReason): void {
    this.gone(of, bytes);
    this.dropped(of, reason);
  }

  /** One that was never in the box. */
  dropped(of: OutboxClass, reason: DropReason): void {
    this.counters.get(`${of} ${reason}`)?.add();
  }

  online(up: boolean): void {
    if (up) this.tell();
    this.outage = up ? undefined : (this.outage ?? { since: this.clock.monotonic(), lost: this.lostSoFar() });
  }

  private tell(): void {
    if (!this.outage) return;
    const { since, lost } = this.outage;
    const waiting = classes
      .filter((of) => this.totals[of].count > 0)
      .map((of) => [of, this.totals[of].count]);
    const news = [...this.lostSoFar()].map(([key, n]) => [key, n - (lost.get(key) ?? 0)] as const);
    const dropped = news.filter(([, n]) => n > 0);
    if (waiting.length === 0 && dropped.length === 0) return;
    this.log.info('what waited for the cloud goes out', {
      offlineMs: Math.round(this.clock.monotonic() - since),
      waiting: Object.fromEntries(waiting),
      bytes: this.bytes,
      dropped: Object.fromEntries(dropped),
    });
  }

  private lostSoFar(): Map<string, number> {
    return new Map([...this.counters].map(([key, { value }]) => [key, value]));
  }

  private register(metrics: MetricSource): void {
    for (const of of classes) {
      const { totals } = this;
      const labels = { class: of };
      metrics.gauge('edgecore_outbox_entries', 'Wait for the cloud.', () => totals[of].count, labels);
      metrics.gauge(
        'edgecore_outbox_bytes',
        'Bytes that wait for the cloud.',
        () => totals[of].bytes,
        labels,
      );
    }
    for (const [of, why] of reasons) {
      for (const reason of why) {
        const help = 'Entries that never reached the cloud.';
        const counter = metrics.counter('edgecore_outbox_dropped_total', help, { class: of, reason });
        this.counters.set(`${of} ${reason}`, counter);
      }
    }
  }
}

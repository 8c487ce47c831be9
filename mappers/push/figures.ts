import type { Counter, MetricSource } from '../../runtime/core/metrics.ts';
import { type Method, methods } from './target.ts';

/** Why a value never reached its target. */
export type DropReason = 'full' | 'age' | 'refused';
const reasons: readonly DropReason[] = ['full', 'age', 'refused'];

export type Waiting = { readonly count: number; readonly bytes: number };

/** What is pushed, waits and is lost, for the metrics. */
export class PushFigures {
  private readonly sent = new Map<Method, Counter>();
  private readonly lost = new Map<string, Counter>();
  private readonly kept: Counter;

  constructor(
    metrics: MetricSource,
    look: { readonly waiting: (method: Method) => Waiting; readonly failing: (method: Method) => number },
  ) {
    this.kept = metrics.counter('edgecore_push_stored_total', 'Values put on disk until they are confirmed.');
    for (const method of methods) {
      const labels = { method };
      const confirmed = 'Values that their target has confirmed.';
      this.sent.set(method, metrics.counter('edgecore_push_confirmed_total', confirmed, labels));
      const count = (): number => look.waiting(method).count;
      metrics.gauge('edgecore_push_waiting', 'Values that wait for their target.', count, labels);
      const bytes = (): number => look.waiting(method).bytes;
      metrics.gauge('edgecore_push_waiting_bytes', 'Bytes of values that wait.', bytes, labels);
      const failing = (): number => look.failing(method);
      metrics.gauge('edgecore_push_failing', 'Targets that confirm nothing.', failing, labels);
      for (const reason of reasons) {
        const help = 'Values that never reached their target.';
        const counter = metrics.counter('edgecore_push_dropped_total', help, { method, reason });
        this.lost.set(`${method} ${reason}`, counter);
      }
    }
  }

  confirmed(method: Method, count: number): void {
    this.sent.get(method)?.add(count);
  }

  stored(count: number): void {
    this.kept.add(count);
  }

  dropped(method: Method, reason: DropReason, count: number): void {
    this.lost.get(`${method} ${reason}`)?.add(count);
  }
}

import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Counter } from '../core/metrics.ts';
import { minutes } from '../core/units.ts';
import type { BrokerLimits } from './config.ts';
import type { Session } from './session.ts';

const NEWS = minutes(10);

/** Counts the messages of QoS 1 and 2 that full queues give up, and tells whose, each client once in ten minutes at most:
 * what was acknowledged to a publisher does not arrive there, and a counter alone does not say where. */
export class FullQueues {
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly told = new Set<string>();
  private since = -Infinity;

  constructor(clock: Clock, log: Logger) {
    this.clock = clock;
    this.log = log;
  }

  /** A message of this session is dropped; the session has limits and a counter of its own, or those of all. */
  drop(
    { clientId, outlet }: Session,
    { limits, dropped }: { readonly limits: BrokerLimits; readonly dropped: Counter },
  ): void {
    dropped.add();
    const now = this.clock.monotonic();
    if (now - this.since >= NEWS) {
      this.since = now;
      this.told.clear();
    }
    if (this.told.has(clientId)) return;
    this.told.add(clientId);
    this.log.warn('MQTT messages are dropped: the queue of a client is full', {
      client: clientId,
      connected: outlet !== undefined,
      queueCount: limits.queueCount,
      queueBytes: limits.queueBytes,
      queueDrop: limits.queueDrop,
    });
  }
}

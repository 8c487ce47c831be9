import { type Clock, sleep } from '../core/clock.ts';
import { shortened } from '../core/devices.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import { BoundedQueue } from '../core/queue.ts';
import { type DeviceId, mebibytes, millis } from '../core/units.ts';
import { type Act, type LiveRule, propertyKey } from './engine.ts';
import type { HttpSender } from './http-sender.ts';
import type { Action } from './rule.ts';
import { fill } from './template.ts';

export type ActionsDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
  /** Why a property cannot be wanted to have a value; undefined when it can. */
  readonly undesirable: (device: DeviceId, property: string, value: string) => string | undefined;
  /** Has a property wanted of a device, over restarts too. */
  readonly desire: (device: DeviceId, values: ReadonlyMap<string, string>) => Promise<void>;
  /** Publishes to every broker of the bus. @throws EdgeError */
  readonly publish: (message: { topic: string; payload: Buffer; qos: 0 | 1; retain: boolean }) => void;
  readonly http: () => HttpSender;
  readonly acted: (target: string, value: string, chain: ReadonlySet<string>) => void;
  readonly failed: (live: LiveRule, reason: string) => void;
};

/** What waits to be done; the oldest gives way, as the newest says how things are to be. */
const QUEUE = { count: 1000, bytes: mebibytes(4), drop: 'oldest' } as const;
/** Done in one go, before others have their turn. */
const BATCH = 64;

/** Does what rules want, in their order; never within the call that brought the value, so that a rule which sets itself off
 * cannot hold up the process. */
export class Actions {
  private readonly deps: ActionsDeps;
  private readonly queue: BoundedQueue<Act>;
  private readonly abort = new AbortController();
  private draining: Promise<void> | undefined;

  constructor(deps: ActionsDeps) {
    this.deps = deps;
    const { metrics } = deps;
    const dropped = metrics.counter(
      'edgecore_rules_actions_dropped_total',
      'Actions of rules that did not fit their queue.',
    );
    this.queue = new BoundedQueue<Act>(QUEUE, sizeOf, ({ live }) => {
      dropped.add();
      deps.failed(live, 'too many actions wait: the oldest were dropped');
    });
  }

  add(acts: readonly Act[]): void {
    if (this.abort.signal.aborted) return;
    for (const act of acts) this.queue.push(act);
    this.draining ??= this.drain().finally(() => {
      this.draining = undefined;
    });
  }

  async stop(): Promise<void> {
    this.abort.abort();
    await this.draining;
  }

  private async drain(): Promise<void> {
    const { clock } = this.deps;
    const { signal } = this.abort;
    while (this.queue.length > 0) {
      await sleep(clock, millis(0), signal);
      if (signal.aborted) return;
      const work: Promise<void>[] = [];
      for (let act = this.queue.shift(); act; act = this.queue.shift()) {
        work.push(this.perform(act));
        if (work.length === BATCH) break;
      }
      await Promise.all(work);
    }
  }

  private async perform(act: Act): Promise<void> {
    try {
      const fault = await this.act(act.action, act);
      if (fault !== undefined) this.deps.failed(act.live, fault);
    } catch (error) {
      this.deps.failed(act.live, errorText(error));
    }
  }

  /** @returns why it cannot be done */
  private async act(action: Action, { live, values, chain }: Act): Promise<string | undefined> {
    switch (action.kind) {
      case 'write':
        return this.write(action, fill(action.value, values), chain);
      case 'publish': {
        const { topic, qos, retain } = action;
        const text = fill(action.payload, values);
        this.deps.acted(topic, text, chain);
        this.deps.publish({ topic, payload: Buffer.from(text), qos, retain });
        return undefined;
      }
      case 'http': {
        const { url, method, headers, timeout, durable } = action;
        const body = action.body && fill(action.body, values);
        this.deps.http().send({ rule: live.key, url, method, headers, body, timeout, durable });
        return undefined;
      }
      default:
        return action satisfies never;
    }
  }

  private async write(
    { device: id, property }: Extract<Action, { kind: 'write' }>,
    value: string,
    chain: ReadonlySet<string>,
  ): Promise<string | undefined> {
    const fault = this.deps.undesirable(id, property, value);
    if (fault !== undefined) return `write: ${id} ${property} ${shortened(value)}: ${fault}`;
    this.deps.acted(propertyKey(id, property), value, chain);
    await this.deps.desire(id, new Map([[property, value]]));
    return undefined;
  }
}

/** The rule's own texts are counted in the rule; what an act adds are its values. */
function sizeOf({ values }: Act): number {
  return values.values.reduce((sum, value) => sum + 2 * value.length, 256);
}

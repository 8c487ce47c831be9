import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type Clock, deadline, sleep } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Counter, MetricSource } from '../core/metrics.ts';
import { BoundedQueue } from '../core/queue.ts';
import { backoffDelays } from '../core/retry.ts';
import { mebibytes, millis, seconds } from '../core/units.ts';
import type { RuleStore } from './records.ts';
import type { HttpMethod } from './rule.ts';

/** One request to a server of somebody else's. */
export type Outgoing = {
  /** The rule that sends it. */
  readonly rule: string;
  readonly url: string;
  readonly method: HttpMethod;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** ms, from the first byte to the answer. */
  readonly timeout: number;
  readonly durable: boolean;
};

type Waiting = Outgoing & { readonly row: string | undefined };

export type HttpSenderDeps = {
  readonly store: RuleStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
  /** [0, 1) */
  readonly random: () => number;
  /** It was given up. */
  readonly failed: (rule: string, reason: string) => void;
};

const ROW_TYPE = 'localrulerequest';
const RETRY = { first: seconds(1), factor: 2, cap: seconds(60), jitter: 0.2 };
/** Tries of a request that is not durable. */
const ATTEMPTS = 5;
/** What waits for one server; the oldest gives way. */
const QUEUE = { count: 200, bytes: mebibytes(1), drop: 'oldest' } as const;

/** Sends requests, to each server one at a time and in order. What the server cannot take now is tried again; what it
 * refuses is given up. Redirects are not followed: a rule speaks to the server that it names. */
export class HttpSender {
  private readonly deps: HttpSenderDeps;
  private readonly lanes = new Map<string, BoundedQueue<Waiting>>();
  private readonly running = new Set<Promise<void>>();
  private readonly abort = new AbortController();
  private readonly counters: Record<'sent' | 'dropped' | 'refused', Counter>;
  private next = 0;

  constructor(deps: HttpSenderDeps) {
    this.deps = deps;
    const help = 'HTTP requests of rules: answered with 2xx, dropped from a full queue, given up.';
    const counter = (result: string): Counter =>
      deps.metrics.counter('edgecore_rules_http_total', help, { result });
    this.counters = { sent: counter('sent'), dropped: counter('dropped'), refused: counter('refused') };
    for (const { key, value } of deps.store.meta.list(ROW_TYPE)) {
      this.next = Math.max(this.next, Number(key.slice(ROW_TYPE.length + 1)) + 1);
      this.enqueue({ ...(JSON.parse(value) as Outgoing), row: key });
    }
  }

  send(request: Outgoing): void {
    if (this.abort.signal.aborted) return;
    const row = request.durable ? `${ROW_TYPE}/${String(this.next++).padStart(12, '0')}` : undefined;
    if (row) {
      const value = JSON.stringify(request);
      this.keep(() => this.deps.store.meta.put({ key: row, type: ROW_TYPE, value }));
    }
    this.enqueue({ ...request, row });
  }

  async stop(): Promise<void> {
    this.abort.abort();
    await Promise.all(this.running);
  }

  private enqueue(request: Waiting): void {
    const { origin } = new URL(request.url);
    const queue = this.lanes.get(origin);
    if (queue) {
      queue.push(request);
      return;
    }
    const made = new BoundedQueue<Waiting>(QUEUE, sizeOf, (dropped) => this.drop(dropped));
    this.lanes.set(origin, made);
    made.push(request);
    const run = this.run(origin, made).finally(() => this.running.delete(run));
    this.running.add(run);
  }

  private drop(request: Waiting): void {
    this.counters.dropped.add();
    this.forget(request);
    this.deps.failed(request.rule, `${request.url}: too many requests wait: the oldest was dropped`);
  }

  private async run(origin: string, queue: BoundedQueue<Waiting>): Promise<void> {
    const { signal } = this.abort;
    for (let request = queue.shift(); request && !signal.aborted; request = queue.shift())
      await this.bring(request);
    this.lanes.delete(origin);
  }

  private async bring(request: Waiting): Promise<void> {
    const { clock, random, failed } = this.deps;
    const { signal } = this.abort;
    const delays = backoffDelays(RETRY, random);
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.attempt(request);
      if (signal.aborted) return;
      if (outcome.kind === 'taken') {
        this.counters.sent.add();
        return this.forget(request);
      }
      failed(request.rule, `${request.method} ${request.url}: ${outcome.reason}`);
      if (outcome.kind === 'refused' || (!request.durable && attempt >= ATTEMPTS)) {
        this.counters.refused.add();
        return this.forget(request);
      }
      await sleep(clock, delays.next().value, signal);
      if (signal.aborted) return;
    }
  }

  private async attempt(request: Waiting): Promise<Outcome> {
    const limit = deadline(this.deps.clock, millis(request.timeout), this.abort.signal);
    try {
      return outcomeOf(await exchange(request, limit.signal));
    } catch (error) {
      const reason = limit.signal.aborted ? `no answer within ${request.timeout / 1000} s` : errorText(error);
      return { kind: 'later', reason };
    } finally {
      limit.done();
    }
  }

  private forget({ row }: Waiting): void {
    if (row) this.keep(() => this.deps.store.meta.remove(row));
  }

  private keep(work: () => void): void {
    this.deps.store.durable(work).catch((error: unknown) => {
      this.deps.log.warn('a request of a rule could not be kept', { error });
    });
  }
}

type Answer = { readonly status: number; readonly location: string | undefined };
type Outcome = { readonly kind: 'taken' } | { readonly kind: 'refused' | 'later'; readonly reason: string };

function outcomeOf({ status, location }: Answer): Outcome {
  if (status >= 200 && status < 300) return { kind: 'taken' };
  if (status >= 300 && status < 400) {
    const where = location ? ` to ${location.slice(0, 200)}` : '';
    return { kind: 'refused', reason: `answered ${status}${where}: redirects are not followed` };
  }
  const isFinal = status < 500 && status !== 408 && status !== 429;
  return { kind: isFinal ? 'refused' : 'later', reason: `answered ${status}` };
}

function exchange({ url, method, headers, body }: Outgoing, signal: AbortSignal): Promise<Answer> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  const content = body === undefined ? undefined : Buffer.from(body);
  const isTyped = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type');
  const length = content
    ? { 'content-length': String(content.length), ...(isTyped ? {} : { 'content-type': 'application/json' }) }
    : {};
  return new Promise((resolve, reject) => {
    const request = send(url, { method, headers: { ...headers, ...length }, signal, agent: false });
    request.on('error', reject);
    request.on('response', (response) => {
      resolve({ status: response.statusCode ?? 0, location: response.headers.location });
      // What it says beside is not read: it may be without end.
      response.on('error', () => {});
      response.destroy();
    });
    request.end(content);
  });
}

function sizeOf({ url, body = '', headers }: Outgoing): number {
  return url.length + 2 * body.length + JSON.stringify(headers).length + 64;
}

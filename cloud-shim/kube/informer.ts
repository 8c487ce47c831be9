import { type Clock, sleep } from '../../runtime/core/clock.ts';
import { errorText } from '../../runtime/core/errors.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { backoffDelays } from '../../runtime/core/retry.ts';
import { seconds } from '../../runtime/core/units.ts';
import type { KubeApi, Query, WatchEvent } from './client.ts';
import type { ResourceKind } from './resource-kind.ts';

/** Who wants to hear of changes. `before` is what the informer held until then. */
export type ChangeHandler<T> = {
  changed(object: T, before: T | undefined): void;
  removed(object: T): void;
};

export type InformerDeps<T> = {
  readonly api: KubeApi;
  readonly kind: ResourceKind;
  readonly query?: Query;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Cuts what is not needed before it is kept. */
  readonly trim?: (object: T) => T;
};

/** A watch that brings nothing for less than this was none. */
const SHORT = seconds(1);
const RETRY = { first: seconds(1), factor: 2, cap: seconds(30), jitter: 0.3 };

/** A collection of the API server, kept up to date: list once, then watch; resumes where a watch broke off, and lists
 * again when the server has forgotten that place.
 * @source client-go tools/cache reflector */
export class Informer<T extends KubeObject> {
  private readonly deps: InformerDeps<T>;
  private readonly objects = new Map<string, T>();
  private readonly handlers = new Set<ChangeHandler<T>>();
  private readonly abort = new AbortController();
  private running: Promise<void> | undefined;
  private version = '';

  constructor(deps: InformerDeps<T>) {
    this.deps = deps;
  }

  get(namespace: string, name: string): T | undefined {
    return this.objects.get(`${namespace}/${name}`);
  }

  values(): Iterable<T> {
    return this.objects.values();
  }

  onChange(handler: ChangeHandler<T>): void {
    this.handlers.add(handler);
  }

  /** Resolves when the first list is in. */
  start(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.abort.abort(), { once: true });
    return new Promise((resolve) => {
      this.running = this.run(resolve);
    });
  }

  async stop(): Promise<void> {
    this.abort.abort();
    await this.running;
  }

  private async run(listed: () => void): Promise<void> {
    const { clock, log, kind, random } = this.deps;
    const { signal } = this.abort;
    let delays = backoffDelays(RETRY, random);
    while (!signal.aborted) {
      try {
        if (!this.version) await this.list();
        listed();
        await this.watch(signal);
        delays = backoffDelays(RETRY, random);
      } catch (error) {
        if (signal.aborted) break;
        log.warn('a collection of the API server is not followed', {
          resource: kind.plural,
          reason: errorText(error),
        });
        await sleep(clock, delays.next().value, signal);
      }
    }
    listed();
  }

  private async list(): Promise<void> {
    const { api, kind, query = {} } = this.deps;
    const answer = await api.list<T>(kind, query);
    if ('status' in answer) throw new Error(answer.status.message);
    const { metadata, items } = answer.object;
    const gone = new Set(this.objects.keys());
    for (const item of items) {
      gone.delete(keyOf(item));
      this.take(this.typed(item));
    }
    for (const key of gone) {
      const object = this.objects.get(key);
      if (object) this.drop(object);
    }
    this.version = metadata.resourceVersion;
  }

  private async watch(signal: AbortSignal): Promise<void> {
    const { api, kind, clock, query = {} } = this.deps;
    const begun = clock.monotonic();
    let brought = false;
    const take = (event: WatchEvent): void => {
      if (event.type !== 'ERROR') brought = true;
      this.event(event);
    };
    await api.watch(kind, { ...query, resourceVersion: this.version }, take, signal);
    // A server that ends each watch at once would be asked again without a pause.
    if (!brought && !signal.aborted && clock.monotonic() - begun < SHORT)
      throw new Error('the watch ended at once');
  }

  private event({ type, object }: WatchEvent): void {
    if (type === 'ERROR') {
      // Forgotten there: the next turn lists.
      this.version = '';
      return;
    }
    this.version = object.metadata.resourceVersion ?? this.version;
    if (type === 'BOOKMARK') return;
    const typed = this.typed(object as T);
    if (type === 'DELETED') this.drop(typed);
    else this.take(typed);
  }

  /** Items of a list come without their kind. */
  private typed(object: T): T {
    const { kind, trim } = this.deps;
    const whole = object.kind ? object : { ...object, apiVersion: kind.apiVersion, kind: kind.kind };
    return trim ? trim(whole) : whole;
  }

  private take(object: T): void {
    const key = keyOf(object);
    const before = this.objects.get(key);
    if (before?.metadata.resourceVersion === object.metadata.resourceVersion && before) return;
    // The same name with another identity: the old one's deletion was missed.
    const replaced = before && before.metadata.uid !== object.metadata.uid ? before : undefined;
    if (replaced) this.drop(replaced);
    this.objects.set(key, object);
    for (const handler of this.handlers)
      this.tell(() => handler.changed(object, replaced ? undefined : before));
  }

  private drop(object: T): void {
    this.objects.delete(keyOf(object));
    for (const handler of this.handlers) this.tell(() => handler.removed(object));
  }

  private tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.deps.log.error('a change could not be dealt with', { resource: this.deps.kind.plural, error });
    }
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

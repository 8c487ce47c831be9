import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import type { KubeObject } from '../../core/k8s.ts';
import { seconds } from '../../core/units.ts';
import { apiVersionOf, collectionOf, keyOf } from './api-path.ts';
import { type Call, isTrue, optionsOf } from './call.ts';
import type { CloudWatches } from './cloud-watches.ts';
import type { Documents } from './documents.ts';
import type { Change } from './journal.ts';
import type { ObjectCache } from './object-cache.ts';
import { LIST_OPTIONS, type Reads } from './reads.ts';
import { badRequest, expired, noSuchPath, Refusal, refusal } from './refusal.ts';
import { type Matcher, matcherOf } from './selectors.ts';
import { partialOf, tableOf, type View, viewOf } from './table.ts';

export type WatchDeps = {
  readonly cache: ObjectCache;
  readonly documents: Documents;
  readonly watches: CloudWatches;
  readonly reads: Reads;
  readonly clock: Clock;
};

const BOOKMARK_EVERY = seconds(30);
/** A client that leaves this much unread is let go; it comes back from the last version that it saw. */
const LARGEST_BACKLOG = 4 * 1024 * 1024;
const MOST_WATCHES = 64;

/** Streams the changes of what is held; the cloud is asked to tell of those that do not come to this node anyway.
 * @source Kubernetes API concepts, watch */
export class Watching {
  private readonly deps: WatchDeps;
  private open = 0;

  constructor(deps: WatchDeps) {
    this.deps = deps;
  }

  /** Serves one watch; resolves when it runs or has ended. Throws refusals. */
  async serve(call: Call): Promise<void> {
    const { path, query, accept, response } = call;
    const collection = collectionOf(path);
    const kind = this.deps.documents.kindOf(collection)?.kind;
    const matches = matcherOf(query, path.name);
    const version = query.get('resourceVersion') ?? '';
    if (!/^\d*$/.test(version)) throw badRequest(`resourceVersion ${version} is no number`);
    if (this.open >= MOST_WATCHES) throw refusal(429, 'TooManyRequests', `${MOST_WATCHES} watches are open`);
    const stream = new WatchStream({
      collection,
      namespace: path.namespace,
      matches,
      kind: kind ?? '',
      apiVersion: apiVersionOf(path),
      view: viewOf(accept, query),
      bookmarks: isTrue(query.get('allowWatchBookmarks')),
      timeout: Number(query.get('timeoutSeconds')) || 0,
      cache: this.deps.cache,
      clock: this.deps.clock,
      response,
    });
    this.open++;
    void stream.ended.then(() => {
      this.open--;
    });
    const initial = isTrue(query.get('sendInitialEvents'));
    if (version === '' || version === '0' || initial) await this.fromNow(call, stream, initial, kind);
    else this.fromVersion(call, stream, Number(version));
  }

  /** All that there is, then what changes. */
  private async fromNow(
    call: Call,
    stream: WatchStream,
    bookmark: boolean,
    kind: string | undefined,
  ): Promise<void> {
    await this.follow(call, stream);
    await this.deps.reads.refresh(call.path, call.query);
    if (!kind && !this.deps.documents.kindOf(collectionOf(call.path))) throw noSuchPath();
    stream.begin();
    stream.snapshot();
    if (bookmark) stream.bookmark({ 'k8s.io/initial-events-end': 'true' });
  }

  private fromVersion(call: Call, stream: WatchStream, version: number): void {
    stream.begin();
    if (!stream.replay(version)) return;
    this.follow(call, stream).catch((error: unknown) => stream.fail(error));
  }

  private async follow({ path, query }: Call, stream: WatchStream): Promise<void> {
    const { watches, reads } = this.deps;
    // Where it begins is this node's affair: alike watches are one in the cloud.
    const selection = new URLSearchParams();
    for (const name of ['labelSelector', 'fieldSelector']) {
      const value = query.get(name);
      if (value) selection.set(name, value);
    }
    const release = await watches.follow({
      request: {
        key: keyOf(collectionOf(path), path.namespace, path.name),
        option: { ...optionsOf(selection, LIST_OPTIONS), watch: true },
      },
      refresh: () => reads.refresh(path, selection),
    });
    void stream.ended.then(release);
  }
}

type StreamOptions = {
  readonly collection: string;
  readonly namespace: string | undefined;
  readonly matches: Matcher;
  readonly kind: string;
  readonly apiVersion: string;
  readonly view: View;
  readonly bookmarks: boolean;
  /** Seconds; 0 for no end. */
  readonly timeout: number;
  readonly cache: ObjectCache;
  readonly clock: Clock;
  readonly response: ServerResponse;
};

/** One client that watches. */
class WatchStream {
  /** Resolves when the client has gone or its time is over. */
  readonly ended: Promise<void>;
  private readonly options: StreamOptions;
  private readonly timers: Timer[] = [];
  private unlisten: () => void = () => {};

  constructor(options: StreamOptions) {
    this.options = options;
    this.ended = new Promise((resolve) => options.response.once('close', resolve));
    void this.ended.then(() => this.cleanUp());
  }

  begin(): void {
    const { response, clock, bookmarks, timeout } = this.options;
    if (response.destroyed) return;
    response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' });
    response.flushHeaders();
    if (bookmarks) this.timers.push(clock.every(BOOKMARK_EVERY, () => this.bookmark()));
    if (timeout > 0) this.timers.push(clock.after(seconds(timeout), () => this.end()));
  }

  /** What there is, and from here on what changes. */
  snapshot(): void {
    const { cache, collection, namespace, matches } = this.options;
    for (const object of cache.list(collection, namespace)) if (matches(object)) this.send('ADDED', object);
    this.listen();
  }

  /** What came after `version`, and from here on what changes.
   * @returns false when that is forgotten; the client is told */
  replay(version: number): boolean {
    const { cache, collection } = this.options;
    const { journal } = cache;
    const changes = journal.since(collection, version);
    if (!changes) {
      this.fail(expired(`too old resource version: ${version} (${journal.oldest})`));
      return false;
    }
    for (const change of changes) this.pass(change);
    this.listen();
    return true;
  }

  bookmark(annotations?: Readonly<Record<string, string>>): void {
    const { kind, apiVersion, view, cache } = this.options;
    const metadata = {
      resourceVersion: String(cache.journal.revision),
      creationTimestamp: null,
      ...(annotations ? { annotations } : {}),
    };
    const object =
      view.as === 'Table'
        ? { kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata, columnDefinitions: [], rows: [] }
        : { kind, apiVersion, metadata };
    this.write({ type: 'BOOKMARK', object });
  }

  /** The cluster refuses the watch; the client is told in the stream. */
  fail(error: unknown): void {
    const { status } = error instanceof Refusal ? error : refusal(500, 'InternalError', errorText(error));
    this.write({ type: 'ERROR', object: status });
    this.end();
  }

  end(): void {
    this.options.response.end();
  }

  private listen(): void {
    const { cache, collection, response } = this.options;
    if (response.destroyed) return;
    this.unlisten = cache.journal.listen(collection, (change) => this.pass(change));
  }

  private pass({ type, object, previous }: Change): void {
    const { namespace, matches } = this.options;
    if (namespace !== undefined && object.metadata.namespace !== namespace) return;
    const now = matches(object);
    const before = previous ? matches(previous) : type !== 'ADDED';
    if (type === 'DELETED') {
      if (before) this.send('DELETED', object);
    } else if (!now) {
      if (before && previous) this.send('DELETED', object);
    } else this.send(before && previous ? 'MODIFIED' : 'ADDED', object);
  }

  private send(type: string, object: KubeObject): void {
    const { view, clock, kind } = this.options;
    if (view.as === 'Object') return this.write({ type, object });
    if (view.as === 'PartialObjectMetadata') return this.write({ type, object: partialOf(object) });
    const meta = { resourceVersion: object.metadata.resourceVersion ?? '' };
    this.write({
      type,
      object: tableOf([object], object.kind ?? kind, meta, view.include, clock.now()),
    });
  }

  private write(event: unknown): void {
    const { response } = this.options;
    if (response.destroyed || response.writableEnded) return;
    response.write(`${JSON.stringify(event)}\n`);
    if (response.writableLength > LARGEST_BACKLOG) response.destroy();
  }

  private cleanUp(): void {
    this.unlisten();
    for (const timer of this.timers) timer.cancel();
  }
}

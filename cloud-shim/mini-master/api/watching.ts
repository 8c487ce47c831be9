import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '../../../runtime/core/clock.ts';
import { seconds } from '../../../runtime/core/units.ts';
import type { ApiObject, JsonObject } from '../json.ts';
import type { Served } from '../kinds/registry.ts';
import { apiVersionOf, inVersion } from '../kinds/resource.ts';
import type { Matcher } from '../selectors.ts';
import { badRequest, expired } from '../status.ts';
import type { Change, Store } from '../store/store.ts';
import { showObject, type View } from './view.ts';

export type WatchRequest = {
  readonly served: Served;
  /** undefined for all. */
  readonly namespace: string | undefined;
  readonly matches: Matcher;
  readonly view: View;
  /** '' and '0' begin with all that there is. */
  readonly resourceVersion: string;
  readonly bookmarks: boolean;
  readonly initialEvents: boolean;
  /** Seconds; 0 for no end. */
  readonly timeout: number;
};

const BOOKMARK_EVERY = seconds(30);
/** A client whose time is over knows from where to go on. @source apiserver pkg/storage/cacher */
const BOOKMARK_BEFORE_END = 2;
/** A client that leaves this much unread is let go; it comes back from the last version that it saw. */
const LARGEST_BACKLOG = 16 * 1024 * 1024;

/** Streams the changes of a collection until the client goes.
 * @source Kubernetes API concepts, watch */
export function streamChanges(
  store: Store,
  clock: Clock,
  request: WatchRequest,
  response: ServerResponse,
): void {
  new Watch(store, clock, request, response).begin();
}

class Watch {
  private readonly store: Store;
  private readonly clock: Clock;
  private readonly request: WatchRequest;
  private readonly response: ServerResponse;
  private readonly timers: Timer[] = [];

  constructor(store: Store, clock: Clock, request: WatchRequest, response: ServerResponse) {
    this.store = store;
    this.clock = clock;
    this.request = request;
    this.response = response;
  }

  begin(): void {
    const { served, resourceVersion, timeout, bookmarks } = this.request;
    const { collection } = served.resource;
    const past = this.past();
    this.response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' });
    this.response.flushHeaders();
    if (past === undefined) {
      const status = expired(
        `too old resource version: ${resourceVersion} (${this.store.compacted(collection)})`,
      ).status();
      this.response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
      return;
    }
    for (const change of past) this.pass(change);
    if (this.request.initialEvents) this.bookmark({ 'k8s.io/initial-events-end': 'true' });
    const unwatch = this.store.watch(collection, (change) => this.pass(change));
    if (bookmarks) this.timers.push(this.clock.every(BOOKMARK_EVERY, () => this.bookmark({})));
    if (bookmarks && timeout > BOOKMARK_BEFORE_END)
      this.timers.push(this.clock.after(seconds(timeout - BOOKMARK_BEFORE_END), () => this.bookmark({})));
    if (timeout > 0) this.timers.push(this.clock.after(seconds(timeout), () => this.response.end()));
    this.response.once('close', () => {
      unwatch();
      for (const timer of this.timers) timer.cancel();
    });
  }

  /** What comes before the first live change; undefined when it is forgotten. */
  private past(): readonly Change[] | undefined {
    const { served, namespace, resourceVersion, initialEvents } = this.request;
    const { collection } = served.resource;
    if (resourceVersion === '' || resourceVersion === '0' || initialEvents) {
      const { revision } = this.store;
      return this.store
        .list(collection, namespace)
        .map((object) => ({ type: 'ADDED', revision, collection, object }));
    }
    const since = Number(resourceVersion);
    if (!Number.isInteger(since)) throw badRequest(`resourceVersion ${resourceVersion} is no number`);
    return this.store.since(collection, since);
  }

  private pass(change: Change): void {
    const { namespace, matches } = this.request;
    if (namespace !== undefined && change.object.metadata.namespace !== namespace) return;
    const now = matches(this.inVersion(change.object));
    const before = change.previous !== undefined && matches(this.inVersion(change.previous));
    if (change.type === 'DELETED') {
      if (before) this.send('DELETED', change.object);
    } else if (change.type === 'ADDED' || !before) {
      if (now) this.send('ADDED', change.object);
    } else this.send(now ? 'MODIFIED' : 'DELETED', change.object);
  }

  private send(type: string, object: ApiObject): void {
    const { served, view } = this.request;
    this.write({ type, object: showObject(this.inVersion(object), served, view, this.clock.now()) });
  }

  private bookmark(annotations: JsonObject): void {
    const { resource, version } = this.request.served;
    const metadata = { resourceVersion: String(this.store.revision), creationTimestamp: null };
    const note = Object.keys(annotations).length > 0 ? { annotations } : {};
    const apiVersion = apiVersionOf(resource.group, version.name);
    const object: JsonObject = { kind: resource.kind, apiVersion, metadata: { ...metadata, ...note } };
    this.write({ type: 'BOOKMARK', object: this.request.view.as === 'Table' ? tableOf(object) : object });
  }

  private write(event: JsonObject): void {
    this.response.write(`${JSON.stringify(event)}\n`);
    if (this.response.writableLength > LARGEST_BACKLOG) this.response.destroy();
  }

  private inVersion(object: ApiObject): ApiObject {
    const { resource, version } = this.request.served;
    return inVersion(object, resource, version);
  }
}

function tableOf(object: JsonObject): JsonObject {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: object.metadata,
    columnDefinitions: [],
    rows: [],
  };
}

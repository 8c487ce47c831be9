import type { Clock } from '../../core/clock.ts';
import type { KubeObject } from '../../core/k8s.ts';
import { isRecord } from '../../core/message.ts';
import { type ApiPath, apiVersionOf, collectionOf, keyOf } from './api-path.ts';
import type { Verdict } from './application.ts';
import { type Call, optionsOf } from './call.ts';
import type { CloudApi } from './cloud-api.ts';
import { type Answer, type Documents, jsonAnswer } from './documents.ts';
import { isApiObject, LARGEST_KEPT, type ObjectCache } from './object-cache.ts';
import { expired, noSuchPath, Refusal, refusal, unavailable } from './refusal.ts';
import { matcherOf } from './selectors.ts';
import { partialOf, tableOf, trimTable, type View, viewOf } from './table.ts';

export type ReadDeps = {
  readonly cloud: CloudApi;
  readonly cache: ObjectCache;
  readonly documents: Documents;
  readonly clock: Clock;
};

export const LIST_OPTIONS = [
  'labelSelector',
  'fieldSelector',
  'limit',
  'continue',
  'resourceVersion',
  'resourceVersionMatch',
  'timeoutSeconds',
];
/** The real API server's columns; it is asked for the objects too, to be kept. */
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';

/** get and list: what the cloud says, else what is held. */
export class Reads {
  private readonly deps: ReadDeps;

  constructor(deps: ReadDeps) {
    this.deps = deps;
  }

  /** Throws refusals. */
  async get(call: Call): Promise<Answer> {
    const { path, query, accept } = call;
    const view = viewOf(accept, query);
    const collection = collectionOf(path);
    const key = keyOf(collection, path.namespace, path.name);
    const verdict = await this.deps.cloud.read({
      key,
      verb: 'get',
      option: optionsOf(query, ['resourceVersion']),
      ...(path.subresource ? { subresource: path.subresource } : {}),
      ...(view.as === 'Table' ? { accept: TABLE } : {}),
    });
    if (verdict.kind === 'rejected') throw this.refused(verdict, path);
    if (verdict.kind === 'away') return this.heldObject(path, view, verdict.why);
    const answer = parse(verdict.body);
    const whole = path.subresource === '' || path.subresource === 'status';
    if (!whole) return { status: 200, type: 'application/json', body: verdict.body };
    if (answer.kind === 'Table') return this.tableAnswer(answer, view, collection);
    this.deps.cache.take(answer, false, collection);
    return isApiObject(answer) ? this.show(answer, view) : jsonAnswer(answer);
  }

  /** Throws refusals. */
  async list(call: Call): Promise<Answer> {
    const { path, query, accept } = call;
    const view = viewOf(accept, query);
    const verdict = await this.ask(path, query, view.as === 'Table');
    if (verdict.kind === 'rejected') throw new Refusal(verdict.status);
    if (verdict.kind === 'away') return this.heldList(call, view);
    const list = parse(verdict.body);
    this.keep(path, query, list, verdict.body.length);
    if (list.kind === 'Table') return jsonAnswer(trimTable(list, view.include).table);
    if (view.as === 'Object') return { status: 200, type: 'application/json', body: verdict.body };
    const kind = String(list.kind ?? '').replace(/List$/, '');
    return this.showList(itemsOf(list), kind, path, record(list.metadata), view);
  }

  /** Brings what is held of a collection up to date with the cloud, if it answers. */
  async refresh(path: ApiPath, query: URLSearchParams): Promise<void> {
    const verdict = await this.ask(path, query, false);
    if (verdict.kind === 'approved') this.keep(path, query, parse(verdict.body), verdict.body.length);
  }

  private ask(path: ApiPath, query: URLSearchParams, table: boolean): Promise<Verdict> {
    return this.deps.cloud.read({
      key: keyOf(collectionOf(path), path.namespace, path.name),
      verb: 'list',
      option: optionsOf(query, LIST_OPTIONS),
      ...(table ? { accept: TABLE } : {}),
    });
  }

  private keep(path: ApiPath, query: URLSearchParams, list: Record<string, unknown>, size: number): void {
    const metadata = record(list.metadata);
    const version = Number(metadata.resourceVersion);
    if (size > LARGEST_KEPT) return this.deps.cache.journal.note(version);
    const items = list.kind === 'Table' ? trimTable(list, 'None').objects : itemsOf(list);
    const complete = !metadata.continue && !query.get('continue') && Number.isSafeInteger(version);
    const matches = matcherOf(query, path.name);
    this.deps.cache.takeList(collectionOf(path), path.namespace, matches, { items, version, complete });
  }

  private heldObject(path: ApiPath, view: View, why: string): Answer {
    const { cache } = this.deps;
    if (path.subresource !== '' && path.subresource !== 'status')
      throw unavailable(`${path.subresource} needs the cloud: ${why}`);
    const object = cache.get(keyOf(collectionOf(path), path.namespace, path.name));
    if (object) return this.show(object, view);
    const { group, plural, name } = path;
    const qualified = group ? `${plural}.${group}` : plural;
    throw refusal(404, 'NotFound', `${qualified} "${name}" not found on this node, and the cloud is away`, {
      name,
      ...(group ? { group } : {}),
      kind: plural,
    });
  }

  private heldList({ path, query }: Call, view: View): Answer {
    const { cache, documents } = this.deps;
    if (query.get('continue')) throw expired('the cloud went away in the middle of a list');
    const collection = collectionOf(path);
    const kind = documents.kindOf(collection)?.kind;
    if (!kind) throw noSuchPath();
    const objects = cache.list(collection, path.namespace).filter(matcherOf(query, path.name));
    return this.showList(objects, kind, path, { resourceVersion: `${cache.journal.revision}` }, view);
  }

  private refused(verdict: Extract<Verdict, { kind: 'rejected' }>, path: ApiPath): Refusal {
    const { status } = verdict;
    if (status.code === 404 && path.subresource === '')
      this.deps.cache.remove(collectionOf(path), path.namespace, path.name, undefined);
    return new Refusal(status);
  }

  private tableAnswer(answer: Record<string, unknown>, view: View, collection: string): Answer {
    const { table, objects } = trimTable(answer, view.include);
    for (const object of objects) this.deps.cache.take(object, false, collection);
    return jsonAnswer(table);
  }

  private show(object: KubeObject, view: View): Answer {
    if (view.as === 'PartialObjectMetadata') return jsonAnswer(partialOf(object));
    if (view.as === 'Object') return jsonAnswer(object);
    const meta = { resourceVersion: object.metadata.resourceVersion ?? '' };
    return jsonAnswer(tableOf([object], object.kind ?? '', meta, view.include, this.deps.clock.now()));
  }

  private showList(
    objects: readonly KubeObject[],
    kind: string,
    path: ApiPath,
    metadata: Record<string, unknown>,
    view: View,
  ): Answer {
    if (view.as === 'Table')
      return jsonAnswer(tableOf(objects, kind, metadata, view.include, this.deps.clock.now()));
    if (view.as === 'PartialObjectMetadata') {
      const items = objects.map(partialOf);
      return jsonAnswer({
        kind: 'PartialObjectMetadataList',
        apiVersion: 'meta.k8s.io/v1',
        metadata,
        items,
      });
    }
    return jsonAnswer({ kind: `${kind}List`, apiVersion: apiVersionOf(path), metadata, items: objects });
  }
}

/** The items of a list, which come without their kind when the list is of one kind. */
function itemsOf(list: Record<string, unknown>): KubeObject[] {
  const { apiVersion, kind, items } = list;
  if (!Array.isArray(items)) return [];
  const type = { apiVersion, kind: String(kind ?? '').replace(/List$/, '') };
  return items.filter(isApiObject).map((item) => (item.kind ? item : ({ ...type, ...item } as KubeObject)));
}

function parse(body: Buffer): Record<string, unknown> {
  try {
    return record(JSON.parse(body.toString()));
  } catch {
    throw refusal(502, 'InternalError', 'the cloud answered with what is no JSON');
  }
}

function record(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

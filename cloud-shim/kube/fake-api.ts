import type { KubeObject, Status } from '../../runtime/core/k8s.ts';
import type { JsonObject } from '../mini-master/json.ts';
import { applyMergePatch } from '../mini-master/patch/merge-patch.ts';
import type { Answer, KubeApi, ObjectList, ObjectName, PatchType, Query, WatchEvent } from './client.ts';
import { pathOf, type ResourceKind } from './resource-kind.ts';

/** One watch that is open, for a test to feed. */
export type OpenWatch = {
  readonly plural: string;
  readonly query: Query;
  readonly send: (event: WatchEvent) => void;
  readonly end: () => void;
  readonly fail: (error: Error) => void;
};

const refusal = (code: number, reason: string, message: string): { status: Status } => ({
  status: { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, code },
});

/** An API server in memory, for tests: it keeps objects, notes every call, and leaves watches to the test. */
export class FakeApi implements KubeApi {
  /** `GET /api/v1/nodes/edge-1`, in order. */
  readonly calls: string[] = [];
  readonly watches: OpenWatch[] = [];
  /** Answers that come before any other: a status for the calls that match. */
  readonly refusals: { readonly call: RegExp; readonly code: number; readonly reason: string }[] = [];
  private readonly objects = new Map<string, KubeObject>();
  private revision = 0;

  get<T extends KubeObject>(kind: ResourceKind, name: ObjectName): Promise<Answer<T>> {
    return this.answer('GET', kind, name, (path) => this.found(path));
  }

  list<T extends KubeObject>(kind: ResourceKind): Promise<Answer<ObjectList<T>>> {
    return this.answer('GET', kind, { name: '' }, () => {
      const items = [...this.objects].filter(([path]) => path.split('/').at(-2) === kind.plural);
      const object = { metadata: { resourceVersion: String(this.revision) }, items: items.map(([, o]) => o) };
      return { object: object as unknown as ObjectList<T> };
    });
  }

  create<T = KubeObject>(kind: ResourceKind, name: ObjectName, object: unknown): Promise<Answer<T>> {
    const whole = object as KubeObject;
    return this.answer('POST', kind, { ...name, name: whole.metadata.name }, (path) => {
      if (this.objects.has(path)) return refusal(409, 'AlreadyExists', `${path} already exists`);
      return this.keep(path, whole);
    });
  }

  update<T extends KubeObject>(kind: ResourceKind, name: ObjectName, object: unknown): Promise<Answer<T>> {
    return this.answer('PUT', kind, name, (path) => this.keep(path, object as KubeObject));
  }

  /** Takes every patch for a merge patch. */
  patch<T extends KubeObject>(
    kind: ResourceKind,
    name: ObjectName,
    _type: PatchType,
    patch: unknown,
  ): Promise<Answer<T>> {
    return this.answer('PATCH', kind, name, (path) => {
      const found = this.found<KubeObject>(path);
      if ('status' in found) return found;
      const merged = applyMergePatch(found.object as unknown as JsonObject, patch as JsonObject);
      return this.keep(path, merged as unknown as KubeObject);
    });
  }

  delete(kind: ResourceKind, name: ObjectName): Promise<Answer<KubeObject>> {
    return this.answer('DELETE', kind, name, (path) => {
      const found = this.found<KubeObject>(path);
      this.objects.delete(path);
      return found;
    });
  }

  watch(
    { plural }: ResourceKind,
    query: Query,
    send: (event: WatchEvent) => void,
    signal: AbortSignal,
  ): Promise<void> {
    this.calls.push(`WATCH ${plural} ${query.resourceVersion}`);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        signal.removeEventListener('abort', end);
        resolve();
      };
      const fail = (error: Error): void => {
        signal.removeEventListener('abort', end);
        reject(error);
      };
      signal.addEventListener('abort', end);
      this.watches.push({ plural, query, send, end, fail });
    });
  }

  private answer<T>(
    verb: string,
    kind: ResourceKind,
    { namespace, name, subresource }: ObjectName,
    work: (path: string) => Answer<unknown>,
  ): Promise<Answer<T>> {
    const call = `${verb} ${pathOf(kind, namespace, name, subresource)}`;
    this.calls.push(call);
    const refused = this.refusals.find((each) => each.call.test(call));
    if (refused) return Promise.resolve(refusal(refused.code, refused.reason, `${call} was refused`));
    return Promise.resolve(work(pathOf(kind, namespace, name)) as Answer<T>);
  }

  private found<T>(path: string): Answer<T> {
    const object = this.objects.get(path);
    return object ? { object: object as T } : refusal(404, 'NotFound', `${path} not found`);
  }

  private keep(path: string, object: KubeObject): Answer<KubeObject> {
    this.revision++;
    const metadata = { ...object.metadata, resourceVersion: String(this.revision) };
    const kept = { ...object, metadata };
    this.objects.set(path, kept);
    return { object: kept };
  }
}

import { collectionOf, keyOf } from './api-path.ts';
import type { ApplicationRequest, Verb } from './application.ts';
import { bodyObject, type Call, optionsOf } from './call.ts';
import type { CloudApi } from './cloud-api.ts';
import type { Answer } from './documents.ts';
import { isApiObject, type ObjectCache } from './object-cache.ts';
import { badRequest, notAllowed, notOffered, Refusal, refusal, unavailable } from './refusal.ts';

export type WriteDeps = { readonly cloud: CloudApi; readonly cache: ObjectCache };

type Asked = Omit<ApplicationRequest, 'node'>;

const WRITE_OPTIONS = ['dryRun', 'fieldManager', 'fieldValidation'];
const DELETE_OPTIONS = ['dryRun', 'gracePeriodSeconds', 'propagationPolicy', 'orphanDependents'];
const PATCH_TYPES = new Set([
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
]);

/** Everything that changes objects: the cloud does it, or it is not done. */
export class Writes {
  private readonly deps: WriteDeps;

  constructor(deps: WriteDeps) {
    this.deps = deps;
  }

  /** Throws refusals. */
  async serve(call: Call): Promise<Answer> {
    const { cloud, cache } = this.deps;
    const collection = collectionOf(call.path);
    const asked = this.ask(call, keyOf(collection, call.path.namespace, call.path.name));
    const verdict = await cloud.write(asked);
    if (verdict.kind === 'away')
      throw unavailable(`this cannot be changed while the cloud is away: ${verdict.why}`);
    if (verdict.kind === 'rejected') throw new Refusal(verdict.status);
    const { body } = verdict;
    const text = body.length > 0 ? body : Buffer.from(JSON.stringify(DELETED));
    if (!isDryRun(call)) this.keep(call, collection, text, cache);
    return { status: asked.verb === 'create' ? 201 : 200, type: 'application/json', body: text };
  }

  private ask(call: Call, key: string): Asked {
    const { method, path, body, query } = call;
    const subresource = path.subresource ? { subresource: path.subresource } : {};
    switch (method) {
      case 'POST':
        bodyObject(call);
        return { key, verb: 'create', option: optionsOf(query, WRITE_OPTIONS), body, ...subresource };
      case 'PUT': {
        const verb: Verb = path.subresource === 'status' ? 'updatestatus' : 'update';
        bodyObject(call);
        return { key, verb, option: optionsOf(query, WRITE_OPTIONS), body, ...subresource };
      }
      case 'PATCH':
        return this.patch(call, key);
      case 'DELETE': {
        if (!path.name) throw notOffered('objects are deleted one by one here');
        const given = body.length > 0 ? bodyObject(call) : {};
        return { key, verb: 'delete', option: { ...optionsOf(query, DELETE_OPTIONS), ...given } };
      }
      default:
        throw notAllowed();
    }
  }

  private patch({ path, body, query, contentType }: Call, key: string): Asked {
    if (!PATCH_TYPES.has(contentType))
      throw refusal(415, 'UnsupportedMediaType', `a patch of type ${contentType} is not understood`);
    if (!path.name) throw badRequest('a patch needs a name');
    const option = {
      Name: path.name,
      PatchType: contentType,
      Data: body.toString('base64'),
      Options: optionsOf(query, [...WRITE_OPTIONS, 'force']),
      Subresources: [path.subresource],
    };
    return { key, verb: 'patch', option };
  }

  /** What the cloud made of it is held at once: the client may read it back offline. */
  private keep({ method, path }: Call, collection: string, body: Buffer, cache: ObjectCache): void {
    let object: unknown;
    try {
      object = JSON.parse(body.toString());
    } catch {
      return;
    }
    if (path.subresource !== '' && path.subresource !== 'status') return;
    if (isApiObject(object) && object.kind !== 'Status') {
      cache.take(object, false, collection);
    } else if (method === 'DELETE') cache.remove(collection, path.namespace, path.name, undefined);
  }
}

const DELETED = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' };

function isDryRun({ query }: Call): boolean {
  return query.has('dryRun');
}

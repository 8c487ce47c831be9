import type { ServerResponse } from 'node:http';
import type { Clock } from '../../../runtime/core/clock.ts';
import { kubeTime } from '../../../runtime/core/k8s.ts';
import type { Credentials } from '../auth/authority.ts';
import type { TokenSigner } from '../auth/tokens.ts';
import { bindPod } from '../controllers/controllers.ts';
import { type ApiObject, isObject, type Json, type JsonObject, textAt } from '../json.ts';
import type { Registry, Served } from '../kinds/registry.ts';
import { inVersion } from '../kinds/resource.ts';
import { type Matcher, parseFieldSelector, parseLabelSelector } from '../selectors.ts';
import { badRequest, conflict, methodNotAllowed, noSuchPath } from '../status.ts';
import { deleteOptions } from './delete-options.ts';
import type { Objects, Target, WriteOptions } from './objects.ts';
import { contentFor, cutPage, type Page, pageOf } from './paging.ts';
import { patchObject } from './patching.ts';
import { proxyLog } from './pod-log.ts';
import { isTrue, type ResourcePath } from './request.ts';
import { issueToken } from './token-request.ts';
import { showList, showObject, type View, viewOf } from './view.ts';
import { streamChanges } from './watching.ts';

export type VerbDeps = {
  readonly objects: Objects;
  readonly registry: Registry;
  readonly signer: TokenSigner;
  readonly credentials: Credentials;
  readonly clock: Clock;
};

/** One request for a resource. */
export type Call = {
  readonly method: string;
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
  readonly accept: string;
  readonly contentType: string;
  /** First part of User-Agent. */
  readonly agent: string;
  readonly text: string;
  readonly body: () => Json;
};

type Context = VerbDeps & {
  readonly call: Call;
  readonly served: Served;
  readonly target: Target;
  readonly view: View;
  readonly response: ServerResponse;
};

/** Serves a request for objects. Throws refusals. */
export async function serveResource(deps: VerbDeps, call: Call, response: ServerResponse): Promise<void> {
  const { group, version, plural, namespace, name, subresource } = call.path;
  const served = deps.registry.find(group, version, plural);
  if (!served) throw noSuchPath();
  if (served.version.warning) response.setHeader('Warning', `299 - "${served.version.warning}"`);
  const target = { served, namespace, name };
  const context: Context = { ...deps, call, served, target, view: viewOf(call.accept, call.query), response };
  if (!name) return serveCollection(context);
  if (subresource === '' || (subresource === 'status' && served.version.hasStatus))
    return serveObject(context);
  if (!served.resource.subresources.some((s) => s.name === subresource)) throw noSuchPath();
  return serveSubresource(context, subresource);
}

function serveCollection(context: Context): void {
  const { call, objects, target } = context;
  switch (call.method) {
    case 'GET':
      return isTrue(call.query.get('watch')) ? watch(context) : list(context);
    case 'POST':
      return send(context, 201, objects.create(target, record(call.body()), options(context)));
    case 'DELETE':
      return deleteAll(context);
    default:
      throw methodNotAllowed();
  }
}

function serveObject(context: Context): void {
  const { call, objects, target } = context;
  switch (call.method) {
    case 'GET':
      // An old client watches one object by its path.
      return isTrue(call.query.get('watch')) ? watch(context) : send(context, 200, objects.get(target));
    case 'PUT': {
      const existed = objects.store.get(target.served.resource.collection, target.namespace, target.name);
      const object = objects.update(target, record(call.body()), options(context));
      return send(context, existed ? 200 : 201, object);
    }
    case 'PATCH': {
      const { contentType, text, query } = call;
      const patch = { contentType, body: text, force: isTrue(query.get('force')), now: context.clock.now() };
      const { object, created } = patchObject(objects, target, patch, options(context));
      return send(context, created ? 201 : 200, object);
    }
    case 'DELETE':
      return deleteOne(context);
    default:
      throw methodNotAllowed();
  }
}

async function serveSubresource(context: Context, subresource: string): Promise<void> {
  const { call, objects, target, response, clock, signer } = context;
  const body = (): JsonObject => record(call.body());
  if (subresource === 'log' && call.method === 'GET')
    return proxyLog(
      objects.store,
      objects.get(target),
      call.query,
      context.credentials.kubeletClient,
      response,
    );
  if (call.method === 'POST' && subresource === 'binding') {
    const pod = objects.get(target);
    if (textAt(pod, 'spec', 'nodeName'))
      throw conflict(target.served.resource, target.name, `pod ${target.name} is already assigned to node`);
    bindPod(objects, pod, textAt(body(), 'target', 'name'), kubeTime(clock.now()));
    return sendStatus(context, 201, {});
  }
  if (call.method === 'POST' && subresource === 'token')
    return sendJson(response, 201, issueToken(objects.store, signer, target, body(), clock.now()));
  if (call.method === 'POST' && subresource === 'eviction') return deleteOne(context);
  if (call.method === 'PUT' && subresource === 'finalize') {
    const finalizers = isObject(body().spec) ? (body().spec as JsonObject).finalizers : [];
    const change = (object: ApiObject): JsonObject => ({ ...object, spec: { finalizers } });
    return send(context, 200, objects.modify(target, change, options(context)));
  }
  throw methodNotAllowed();
}

function list(context: Context): void {
  const { call, objects, served, view, response, clock } = context;
  const page = pageOf(call.query);
  const counted = !call.query.get('labelSelector') && !call.query.get('fieldSelector');
  const found = cutPage(select(context, page), page, objects.store.revision, counted);
  sendJson(response, 200, showList(found.objects, served, found.metadata, view, clock.now()));
}

/** What the selectors of a request choose, in the version that was asked for. */
function select(context: Context, page: Page): ApiObject[] {
  const { objects, served, call } = context;
  const { resource, version } = served;
  return contentFor(page, objects.store, resource.collection, call.path.namespace || undefined)
    .map((object) => inVersion(object, resource, version))
    .filter(matcher(context));
}

function matcher({ call, served }: Context): Matcher {
  const label = parseLabelSelector(call.query.get('labelSelector') ?? '');
  const wanted = call.path.name ? `metadata.name=${call.path.name}` : (call.query.get('fieldSelector') ?? '');
  const field = parseFieldSelector(wanted, [
    'metadata.name',
    'metadata.namespace',
    ...served.resource.selectable,
  ]);
  return (object) => label(object) && field(object);
}

function watch(context: Context): void {
  const { call, objects, served, view, response, clock } = context;
  streamChanges(
    objects.store,
    clock,
    {
      served,
      namespace: call.path.namespace || undefined,
      matches: matcher(context),
      view,
      resourceVersion: call.query.get('resourceVersion') ?? '',
      bookmarks: isTrue(call.query.get('allowWatchBookmarks')),
      initialEvents: isTrue(call.query.get('sendInitialEvents')),
      timeout: Number(call.query.get('timeoutSeconds') ?? 0),
    },
    response,
  );
}

function deleteOne(context: Context): void {
  const { call, objects, target, served } = context;
  const { object, gone } = objects.delete(target, deleteOptions(call.body(), call.query));
  if (!gone || served.resource.answersDeleted) return send(context, 200, object);
  const { name = '', uid = '' } = object.metadata;
  const { group, plural } = served.resource;
  return sendStatus(context, 200, { name, ...(group ? { group } : {}), kind: plural, uid });
}

function deleteAll(context: Context): void {
  const { call, objects, served } = context;
  const given = deleteOptions(call.body(), call.query);
  const found = select(context, pageOf(call.query));
  for (const { metadata } of found)
    objects.delete({ served, namespace: metadata.namespace ?? '', name: metadata.name ?? '' }, given);
  const metadata = { resourceVersion: String(objects.store.revision) };
  sendJson(context.response, 200, showList(found, served, metadata, context.view, context.clock.now()));
}

function options({ call, response }: Context): WriteOptions {
  const validation = call.query.get('fieldValidation');
  const warnings: string[] = [];
  return {
    dryRun: call.query.has('dryRun'),
    manager: call.query.get('fieldManager') || call.agent,
    fieldValidation: validation === 'Strict' || validation === 'Warn' ? validation : 'Ignore',
    subresource: call.path.subresource === 'finalize' ? '' : call.path.subresource,
    warn: (text) => {
      warnings.push(`299 - "${text.replaceAll('"', '\\"')}"`);
      response.setHeader('Warning', warnings);
    },
  };
}

function record(value: Json): JsonObject {
  if (!isObject(value)) throw badRequest('the body must be an object');
  return value;
}

function send({ response, served, view, clock }: Context, status: number, object: ApiObject): void {
  sendJson(response, status, showObject(object, served, view, clock.now()));
}

function sendStatus({ response }: Context, code: number, details: JsonObject): void {
  sendJson(response, code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
}

function sendJson(response: ServerResponse, status: number, body: Json): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

import { isRecord } from '../../runtime/core/message.ts';
import type { ApiCall } from '../kube/client.ts';
import { pathOf } from '../kube/resource-kind.ts';
import type { Application } from './application.ts';

/** The HTTP request that an application stands for.
 * @source KubeEdge cloud/pkg/dynamiccontroller/application */
export function callOf(application: Application): ApiCall {
  const { target, verb, option, body, accept } = application;
  const form = accept ? { accept } : {};
  if (target.kind === 'document') return { method: 'GET', path: target.path, ...form };
  const { resource, namespace, name, subresource } = target;
  const at = (sub = subresource): string =>
    pathOf({ ...resource, kind: '', namespaced: namespace !== undefined }, namespace, name, sub);
  switch (verb) {
    case 'get':
      return { method: 'GET', path: `${at()}${queryOf(option)}${tableQuery(accept, option)}`, ...form };
    case 'list':
    case 'watch':
      return { method: 'GET', path: `${at()}${queryOf(option)}${tableQuery(accept, option)}`, ...form };
    case 'create':
      return { method: 'POST', path: `${at()}${queryOf(option)}`, ...json(body) };
    case 'update':
      return { method: 'PUT', path: `${at()}${queryOf(option)}`, ...json(body) };
    case 'updatestatus':
      return { method: 'PUT', path: `${at('status')}${queryOf(option)}`, ...json(body) };
    case 'delete':
      return { method: 'DELETE', path: at(), ...json(Buffer.from(JSON.stringify(option))) };
    case 'patch':
      return patchOf(option, at);
    default:
      return verb satisfies never;
  }
}

function patchOf(
  { PatchType, Data, Options, Subresources }: Application['option'],
  at: (sub?: string) => string,
): ApiCall {
  const [subresource] = Array.isArray(Subresources) ? Subresources : [];
  const path = typeof subresource === 'string' && subresource ? at(subresource) : at();
  return {
    method: 'PATCH',
    path: `${path}${queryOf(isRecord(Options) ? Options : {})}`,
    contentType: typeof PatchType === 'string' ? PatchType : '',
    body: Buffer.from(typeof Data === 'string' ? Data : '', 'base64'),
  };
}

function json(body: Buffer | undefined): Pick<ApiCall, 'contentType' | 'body'> {
  return { contentType: 'application/json', body: body ?? Buffer.alloc(0) };
}

/** metav1 options as a query. */
function queryOf(option: Application['option']): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(option)) {
    if (['kind', 'apiVersion', 'watch', 'allowWatchBookmarks', 'sendInitialEvents'].includes(name)) continue;
    for (const each of Array.isArray(value) ? value : [value])
      if (['string', 'number', 'boolean'].includes(typeof each)) query.append(name, String(each));
  }
  const text = query.toString();
  return text ? `?${text}` : '';
}

/** A node keeps the objects of the tables that it passes on. */
function tableQuery(accept: string, option: Application['option']): string {
  if (!accept.includes('as=Table')) return '';
  return `${queryOf(option) ? '&' : '?'}includeObject=Object`;
}

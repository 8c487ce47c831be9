import type { IncomingMessage, ServerResponse } from 'node:http';
import { isRecord } from '../../core/message.ts';
import type { ApiPath } from './api-path.ts';
import { badRequest } from './refusal.ts';

/** One request for objects. */
export type Call = {
  readonly method: string;
  readonly path: ApiPath;
  readonly query: URLSearchParams;
  readonly accept: string;
  /** Without parameters. */
  readonly contentType: string;
  readonly agent: string;
  readonly body: Buffer;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
};

export function isTrue(text: string | null): boolean {
  return text === 'true' || text === '1';
}

/** metav1 options as a query has them: of `names` those that were given. */
export function optionsOf(query: URLSearchParams, names: readonly string[]): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const name of names) {
    const value = query.get(name);
    if (value === null || value === '') continue;
    options[name] = typed(name, value);
  }
  return options;
}

function typed(name: string, value: string): unknown {
  if (name === 'dryRun') return [value];
  if (name === 'force' || name === 'orphanDependents') return isTrue(value);
  if (/^(limit|timeoutSeconds|gracePeriodSeconds)$/.test(name)) {
    if (!/^\d+$/.test(value)) throw badRequest(`${name} is no number: ${value}`);
    return Number(value);
  }
  return value;
}

/** The body as a JSON object. Throws 400. */
export function bodyObject({ body }: Pick<Call, 'body'>): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw badRequest('the body is no JSON');
  }
  if (!isRecord(value)) throw badRequest('the body must be an object');
  return value;
}

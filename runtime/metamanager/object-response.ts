import { isRecord, type Message } from '../core/message.ts';

/** What the cloud made of a write: the object as it now is, or the API server's refusal. */
export type ObjectResponse =
  | { readonly kind: 'object'; readonly object: Record<string, unknown> }
  | { readonly kind: 'refused'; readonly reason: string; readonly code: number; readonly message: string };

/** Reads `{Object, Err}`. An empty `Err` is a failure that KubeEdge could not put into JSON, not a success.
 * @source KubeEdge edge/pkg/metamanager/client ObjectResp */
export function parseObjectResponse(reply: Message): ObjectResponse {
  const { content, route } = reply;
  if (route.operation === 'error') return refused(String(content));
  if (!isRecord(content))
    return refused(`an answer without object: ${JSON.stringify(content)?.slice(0, 80)}`);
  const { Object: object, Err } = content;
  if (isRecord(Err)) return fromStatus(isRecord(Err.ErrStatus) ? Err.ErrStatus : {});
  return isRecord(object) ? { kind: 'object', object } : refused('an answer without object');
}

/** Reads the plain object that answers a query. A failed query comes as operation `response` too, with the Status inside. */
export function parseQueryAnswer(reply: Message): ObjectResponse {
  const { content, route } = reply;
  if (route.operation === 'error') return notFoundOr(String(content));
  if (!isRecord(content)) return refused('an answer without object');
  if (isRecord(content.ErrStatus)) return fromStatus(content.ErrStatus);
  if (!isRecord(content.metadata)) return refused('an answer without metadata');
  return { kind: 'object', object: content };
}

function fromStatus(status: Record<string, unknown>): ObjectResponse {
  const { reason, code, message } = status;
  return {
    kind: 'refused',
    reason: typeof reason === 'string' ? reason : 'Unknown',
    code: typeof code === 'number' ? code : 0,
    message: typeof message === 'string' ? message : 'the cloud did not say why',
  };
}

function refused(message: string): ObjectResponse {
  return { kind: 'refused', reason: 'Unknown', code: 0, message };
}

/** A refusal in plain text carries no code; the API server's words for a missing object are fixed. */
function notFoundOr(message: string): ObjectResponse {
  if (/not found/i.test(message)) return { kind: 'refused', reason: 'NotFound', code: 404, message };
  return refused(message);
}

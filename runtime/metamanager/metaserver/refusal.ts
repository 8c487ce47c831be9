import type { Status } from '../../core/k8s.ts';

/** A request that is refused: thrown while one request is served, answered as its Status. It never leaves this folder. */
export class Refusal extends Error {
  readonly status: Status;

  constructor(status: Status) {
    super(status.message);
    this.name = 'Refusal';
    this.status = status;
  }
}

export function refusal(
  code: number,
  reason: string,
  message: string,
  details?: Readonly<Record<string, unknown>>,
): Refusal {
  return new Refusal({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details ? { details } : {}),
    code,
  });
}

export const badRequest = (message: string): Refusal => refusal(400, 'BadRequest', message);

export const noSuchPath = (): Refusal =>
  refusal(404, 'NotFound', 'the server could not find the requested resource');

export const notAllowed = (): Refusal =>
  refusal(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');

export const notOffered = (message: string): Refusal => refusal(501, 'NotImplemented', message);

export const expired = (message: string): Refusal => refusal(410, 'Expired', message);

/** For everything that needs the cloud while it is away. */
export const unavailable = (message: string): Refusal =>
  refusal(503, 'ServiceUnavailable', message, { retryAfterSeconds: 10 });

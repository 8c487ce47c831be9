import type { JsonObject } from './json.ts';

/** One field that was refused, as in Status.details.causes. */
export type Cause = { readonly reason: string; readonly message: string; readonly field: string };

export type StatusDetails = {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Cause[];
  readonly retryAfterSeconds?: number;
};

/** What a refusal names: the plural of the resource and its group. */
export type Subject = { readonly group: string; readonly plural: string };

/** A request that is refused: thrown inside the handling of one request, answered by the server as a
 * metav1.Status. It never leaves this folder. */
export class Refusal extends Error {
  readonly code: number;
  readonly reason: string;
  /** Not `details`: assertion libraries take that for a text of theirs. */
  readonly statusDetails: StatusDetails;

  constructor(code: number, reason: string, message: string, details: StatusDetails = {}) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.reason = reason;
    this.statusDetails = details;
  }

  /** The body of the answer. */
  status(): JsonObject {
    const details = JSON.parse(JSON.stringify(this.statusDetails)) as JsonObject;
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(Object.keys(details).length > 0 ? { details } : {}),
      code: this.code,
    };
  }
}

/** `pods`, `devices.devices.kubeedge.io`: how Status messages name a resource. */
export function qualified(subject: Subject): string {
  return subject.group ? `${subject.plural}.${subject.group}` : subject.plural;
}

const detailsOf = (subject: Subject, name: string): StatusDetails => ({
  name,
  ...(subject.group ? { group: subject.group } : {}),
  kind: subject.plural,
});

export function notFound(subject: Subject, name: string): Refusal {
  return new Refusal(404, 'NotFound', `${qualified(subject)} "${name}" not found`, detailsOf(subject, name));
}

export function noSuchPath(): Refusal {
  return new Refusal(404, 'NotFound', 'the server could not find the requested resource');
}

export function alreadyExists(subject: Subject, name: string): Refusal {
  const text = `${qualified(subject)} "${name}" already exists`;
  return new Refusal(409, 'AlreadyExists', text, detailsOf(subject, name));
}

export function conflict(subject: Subject, name: string, why: string): Refusal {
  const text = `Operation cannot be fulfilled on ${qualified(subject)} "${name}": ${why}`;
  return new Refusal(409, 'Conflict', text, detailsOf(subject, name));
}

export const STALE =
  'the object has been modified; please apply your changes to the latest version and try again';

export function badRequest(message: string): Refusal {
  return new Refusal(400, 'BadRequest', message);
}

export function forbidden(
  subject: Subject,
  name: string,
  why: string,
  causes: readonly Cause[] = [],
): Refusal {
  const text = `${qualified(subject)} "${name}" is forbidden: ${why}`;
  return new Refusal(403, 'Forbidden', text, {
    ...detailsOf(subject, name),
    ...(causes.length > 0 ? { causes } : {}),
  });
}

export function methodNotAllowed(): Refusal {
  return new Refusal(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
  );
}

/** 410: the resourceVersion is older than the history that is kept. */
export function expired(message: string): Refusal {
  return new Refusal(410, 'Expired', message);
}

export function tooLarge(limit: number): Refusal {
  const text = `Request entity too large: limit is ${limit}`;
  return new Refusal(413, 'RequestEntityTooLarge', text);
}

/** 422 with one cause per faulty field. */
export function invalid(group: string, kind: string, name: string, causes: readonly Cause[]): Refusal {
  const texts = causes.map((c) => `${c.field}: ${c.message}`);
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const qualifiedKind = group ? `${kind}.${group}` : kind;
  return new Refusal(422, 'Invalid', `${qualifiedKind} "${name}" is invalid: ${list}`, {
    name,
    ...(group ? { group } : {}),
    kind,
    causes,
  });
}

/** Causes in the words of Kubernetes' field errors. @source apimachinery util/validation/field */
export const cause = {
  required: (field: string, detail = ''): Cause => ({
    reason: 'FieldValueRequired',
    message: detail ? `Required value: ${detail}` : 'Required value',
    field,
  }),
  invalid: (field: string, value: unknown, detail: string): Cause => ({
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${printed(value)}: ${detail}`,
    field,
  }),
  typeInvalid: (field: string, value: unknown, detail: string): Cause => ({
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: ${printed(value)}: ${detail}`,
    field,
  }),
  duplicate: (field: string, value: unknown): Cause => ({
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${printed(value)}`,
    field,
  }),
  notFound: (field: string, value: unknown): Cause => ({
    reason: 'FieldValueNotFound',
    message: `Not found: ${printed(value)}`,
    field,
  }),
  unsupported: (field: string, value: unknown, allowed: readonly unknown[]): Cause => ({
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${printed(value)}: supported values: ${allowed.map(printed).join(', ')}`,
    field,
  }),
  forbidden: (field: string, detail: string): Cause => ({
    reason: 'FieldValueForbidden',
    message: `Forbidden: ${detail}`,
    field,
  }),
};

function printed(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return text.length > 256 ? `${text.slice(0, 256)}...` : text;
}

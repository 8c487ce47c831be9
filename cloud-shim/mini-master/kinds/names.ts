import type { ApiObject } from '../json.ts';
import { asText, isObject, type Json, listAt, objectAt, objectsAt } from '../json.ts';
import { type Cause, cause } from '../status.ts';
import type { NameRule } from './resource.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/** Why `name` is no name of this kind, or undefined. @source apimachinery util/validation, RFC 1123 */
export function nameFault(name: string, rule: NameRule): string | undefined {
  const max = rule === 'label' ? 63 : 253;
  if (name.length > max) return `must be no more than ${max} characters`;
  if (rule === 'label') return LABEL.test(name) ? undefined : LABEL_TEXT;
  if (rule === 'subdomain') return SUBDOMAIN.test(name) ? undefined : SUBDOMAIN_TEXT;
  if (name === '.' || name === '..') return `may not be '${name}'`;
  return /[/%]/.test(name) ? "may not contain '/' or '%'" : undefined;
}

/** Faults of the metadata that every kind shares: names, labels, annotations, owners.
 * @source apimachinery api/validation/objectmeta.go */
export function metaFaults(object: ApiObject, rule: NameRule): Cause[] {
  const causes: Cause[] = [];
  const { name, generateName } = object.metadata;
  if (!name) causes.push(cause.required('metadata.name', 'name or generateName is required'));
  else {
    const fault = nameFault(name, rule);
    if (fault)
      causes.push(cause.invalid(generateName ? 'metadata.generateName' : 'metadata.name', name, fault));
  }
  causes.push(...labelFaults(object.metadata.labels, 'metadata.labels'));
  const annotations = objectAt(object, 'metadata', 'annotations');
  for (const [key, value] of Object.entries(annotations)) {
    const fault = keyFault(key.toLowerCase());
    if (fault) causes.push(cause.invalid('metadata.annotations', key, fault));
    if (typeof value !== 'string')
      causes.push(cause.invalid('metadata.annotations', key, 'the value must be a string'));
  }
  const size = Object.entries(annotations).reduce((sum, [k, v]) => sum + k.length + asText(v).length, 0);
  if (size > 256 * 1024)
    causes.push(cause.invalid('metadata.annotations', size, 'must have at most 262144 bytes'));
  for (const [i, owner] of objectsAt(object, 'metadata', 'ownerReferences').entries()) {
    for (const key of ['apiVersion', 'kind', 'name', 'uid']) {
      const field = `metadata.ownerReferences[${i}].${key}`;
      if (!owner[key]) causes.push(cause.invalid(field, '', `${key} must not be empty`));
    }
  }
  return causes;
}

/** Faults of metadata that changes: what is being deleted is held by nobody new.
 * @source apimachinery api/validation/objectmeta.go ValidateObjectMetaAccessorUpdate */
export function metaUpdateFaults(next: ApiObject, old: ApiObject): Cause[] {
  if (!old.metadata.deletionTimestamp) return [];
  const known = listAt(old, 'metadata', 'finalizers');
  const added = listAt(next, 'metadata', 'finalizers').filter((name) => !known.includes(name));
  if (added.length === 0) return [];
  const why = `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`;
  return [cause.forbidden('metadata.finalizers', why)];
}

/** Faults of a map of labels. */
export function labelFaults(labels: Json | undefined, field: string): Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(isObject(labels) ? labels : {})) {
    const fault = keyFault(key);
    if (fault) causes.push(cause.invalid(field, key, fault));
    if (typeof value !== 'string' || value.length > 63 || !LABEL_VALUE.test(value)) {
      const detail =
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, with at most 63 characters";
      causes.push(cause.invalid(field, value, detail));
    }
  }
  return causes;
}

function keyFault(key: string): string | undefined {
  const slash = key.indexOf('/');
  const prefix = key.slice(0, Math.max(slash, 0));
  const name = key.slice(slash + 1);
  if (slash >= 0 && (!SUBDOMAIN.test(prefix) || prefix.length > 253)) return `prefix part ${SUBDOMAIN_TEXT}`;
  if (QUALIFIED.test(name) && name.length <= 63) return undefined;
  return "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, with at most 63 characters";
}

import { isRecord } from '../core/message.ts';

/** True when `incoming` must not take the place of `stored`: the same object (by UID), but older.
 * Resource versions are compared as KubeEdge's cloud compares them, as unsigned integers. */
export function isOlder(incoming: unknown, stored: unknown): boolean {
  const next = metadata(incoming);
  const kept = metadata(stored);
  if (next.uid !== kept.uid) return false;
  const a = version(next.resourceVersion);
  const b = version(kept.resourceVersion);
  return a !== undefined && b !== undefined && a < b;
}

/** The UID of an object, or undefined. */
export function uidOf(object: unknown): string | undefined {
  const { uid } = metadata(object);
  return typeof uid === 'string' && uid !== '' ? uid : undefined;
}

function metadata(object: unknown): Record<string, unknown> {
  return isRecord(object) && isRecord(object.metadata) ? object.metadata : {};
}

function version(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^\d+$/.test(value) ? BigInt(value) : undefined;
}

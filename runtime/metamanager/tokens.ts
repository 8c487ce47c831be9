import type { ServiceAccountToken, TokenRequestSpec } from '../core/k8s.ts';
import { isRecord } from '../core/message.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Key of a stored token. It holds nothing that changes between two requests for the same use:
 * KubeEdge's does, and so never finds a token again after an offline restart. */
export function tokenKey(namespace: string, account: string, spec: TokenRequestSpec): string {
  const audiences = [...(spec.audiences ?? [])].sort().join(',');
  return `${namespace}/serviceaccounttoken/${account}/${spec.boundObjectRef.uid}/${audiences}`;
}

/** A token as it is stored: with the time it was issued, because its age decides when the next one is asked for. */
export type StoredToken = ServiceAccountToken & { readonly issuedAt: number };

/** True while no new token need be asked for: younger than 80 % of its life and than a day. One of the future says that
 * the clock was set back since: nothing is known of its age.
 * @source kubelet pkg/kubelet/token requiresRefresh */
export function isFresh(token: StoredToken, now: number): boolean {
  const expires = Date.parse(token.expirationTimestamp);
  const age = now - token.issuedAt;
  return age > -MINUTE && age < DAY && age < (expires - token.issuedAt) * 0.8;
}

/** Takes the token out of a TokenRequest's status. */
export function parseTokenRequest(object: Record<string, unknown>, now: number): StoredToken | undefined {
  const { status } = object;
  if (!isRecord(status)) return undefined;
  const { token, expirationTimestamp } = status;
  if (typeof token !== 'string' || token === '' || typeof expirationTimestamp !== 'string') return undefined;
  return { token, expirationTimestamp, issuedAt: now };
}

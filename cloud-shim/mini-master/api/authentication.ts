import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { type TokenSigner, tokenSubject } from '../auth/tokens.ts';
import { type JsonObject, objectAt, textAt } from '../json.ts';
import type { Store } from '../store/store.ts';

export type User = { readonly name: string; readonly groups: readonly string[] };

/** Who makes a request: by client certificate (CN and O) or by a service account's token; undefined for nobody.
 * @source Kubernetes: Authenticating */
export function authenticate(
  request: IncomingMessage,
  store: Store,
  signer: TokenSigner,
  now: number,
): User | undefined {
  const socket = request.socket as TLSSocket;
  if (socket.authorized) {
    const { subject } = socket.getPeerCertificate();
    const groups = [subject?.O ?? []].flat();
    if (subject?.CN)
      return { name: [subject.CN].flat()[0] ?? '', groups: [...groups, 'system:authenticated'] };
  }
  const token = request.headers.authorization?.match(/^Bearer (.+)$/)?.[1];
  return token ? tokenUser(token, store, signer, now) : undefined;
}

/** The service account of a valid token whose account, and pod if it is bound to one, still exist. */
export function tokenUser(token: string, store: Store, signer: TokenSigner, now: number): User | undefined {
  const subject = claimsOf(token, signer, now);
  if (!subject) return undefined;
  const { namespace, serviceAccount, bound } = subject;
  if (store.get('serviceaccounts', namespace, serviceAccount.name)?.metadata.uid !== serviceAccount.uid)
    return undefined;
  if (bound?.kind === 'pod' && store.get('pods', namespace, bound.name)?.metadata.uid !== bound.uid)
    return undefined;
  return {
    name: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  };
}

function claimsOf(token: string, signer: TokenSigner, now: number) {
  try {
    const claims = signer.check(token, Math.floor(now / 1000));
    return claims && tokenSubject(claims);
  } catch {
    return undefined;
  }
}

/** Answers a TokenReview. @source authentication.k8s.io/v1 */
export function reviewToken(review: JsonObject, store: Store, signer: TokenSigner, now: number): JsonObject {
  const user = tokenUser(textAt(review, 'spec', 'token'), store, signer, now);
  const status: JsonObject = user
    ? { authenticated: true, user: { username: user.name, groups: [...user.groups] } }
    : { authenticated: false, error: 'the token is not valid here' };
  return {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    metadata: {},
    spec: objectAt(review, 'spec'),
    status,
  };
}

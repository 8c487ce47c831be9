import { createPrivateKey, createPublicKey, type KeyObject, randomUUID, sign, verify } from 'node:crypto';
import { isObject, type JsonObject, objectAt, textAt } from '../json.ts';

/** What a token of a service account is bound to. */
export type TokenSubject = {
  readonly namespace: string;
  readonly serviceAccount: { readonly name: string; readonly uid: string };
  readonly bound?: { readonly kind: 'pod' | 'secret' | 'node'; readonly name: string; readonly uid: string };
  /** The node of a bound pod. */
  readonly node?: { readonly name: string; readonly uid: string };
};

/** Who issued the tokens, and for whom where a request names no audience. */
export const ISSUER = 'https://kubernetes.default.svc.cluster.local';

const encode = (value: JsonObject): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs and checks service-account tokens: ES256 JWTs with Kubernetes' claims.
 * @source RFC 7519; kubernetes pkg/serviceaccount/claims.go */
export class TokenSigner {
  private readonly key: KeyObject;
  private readonly publicKey: KeyObject;
  private readonly keyId: string;

  constructor(keyPem: string) {
    this.key = createPrivateKey(keyPem);
    this.publicKey = createPublicKey(this.key);
    this.keyId = String(this.publicKey.export({ format: 'jwk' }).x ?? '');
  }

  /** @param now seconds since epoch
   * @param lifetime seconds */
  issue(subject: TokenSubject, audiences: readonly string[], now: number, lifetime: number): string {
    const { namespace, serviceAccount, bound, node } = subject;
    const claims: JsonObject = {
      aud: [...audiences],
      exp: now + lifetime,
      iat: now,
      iss: ISSUER,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace,
        ...(node ? { node: { ...node } } : {}),
        ...(bound ? { [bound.kind]: { name: bound.name, uid: bound.uid } } : {}),
        serviceaccount: { ...serviceAccount },
      },
      nbf: now,
      sub: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    };
    const body = `${encode({ alg: 'ES256', kid: this.keyId, typ: 'JWT' })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(body), { key: this.key, dsaEncoding: 'ieee-p1363' });
    return `${body}.${signature.toString('base64url')}`;
  }

  /** The claims of a token that this cluster signed and that is valid at `now` (seconds), else undefined. */
  check(token: string, now: number): JsonObject | undefined {
    const [head = '', payload = '', signature = '', ...rest] = token.split('.');
    if (rest.length > 0 || !signature) return undefined;
    const key = { key: this.publicKey, dsaEncoding: 'ieee-p1363' } as const;
    const signed = Buffer.from(`${head}.${payload}`);
    if (!verify('sha256', signed, key, Buffer.from(signature, 'base64url'))) return undefined;
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    if (!isObject(claims) || claims.iss !== ISSUER) return undefined;
    const { exp, nbf } = claims;
    if (typeof exp !== 'number' || typeof nbf !== 'number' || now >= exp || now < nbf) return undefined;
    return claims;
  }
}

/** The subject of checked claims, undefined where they are not a service account's. */
export function tokenSubject(claims: JsonObject): TokenSubject | undefined {
  const own = objectAt(claims, 'kubernetes.io');
  const namespace = textAt(own, 'namespace');
  const name = textAt(own, 'serviceaccount', 'name');
  const uid = textAt(own, 'serviceaccount', 'uid');
  if (!namespace || !name || !uid) return undefined;
  const kind = (['pod', 'secret', 'node'] as const).find(
    (k) => isObject(own[k]) && (k !== 'node' || !own.pod),
  );
  const bound = kind ? { kind, name: textAt(own, kind, 'name'), uid: textAt(own, kind, 'uid') } : undefined;
  return { namespace, serviceAccount: { name, uid }, ...(bound ? { bound } : {}) };
}

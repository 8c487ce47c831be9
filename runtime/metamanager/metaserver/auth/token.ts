import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isRecord } from '../../../core/message.ts';

/** Whose token it is, and what it lives and dies with. */
export type TokenSubject = {
  readonly namespace: string;
  readonly account: string;
  readonly accountUid: string;
  readonly bound:
    | { readonly type: 'pod' | 'secret'; readonly name: string; readonly uid: string }
    | undefined;
};

export type TokenRules = {
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  /** Empty: a token counts when this node was given it. */
  readonly keys: readonly KeyObject[];
  readonly isKnown: (token: string) => boolean;
};

/** Checks a service account's token.
 * @param now ms since epoch
 * @returns whose it is, or why it does not count
 * @source RFC 7519; kubernetes pkg/serviceaccount */
export function checkToken(
  token: string,
  rules: TokenRules,
  now: number,
): TokenSubject | { refused: string } {
  const [head, payload, signature, ...rest] = token.split('.');
  if (!head || !payload || !signature || rest.length > 0) return { refused: 'it is no JWT' };
  const claims = jsonOf(payload);
  if (!claims) return { refused: 'it is no JWT' };
  const { iss, aud, exp, nbf } = claims;
  if (typeof iss !== 'string' || !rules.issuers.includes(iss)) return { refused: 'its issuer is unknown' };
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!rules.audiences.some((each) => audiences.includes(each)))
    return { refused: 'it is for another audience' };
  const genuine =
    rules.keys.length > 0
      ? rules.keys.some((key) => isSigned(key, `${head}.${payload}`, signature, jsonOf(head)?.alg))
      : rules.isKnown(token);
  if (!genuine) return { refused: 'it was not signed by the cluster' };
  if (typeof exp !== 'number' || now >= exp * 1000) return { refused: 'it has expired' };
  if (typeof nbf === 'number' && now < nbf * 1000) return { refused: 'it is not valid yet' };
  return subjectOf(claims['kubernetes.io']) ?? { refused: 'it is not of a service account' };
}

/** PEM files of public keys, or of certificates. */
export function readKeys(files: readonly string[]): KeyObject[] {
  return files.map((file) => createPublicKey(readFileSync(file)));
}

/** The algorithm must fit the key: a token may not choose a weaker one. */
function isSigned(key: KeyObject, text: string, signature: string, algorithm: unknown): boolean {
  const type = key.asymmetricKeyType;
  const [, family, size] = /^(RS|ES)(256|384|512)$/.exec(String(algorithm)) ?? [];
  if ((family === 'RS' && type !== 'rsa') || (family === 'ES' && type !== 'ec') || !family) return false;
  const options = family === 'ES' ? { key, dsaEncoding: 'ieee-p1363' as const } : { key };
  return verify(`sha${size}`, Buffer.from(text), options, Buffer.from(signature, 'base64url'));
}

function subjectOf(own: unknown): TokenSubject | undefined {
  if (!isRecord(own) || typeof own.namespace !== 'string') return undefined;
  const account = refOf(own.serviceaccount);
  if (!account) return undefined;
  const pod = refOf(own.pod);
  const secret = refOf(own.secret);
  const bound = pod ? ({ type: 'pod', ...pod } as const) : secret && ({ type: 'secret', ...secret } as const);
  return { namespace: own.namespace, account: account.name, accountUid: account.uid, bound };
}

function refOf(value: unknown): { name: string; uid: string } | undefined {
  if (!isRecord(value)) return undefined;
  const { name, uid } = value;
  return typeof name === 'string' && name && typeof uid === 'string' ? { name, uid } : undefined;
}

function jsonOf(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

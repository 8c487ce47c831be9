import {
  createHash,
  createHmac,
  createPrivateKey,
  type KeyObject,
  timingSafeEqual,
  X509Certificate,
} from 'node:crypto';
import type { Clock } from '../../runtime/core/clock.ts';
import { EdgeError } from '../../runtime/core/errors.ts';
import type { Secret } from '../../runtime/core/k8s.ts';
import type { KubeApi } from '../kube/client.ts';
import { kinds } from '../kube/resource-kind.ts';
import { certificateDer, newKey, type Subject } from '../pki/certificate.ts';
import { parseRequest } from '../pki/csr.ts';

export type AuthorityDeps = { readonly api: KubeApi; readonly clock: Clock };

/** The keys of the cloud's end, DER. */
export type CloudKeys = {
  readonly ca: Buffer;
  readonly caKey: Buffer;
  readonly server: Buffer;
  readonly serverKey: Buffer;
};

const NAMESPACE = 'kubeedge';
const DAY = 86_400_000;
const CA_DAYS = 36_400;
const CA_SUBJECT: Subject = { commonName: 'KubeEdge' };
const SERVER_SUBJECT: Subject = { commonName: 'KubeEdge', organization: 'KubeEdge' };

/** The CA of the edges and the join token, kept in KubeEdge's secrets, so that every replica, and KubeEdge's own
 * CloudCore in its place, has the same.
 * @source KubeEdge cloud/pkg/cloudhub/servers/httpserver; secrets casecret, cloudcoresecret, tokensecret */
export class Authority {
  private readonly deps: AuthorityDeps;
  private readonly keys: CloudKeys;
  private readonly key: KeyObject;

  /** Loads the CA, making it when there is none, and a server certificate for these names.
   * @throws EdgeError CLOUD_REFUSED */
  static async load(deps: AuthorityDeps, hosts: readonly string[]): Promise<Authority> {
    await ensureNamespace(deps.api);
    const now = deps.clock.now();
    const stored = await readSecret(deps.api, 'casecret');
    const ca = stored ?? (await keep(deps.api, 'casecret', makeAuthority(now)));
    const pair = { cert: bytesOf(ca, 'cadata'), key: bytesOf(ca, 'cakeydata') };
    // Made anew at each start: it costs nothing, never runs out, and follows the addresses of the configuration.
    const key = newKey();
    const request = {
      subject: SERVER_SUBJECT,
      usage: 'server',
      hosts,
      notBefore: now - DAY,
      notAfter: now + CA_DAYS * DAY,
    } as const;
    const server = certificateDer(request, key, { subject: CA_SUBJECT, key: ecKey(pair.key) });
    return new Authority(deps, { ca: pair.cert, caKey: pair.key, server, serverKey: sec1(key) });
  }

  private constructor(deps: AuthorityDeps, keys: CloudKeys) {
    this.deps = deps;
    this.keys = keys;
    this.key = ecKey(keys.caKey);
  }

  /** The CA's certificate, DER. */
  get caDer(): Buffer {
    return this.keys.ca;
  }

  /** What the servers present, PEM. */
  get serverPair(): { readonly ca: string; readonly cert: string; readonly key: string } {
    const key = ecKey(this.keys.serverKey).export({ type: 'sec1', format: 'pem' }).toString();
    return { ca: pemOf(this.keys.ca), cert: pemOf(this.keys.server), key };
  }

  /** Makes a new join token and writes it where `keadm gettoken` and operators look for it.
   * @param life ms
   * @throws EdgeError CLOUD_REFUSED */
  async publishToken(life: number): Promise<string> {
    const token = `${createHash('sha256').update(this.keys.ca).digest('hex')}.${this.jwt(life)}`;
    await keep(this.deps.api, 'tokensecret', { tokendata: Buffer.from(token) });
    return token;
  }

  /** True for the JWT of a join token of ours that has not expired. */
  accepts(jwt: string): boolean {
    const [head = '', claims = '', signature = '', ...rest] = jwt.split('.');
    if (rest.length > 0) return false;
    const expected = this.mac(`${head}.${claims}`);
    const given = Buffer.from(signature, 'base64url');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false;
    try {
      const { exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { exp?: number };
      return typeof exp === 'number' && exp * 1000 > this.deps.clock.now();
    } catch {
      return false;
    }
  }

  /** Signs a node's certificate request.
   * @param days that it is good for
   * @returns DER, or undefined when the request is none or is not for this node */
  sign(csr: Buffer, node: string, days: number): Buffer | undefined {
    const request = parseRequest(csr);
    // Differs: KubeEdge does not compare the name, so that one node's token makes a certificate for another.
    if (request?.subject.commonName !== `system:node:${node}`) return undefined;
    const now = this.deps.clock.now();
    const content = {
      subject: request.subject,
      usage: 'client',
      notBefore: now - DAY,
      notAfter: now + days * DAY,
    } as const;
    return certificateDer(content, request.publicKey, { subject: CA_SUBJECT, key: this.key });
  }

  private jwt(life: number): string {
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const exp = Math.floor((this.deps.clock.now() + life) / 1000);
    const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ exp })}`;
    return `${body}.${this.mac(body).toString('base64url')}`;
  }

  private mac(text: string): Buffer {
    return createHmac('sha256', this.keys.caKey).update(text).digest();
  }
}

function makeAuthority(now: number): Record<string, Buffer> {
  const key = newKey();
  const validity = { notBefore: now - DAY, notAfter: now + CA_DAYS * DAY };
  const cert = certificateDer({ subject: CA_SUBJECT, usage: 'ca', ...validity }, key, {
    subject: CA_SUBJECT,
    key,
  });
  return { cadata: cert, cakeydata: sec1(key) };
}

function sec1(key: KeyObject): Buffer {
  return key.export({ type: 'sec1', format: 'der' });
}

function ecKey(der: Buffer): KeyObject {
  return createPrivateKey({ key: der, format: 'der', type: 'sec1' });
}

function pemOf(der: Buffer): string {
  return new X509Certificate(der).toString();
}

function bytesOf(secret: Secret, key: string): Buffer {
  const text = secret.data?.[key];
  if (!text)
    throw new EdgeError('OBJECT_INVALID', {
      detail: `secret ${NAMESPACE}/${secret.metadata.name}: no ${key}`,
    });
  return Buffer.from(text, 'base64');
}

async function ensureNamespace(api: KubeApi): Promise<void> {
  const answer = await api.create(kinds.namespace, { name: '' }, { metadata: { name: NAMESPACE } });
  if ('status' in answer && answer.status.reason !== 'AlreadyExists')
    throw new EdgeError('CLOUD_REFUSED', { detail: answer.status.message });
}

async function readSecret(api: KubeApi, name: string): Promise<Secret | undefined> {
  const answer = await api.get<Secret>(kinds.secret, { namespace: NAMESPACE, name });
  if ('object' in answer) return answer.object;
  if (answer.status.reason === 'NotFound') return undefined;
  throw new EdgeError('CLOUD_REFUSED', { detail: answer.status.message });
}

/** Writes a secret; when another replica made it first, that one counts. */
async function keep(api: KubeApi, name: string, entries: Record<string, Buffer>): Promise<Secret> {
  const data = Object.fromEntries(
    Object.entries(entries).map(([key, bytes]) => [key, bytes.toString('base64')]),
  );
  const where = { namespace: NAMESPACE, name };
  const made = await api.create<Secret>(kinds.secret, where, {
    metadata: { name, namespace: NAMESPACE },
    type: 'Opaque',
    data,
  });
  if ('object' in made) return made.object;
  if (made.status.reason !== 'AlreadyExists')
    throw new EdgeError('CLOUD_REFUSED', { detail: made.status.message });
  if (name === 'casecret') {
    const found = await readSecret(api, name);
    if (found) return found;
  }
  const patched = await api.patch<Secret>(kinds.secret, where, 'application/merge-patch+json', { data });
  if ('object' in patched) return patched.object;
  throw new EdgeError('CLOUD_REFUSED', { detail: patched.status.message });
}

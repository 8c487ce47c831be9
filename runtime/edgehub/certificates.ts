import { createHash, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import type { Clock } from '../core/clock.ts';
import { EdgeError, errorCode, errorText } from '../core/errors.ts';
import { isoTime } from '../core/iso-time.ts';
import type { Logger } from '../core/log.ts';
import type { TimeTrust } from '../core/time-trust.ts';
import type { EdgeHubConfig } from './config.ts';
import { nodeCertificateRequest } from './csr.ts';
import { EnrolmentClient } from './enrolment-client.ts';
import { parseJoinToken } from './join-token.ts';
import { KeyFiles, writePrivately } from './key-files.ts';

/** What the link presents and trusts, PEM. */
export type Credentials = { readonly ca: string; readonly cert: string; readonly key: string };

export type CertificatesDeps = {
  readonly config: EdgeHubConfig;
  readonly node: string;
  readonly clock: Clock;
  readonly time: TimeTrust;
  readonly log: Logger;
  /** The join token was used: it can be blanked where it is stored. */
  readonly joined: () => void;
  readonly bootstrapFile?: string;
};

/** Its text takes the place of the configured token.
 * @source KubeEdge common/constants BootstrapFile */
const BOOTSTRAP_FILE = '/etc/kubeedge/bootstrap-edgecore.conf';

/** Obtains and keeps the certificate of this node.
 * @source KubeEdge edge/pkg/edgehub/certificate; spec: GET /ca.crt, GET /edge.crt with the CSR as body */
export class Certificates {
  private readonly deps: CertificatesDeps;
  private readonly client: EnrolmentClient;
  private readonly files: KeyFiles;
  private readonly bootstrapFile: string;
  /** The cloud has shown a certificate of another CA than the stored one. */
  private strange = false;

  constructor(deps: CertificatesDeps) {
    this.deps = deps;
    const { config, clock, time } = deps;
    const servers = [config.httpServer, ...config.httpServers];
    this.client = new EnrolmentClient({ servers, clock, time });
    this.files = new KeyFiles({ certFile: config.tlsCertFile, keyFile: config.tlsPrivateKeyFile });
    this.bootstrapFile = deps.bootstrapFile ?? BOOTSTRAP_FILE;
  }

  /** The stored key pair when it is this node's, without asking the cloud. */
  load(): Credentials | undefined {
    const { tlsCaFile } = this.deps.config;
    const pair = this.files.load();
    if (!pair || !existsSync(tlsCaFile) || !this.isOurs(pair.cert)) return undefined;
    return { ca: readFileSync(tlsCaFile, 'utf8'), ...pair };
  }

  /** What to connect with: the stored certificate, or a new one where the node may and can have it.
   * @throws EdgeError EDGEHUB_CERT_EXPIRED, EDGEHUB_CA_CHANGED, and those of {@link join} */
  async obtain(signal: AbortSignal): Promise<Credentials> {
    const stored = this.load();
    if (!stored) return this.join(this.token(), signal);
    if (this.strange) return this.afterStrange(stored, signal);
    const expiry = Date.parse(new X509Certificate(stored.cert).validTo);
    // Without a clock nothing is expired.
    if (!this.deps.time.isTrusted || this.deps.clock.now() < expiry) return stored;
    const detail = `it was good until ${isoTime(expiry)}`;
    if (!this.deps.config.rejoinExpired) {
      throw new EdgeError('EDGEHUB_CERT_EXPIRED', { detail: `${detail}, and rejoinExpired is false` });
    }
    if (!this.token())
      throw new EdgeError('EDGEHUB_CERT_EXPIRED', { detail: `${detail}, and there is no token` });
    return this.join(this.token(), signal);
  }

  /** Takes note of why a connection failed.
   * @returns it in an operator's words; undefined when there is nothing to add */
  explain(error: unknown): string | undefined {
    const code = errorCode(error) ?? '';
    if (STRANGERS.has(code)) {
      this.strange = true;
      return new EdgeError('EDGEHUB_CA_CHANGED', { detail: this.deps.config.tlsCaFile }).message;
    }
    if (/alert certificate expired/.test(errorText(error)))
      return new EdgeError('EDGEHUB_CERT_EXPIRED', { detail: 'the cloud says so' }).message;
    if (/alert unknown ca/.test(errorText(error)))
      return new EdgeError('EDGEHUB_CA_CHANGED', { detail: 'the cloud does not know the CA of this node' })
        .message;
    return undefined;
  }

  /** Joins: fetches the CA, checks it against the token, has a new key's certificate signed, stores all three.
   * @throws EdgeError EDGEHUB_CA_UNREACHABLE, EDGEHUB_CA_MISMATCH, EDGEHUB_TOKEN_REJECTED, EDGEHUB_CERT_REFUSED */
  async join(token: string, signal: AbortSignal): Promise<Credentials> {
    const parsed = parseJoinToken(token);
    if (!parsed)
      throw new EdgeError('EDGEHUB_TOKEN_REJECTED', {
        detail: token.trim() ? 'it has not the form <hash>.<jwt>' : 'modules.edgeHub.token is empty',
      });
    const ca = await this.fetchCa(parsed.caHash, signal);
    const pair = await this.sign({ ca, authorization: `Bearer ${parsed.jwt}` }, signal);
    writePrivately(this.deps.config.tlsCaFile, ca);
    this.files.store(pair);
    this.strange = false;
    this.deps.log.info('joined the cloud: certificate stored', this.named());
    rmSync(this.bootstrapFile, { force: true });
    this.deps.joined();
    return { ca, ...pair };
  }

  /** Has a certificate for a new key signed, presenting the current one.
   * @throws EdgeError EDGEHUB_CA_UNREACHABLE, EDGEHUB_CERT_REFUSED */
  async renew(current: Credentials, signal: AbortSignal): Promise<void> {
    const { ca, cert, key } = current;
    this.files.store(await this.sign({ ca, identity: { cert, key } }, signal));
    this.deps.log.info('the certificate of this node was renewed', this.named());
  }

  private async afterStrange(stored: Credentials, signal: AbortSignal): Promise<Credentials> {
    const parsed = parseJoinToken(this.token());
    // A token for another CA is the operator's word that the CA was replaced.
    if (parsed && parsed.caHash !== hashOf(new X509Certificate(stored.ca).raw))
      return this.join(this.token(), signal);
    // Until then it is worth a try: the one that was met may have been the wrong one.
    this.strange = false;
    return stored;
  }

  private token(): string {
    const { bootstrapFile, deps } = this;
    return existsSync(bootstrapFile) ? readFileSync(bootstrapFile, 'utf8').trim() : deps.config.token;
  }

  private named(): { node: string; file: string } {
    return { node: this.deps.node, file: this.deps.config.tlsCertFile };
  }

  private isOurs(cert: string): boolean {
    return new X509Certificate(cert).subject.split('\n').includes(`CN=system:node:${this.deps.node}`);
  }

  private async fetchCa(expectedHash: string, signal: AbortSignal): Promise<string> {
    // No trust yet: the token's hash decides, so the connection's own certificate proves nothing.
    const reply = await this.client.get({ path: '/ca.crt', ca: undefined }, signal);
    if (reply.status !== 200) {
      const detail = `${this.client.server}/ca.crt answered ${reply.status}`;
      throw new EdgeError('EDGEHUB_CA_UNREACHABLE', { detail });
    }
    if (hashOf(reply.body) !== expectedHash)
      throw new EdgeError('EDGEHUB_CA_MISMATCH', { detail: this.client.server });
    return new X509Certificate(reply.body).toString();
  }

  private async sign(
    by: { ca: string; authorization?: string; identity?: { cert: string; key: string } },
    signal: AbortSignal,
  ): Promise<{ cert: string; key: string }> {
    const { node } = this.deps;
    const { ca, authorization, identity } = by;
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const headers = { NodeName: node, ...(authorization ? { authorization } : {}) };
    const body = nodeCertificateRequest(node, privateKey);
    const ask = { path: '/edge.crt', ca, headers, body, ...(identity ? { identity } : {}) };
    const reply = await this.client.get(ask, signal);
    if (reply.status !== 200) {
      const code = authorization && reply.status === 401 ? 'EDGEHUB_TOKEN_REJECTED' : 'EDGEHUB_CERT_REFUSED';
      throw new EdgeError(code, { detail: `${reply.status} ${reply.body.toString().trim().slice(0, 200)}` });
    }
    return { cert: certificateFor(privateKey, reply.body), key: pemOf(privateKey) };
  }
}

/** Node's words for a chain that does not end at our CA.
 * @source Node.js TLS, X509 certificate error codes */
const STRANGERS = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
]);

function hashOf(der: Buffer): string {
  return createHash('sha256').update(der).digest('hex');
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'sec1', format: 'pem' }).toString();
}

/** @throws EdgeError EDGEHUB_CERT_REFUSED when it is for another key */
function certificateFor(key: KeyObject, der: Buffer): string {
  const certificate = new X509Certificate(der);
  if (!certificate.checkPrivateKey(key))
    throw new EdgeError('EDGEHUB_CERT_REFUSED', { detail: 'it signed another key than it was asked to' });
  return certificate.toString();
}

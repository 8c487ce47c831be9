import { createHash, createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:https';
import { dirname } from 'node:path';
import { EdgeError, errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { EdgeHubConfig } from './config.ts';
import { nodeCertificateRequest } from './csr.ts';
import { parseJoinToken } from './join-token.ts';
import { Servers } from './servers.ts';

/** What the link presents and trusts, PEM. */
export type Credentials = { readonly ca: string; readonly cert: string; readonly key: string };

type Reply = { status: number; body: Buffer };

const TIMEOUT = 30_000;
const BODY_LIMIT = 1024 * 1024;

/** Obtains and keeps the certificate of this node.
 * @source KubeEdge edge/pkg/edgehub/certificate; spec: GET /ca.crt, GET /edge.crt with the CSR as body */
export class Certificates {
  private readonly config: EdgeHubConfig;
  private readonly node: string;
  private readonly log: Logger;
  private readonly servers: Servers;

  constructor(deps: { config: EdgeHubConfig; node: string; log: Logger }) {
    this.config = deps.config;
    this.servers = new Servers([deps.config.httpServer, ...deps.config.httpServers]);
    this.node = deps.node;
    this.log = deps.log;
  }

  /** The stored key pair when it is this node's, without asking the cloud. */
  load(): Credentials | undefined {
    const { tlsCaFile, tlsCertFile, tlsPrivateKeyFile } = this.config;
    if (![tlsCaFile, tlsCertFile, tlsPrivateKeyFile].every((path) => existsSync(path))) return undefined;
    const cert = readFileSync(tlsCertFile, 'utf8');
    const key = readFileSync(tlsPrivateKeyFile, 'utf8');
    if (!this.isOurs(cert, key)) return undefined;
    return { ca: readFileSync(tlsCaFile, 'utf8'), cert, key };
  }

  /** Joins: fetches the CA, checks it against the token, has a new key's certificate signed, stores all three.
   * @throws EdgeError EDGEHUB_CA_UNREACHABLE, EDGEHUB_CA_MISMATCH, EDGEHUB_TOKEN_REJECTED, EDGEHUB_CERT_REFUSED */
  async join(token: string, signal: AbortSignal): Promise<Credentials> {
    const parsed = parseJoinToken(token);
    if (!parsed)
      throw new EdgeError('EDGEHUB_TOKEN_REJECTED', { detail: 'it has not the form <hash>.<jwt>' });
    const ca = await this.fetchCa(parsed.caHash, signal);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'sec1', format: 'pem' }).toString();
    const cert = await this.fetchCertificate(
      { ca, body: nodeCertificateRequest(this.node, privateKey), authorization: `Bearer ${parsed.jwt}` },
      signal,
    );
    const { tlsCaFile, tlsCertFile, tlsPrivateKeyFile } = this.config;
    // The certificate comes last: a power cut before it leaves a pair that does not match, and the join is repeated.
    writePrivately(tlsCaFile, ca);
    writePrivately(tlsPrivateKeyFile, key);
    writePrivately(tlsCertFile, cert);
    this.log.info('joined the cloud: certificate stored', { node: this.node, file: tlsCertFile });
    return { ca, cert, key };
  }

  private isOurs(cert: string, key: string): boolean {
    try {
      const parsed = new X509Certificate(cert);
      return (
        parsed.subject.split('\n').includes(`CN=system:node:${this.node}`) &&
        parsed.checkPrivateKey(createPrivateKey(key))
      );
    } catch {
      return false; // cut short by a power failure: join again
    }
  }

  private async fetchCa(expectedHash: string, signal: AbortSignal): Promise<string> {
    // No trust yet: the token's hash decides, so the connection's own certificate proves nothing.
    const reply = await this.get('/ca.crt', { rejectUnauthorized: false }, signal);
    if (reply.status !== 200) {
      throw new EdgeError('EDGEHUB_CA_UNREACHABLE', {
        detail: `${this.servers.current}/ca.crt answered ${reply.status}`,
      });
    }
    const hash = createHash('sha256').update(reply.body).digest('hex');
    if (hash !== expectedHash) throw new EdgeError('EDGEHUB_CA_MISMATCH', { detail: this.servers.current });
    return new X509Certificate(reply.body).toString();
  }

  private async fetchCertificate(
    ask: { ca: string; body: Buffer; authorization: string },
    signal: AbortSignal,
  ): Promise<string> {
    const headers = { authorization: ask.authorization, NodeName: this.node };
    const reply = await this.get('/edge.crt', { ca: ask.ca, headers }, signal, ask.body);
    if (reply.status !== 200) {
      const code = reply.status === 401 ? 'EDGEHUB_TOKEN_REJECTED' : 'EDGEHUB_CERT_REFUSED';
      throw new EdgeError(code, { detail: `${reply.status} ${reply.body.toString().trim().slice(0, 200)}` });
    }
    return new X509Certificate(reply.body).toString();
  }

  /** Asks the addresses in turn until one answers, whatever it says. */
  private async get(
    path: string,
    options: RequestOptions,
    signal: AbortSignal,
    body?: Buffer,
  ): Promise<Reply> {
    for (;;) {
      try {
        const reply = await this.getFrom(this.servers.current, path, options, signal, body);
        this.servers.worked();
        return reply;
      } catch (error) {
        if (this.servers.failed() || signal.aborted) throw error;
      }
    }
  }

  private getFrom(
    server: string,
    path: string,
    options: RequestOptions,
    signal: AbortSignal,
    body?: Buffer,
  ): Promise<Reply> {
    const url = new URL(path, server);
    return new Promise<Reply>((resolve, reject) => {
      const headers = { ...options.headers, ...(body ? { 'content-length': body.length } : {}) };
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
      const call = request(
        url,
        { ...options, method: 'GET', headers, agent: false, signal: deadline },
        (response) => {
          const chunks: Buffer[] = [];
          let size = 0;
          response.on('data', (chunk: Buffer) => {
            size += chunk.length;
            if (size > BODY_LIMIT) response.destroy(new Error(`more than ${BODY_LIMIT} bytes`));
            else chunks.push(chunk);
          });
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }),
          );
          response.on('error', reject);
        },
      );
      call.on('error', reject);
      call.end(body);
    }).catch((cause) => {
      throw new EdgeError('EDGEHUB_CA_UNREACHABLE', { detail: `${url.href}: ${errorText(cause)}`, cause });
    });
  }
}

/** Writes a file that only its owner reads, whole or not at all. */
function writePrivately(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

import { createPrivateKey, generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Clock, sleep } from '../../../core/clock.ts';
import { errorText } from '../../../core/errors.ts';
import type { Logger } from '../../../core/log.ts';
import { isRecord } from '../../../core/message.ts';
import { seconds } from '../../../core/units.ts';
import { servingRequest } from '../../../wire/serving-request.ts';
import type { MetaServerConfig } from '../../config.ts';
import { parseObjectResponse, parseQueryAnswer } from '../../object-response.ts';
import type { CloudLink } from '../../remote.ts';
import type { ServingPair } from '../api-server.ts';

export type ServingCertificateDeps = {
  readonly config: MetaServerConfig;
  readonly node: string;
  /** IP addresses. */
  readonly addresses: readonly string[];
  readonly link: CloudLink;
  readonly clock: Clock;
  readonly log: Logger;
};

const TIMEOUT = seconds(15);
const POLL = seconds(2);
/** Who approves may be a person; asked again when the link comes up next. */
const POLLS = 150;
/** The share of its life after which a certificate is renewed. */
const RENEW_AFTER = 0.8;

/** The certificate that the local API shows, asked of the cluster's CA.
 * @source KubeEdge edge/pkg/metamanager/metaserver/certificate; Kubernetes certificate signing requests */
export class ServingCertificate {
  private readonly deps: ServingCertificateDeps;

  constructor(deps: ServingCertificateDeps) {
    this.deps = deps;
  }

  /** The stored pair, if it is this node's and valid. */
  load(): ServingPair | undefined {
    const { tlsCertFile, tlsPrivateKeyFile } = this.deps.config;
    if (!existsSync(tlsCertFile) || !existsSync(tlsPrivateKeyFile)) return undefined;
    try {
      const [cert, key] = [readFileSync(tlsCertFile, 'utf8'), readFileSync(tlsPrivateKeyFile, 'utf8')];
      const parsed = new X509Certificate(cert);
      const { node, clock, addresses } = this.deps;
      const ours = parsed.subject.split('\n').includes(`CN=system:node:${node}`);
      const valid = clock.now() < Date.parse(parsed.validTo);
      const serves = addresses.every((address) => parsed.checkIP(address) !== undefined);
      return ours && valid && serves && parsed.checkPrivateKey(createPrivateKey(key))
        ? { cert, key }
        : undefined;
    } catch {
      return undefined; // cut short by a power failure: it is asked for again
    }
  }

  /** Whether a new one is due. */
  isOld({ cert }: ServingPair): boolean {
    const { validFrom, validTo } = new X509Certificate(cert);
    const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
    return this.deps.clock.now() > from + (to - from) * RENEW_AFTER;
  }

  /** Has a new key's certificate signed, and keeps both with the cluster's CA.
   * @returns undefined when it was not signed; the log says why */
  async obtain(signal: AbortSignal): Promise<ServingPair | undefined> {
    const { node, addresses, log, config } = this.deps;
    try {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const name = `${node}-${randomUUID()}`;
      await this.file(name, servingRequest(node, addresses, privateKey));
      const cert = await this.signed(name, signal);
      if (!cert) return undefined;
      const key = privateKey.export({ type: 'sec1', format: 'pem' }).toString();
      writePrivately(config.tlsCaFile, await this.clusterCa());
      // The certificate comes last: a pair that does not match is asked for again.
      writePrivately(config.tlsPrivateKeyFile, key);
      writePrivately(config.tlsCertFile, cert);
      return { cert, key };
    } catch (error) {
      log.warn('the certificate of the local API could not be had', { reason: errorText(error) });
      return undefined;
    }
  }

  private async file(name: string, request: string): Promise<void> {
    const response = parseObjectResponse(
      await this.ask('insert', `default/certificatesigningrequest/${name}`, {
        apiVersion: 'certificates.k8s.io/v1',
        kind: 'CertificateSigningRequest',
        metadata: { name },
        spec: {
          request: Buffer.from(request).toString('base64'),
          signerName: 'kubernetes.io/kubelet-serving',
          usages: ['digital signature', 'server auth'],
        },
      }),
    );
    if (response.kind === 'refused') throw new Error(response.message);
  }

  /** Waits until it is signed. */
  private async signed(name: string, signal: AbortSignal): Promise<string | undefined> {
    const { clock, log } = this.deps;
    for (let i = 0; i < POLLS && !signal.aborted; i++) {
      const answer = parseQueryAnswer(
        await this.ask('query', `default/certificatesigningrequest/${name}`, null),
      );
      if (answer.kind === 'refused') throw new Error(answer.message);
      const { status } = answer.object;
      const { certificate, conditions } = isRecord(status) ? status : {};
      if (typeof certificate === 'string' && certificate)
        return Buffer.from(certificate, 'base64').toString();
      const denied = (Array.isArray(conditions) ? conditions.filter(isRecord) : []).find(
        ({ type }) => type === 'Denied' || type === 'Failed',
      );
      if (denied) throw new Error(`the request ${name} was denied: ${denied.message ?? denied.reason}`);
      await sleep(clock, POLL, signal);
    }
    if (!signal.aborted) log.warn('nobody approves the certificate of the local API', { resource: name });
    return undefined;
  }

  private async clusterCa(): Promise<string> {
    const { link } = this.deps;
    const draft = {
      source: 'metamanager',
      group: 'meta',
      operation: 'query',
      resource: 'k8s/ca.crt',
      content: null,
    };
    const { content } = await link.request(draft, TIMEOUT);
    if (typeof content !== 'string') throw new Error('the cloud did not send the CA of the cluster');
    return content;
  }

  private ask(operation: string, resource: string, content: unknown) {
    return this.deps.link.request({ source: 'edged', group: 'meta', operation, resource, content }, TIMEOUT);
  }
}

/** Writes a file that only its owner reads, whole or not at all. */
function writePrivately(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

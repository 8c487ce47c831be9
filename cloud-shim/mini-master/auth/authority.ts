import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../../runtime/core/errors.ts';
import { issueCertificate, type KeyPair, keyPem, newKey, type Subject } from '../../pki/certificate.ts';

const DAY = 86_400_000;
const CA_SUBJECT: Subject = { commonName: 'mini-master-ca' };

/** Everything secret that a cluster keeps over restarts. */
export type Credentials = {
  readonly ca: KeyPair;
  readonly server: KeyPair;
  readonly admin: KeyPair;
  /** What the API server shows to a kubelet. */
  readonly kubeletClient: KeyPair;
  /** PEM of the key that signs service-account tokens. */
  readonly tokenKey: string;
};

/** Reads the cluster's CA and keys from `<stateDir>/pki`, making what is missing; leaf certificates are made
 * afresh at every start, so that they never run out and follow the address.
 * @param now ms since epoch */
export async function loadCredentials(
  stateDir: string,
  hosts: readonly string[],
  now: number,
): Promise<Credentials> {
  const dir = join(stateDir, 'pki');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const ca = await loadAuthority(dir, now);
  const tokenKey = await loadOrMake(join(dir, 'sa.key'), () => keyPem(newKey()));
  const issuer = { subject: CA_SUBJECT, key: createPrivateKey(ca.key) };
  const leaf = (subject: Subject, usage: 'server' | 'client', names: readonly string[] = []): KeyPair => {
    const key = newKey();
    const validity = { notBefore: now - DAY, notAfter: now + 365 * DAY };
    return {
      key: keyPem(key),
      cert: issueCertificate({ subject, usage, hosts: names, ...validity }, key, issuer),
    };
  };
  const masters = 'system:masters';
  return {
    ca,
    tokenKey,
    server: leaf({ commonName: 'mini-master' }, 'server', hosts),
    admin: leaf({ commonName: 'kubernetes-admin', organization: masters }, 'client'),
    kubeletClient: leaf({ commonName: 'kube-apiserver-kubelet-client', organization: masters }, 'client'),
  };
}

async function loadAuthority(dir: string, now: number): Promise<KeyPair> {
  const key = await loadOrMake(join(dir, 'ca.key'), () => keyPem(newKey()));
  const privateKey = createPrivateKey(key);
  const cert = await loadOrMake(join(dir, 'ca.crt'), () => {
    const validity = { notBefore: now - DAY, notAfter: now + 3650 * DAY };
    return issueCertificate({ subject: CA_SUBJECT, usage: 'ca', ...validity }, privateKey, {
      subject: CA_SUBJECT,
      key: privateKey,
    });
  });
  if (!new X509Certificate(cert).checkPrivateKey(privateKey)) {
    throw new Error(`${join(dir, 'ca.crt')} does not belong to ca.key beside it; remove both to start anew`);
  }
  return { key, cert };
}

async function loadOrMake(path: string, make: () => string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  const text = make();
  await writeSecret(path, text);
  return text;
}

/** Writes a file for its owner alone, atomically. */
export async function writeSecret(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, text, { mode: 0o600 });
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { EdgeError, errorText } from '../../runtime/core/errors.ts';
import { isRecord } from '../../runtime/core/message.ts';

/** How to reach an API server and who to be there. PEM texts. */
export type ClusterAccess = {
  /** `https://HOST:PORT`, without a path. */
  readonly server: string;
  readonly ca: string | undefined;
  readonly insecure: boolean;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** Read again for each request: tokens of service accounts are renewed in place. */
  readonly token: () => string | undefined;
};

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Reads the current context of a kubeconfig, or without a path what a pod is given.
 * @throws EdgeError CONFIG_UNREADABLE
 * @source client-go tools/clientcmd */
export function loadAccess(path: string): ClusterAccess {
  try {
    return path ? fromFile(path) : inCluster();
  } catch (error) {
    throw new EdgeError('CONFIG_UNREADABLE', {
      detail: `kubeconfig ${path || ACCOUNT}: ${errorText(error)}`,
    });
  }
}

function fromFile(path: string): ClusterAccess {
  const config: unknown = parse(readFileSync(path, 'utf8'));
  if (!isRecord(config)) throw new Error('it is empty');
  const context = named(config.contexts, config['current-context'], 'context');
  const cluster = named(config.clusters, context.cluster, 'cluster');
  const user = named(config.users, context.user, 'user');
  // Files are named relative to the kubeconfig.
  const read = (file: unknown): string | undefined =>
    typeof file === 'string' && file ? readFileSync(resolve(dirname(path), file), 'utf8') : undefined;
  const data = (text: unknown): string | undefined =>
    typeof text === 'string' && text ? Buffer.from(text, 'base64').toString() : undefined;
  if (user.exec || user['auth-provider'])
    throw new Error('users with exec or auth-provider are not offered: use a certificate or a token');
  return {
    server: String(cluster.server ?? '').replace(/\/$/, ''),
    ca: data(cluster['certificate-authority-data']) ?? read(cluster['certificate-authority']),
    insecure: cluster['insecure-skip-tls-verify'] === true,
    cert: data(user['client-certificate-data']) ?? read(user['client-certificate']),
    key: data(user['client-key-data']) ?? read(user['client-key']),
    token: () => read(user.tokenFile)?.trim() ?? (typeof user.token === 'string' ? user.token : undefined),
  };
}

function inCluster(): ClusterAccess {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  if (!host) throw new Error('no --kubeconfig was given and this is no pod');
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: readFileSync(`${ACCOUNT}/ca.crt`, 'utf8'),
    insecure: false,
    cert: undefined,
    key: undefined,
    token: () => readFileSync(`${ACCOUNT}/token`, 'utf8').trim(),
  };
}

function named(list: unknown, name: unknown, kind: string): Record<string, unknown> {
  const found = Array.isArray(list)
    ? list.find((entry: unknown) => isRecord(entry) && entry.name === name)
    : undefined;
  const content: unknown = isRecord(found) ? found[kind] : undefined;
  if (!isRecord(content)) throw new Error(`it has no ${kind} ${JSON.stringify(name)}`);
  return content;
}

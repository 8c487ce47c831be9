import { stringify } from 'yaml';
import type { Credentials } from './authority.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** The kubeconfig of the cluster's administrator, certificates embedded.
 * @source client-go tools/clientcmd api/v1 */
export function adminKubeconfig(url: string, credentials: Credentials): string {
  const name = 'mini-master';
  const user = 'kubernetes-admin';
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, 'certificate-authority-data': base64(credentials.ca.cert) } }],
    users: [
      {
        name: user,
        user: {
          'client-certificate-data': base64(credentials.admin.cert),
          'client-key-data': base64(credentials.admin.key),
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user, namespace: 'default' } }],
    'current-context': name,
  });
}

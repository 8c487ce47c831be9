import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Kubectl } from '../kubectl.ts';
import type { Cluster } from '../kubernetes/cluster.ts';

/** kubectl for the API that the node itself serves. */
export function nodeKubectl({ stack, namespace }: Cluster, program: string): Kubectl {
  const dir = join(stack.options.dir, 'node-kubectl');
  mkdirSync(dir, { recursive: true });
  const kubeconfig = join(dir, 'kubeconfig');
  const file = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'node', cluster: { server: `http://127.0.0.1:${stack.options.ports.api}` } }],
    users: [{ name: 'node', user: {} }],
    contexts: [{ name: 'node', context: { cluster: 'node', user: 'node' } }],
    'current-context': 'node',
  };
  writeFileSync(kubeconfig, stringify(file));
  return new Kubectl({ program, kubeconfig, namespace });
}

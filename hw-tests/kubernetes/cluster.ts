import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kubectl } from '../kubectl.ts';
import { until } from '../program.ts';
import { freePorts, Stack, type StackOptions } from '../stack.ts';

/** A stack, kubectl for it, and a namespace of its own; everything is gone after `close`. */
export type Cluster = {
  readonly stack: Stack;
  readonly kubectl: Kubectl;
  readonly namespace: string;
  readonly node: string;
  readonly isMiniMaster: boolean;
  close(): Promise<void>;
};

let made = 0;

/** What else a suite may say about its stack. */
export type ClusterOptions = Partial<
  Pick<
    StackOptions,
    | 'criEndpoint'
    | 'podSandboxImage'
    | 'metaServer'
    | 'modules'
    | 'edgePrefix'
    | 'shimPrefix'
    | 'certificateDays'
    | 'cloudHosts'
    | 'ports'
  >
> & {
  /** Suites about the API alone do without an edge. */
  readonly edge?: boolean;
  /** Puts something between edge and cloud: takes CloudHub's port and gives the one that the edge is to dial. */
  readonly link?: (cloudhub: number, stack: () => Stack) => Promise<number>;
};

/** Starts cloud and edge, on mini-master or on the cluster of `KUBECONFIG`.
 * @param program the kubectl to use */
export async function startCluster(
  program: string,
  { edge = true, link, modules, ports: chosen, ...options }: ClusterOptions = {},
): Promise<Cluster> {
  const kubeconfig = process.env.KUBECONFIG || undefined;
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-stack-'));
  const id = `${process.pid}-${++made}`;
  const node = `edge-test-${id}`;
  const namespace = `edge-test-${id}`;
  const ports = chosen ?? (await freePorts());
  const dialled = link && {
    edgeHub: { websocket: { server: `127.0.0.1:${await link(ports.cloudhub, () => stack)}` } },
  };
  const stack: Stack = new Stack({
    dir,
    ports,
    node,
    kubeconfig,
    criEndpoint: `unix://${dir}/no-containerd.sock`,
    ...options,
    modules: { ...modules, ...dialled },
  });
  if (!kubeconfig) await stack.startMaster();
  await stack.startShim();
  const kubectl = new Kubectl({ program, kubeconfig: stack.kubeconfig, namespace });
  await kubectl.run(['create', 'namespace', namespace]);
  // Pods are refused until it has its service account.
  await until('the default service account', () =>
    kubectl.value(['serviceaccount', 'default'], '{.metadata.name}'),
  );
  if (edge) {
    await stack.startEdge();
    await stack.registered();
  }
  return {
    stack,
    kubectl,
    namespace,
    node,
    isMiniMaster: kubeconfig === undefined,
    close: async () => {
      if (kubeconfig) {
        await kubectl.try(['delete', 'namespace', namespace, '--wait=false']);
        await kubectl.try(['delete', 'node', node]);
      }
      await stack.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

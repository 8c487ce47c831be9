import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DEFAULT_CONFIG, loadConfig } from '../config/config.ts';
import type { Config } from '../config/schema.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import { seconds } from '../core/units.ts';
import { listPods, type ObservedPod } from '../edged/observed.ts';
import { type CriCall, connectCri } from '../wire/cri.ts';
import { readArgs } from './arguments.ts';
import type { CliContext, Command } from './cli.ts';
import { runningPid } from './running.ts';
import { hasUnit, systemctl } from './service.ts';

const usage = `edgecore reset: remove this node's state, so that the machine can join anew

  --force           do it; without it only what would be removed is listed
  --keep-pods       leave the containers alone
  --config FILE     default ${DEFAULT_CONFIG}

It stops the service and the pods of this node, and removes the configuration, the certificates, the database, what was
upgraded to, and the volumes and logs of pods. Images, mapper plugins and keys for upgrades stay. The Node object stays
in the cluster: kubectl delete node NAME.
`;

/** What a container has to end by itself, in seconds. */
const STOP_GRACE = 10;

/** `edgecore reset`. @source KubeEdge keadm reset edge */
export const reset: Command = {
  usage,
  async run(args, context) {
    const { values } = readArgs(args, [], {
      config: { type: 'string', default: DEFAULT_CONFIG },
      force: { type: 'boolean', short: 'f', default: false },
      'keep-pods': { type: 'boolean', default: false },
    });
    const config = loadConfig(values.config);
    const paths = stateOf(config, values.config, context);
    if (!values.force) {
      const pods = values['keep-pods'] ? [] : await podNames(config);
      const lines = [...pods.map((pod) => `  pod ${pod}\n`), ...paths.map((path) => `  ${path}\n`)];
      context.print(`would be removed:\n${lines.join('')}--force does it\n`);
      return 0;
    }
    if (hasUnit()) systemctl('disable', '--now', 'edgecore');
    const pid = runningPid(config);
    if (pid !== undefined)
      throw new EdgeError('RESET_REFUSED', { detail: `edgecore runs as process ${pid}: stop it first` });
    if (!values['keep-pods']) await removePods(config, context);
    for (const path of paths) {
      remove(path);
      context.print(`${path} is removed\n`);
    }
    context.print(
      `${paths.length} files and folders are removed; \`edgecore join\` begins anew. The cluster still has the node: kubectl delete node ${config.modules.edged.hostnameOverride}\n`,
    );
    return 0;
  },
};

/** @returns what there is of it */
function stateOf(config: Config, path: string, { slots }: CliContext): string[] {
  const { edgeHub, edged } = config.modules;
  const { dataSource } = config.database;
  const folder = dirname(dataSource);
  const beside = existsSync(folder)
    ? readdirSync(folder)
        .filter(
          (name) =>
            name === basename(dataSource) ||
            name.startsWith(`${basename(dataSource)}.`) ||
            name.startsWith(`${basename(dataSource)}-`),
        )
        .map((name) => join(folder, name))
    : [];
  return [
    path,
    edgeHub.tlsCaFile,
    edgeHub.tlsCertFile,
    edgeHub.tlsPrivateKeyFile,
    ...beside,
    ...(slots ? [slots.folder] : []),
    edged.rootDirectory,
  ].filter((candidate) => existsSync(candidate));
}

/** @returns the pods that the runtime has; none when it cannot be asked */
async function podNames(config: Config): Promise<string[]> {
  return withRuntime(config, async (call) =>
    [...(await listPods(call)).values()].map(({ namespace, name }) => `${namespace}/${name}`),
  ).catch(() => []);
}

async function removePods(config: Config, { print }: CliContext): Promise<void> {
  const { podLogsDir } = config.modules.edged.tailoredKubeletConfig;
  try {
    await withRuntime(config, async (call) => {
      const pods = [...(await listPods(call)).values()];
      await Promise.all(
        pods.map(async (pod) => {
          const name = `${pod.namespace}/${pod.name}`;
          try {
            await removePod(call, pod);
            rmSync(join(podLogsDir, `${pod.namespace}_${pod.name}_${pod.uid}`), {
              recursive: true,
              force: true,
            });
            print(`pod ${name} is stopped and removed\n`);
          } catch (error) {
            print(`pod ${name} was left as it is: ${errorText(error)}\n`);
          }
        }),
      );
    });
  } catch (error) {
    // A gateway without a runtime has no pods.
    print(`pods were left as they are: the container runtime says ${errorText(error)}\n`);
  }
}

/** Its containers may end by themselves, each in its time. */
async function removePod(call: CriCall, { containers, sandboxes }: ObservedPod): Promise<void> {
  await Promise.all(
    containers
      .filter(({ state }) => state === 'running')
      .map(({ id }) =>
        call('stopContainer', { containerId: id, timeout: STOP_GRACE }, seconds(STOP_GRACE + 10)),
      ),
  );
  for (const { id } of sandboxes) {
    await call('stopPodSandbox', { podSandboxId: id });
    await call('removePodSandbox', { podSandboxId: id });
  }
}

async function withRuntime<T>(config: Config, work: (call: CriCall) => Promise<T>): Promise<T> {
  const cri = connectCri(config.modules.edged.tailoredKubeletConfig.containerRuntimeEndpoint);
  try {
    return await work(cri.call);
  } finally {
    cri.close();
  }
}

function remove(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (cause) {
    throw new EdgeError('RESET_REFUSED', {
      detail: `${path}: ${errorText(cause)}; run it as root (sudo)`,
      cause,
    });
  }
}

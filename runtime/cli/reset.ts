import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DEFAULT_CONFIG, loadConfig } from '../config/config.ts';
import type { Config } from '../config/schema.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import { listPods } from '../edged/observed.ts';
import { connectCri } from '../wire/cri.ts';
import { readArgs } from './arguments.ts';
import type { CliContext, Command } from './cli.ts';
import { runningPid } from './running.ts';
import { hasUnit, systemctl } from './service.ts';

const usage = `edgecore reset: remove this node's state, so that the machine can join anew

  --force           do it; without it only what would be removed is listed
  --keep-pods       leave the containers alone
  --config FILE     default ${DEFAULT_CONFIG}

It stops the service, the pods of this node, and removes the configuration, the certificates, the database, what was
upgraded to, and the volumes of pods. Mapper plugins and keys for upgrades stay. The Node object stays in the cluster:
kubectl delete node NAME.
`;

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
      context.print(`would be removed:\n${paths.map((path) => `  ${path}\n`).join('')}--force does it\n`);
      return 0;
    }
    if (hasUnit()) systemctl('disable', '--now', 'edgecore');
    const pid = runningPid(config);
    if (pid !== undefined)
      throw new EdgeError('RESET_REFUSED', { detail: `edgecore runs as process ${pid}: stop it first` });
    if (!values['keep-pods']) await removePods(config, context);
    for (const path of paths) remove(path);
    context.print(`${paths.length} files and folders are removed; \`edgecore join\` begins anew\n`);
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

async function removePods(config: Config, { print }: CliContext): Promise<void> {
  const cri = connectCri(config.modules.edged.tailoredKubeletConfig.containerRuntimeEndpoint);
  try {
    for (const pod of (await listPods(cri.call)).values())
      for (const { id } of pod.sandboxes) {
        await cri.call('stopPodSandbox', { podSandboxId: id });
        await cri.call('removePodSandbox', { podSandboxId: id });
        print(`pod ${pod.namespace}/${pod.name} is removed\n`);
      }
  } catch (error) {
    // A gateway without a runtime has no pods.
    print(`pods were left as they are: the container runtime says ${errorText(error)}\n`);
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

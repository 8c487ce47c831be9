import { DEFAULT_CONFIG, loadConfig } from '../config/config.ts';
import type { Config } from '../config/schema.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import { listPods } from '../edged/observed.ts';
import { execInPod } from '../edged/pod-commands.ts';
import { connectCri } from '../wire/cri.ts';
import { readArgs } from './arguments.ts';
import type { Command } from './cli.ts';
import { kubeletUrl, podsOf } from './running.ts';

const logsUsage = `edgecore logs: what a container of this node prints

  logs POD

  -c, --container NAME    of a pod that has more than one
  -n, --namespace NS      default: default
  -f, --follow            go on until Ctrl-C
  --tail LINES            only the last ones
  --since SECONDS         only what is younger
  -p, --previous          of the container before its last restart
  --timestamps            with the time of each line
  --config FILE           edgecore's configuration, default ${DEFAULT_CONFIG}
`;

const execUsage = `edgecore exec: run a command in a container of this node

  exec POD -- COMMAND…

  -c, --container NAME    of a pod that has more than one
  -n, --namespace NS      default: default
  --config FILE           edgecore's configuration, default ${DEFAULT_CONFIG}

It has no input and no terminal, and ten seconds; \`crictl exec -it\` has both. It needs no edgecore, only the container
runtime. The exit status is the command's.
`;

const options = {
  config: { type: 'string', default: DEFAULT_CONFIG },
  namespace: { type: 'string', short: 'n', default: 'default' },
  container: { type: 'string', short: 'c', default: '' },
} as const;

/** `edgecore logs`. @source KubeEdge keadm ctl logs */
export const logs: Command = {
  usage: logsUsage,
  async run(args, { print }) {
    const { values, positionals } = readArgs(args, ['POD'], {
      ...options,
      follow: { type: 'boolean', short: 'f', default: false },
      tail: { type: 'string' },
      since: { type: 'string' },
      previous: { type: 'boolean', short: 'p', default: false },
      timestamps: { type: 'boolean', default: false },
    });
    const [pod = ''] = positionals;
    const config = loadConfig(values.config);
    const { namespace } = values;
    const container = values.container || (await onlyContainer(config, namespace, pod));
    const query = new URLSearchParams();
    for (const name of ['follow', 'previous', 'timestamps'] as const)
      if (values[name]) query.set(name, 'true');
    if (values.tail !== undefined) query.set('tailLines', whole('--tail', values.tail));
    if (values.since !== undefined) query.set('sinceSeconds', whole('--since', values.since));
    const path = [namespace, pod, container].map(encodeURIComponent).join('/');
    const response = await fetch(kubeletUrl(config, `/containerLogs/${path}?${query}`));
    if (!response.ok) throw new EdgeError('NOT_ON_NODE', { detail: (await response.text()).trim() });
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) print(decoder.decode(piece, { stream: true }));
    return 0;
  },
};

/** `edgecore exec`. @source KubeEdge keadm ctl exec */
export const exec: Command = {
  usage: execUsage,
  async run(args, { print }) {
    const { values, positionals } = readArgs(args, ['POD', 'COMMAND…'], options);
    const [pod = '', ...command] = positionals;
    const { namespace, container } = values;
    const cri = connectCri(
      loadConfig(values.config).modules.edged.tailoredKubeletConfig.containerRuntimeEndpoint,
    );
    try {
      const found = [...(await listPods(cri.call)).values()].find(
        (one) => one.namespace === namespace && one.name === pod,
      );
      if (!found) throw new EdgeError('NOT_ON_NODE', { detail: `pod ${namespace}/${pod}` });
      const result = await execInPod(cri.call, found, container, command);
      if ('missing' in result) throw new EdgeError('NOT_ON_NODE', { detail: result.missing });
      print(result.stdout);
      process.stderr.write(result.stderr);
      return result.exitCode;
    } catch (cause) {
      if (cause instanceof EdgeError) throw cause;
      throw new EdgeError('RUNTIME_REFUSED', { detail: `${cri.endpoint}: ${errorText(cause)}`, cause });
    } finally {
      cri.close();
    }
  },
};

async function onlyContainer(config: Config, namespace: string, name: string): Promise<string> {
  const pod = (await podsOf(config)).find(
    ({ metadata }) => metadata.name === name && (metadata.namespace ?? 'default') === namespace,
  );
  if (!pod) throw new EdgeError('NOT_ON_NODE', { detail: `pod ${namespace}/${name}` });
  const names = pod.spec.containers.map((container) => container.name);
  if (names.length === 1 && names[0]) return names[0];
  throw new EdgeError('CLI_USAGE', { detail: `--container is missing: want one of ${names.join(', ')}` });
}

function whole(option: string, text: string): string {
  if (/^\d+$/.test(text)) return text;
  throw new EdgeError('CLI_USAGE', { detail: `${option} ${text}: want a whole number` });
}

import { DEFAULT_CONFIG, loadConfig } from '../config/config.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import { listPods } from '../edged/observed.ts';
import { runningContainer } from '../edged/pod-commands.ts';
import { connectCri } from '../wire/cri.ts';
import { readArgs } from './arguments.ts';
import type { Command } from './cli.ts';
import { type Ended, runRemote } from './remote-command.ts';

const usage = `edgecore exec: run a command in a container of this node

  exec POD -- COMMAND…

  -i, --stdin             pass on what comes in here
  -t, --tty               with a terminal: exec -it POD -- sh
  -c, --container NAME    of a pod that has more than one
  -n, --namespace NS      default: default
  --config FILE           edgecore's configuration, default ${DEFAULT_CONFIG}

Without a terminal, output and errors of the command stay apart. It needs no edgecore, only the container runtime. The
exit status is the command's.
`;

/** `edgecore exec`. @source KubeEdge keadm ctl exec; kubectl exec */
export const exec: Command = {
  usage,
  async run(args) {
    const { values, positionals } = readArgs(args, ['POD', 'COMMAND…'], {
      config: { type: 'string', default: DEFAULT_CONFIG },
      namespace: { type: 'string', short: 'n', default: 'default' },
      container: { type: 'string', short: 'c', default: '' },
      stdin: { type: 'boolean', short: 'i', default: false },
      tty: { type: 'boolean', short: 't', default: false },
    });
    const [pod = '', ...command] = positionals;
    const { stdin, stdout, stderr } = process;
    const tty = values.tty && stdout.isTTY && (!values.stdin || stdin.isTTY);
    if (values.tty && !tty) stderr.write('edgecore: no terminal here: the command has none either\n');
    const { containerRuntimeEndpoint } = loadConfig(values.config).modules.edged.tailoredKubeletConfig;
    const asked = { ...values, pod, command, tty };
    const ended = await start(containerRuntimeEndpoint, asked, (url) =>
      runRemote(url, tty, { input: values.stdin ? stdin : undefined, output: stdout, errors: stderr }),
    );
    if ('exitCode' in ended) return ended.exitCode;
    throw new EdgeError('EXEC_REFUSED', { detail: ended.refused });
  },
};

type Asked = {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
};

/** @throws EdgeError NOT_ON_NODE, RUNTIME_REFUSED */
async function start(
  endpoint: string,
  { namespace, pod, container, command, stdin, tty }: Asked,
  run: (url: string) => Promise<Ended>,
): Promise<Ended> {
  const cri = connectCri(endpoint);
  try {
    const named = [...(await listPods(cri.call)).values()].filter(
      (one) => one.namespace === namespace && one.name === pod,
    );
    // One of that name may have been here before.
    const found =
      named.find(({ containers }) => containers.some(({ state }) => state === 'running')) ?? named[0];
    if (!found) throw new EdgeError('NOT_ON_NODE', { detail: `pod ${namespace}/${pod}` });
    const target = runningContainer(found, container);
    if (typeof target === 'string') throw new EdgeError('NOT_ON_NODE', { detail: target });
    const { url } = await cri.call('exec', {
      containerId: target.id,
      cmd: [...command],
      tty,
      stdin,
      stdout: true,
      stderr: !tty,
    });
    return await run(url);
  } catch (cause) {
    if (cause instanceof EdgeError) throw cause;
    throw new EdgeError('RUNTIME_REFUSED', { detail: `${cri.endpoint}: ${errorText(cause)}`, cause });
  } finally {
    cri.close();
  }
}

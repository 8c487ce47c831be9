import { get, type IncomingMessage } from 'node:http';
import { DEFAULT_CONFIG, loadConfig } from '../config/config.ts';
import type { Config } from '../config/schema.ts';
import { EdgeError } from '../core/errors.ts';
import { readArgs } from './arguments.ts';
import type { Command } from './cli.ts';
import { kubeletUrl, podsOf } from './running.ts';

const usage = `edgecore logs: what a container of this node prints

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

/** `edgecore logs`. @source KubeEdge keadm ctl logs */
export const logs: Command = {
  usage,
  async run(args, { print }) {
    const { values, positionals } = readArgs(args, ['POD'], {
      config: { type: 'string', default: DEFAULT_CONFIG },
      namespace: { type: 'string', short: 'n', default: 'default' },
      container: { type: 'string', short: 'c', default: '' },
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
    const response = await openLog(kubeletUrl(config, `/containerLogs/${path}?${query}`));
    let text = '';
    for await (const piece of response.setEncoding('utf8')) {
      if (response.statusCode === 200) print(String(piece));
      else text += String(piece);
    }
    if (response.statusCode !== 200) throw new EdgeError('NOT_ON_NODE', { detail: text.trim() });
    return 0;
  },
};

/** Not by `fetch`, which gives up a log that is silent for five minutes. */
function openLog(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = get(url, { agent: false }, resolve);
    call.once('error', (cause) =>
      reject(new EdgeError('NODE_NOT_RUNNING', { detail: `${url}: ${cause.message}`, cause })),
    );
  });
}

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

import { stringify } from 'yaml';
import { DEFAULT_CONFIG, loadConfig } from '../config/config.ts';
import type { Config } from '../config/schema.ts';
import type { ConsoleDevice, ConsoleSnapshot } from '../console/snapshot.ts';
import { EdgeError } from '../core/errors.ts';
import type { Pod } from '../core/pod.ts';
import { readArgs } from './arguments.ts';
import type { Command } from './cli.ts';
import { outputOption, printed } from './output.ts';
import { podsOf, stateOf } from './running.ts';
import { tableText } from './table.ts';

const usage = `edgecore get: what the edgecore of this machine runs, also while there is no cloud

  get pods [NAME]         pods of this node
  get devices [NAME]      its devices
  get node                the node itself

  -n, --namespace NS      of pods and devices; every one by default
  -o, --output json|yaml  the objects whole
  --config FILE           edgecore's configuration, default ${DEFAULT_CONFIG}
`;

const describeUsage = `edgecore describe: all that the edgecore of this machine knows of one of them

  describe pod NAME, describe device NAME, describe node

  -n, --namespace NS      where it is, if more than one has the name
  --config FILE           edgecore's configuration, default ${DEFAULT_CONFIG}
`;

const options = {
  config: { type: 'string', default: DEFAULT_CONFIG },
  namespace: { type: 'string', short: 'n', default: '' },
} as const;

type Asked = { readonly config: Config; readonly namespace: string; readonly name: string };

/** A kind of thing that can be looked at. */
type Kind = {
  list(asked: Asked): Promise<readonly unknown[]>;
  table(found: readonly never[]): string;
};

const pods: Kind = {
  list: async ({ config, namespace, name }) =>
    (await podsOf(config)).filter(({ metadata }) =>
      isAsked(metadata.namespace ?? 'default', metadata.name, namespace, name),
    ),
  table: (found: readonly Pod[]) =>
    tableText([['NAMESPACE', 'NAME', 'READY', 'STATUS', 'RESTARTS', 'IP'], ...found.map(podRow)]),
};

const devices: Kind = {
  list: async ({ config, namespace, name }) =>
    (await stateOf(config)).devices.filter(({ id }) => {
      const [of = '', called = ''] = id.split('/');
      return isAsked(of, called, namespace, name);
    }),
  table: (found: readonly ConsoleDevice[]) =>
    tableText([
      ['NAMESPACE', 'NAME', 'PROTOCOL', 'STATE', 'LAST ONLINE', 'REASON'],
      ...found.map(({ id, protocol, state, lastOnline, reason }) => [
        ...id.split('/'),
        protocol,
        state,
        lastOnline,
        reason,
      ]),
    ]),
};

const node: Kind = {
  list: async ({ config }) => [nodeOf(await stateOf(config))],
  table: ([found]: readonly ReturnType<typeof nodeOf>[]) =>
    found ? tableText(Object.entries(found).map(([key, value]) => [key, String(value)])) : '',
};

const kinds: Readonly<Record<string, Kind>> = {
  pod: pods,
  pods,
  po: pods,
  device: devices,
  devices,
  node,
  nodes: node,
};

/** `edgecore get`. @source KubeEdge keadm ctl get */
export const get: Command = {
  usage,
  async run(args, { print }) {
    const { values, positionals } = readArgs(args, ['KIND', '[NAME]'], { ...options, ...outputOption });
    const [word = '', name = ''] = positionals;
    const kind = kindOf(word);
    const config = loadConfig(values.config);
    const found = await kind.list({ config, namespace: values.namespace, name });
    if (name && found.length === 0) throw notThere(word, name);
    if (values.output) print(printed(name ? found[0] : found, values.output));
    else print(found.length === 0 ? `there are no ${word} on this node\n` : kind.table(found as never[]));
    return 0;
  },
};

/** `edgecore describe`. @source KubeEdge keadm ctl describe */
export const describe: Command = {
  usage: describeUsage,
  async run(args, { print }) {
    const { values, positionals } = readArgs(args, ['KIND', '[NAME]'], options);
    const [word = '', name = ''] = positionals;
    const kind = kindOf(word);
    if (kind !== node && !name) throw new EdgeError('CLI_USAGE', { detail: 'NAME is missing' });
    const found = await kind.list({ config: loadConfig(values.config), namespace: values.namespace, name });
    if (found.length === 0) throw notThere(word, name);
    if (found.length > 1)
      throw new EdgeError('CLI_USAGE', { detail: `more than one namespace has ${name}: add --namespace` });
    print(stringify(found[0]));
    return 0;
  },
};

function kindOf(word: string): Kind {
  const kind = Object.hasOwn(kinds, word) ? kinds[word] : undefined;
  if (kind) return kind;
  throw new EdgeError('CLI_USAGE', { detail: `${word}: want pods, devices or node` });
}

function notThere(word: string, name: string): EdgeError {
  return new EdgeError('NOT_ON_NODE', { detail: `${word} ${name}` });
}

function isAsked(namespace: string, name: string, wantedNamespace: string, wantedName: string): boolean {
  return (!wantedNamespace || namespace === wantedNamespace) && (!wantedName || name === wantedName);
}

function podRow({ metadata, status }: Pod): string[] {
  const containers = status?.containerStatuses ?? [];
  const waiting = containers.find(({ state }) => state.waiting)?.state.waiting?.reason;
  return [
    metadata.namespace ?? 'default',
    metadata.name,
    `${containers.filter(({ ready }) => ready).length}/${containers.length}`,
    metadata.deletionTimestamp ? 'Terminating' : (waiting ?? status?.phase ?? 'Pending'),
    String(containers.reduce((sum, { restartCount }) => sum + restartCount, 0)),
    status?.podIP ?? '',
  ];
}

function nodeOf(state: ConsoleSnapshot) {
  const { link, runtime, store } = state;
  return {
    name: state.node,
    version: state.version,
    up: `since ${new Date(state.startedAt).toISOString()}`,
    memory: `${state.rssMb} MB`,
    link: `${link.state}${link.server ? ` to ${link.server}` : ''}${link.reason ? `: ${link.reason}` : ''}`,
    runtime: runtime.ready ? runtime.message : `not ready: ${runtime.message}`,
    store: `${store.state}${store.reason ? `: ${store.reason}` : ''}`,
    pods: state.pods.length,
    devices: `${state.devices.filter((device) => device.state === 'online').length} of ${state.devices.length} online`,
    mqtt: `${state.mqtt.clients} clients`,
  };
}

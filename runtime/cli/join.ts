import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { parseDocument } from 'yaml';
import { DEFAULT_CONFIG, parseConfig } from '../config/config.ts';
import { faultLine } from '../core/config-faults.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import { readArgs } from './arguments.ts';
import type { Command } from './cli.ts';
import { hasJoined } from './running.ts';
import { hasUnit, systemctl } from './service.ts';

const usage = `edgecore join: write the configuration of a node, and start it

  --cloudcore-ipport HOST:PORT   the cloud's WebSocket address, port 10000 if it is left out
  --token TOKEN                  join token (secret kubeedge/tokensecret); - reads it from standard input
  --token-file FILE              the same, from a file
  --edgenode-name NAME           default: this machine's name
  --certport PORT                port of the cloud where nodes enrol, default 10002
  --remote-runtime-endpoint SOCK unix:///… of the container runtime, default containerd's
  --labels KEY=VALUE,…           of the node
  --set PATH=VALUE               any key of the configuration, modules.eventBus.mqttMode=0; may be given again
  --force                        also when the node has joined already
  --no-check                     do not ask the cloud whether it is there and the name is free
  --no-start                     only write the configuration
  --config FILE                  default ${DEFAULT_CONFIG}

A configuration that is there is changed where these options say so, comments and all else stay. The token is blanked
in the file once it was used.
`;

/** The cloud is asked for so long, ms. */
const ASK_LIMIT = 10_000;

/** `edgecore join`. @source KubeEdge keadm join */
export const join: Command = {
  usage,
  async run(args, { print }) {
    const { values } = readArgs(args, [], {
      config: { type: 'string', default: DEFAULT_CONFIG },
      'cloudcore-ipport': { type: 'string', short: 'e', default: '' },
      token: { type: 'string', short: 't', default: '' },
      'token-file': { type: 'string', default: '' },
      'edgenode-name': { type: 'string', short: 'i', default: hostname().toLowerCase() },
      certport: { type: 'string', short: 's', default: '10002' },
      'remote-runtime-endpoint': { type: 'string', short: 'p' },
      labels: { type: 'string', short: 'l', default: '' },
      set: { type: 'string', multiple: true, default: [] as string[] },
      force: { type: 'boolean', default: false },
      'no-check': { type: 'boolean', default: false },
      'no-start': { type: 'boolean', default: false },
    });
    const path = values.config;
    const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (before && !values.force && isJoined(before))
      throw new EdgeError('JOIN_REFUSED', {
        detail: `${path}: the node has a certificate already: \`edgecore reset\` removes its state, --force changes the file all the same`,
      });
    const cloud = cloudOf(values['cloudcore-ipport'], values.certport);
    const name = values['edgenode-name'];
    const runtime = values['remote-runtime-endpoint'];
    const labels = pairs(values.labels === '' ? [] : values.labels.split(','), '--labels');
    const text = configText({
      ...cloud,
      before,
      name,
      token: await tokenOf(values.token, values['token-file']),
      ...(runtime ? { runtime } : {}),
      labels,
      set: pairs(values.set, '--set'),
    });
    if (!values['no-check']) await askCloud(cloud.httpServer, name);
    write(path, text);
    print(`${path} is written: node ${name}, cloud ${cloud.server}\n`);
    if (values['no-start'] || !hasUnit()) print(`start it: edgecore --config ${path}\n`);
    else {
      systemctl('enable', 'edgecore');
      systemctl('restart', 'edgecore');
      print(
        'edgecore is started: `edgecore get node` shows whether it has joined, `edgecore check` what is amiss\n',
      );
    }
    return 0;
  },
};

function isJoined(text: string): boolean {
  const parsed = parseConfig(text);
  return 'config' in parsed && hasJoined(parsed.config);
}

function cloudOf(ipport: string, certport: string): { server: string; httpServer: string } {
  if (!ipport)
    throw new EdgeError('CLI_USAGE', {
      detail: '--cloudcore-ipport is missing: want HOST:PORT of the cloud',
    });
  const [, host = '', port = '10000'] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(ipport) ?? [];
  if (!host) throw new EdgeError('CLI_USAGE', { detail: `--cloudcore-ipport ${ipport}: want HOST:PORT` });
  return { server: `${host}:${port}`, httpServer: `https://${host}:${certport}` };
}

async function tokenOf(given: string, file: string): Promise<string> {
  const token = given === '-' ? await standardInput() : file ? readToken(file) : given;
  // KubeEdge's token: the CA's digest, then a JWT.
  if (/^[0-9a-f]{64}(\.[\w-]+){3}$/.test(token.trim())) return token.trim();
  throw new EdgeError('CLI_USAGE', {
    detail: token
      ? 'the token is none: want the text of secret kubeedge/tokensecret, decoded'
      : '--token or --token-file is missing',
  });
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new EdgeError('CLI_USAGE', { detail: `--token-file ${file}: ${errorText(error)}` });
  }
}

async function standardInput(): Promise<string> {
  let text = '';
  for await (const piece of process.stdin) text += piece;
  return text;
}

function pairs(list: readonly string[], option: string): [string, string][] {
  return list.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new EdgeError('CLI_USAGE', { detail: `${option} ${text}: want KEY=VALUE` });
    return [text.slice(0, at), text.slice(at + 1)];
  });
}

/** @returns an edgecore.yaml without faults
 * @throws EdgeError CONFIG_INVALID */
function configText(known: {
  before: string;
  server: string;
  httpServer: string;
  name: string;
  token: string;
  runtime?: string;
  labels: readonly [string, string][];
  set: readonly [string, string][];
}): string {
  const document = parseDocument(
    known.before || 'apiVersion: edgecore.config.kubeedge.io/v1alpha2\nkind: EdgeCore\n',
  );
  const put = (path: readonly string[], value: unknown): void =>
    document.setIn(path, document.createNode(value));
  const { server, httpServer, token } = known;
  put(['modules', 'edged', 'hostnameOverride'], known.name);
  for (const [key, value] of known.labels) put(['modules', 'edged', 'nodeLabels', key], value);
  if (known.runtime)
    put(['modules', 'edged', 'tailoredKubeletConfig', 'containerRuntimeEndpoint'], known.runtime);
  put(['modules', 'edgeHub', 'httpServer'], httpServer);
  put(['modules', 'edgeHub', 'token'], token);
  put(['modules', 'edgeHub', 'websocket', 'server'], server);
  for (const [path, value] of known.set) put(path.split('.'), parseDocument(value).toJS());
  const text = document.toString({ lineWidth: 0 });
  const parsed = parseConfig(text);
  if ('faults' in parsed)
    throw new EdgeError('CONFIG_INVALID', {
      detail: `\n${parsed.faults.map((fault) => `  ${faultLine(fault)}`).join('\n')}`,
    });
  return text;
}

/** The cloud must be there, and must not know the name. Who it is shows when edgecore joins: the token names its CA.
 * @source KubeEdge keadm join, GET /node/NAME */
async function askCloud(httpServer: string, name: string): Promise<void> {
  const url = `${httpServer}/node/${encodeURIComponent(name)}`;
  const status = await new Promise<number>((resolve, reject) => {
    const request = get(url, { rejectUnauthorized: false, timeout: ASK_LIMIT }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.once('timeout', () => request.destroy(new Error('it does not answer')));
    request.once('error', reject);
  }).catch((cause) => {
    throw new EdgeError('JOIN_REFUSED', {
      detail: `${url}: ${errorText(cause)}; --no-check writes the configuration all the same`,
      cause,
    });
  });
  if (status === 200)
    throw new EdgeError('JOIN_REFUSED', {
      detail: `the cluster has a node ${name} already: choose another --edgenode-name, or \`kubectl delete node ${name}\` if it is this one`,
    });
}

function write(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new EdgeError('JOIN_REFUSED', {
      detail: `${path}: ${errorText(cause)}; run it as root (sudo)`,
      cause,
    });
  }
}

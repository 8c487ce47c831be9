import { DEFAULT_CONFIG, loadConfig, socketPath } from '../config/config.ts';
import type { ConsoleDevice, ConsoleProperty, ConsoleSnapshot } from '../console/snapshot.ts';
import { EdgeError } from '../core/errors.ts';
import { readArgs } from './arguments.ts';
import type { CliContext, Command } from './cli.ts';
import { LocalClient } from './local-client.ts';
import { tableText } from './table.ts';

const usage = `edgecore device: the devices of the edgecore that runs on this machine

  list                                    every device, its state and why
  get DEVICE                              its properties and methods
  set DEVICE PROPERTY=VALUE…              the desired value, kept until the cluster wants another
  call DEVICE METHOD PROPERTY=VALUE…      a method of the Device: the value is written at once, and not kept
  watch [DEVICE]                          a line for every change, until Ctrl-C

  DEVICE is NAME or NAMESPACE/NAME.
  --output json        list and get: as edgecore says it
  --config FILE        edgecore's configuration, default ${DEFAULT_CONFIG}
  --socket PATH        the socket of edgecore, instead of the one that the configuration says

Exit code: 0 done, or kept for a device that is away; 1 refused.
`;

const where = { config: { type: 'string', default: DEFAULT_CONFIG }, socket: { type: 'string' } } as const;
const output = { ...where, output: { type: 'string', default: 'table' } } as const;

type Run = (args: readonly string[], context: CliContext) => Promise<number>;

/** `edgecore device`. */
export const device: Command = {
  usage,
  async run([verb = '', ...args], context) {
    const known: Readonly<Record<string, Run>> = { list, get, set, call, watch };
    const run = Object.hasOwn(known, verb) ? known[verb] : undefined;
    if (run) return run(args, context);
    throw new EdgeError('CLI_USAGE', {
      detail: `edgecore device ${verb}: want one of ${Object.keys(known).join(', ')}`,
    });
  },
};

const list: Run = async (args, { print }) => {
  const { values } = readArgs(args, [], output);
  const { devices } = await stateOf(clientOf(values));
  if (isJson(values.output)) print(`${JSON.stringify(devices, undefined, 2)}\n`);
  else if (devices.length === 0) print('there are no devices on this node\n');
  else print(deviceTable(devices));
  return 0;
};

const get: Run = async (args, { print }) => {
  const { values, positionals } = readArgs(args, ['DEVICE'], output);
  const found = await deviceOf(clientOf(values), positionals[0] ?? '');
  print(isJson(values.output) ? `${JSON.stringify(found, undefined, 2)}\n` : deviceText(found));
  return 0;
};

const set: Run = async (args, { print }) => {
  const { values, positionals } = readArgs(args, ['DEVICE', 'PROPERTY=VALUE…'], where);
  const [name = '', ...pairs] = positionals;
  return writeAll(clientOf(values), idOf(name), 'properties', pairs, print);
};

const call: Run = async (args, { print }) => {
  const { values, positionals } = readArgs(args, ['DEVICE', 'METHOD', 'PROPERTY=VALUE…'], where);
  const [name = '', method = '', ...pairs] = positionals;
  return writeAll(clientOf(values), idOf(name), `methods/${encodeURIComponent(method)}`, pairs, print);
};

/** One after the other; what comes after a refusal is not tried. */
async function writeAll(
  client: LocalClient,
  id: string,
  what: string,
  pairs: readonly string[],
  print: CliContext['print'],
): Promise<number> {
  const path = `/api/devices/${id.split('/').map(encodeURIComponent).join('/')}/${what}`;
  for (const [property, value] of pairs.map(pairOf)) {
    const answer = await client.post(`${path}/${encodeURIComponent(property)}`, { value });
    const { outcome, reason } = JSON.parse(answer.body) as { outcome: string; reason: string };
    if (outcome === 'refused') {
      print(`${id}: ${property}=${value} is refused: ${reason}\n`);
      return 1;
    }
    print(`${id}: ${property}=${value} ${outcome === 'done' ? 'is done' : `is kept: ${reason}`}\n`);
  }
  return 0;
}

const watch: Run = async (args, { print }) => {
  const { values, positionals } = readArgs(args, ['[DEVICE]'], where);
  const [name] = positionals;
  const client = clientOf(values);
  if (name !== undefined) await deviceOf(client, name);
  const wanted = name === undefined ? undefined : idOf(name);
  const seen = new Map<string, string>();
  for await (const event of client.events('/api/events')) {
    const { devices, now } = event as ConsoleSnapshot;
    for (const found of devices) {
      if (wanted !== undefined && found.id !== wanted) continue;
      for (const [key, line] of linesOf(found)) {
        if (seen.get(key) !== line) print(`${new Date(now).toISOString()} ${key} ${line}\n`);
        seen.set(key, line);
      }
    }
  }
  return 0;
};

/** What is watched of a device: its state, and each property with a value or a fault. */
function linesOf({ id, state, reason, properties }: ConsoleDevice): [string, string][] {
  return [
    [id, [state, reason].filter(Boolean).join(': ')],
    ...properties
      .filter((p) => p.value !== '' || p.fault)
      .map((p): [string, string] => [`${id} ${p.name}`, [valueText(p), p.fault].filter(Boolean).join(' ! ')]),
  ];
}

async function stateOf(client: LocalClient): Promise<ConsoleSnapshot> {
  return (await client.get('/api/state')) as ConsoleSnapshot;
}

/** @throws EdgeError DEVICE_UNKNOWN */
async function deviceOf(client: LocalClient, name: string): Promise<ConsoleDevice> {
  const { devices, node } = await stateOf(client);
  const id = idOf(name);
  const found = devices.find((candidate) => candidate.id === id);
  if (!found) throw new EdgeError('DEVICE_UNKNOWN', { detail: `${id} on node ${node}` });
  return found;
}

function deviceTable(devices: readonly ConsoleDevice[]): string {
  const rows = devices.map((d) => [
    d.id,
    d.state,
    d.protocol || '-',
    d.model || '-',
    `${d.properties.length}`,
    d.reason,
  ]);
  return tableText([['DEVICE', 'STATE', 'PROTOCOL', 'MODEL', 'PROPERTIES', 'REASON'], ...rows]);
}

function deviceText(found: ConsoleDevice): string {
  const rows = found.properties.map((p) => [
    p.name,
    valueText(p) || '-',
    p.desired ?? '-',
    p.type || '-',
    p.writable ? rangeOf(p) : 'no',
    p.fault ?? '',
  ]);
  const methods = found.methods.map((m) => [m.name, m.properties.join(', '), m.description]);
  const reason = found.reason ? `: ${found.reason}` : '';
  return `${found.id} is ${found.state}${reason}\n\n${tableText([
    ['PROPERTY', 'VALUE', 'DESIRED', 'TYPE', 'WRITABLE', 'FAULT'],
    ...rows,
  ])}${methods.length > 0 ? `\n${tableText([['METHOD', 'PROPERTIES', 'DESCRIPTION'], ...methods])}` : ''}`;
}

function rangeOf({ minimum, maximum }: ConsoleProperty): string {
  return minimum || maximum ? `${minimum ?? ''}..${maximum ?? ''}` : 'yes';
}

function valueText({ value, unit }: ConsoleProperty): string {
  return value !== '' && unit ? `${value} ${unit}` : value;
}

/** @throws EdgeError CLI_USAGE */
function pairOf(pair: string): [string, string] {
  const at = pair.indexOf('=');
  if (at < 1) throw new EdgeError('CLI_USAGE', { detail: `${pair}: want PROPERTY=VALUE` });
  return [pair.slice(0, at), pair.slice(at + 1)];
}

function idOf(name: string): string {
  return name.includes('/') ? name : `default/${name}`;
}

/** @throws EdgeError CLI_USAGE */
function isJson(text: string): boolean {
  if (text !== 'table' && text !== 'json')
    throw new EdgeError('CLI_USAGE', { detail: `--output ${text}: want json or table` });
  return text === 'json';
}

function clientOf(values: { readonly config: string; readonly socket?: string | undefined }): LocalClient {
  return new LocalClient(values.socket ?? socketPath(loadConfig(values.config)));
}

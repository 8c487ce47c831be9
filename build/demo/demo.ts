import { parseArgs } from 'node:util';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import { until } from '../../hw-tests/program.ts';
import { defaultPorts, type Ports, portNames, Stack, takenPorts } from '../../hw-tests/stack.ts';
import type { DeviceStatus } from '../../runtime/core/devices.ts';
import type { Node } from '../../runtime/core/k8s.ts';

/** `npm start`: cloud, edge and a simulated PLC on this machine, without root, until Ctrl-C. */
const NODE = 'edge-demo';
const say = (line: string): void => void process.stdout.write(`${line}\n`);

class WrongArgument extends Error {}

async function main(): Promise<number> {
  const { ports, dir } = readArguments();
  const taken = await takenPorts(ports);
  for (const name of taken)
    say(
      `port ${ports[name]} (${portNames[name].use}) is in use by another program: stop it, or choose another with  npm start -- --port ${name}=NUMBER`,
    );
  if (taken.length > 0) return 1;
  const stack = new Stack({ dir, ports, node: NODE, modules: { console: { writes: true } } });
  const asked = new Promise<'asked'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve('asked'));
  });
  try {
    const end = await Promise.race([startAll(stack, dir).then(() => stack.watch()), asked]);
    say(end === 'asked' ? '\nstopping' : '');
    return 0;
  } finally {
    await stack.stop();
    say(`stopped; what it knew is kept in ${dir} (remove it to start from nothing)`);
  }
}

async function startAll(stack: Stack, dir: string): Promise<void> {
  const started = performance.now();
  const { ports } = stack.options;
  const steps: readonly [string, () => Promise<string>][] = [
    ['Kubernetes API', async () => stack.startMaster().then(() => `https://127.0.0.1:${ports.kubernetes}`)],
    ['cloud shim', async () => stack.startShim().then(() => `wss://127.0.0.1:${ports.cloudhub}`)],
    ['PLC', async () => stack.startPlc().then(() => `Modbus TCP 127.0.0.1:${ports.plc}`)],
    ['edgecore', async () => stack.startEdge().then(() => `MQTT 127.0.0.1:${ports.mqtt}`)],
    ['join', async () => joined(stack)],
    ['device', async () => device(stack)],
  ];
  for (const [index, [name, step]] of steps.entries()) {
    const at = performance.now();
    const what = await step();
    const took = ((performance.now() - at) / 1000).toFixed(1);
    say(`[${index + 1}/${steps.length}] ${name.padEnd(15)} ${what} (${took} s)`);
  }
  say(`all up in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  say(invitation(stack, dir));
}

async function joined(stack: Stack): Promise<string> {
  const ready = await until('the node says how it is', async () => {
    const node = await stack.object<Node>(kinds.node, NODE, '');
    return node?.status.conditions?.find(({ type, status }) => type === 'Ready' && status !== 'Unknown');
  });
  const pods = ready.status === 'True' ? 'pods can run' : `pods wait: ${ready.message}`;
  return `node ${NODE} is registered; ${pods}`;
}

async function device(stack: Stack): Promise<string> {
  await stack.applyPlc();
  await until('the PLC is online', async () => {
    const found = await stack.object<DeviceStatus>(kinds.deviceStatus, 'plc');
    return found?.status?.state === 'online';
  });
  const temperature = await until('its temperature is in Kubernetes', () => stack.reported('temperature'));
  return `default/plc is online: temperature ${temperature} °C`;
}

function invitation(stack: Stack, dir: string): string {
  const { ports } = stack.options;
  const mqttPort = ports.mqtt === defaultPorts.mqtt ? '' : `-p ${ports.mqtt} `;
  const kubectl = `kubectl --kubeconfig ${dir}/mini-master/kubeconfig`;
  const patch = `'[{"op":"replace","path":"/spec/properties/2/desired/value","value":"true"}]'`;
  return `Try:
  values on MQTT      mosquitto_sub ${mqttPort}-t '$hw/events/device/+/+/twin/update/document'
  in Kubernetes       ${kubectl} get devicestatus plc -o yaml
  set the switch      ${kubectl} patch device plc --type json -p ${patch}
  call a method       dist/edgecore/edgecore device call plc power switch=true --config ${dir}/edgecore.yaml
  the console         http://127.0.0.1:${ports.console}

Ctrl-C stops everything. Logs: ${dir}/log/`;
}

/** `--port NAME=NUMBER`, as often as wanted, and `--state DIR`. */
function readArguments(): { ports: Ports; dir: string } {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', multiple: true, default: [] },
      state: { type: 'string', default: '.state' },
    },
  });
  const chosen: Record<string, number> = {};
  for (const text of values.port) {
    const [, name = '', number = ''] = text.match(/^([a-z]+)=(\d{1,5})$/) ?? [];
    if (!(name in portNames) || Number(number) < 1 || Number(number) > 65_535)
      throw new WrongArgument(
        `--port ${text}: want NAME=NUMBER, NAME one of ${Object.keys(portNames).join(', ')}`,
      );
    chosen[name] = Number(number);
  }
  return { ports: { ...defaultPorts, ...chosen }, dir: values.state };
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(error instanceof WrongArgument || error instanceof TypeError ? 2 : 1);
  },
);

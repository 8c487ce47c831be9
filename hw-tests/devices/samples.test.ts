import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import { kubectlPrograms } from '../kubectl.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { twinPath } from '../kubernetes/device-objects.ts';
import { Plc } from '../plc/plc.ts';
import { until } from '../program.ts';

/** Objects as people write them for KubeEdge: its own keys, and whatever is optional left out, empty or null. */
type Context = { cluster: Cluster; plc: Plc; port: number };
const test = suite<Context>("objects in KubeEdge's words");
const [kubectlProgram] = kubectlPrograms();

/** Modbus in the words of KubeEdge's mapper. The numbers of the PLC's memory: input 2 is a counter of 32 bits. */
const kubeEdge = `
apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: { name: hall }
spec:
  properties:
    - { name: pieces, description: made so far, type: INT, accessMode: ReadOnly, maximum: "4294967295", minimum: "0" }
    - { name: lamp, type: INT, accessMode: ReadWrite, unit: "" }
---
apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata: { name: hall, labels: { description: hall } }
spec:
  deviceModelRef: { name: hall }
  nodeName: NODE
  protocol:
    protocolName: modbus
    configData: { communicateMode: TCP, ip: 127.0.0.1, port: "PORT", slaveID: 1 }
  properties:
    - name: pieces
      collectCycle: 200
      reportCycle: 200
      reportToCloud: true
      visitors:
        protocolName: modbus
        configData: { dataType: int, register: InputRegister, offset: 2, limit: 2, scale: 1, isSwap: false, isRegisterSwap: false, max: 100.0, min: 1.0 }
    - name: lamp
      collectCycle: 200
      reportToCloud: true
      desired: { value: "1", metadata: { timestamp: "1550049403598", type: integer } }
      visitors:
        protocolName: modbus
        configData: { dataType: int, register: CoilRegister, offset: 0, limit: 1, scale: 1, isSwap: false, isRegisterSwap: false }
  methods:
    - { name: light, description: switches the lamp, propertyNames: [lamp] }
status: { reportToCloud: true, reportCycle: 1000 }
`;

/** Of a Device and its DeviceModel: lines of them are changed; what the DeviceStatus then says. `pieces` is read where it
 * says so. */
const variants: readonly {
  readonly name: string;
  readonly change: (text: string) => string;
  readonly told?: RegExp;
  readonly reads: boolean;
}[] = [
  { name: 'as-it-is', change: (text) => text, reads: true },
  {
    name: 'nothing-optional',
    change: (text) =>
      text
        .replace(/\n {2}methods:\n.*/, '')
        .replace(/\nstatus: .*/, '')
        .replace(/, labels: \{.*?\}/, ''),
    reads: true,
  },
  {
    name: 'methods-null',
    change: (text) => text.replace(/\n {2}methods:\n.*/, '\n  methods: null\n  stateReport: null'),
    reads: true,
  },
  {
    name: 'methods-bare',
    change: (text) =>
      text.replace(/(methods:\n).*/, '$1    - { name: light }\n    - { name: dim, propertyNames: null }'),
    reads: true,
  },
  {
    name: 'desired-null',
    change: (text) => text.replace(/desired: .*/, 'desired: null\n      pushMethod: null'),
    reads: true,
  },
  { name: 'push-empty', change: (text) => text.replace(/desired: .*/, 'pushMethod: {}'), reads: true },
  {
    name: 'cycles-zero',
    change: (text) =>
      text.replace('collectCycle: 200\n      reportCycle: 200', 'collectCycle: 0\n      reportCycle: 0'),
    reads: true,
  },
  {
    name: 'visitor-data-null',
    change: (text) =>
      text.replace(/configData: \{ dataType: int, register: CoilRegister.*/, 'configData: null'),
    told: /properties\[1\]\.visitors/,
    reads: true,
  },
  {
    name: 'visitor-data-empty',
    change: (text) => text.replace(/configData: \{ dataType: int, register: CoilRegister.*/, 'configData:'),
    told: /properties\[1\]\.visitors/,
    reads: true,
  },
  {
    name: 'visitor-null',
    change: (text) =>
      text.replace(/visitors:\n {8}protocolName: modbus\n {8}configData: .*CoilRegister.*/, 'visitors: null'),
    told: /properties\[1\]\.visitors/,
    reads: true,
  },
  {
    name: 'visitor-absent',
    change: (text) =>
      text.replace(/visitors:\n {8}protocolName: modbus\n {8}configData: .*CoilRegister.*/, ''),
    told: /properties\[1\]\.visitors/,
    reads: true,
  },
  {
    name: 'config-null',
    change: (text) => text.replace(/configData: \{ communicateMode.*/, 'configData: null'),
    told: /spec\.protocol\.configData/,
    reads: false,
  },
  {
    name: 'config-absent',
    change: (text) => text.replace(/\n {4}configData: \{ communicateMode.*/, ''),
    told: /spec\.protocol\.configData/,
    reads: false,
  },
  {
    name: 'protocol-null',
    change: (text) =>
      text.replace(/protocol:\n {4}protocolName: modbus\n {4}configData: .*/, 'protocol: null'),
    told: /spec\.protocol\.protocolName/,
    reads: false,
  },
  {
    name: 'properties-null',
    change: (text) =>
      text.replace(
        / {2}properties:\n {4}- name: pieces[\s\S]*? {2}methods:/,
        '  properties: null\n  methods:',
      ),
    told: /spec\.properties: there are none/,
    reads: false,
  },
  {
    name: 'model-properties-null',
    change: (text) =>
      text.replace(
        /properties:\n {4}- \{ name: pieces.*\n.*/,
        'properties: null\n  protocolConfigData: null',
      ),
    told: /pieces.*model|properties\[0\].*model/i,
    reads: false,
  },
  {
    name: 'model-config-null',
    change: (text) =>
      text.replace(
        'spec:\n  properties:',
        'spec:\n  protocol: modbus\n  protocolConfigData: null\n  properties:',
      ),
    reads: true,
  },
];

test.before(async (context) => {
  context.plc = new Plc({ moves: false });
  if (!kubectlProgram) return;
  context.port = await context.plc.start('127.0.0.1', 0);
  context.cluster = await startCluster(kubectlProgram);
  const { cluster, port } = context;
  for (const { name, change } of variants) {
    const changed = change(kubeEdge);
    if (name !== 'as-it-is') assert.is.not(changed, kubeEdge, `${name} changes something`);
    const text = changed
      .replace('NODE', cluster.node)
      .replace('PORT', `${port}`)
      .replaceAll('name: hall', `name: ${name}`);
    for (const document of parseAllDocuments(text)) assert.equal(document.errors, []);
    await cluster.kubectl.run(['apply', '-f', '-'], text);
  }
});

test.after(async ({ cluster, plc }) => {
  await cluster?.close();
  await plc.stop();
});

/** State, reason, faults and the counter as the cluster has them. */
async function statusOf({ cluster }: Context, name: string): Promise<{ told: string; pieces: string }> {
  const path = `{.status.state} {.status.extensions}|${twinPath('pieces')}`;
  const [told = '', pieces = ''] = (await cluster.kubectl.value(['devicestatus', name], path)).split('|');
  return { told, pieces };
}

if (kubectlProgram) {
  const judged = (context: Context, name: string, told: RegExp, counted: string): Promise<unknown> =>
    until(`${name} is ${told}, pieces ${counted}`, async () => {
      const found = await statusOf(context, name);
      return told.test(found.told) && found.pieces === counted;
    });

  for (const { name, told = /^online( \{\})?\s*$/, reads } of variants) {
    test(`${name}: what can be served is, and the rest is told`, async (context) => {
      await judged(context, name, told, reads ? String(context.plc.memory.input.readUInt32BE(4)) : '');
    });
  }

  test('its method is offered, and its desired value was written', async ({ plc, cluster }) => {
    await until('the lamp is on', () => plc.memory.coils[0] === 1);
    const response = await fetch(`http://127.0.0.1:${cluster.stack.options.ports.console}/api/state`);
    const text = await response.text();
    assert.match(
      text,
      '"methods":[{"name":"light","description":"switches the lamp","properties":["lamp"]}]',
    );
  });

  test('all of them come back at a boot without the cloud', async (context) => {
    const { cluster, plc } = context;
    await cluster.stack.program('cloud-shim').stop();
    await cluster.stack.program('edgecore').kill();
    plc.memory.input.writeUInt32BE(4_000_000, 4);
    await cluster.stack.startEdge();
    await until('all read what is there now', async () => {
      const response = await fetch(`http://127.0.0.1:${cluster.stack.options.ports.console}/api/state`);
      const { devices } = (await response.json()) as {
        devices: { id: string; properties: { name: string; value: string }[] }[];
      };
      return variants.every(({ name, reads }) => {
        const found = devices.find(({ id }) => id.endsWith(`/${name}`));
        const pieces = found?.properties.find((property) => property.name === 'pieces')?.value;
        return found && (!reads || pieces === '4000000');
      });
    });
  });

  test("objects of KubeEdge's old version are refused with its name", async ({ cluster }) => {
    const old = kubeEdge.replaceAll('v1beta1', 'v1alpha2');
    const { status, stderr } = await cluster.kubectl.try(['apply', '-f', '-'], old);
    assert.is(status, 1);
    assert.match(stderr, /devices\.kubeedge\.io\/v1alpha2/);
  });
}

test.run();

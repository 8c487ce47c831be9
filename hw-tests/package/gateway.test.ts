import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import type { KubeObject, Node } from '../../runtime/core/k8s.ts';
import { plcObjects } from '../kubernetes/device-objects.ts';
import { CLOUD, canBreakNetworks, Network } from '../link/network.ts';
import { RtuSlaves } from '../plc/rtu-slaves.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { freePorts, Stack } from '../stack.ts';
import { newKeys } from '../upgrade/small.ts';
import { type Change, signedVersion } from '../upgrade/version.ts';
import { makeDeb } from './debs.ts';
import { canMakeRoots, Machine, makeRoot } from './roots.ts';

/** The package on a booted Debian that has a cloud, containerd and a serial line: what its service's few rights must still
 * allow. Debian with containerd takes minutes to set up, so it is left out without `--long`. */
type Context = {
  dir: string;
  root: string;
  network: Network;
  stack: Stack;
  machine: Machine;
  slaves: RtuSlaves;
  keys: ReturnType<typeof newKeys>;
};
const test = suite<Context>('package with a cloud, containerd and a serial line');
const isLong = process.env.EDGECORE_LONG === 'true';
const LIMIT = 120_000;
/** It only says that pods could have a network; none is started. */
const POD_NETWORK = JSON.stringify({
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [{ type: 'bridge', bridge: 'pods0', ipam: { type: 'host-local', subnet: '10.88.0.0/24' } }],
});

if (isLong && canMakeRoots() && canBreakNetworks() && requireProgram('systemd-nspawn', 'systemd-container')) {
  test.before(async (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'gateway-'));
    const root = join(dir, 'root');
    const network = new Network();
    const ports = await freePorts();
    const stack = new Stack({ dir, ports, node: 'edge-package', cloudHosts: CLOUD });
    const [keys, slaves] = [newKeys(), new RtuSlaves([1])];
    Object.assign(context, { dir, root, network, stack, keys, slaves });
    network.open();
    await stack.startMaster();
    await stack.startShim();
    makeRoot(root, 'amd64', 'minbase', ['systemd', 'dbus', 'libstdc++6', 'socat', 'containerd', 'runc']);
    for (const [path, text] of [
      ['etc/cni/net.d/10-pods.conflist', POD_NETWORK],
      ['etc/kubeedge/upgrade-keys/vendor.pem', keys.public],
    ] as const) {
      mkdirSync(join(root, path, '..'), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    copyFileSync(makeDeb('amd64'), join(root, 'edgecore.deb'));
    context.machine = await Machine.boot(root, network.edge);
  });
  test.after(async ({ dir, machine, slaves, stack, network }) => {
    await slaves.close();
    await machine?.halt();
    await stack.stop();
    network.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test('it joins, and reaches containerd', async ({ machine, stack }) => {
    const { node, ports } = stack.options;
    const cloud = `--cloudcore-ipport ${CLOUD[0]}:${ports.cloudhub} --certport ${ports.enrolment}`;
    machine.sh('dpkg -i /edgecore.deb');
    machine.sh(`edgecore join ${cloud} --edgenode-name ${node} --token ${await stack.token()}`);
    const ready = await until(
      'the node is ready',
      async () => {
        const { status } = (await stack.object<Node>(kinds.node, node, '')) ?? {};
        const condition = status?.conditions?.find(({ type }) => type === 'Ready');
        return condition?.status === 'True' && status;
      },
      LIMIT,
    );
    assert.match(ready.nodeInfo?.containerRuntimeVersion ?? '', /^containerd:\/\//);
    // systemd is told three times within the time that its watchdog waits.
    await until('its status says so', () => /^cloud online/.test(machine.show('StatusText')), LIMIT);
  });

  test('it polls a device on a serial line', async ({ machine, stack, slaves }) => {
    machine.sh(
      'systemd-run --quiet --unit=cable socat PTY,link=/dev/ttyUSB0,raw,echo=0 PTY,link=/dev/far,raw,echo=0',
    );
    const far = await until('the line is there', () =>
      machine.sh('test -e /dev/ttyUSB0 && readlink /dev/far').trim(),
    );
    await slaves.open(machine.outside(far), 9600);
    slaves.slave(1).memory.input.writeInt16BE(-77, 0);
    const { model, device } = plcObjects({ node: stack.options.node, port: 0 });
    const configData = { serialPort: '/dev/ttyUSB0', baudRate: 9600, unitId: 1, timeout: 2000 };
    const protocol = { ...device.spec.protocol, configData };
    for (const [kind, object] of [
      [kinds.deviceModel, model],
      [kinds.device, { ...device, spec: { ...device.spec, protocol } }],
    ] as const) {
      const place = { name: object.metadata.name, namespace: 'default' };
      await stack.api.create(kind, place, { ...object, metadata: place } as KubeObject);
    }
    await until('the cluster reads it', async () => (await stack.reported('temperature')) === '-7.7', LIMIT);
  });

  test('a version that does not reach the cloud is left when its time is over', async (context) => {
    const told = await upgrade(context, '0.2.1', (text) =>
      text.replaceAll('`wss://$' + '{server}', '`wss://127.0.0.1:9'),
    );
    assert.match(told, /0\.2\.1 was given up for .*: after 20 s there is no link to the cloud/);
    await online(context);
  });

  test('so is one that does not reach containerd', async (context) => {
    const told = await upgrade(context, '0.2.2', (text) =>
      text.replaceAll('/run/containerd/containerd.sock', '/run/nowhere/nothing.sock'),
    );
    assert.match(told, /0\.2\.2 was given up for .*: after 20 s .*runtime/);
    await online(context);
  });

  test('one that reaches both is kept', async (context) => {
    assert.match(await upgrade(context, '0.2.3'), /0\.2\.3 is kept/);
    await online(context);
  });
}

/** Signs another version, and has the gateway try it.
 * @returns what `edgecore upgrade` says */
async function upgrade(
  { dir, root, machine, keys }: Context,
  version: string,
  change?: Change,
): Promise<string> {
  const bundle = await signedVersion({ dir, version, change, key: keys.private });
  copyFileSync(bundle, join(root, 'root', basename(bundle)));
  return machine.sh(`edgecore upgrade /root/${basename(bundle)} --within 20 2>&1 || true`);
}

async function online({ machine }: Context): Promise<void> {
  await until(
    'it has its link again',
    () => machine.show('StatusText').startsWith('cloud online, devices 1/1'),
    LIMIT,
  );
}

test.run();

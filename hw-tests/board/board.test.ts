import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import type { Pod } from '../../runtime/core/pod.ts';
import { seededRandom, shuffled, testSeed } from '../../runtime/core/test-random.ts';
import { busyboxPod } from '../kubernetes/busybox-pod.ts';
import { plcObjects } from '../kubernetes/device-objects.ts';
import { RtuSlaves } from '../plc/rtu-slaves.ts';
import { until } from '../program.ts';
import { CutLoad } from './cut-load.ts';
import { canEmulate, Gateway } from './gateway.ts';
import { weigh } from './memory.ts';
import { allMoments, UpgradeCut } from './upgrade-cut.ts';

type Context = { gateway: Gateway; slaves: RtuSlaves };
const test = suite<Context>('a gateway started from its image');
const able = canEmulate();
/** What the emulated processor makes slow. */
const SLOW = 180_000;
const seed = testSeed();
const long = process.env.EDGECORE_LONG === 'true';
const cuts = Number(process.env.EDGECORE_CUTS ?? (long ? 20 : 2));

test.before(async (context) => {
  if (!able) return;
  context.gateway = await Gateway.make(256);
  context.slaves = new RtuSlaves([1]);
  await context.slaves.open(context.gateway.line.slaves, 9600);
});
test.after(async ({ gateway, slaves }) => {
  await slaves?.close();
  await gateway?.close();
});

if (able) {
  test('it starts with 256 MB and joins', async ({ gateway }) => {
    const begun = performance.now();
    const since = Date.now() - 1000;
    await gateway.machine.start();
    const node = await gateway.heard(since);
    process.stdout.write(`joined after ${seconds(begun)} s\n`);
    assert.is(node.status?.nodeInfo?.architecture, 'arm64');
    await gateway.machine.reachable();
    assert.is((await gateway.machine.shell('systemctl is-active edgecore')).trim(), 'active');
  });

  test('the join token is gone from it', async ({ gateway }) => {
    const file = await gateway.machine.shell('grep token: /etc/kubeedge/config/edgecore.yaml');
    assert.match(file, /token: ""/);
  });

  test('its root is read-only, its log in memory, its swap compressed, its watchdog wound up, its state grown', async ({
    gateway: { machine },
  }) => {
    assert.match(await machine.shell('findmnt -n -o OPTIONS /'), /^ro,/);
    assert.is((await machine.shell('ls /var/log/journal 2>/dev/null | wc -l')).trim(), '0');
    assert.match(await machine.shell('swapon --noheadings'), /zram0/);
    await until(
      'systemd winds the watchdog up',
      async () => /14 seconds/.test(await machine.shell('wdctl')),
      SLOW,
    );
    await until(
      'the state has the rest of the card',
      async () => Number(await machine.shell('df -BM --output=size /var | tail -n 1 | tr -dc 0-9')) > 700,
      SLOW,
    );
    assert.is((await machine.shell('systemctl --failed --plain --no-legend')).trim(), '');
  });

  test('a device on a USB serial adapter is polled, also after it was pulled out and put back', async ({
    gateway,
    slaves,
  }) => {
    const { stack, machine } = gateway;
    const { model, device } = plcObjects({ node: stack.options.node, port: 0 });
    const serialPort = '/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_EDGE0001-if00-port0';
    const configData = { serialPort, baudRate: 9600, unitId: 1, timeout: 2000 };
    const protocol = { ...device.spec.protocol, configData };
    const place = { name: 'plc', namespace: 'default' };
    await stack.api.create(kinds.deviceModel, { ...place, name: 'plc-model' }, namespaced(model));
    await stack.api.create(
      kinds.device,
      place,
      namespaced({ ...device, spec: { ...device.spec, protocol } }),
    );
    await until('it is missed', async () => (await gateway.deviceStatus('plc'))?.state === 'offline', SLOW);

    const reads = async (value: number): Promise<void> => {
      slaves.slave(1).memory.input.writeInt16BE(value, 0);
      await until(
        `the cluster reads ${value / 10}`,
        async () => (await stack.reported('temperature')) === String(value / 10),
        SLOW,
      );
    };
    await machine.plug('EDGE0001');
    await reads(-77);
    await machine.unplug();
    await until('it is offline', async () => (await gateway.deviceStatus('plc'))?.state === 'offline', SLOW);
    await machine.plug('EDGE0001');
    await reads(42);
  });

  test(`power cuts under load: it starts each time, and loses nothing that was acknowledged (${cuts} of them)`, async ({
    gateway,
  }) => {
    const { machine, mqttPort } = gateway;
    const load = new CutLoad(mqttPort);
    const random = seededRandom(seed);
    const upgrades = shuffled(allMoments, random);
    process.stdout.write(`seed ${seed}\n`);
    try {
      for (let cut = 0; cut < cuts; cut++) {
        // One in four comes during an upgrade, at each of its moments in turn.
        const moment = cut % 4 === 1 ? upgrades[((cut - 1) / 4) % upgrades.length] : undefined;
        const upgrade = moment && new UpgradeCut(machine, `0.9.${cut}`, moment);
        await upgrade?.prepare(gateway.bundles);
        await load.start(SLOW);
        const before = load.acknowledged;
        await until('messages are acknowledged', () => load.acknowledged > before + 50, SLOW);
        if (upgrade) await upgrade.reach(random, 4 * SLOW);
        else {
          const more = before + 50 + Math.floor(random() * 500);
          await until('some more', () => load.acknowledged > more, SLOW);
        }
        if (load.ledger.faults.length > 0)
          process.stdout.write(
            await machine.shell('journalctl -b -o short-monotonic -u edgecore | tail -n 100'),
          );
        assert.equal(load.ledger.faults, []);
        await machine.kill();
        load.stop();
        const begun = performance.now();
        const since = Date.now();
        await machine.start();
        await machine.reachable();
        process.stdout.write(
          `cut ${cut + 1}: ${load.acknowledged} acknowledged, up after ${seconds(begun)} s\n`,
        );
        if (!upgrade) continue;
        const { version, current, outcome } = await upgrade.check(4 * SLOW);
        const became = outcome?.version === upgrade.version ? ` ${outcome.result}: ${outcome.reason}` : '';
        process.stdout.write(
          `  upgrade to ${upgrade.version}, seen last: ${upgrade.seen}; runs ${version} (${current})${became}\n`,
        );
        await gateway.heard(since, version);
      }
      await load.start(SLOW);
      load.pause();
      await load.settled(SLOW);
      process.stdout.write(`${JSON.stringify(load.ledger.figures())}\n`);
      assert.equal(load.ledger.faults, []);
    } finally {
      load.stop();
    }
    assert.is((await machine.shell('systemctl --failed --plain --no-legend')).trim(), '');
  });

  if (long)
    test('it weighs no more than 70 MB under the load of the bench', async ({ gateway }) => {
      const megabytes = await weigh(gateway, 60, SLOW);
      process.stdout.write(`edgecore under load: ${megabytes.toFixed(1)} MB\n`);
      assert.ok(megabytes <= 70, `${megabytes.toFixed(1)} MB`);
    });

  if (long)
    test('it works with 192 MB', async ({ gateway }) => {
      const { machine } = gateway;
      await machine.kill();
      const since = Date.now();
      await machine.start(192);
      await gateway.heard(since);
      await machine.reachable();
      process.stdout.write(
        await machine.shell('free -m; grep VmRSS /proc/$(systemctl show -P MainPID edgecore)/status'),
      );
      assert.is((await machine.shell('systemctl is-active edgecore')).trim(), 'active');
    });

  if (long)
    test('it works with 128 MB, once its kernel is loaded', async ({ gateway }) => {
      const { machine, mqttPort } = gateway;
      await machine.kill();
      const since = Date.now();
      await machine.start(128, 'direct');
      await gateway.heard(since);
      await machine.reachable();
      const load = new CutLoad(mqttPort, 'small');
      try {
        await load.start(SLOW);
        await until('2000 messages are acknowledged', () => load.acknowledged >= 2000, SLOW);
        process.stdout.write(
          await machine.shell(
            'free -m; grep -E "VmRSS|VmSwap" /proc/$(systemctl show -P MainPID edgecore)/status',
          ),
        );
        load.pause();
        await load.settled(SLOW);
        assert.equal(load.ledger.faults, []);
      } finally {
        load.stop();
      }
      assert.match(await machine.shell('grep oom_kill /proc/vmstat'), /^oom_kill 0$/m);
      assert.is((await machine.shell('systemctl is-active edgecore')).trim(), 'active');
    });

  test('with 512 MB a pod runs on containerd', async ({ gateway }) => {
    const { machine, stack } = gateway;
    await machine.kill();
    await machine.start(512);
    await machine.reachable();
    await gateway.importImages();
    const pod = busyboxPod('on-the-board', {}, { nodeName: stack.options.node });
    await stack.api.create(kinds.pod, { name: 'on-the-board', namespace: 'default' }, pod as KubeObject);
    const begun = performance.now();
    await until(
      'the pod runs',
      async () =>
        (await stack.object<KubeObject & Pod>(kinds.pod, 'on-the-board'))?.status?.phase === 'Running',
      2 * SLOW,
    );
    process.stdout.write(`a pod runs after ${seconds(begun)} s\n`);
    assert.match(await machine.shell('ctr -n k8s.io tasks ls'), /RUNNING/);
  });
}

function namespaced<T extends { metadata: object }>(object: T) {
  return { ...object, metadata: { ...object.metadata, name: nameOf(object), namespace: 'default' } };
}

function nameOf({ metadata }: { metadata: { name?: string } }): string {
  return metadata.name ?? '';
}

function seconds(begun: number): string {
  return ((performance.now() - begun) / 1000).toFixed(1);
}

test.run();

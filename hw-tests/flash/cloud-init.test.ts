import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { run } from '../../build/image/run.ts';
import { makeDeb } from '../package/debs.ts';
import { canMakeRoots, Machine, makeRoot } from '../package/roots.ts';
import { requireProgram } from '../real-parts.ts';
import { BOOT, raspberryOs } from './raspberry-os.ts';

/** A booted Debian 13 whose cloud-init looks where that of Raspberry Pi OS does. */
type Context = { dir: string; root: string; machine: Machine };
const test = suite<Context>('a prepared card and the real cloud-init');
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGgB3v2Jm3hJ6o8m0o1cJ0n4ZJ4m0Q0n7yQ0l8i7aT4b me';
const able =
  process.env.EDGECORE_LONG === 'true' &&
  canMakeRoots() &&
  requireProgram('systemd-nspawn', 'systemd-container') !== undefined &&
  requireProgram('mcopy', 'mtools') !== undefined;

if (able) {
  test.before(async (context) => {
    context.dir = mkdtempSync(join(tmpdir(), 'edgecore-cloud-init-'));
    context.root = join(context.dir, 'root');
    const { dir, root } = context;
    makeRoot(root, 'amd64', 'minbase', [
      ...['cloud-init', 'netplan.io', 'systemd', 'systemd-sysv', 'udev', 'dbus', 'sudo', 'openssh-server'],
      ...['iproute2', 'libstdc++6'],
    ]);
    writeFileSync(
      join(root, 'etc/cloud/cloud.cfg.d/99_raspberry.cfg'),
      'datasource_list: [NoCloud]\ndatasource: { NoCloud: { seedfrom: file:///boot/firmware/ } }\n',
    );
    prepareCard(dir, join(root, 'boot/firmware'));
    context.machine = await Machine.boot(root);
    context.machine.sh('cloud-init status --wait --long || true');
  });
  test.after(async ({ dir, machine }) => {
    await machine?.halt();
    rmSync(dir, { recursive: true, force: true });
  });

  test('cloud-init finds the three files, and nothing to complain about', ({ machine }) => {
    const status = JSON.parse(machine.sh('cloud-init status --format json || true')) as {
      status: string;
      errors: unknown[];
      recoverable_errors: object;
      datasource: string;
    };
    assert.is(status.datasource, 'nocloud');
    assert.equal([status.status, status.errors, status.recoverable_errors], ['done', [], {}]);
    const file = (name: string) => `/boot/firmware/${name}`;
    assert.match(machine.sh(`cloud-init schema --config-file ${file('user-data')}`), /Valid schema/);
    assert.match(
      machine.sh(`cloud-init schema --schema-type network-config --config-file ${file('network-config')}`),
      /Valid schema/,
    );
  });

  test('the machine has its name, a user who comes in by key alone, and its network', ({ machine }) => {
    assert.is(machine.sh('cat /etc/hostname').trim(), 'edge-7');
    assert.is(machine.sh('cat ~edge/.ssh/authorized_keys').trim(), KEY);
    assert.match(machine.sh('getent shadow edge'), /^edge:[!*]/);
    assert.match(machine.sh('sudo -u edge sudo -n id -u'), /^0$/m);
    machine.sh('netplan generate');
    assert.match(machine.sh('netplan get ethernets.eth0.addresses'), /10\.1\.0\.7\/24/);
    const known = parse(machine.sh('netplan get wifis.wlan0.access-points')) as object;
    assert.equal(Object.keys(known), ['Hall 3']);
    assert.ok(JSON.stringify(known).includes(JSON.stringify('pass"wo#rd')));
  });

  test('edgecore is installed and runs, and the token is where it belongs', ({ machine }) => {
    assert.is(machine.show('ActiveState'), 'active');
    assert.is(machine.sh('systemctl is-enabled edgecore').trim(), 'enabled');
    assert.is(machine.sh('stat -c %a:%U /etc/kubeedge/config/edgecore.yaml').trim(), '600:root');
    assert.match(machine.sh('cat /etc/kubeedge/config/edgecore.yaml'), /token: hash\.secret/);
    assert.is(machine.sh('ls /boot/firmware/edgecore').trim(), 'install.sh');
    const leaks = machine.sh('grep -rl hash.secret /boot /var /etc /run/cloud-init || true').trim();
    assert.is(leaks, '/etc/kubeedge/config/edgecore.yaml');
  });
}

/** Prepares a card, and lays what its boot partition then has where Raspberry Pi OS mounts it. */
function prepareCard(dir: string, firmware: string): void {
  const card = raspberryOs(dir, 200);
  const key = join(dir, 'key.pub');
  writeFileSync(key, `${KEY}\n`);
  run('dist/edgecore-flash/edgecore-flash', [
    ...['prepare', card, '--join', 'cloud.example:10000', '--token', 'hash.secret'],
    ...['--deb', makeDeb('amd64'), '--node-name', 'edge-7', '--ssh-key', key],
    ...['--wifi', 'Hall 3:pass"wo#rd', '--static-ip', '10.1.0.7/24,10.1.0.1,9.9.9.9'],
  ]);
  mkdirSync(firmware, { recursive: true });
  run('mcopy', ['-n', '-s', '-i', `${card}${BOOT}`, '::/', firmware]);
  assert.match(readFileSync(join(firmware, 'edgecore/edgecore.yaml'), 'utf8'), /hash\.secret/);
}

test.run();

import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enableForDevice, enableUnit, hasUnit, maskUnit } from './units.ts';

const test = suite<{ root: string }>('units of a root that does not run');
test.before.each((context) => {
  context.root = mkdtempSync(join(tmpdir(), 'edgecore-units-'));
  mkdirSync(join(context.root, 'usr/lib/systemd/system'), { recursive: true });
  const unit = '[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n';
  writeFileSync(join(context.root, 'usr/lib/systemd/system/ssh.service'), unit);
});
test.after.each(({ root }) => rmSync(root, { recursive: true, force: true }));

test('a unit is enabled for its targets and under its other names', ({ root }) => {
  enableUnit(root, 'ssh.service');
  for (const name of ['multi-user.target.wants/ssh.service', 'sshd.service'])
    assert.is(readlinkSync(join(root, 'etc/systemd/system', name)), '/usr/lib/systemd/system/ssh.service');
});

test('an instance of a unit starts with its device', ({ root }) => {
  writeFileSync(join(root, 'usr/lib/systemd/system/wpa_supplicant@.service'), '[Service]\n');
  enableForDevice(root, 'wpa_supplicant@wlan0.service', 'sys-subsystem-net-devices-wlan0.device');
  const wants = 'etc/systemd/system/sys-subsystem-net-devices-wlan0.device.wants';
  assert.is(
    readlinkSync(join(root, wants, 'wpa_supplicant@wlan0.service')),
    '/usr/lib/systemd/system/wpa_supplicant@.service',
  );
});

test('a unit is masked, also one that is not there', ({ root }) => {
  maskUnit(root, 'getty.target');
  assert.is(readlinkSync(join(root, 'etc/systemd/system/getty.target')), '/dev/null');
});

test('what is not there cannot be enabled', ({ root }) => {
  assert.is(hasUnit(root, 'ssh.service'), true);
  assert.is(hasUnit(root, 'telnet.service'), false);
  assert.throws(() => enableUnit(root, 'telnet.service'), /no unit telnet\.service/);
});

test.run();

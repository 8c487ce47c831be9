import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { makeDeb, OLD_VERSION, VERSION } from './debs.ts';
import { canMakeRoots, Machine, makeRoot, run } from './roots.ts';

/** The package on a Debian that is booted: the tests are the life of one gateway, in order. */
type Context = { root: string; machine: Machine; old: string; now: string };
const test = suite<Context>('package and systemd');
const CONFIG = '/etc/kubeedge/config/edgecore.yaml';

test.before((context) => {
  context.root = mkdtempSync(join(tmpdir(), 'package-'));
  const [old, now] = [makeDeb('amd64', [], OLD_VERSION), makeDeb('amd64')];
  makeRoot(context.root, 'amd64', 'minbase', ['systemd', 'dbus', 'libstdc++6', 'mosquitto-clients']);
  mkdirSync(join(context.root, 'debs'));
  for (const path of [old, now]) copyFileSync(path, join(context.root, 'debs', basename(path)));
  // A short pause before a restart, and a short watchdog: the order of things is the same.
  const dropIn = join(context.root, 'etc/systemd/system/edgecore.service.d');
  mkdirSync(dropIn, { recursive: true });
  writeFileSync(join(dropIn, 'test.conf'), '[Service]\nWatchdogSec=12\nRestartSec=1\n');
  Object.assign(context, { old: `/debs/${basename(old)}`, now: `/debs/${basename(now)}` });
});
test.after(async ({ root, machine }) => {
  await machine?.halt();
  rmSync(root, { recursive: true, force: true });
});

if (canMakeRoots() && requireProgram('systemd-nspawn', 'systemd-container')) {
  test('it installs on a clean Debian, starts, and answers on MQTT', async (context) => {
    context.machine = await Machine.boot(context.root);
    const { machine, old } = context;
    machine.sh(`dpkg -i ${old}`);
    assert.is(machine.show('ActiveState'), 'active');
    assert.is(machine.sh('edgecore --version').trim(), OLD_VERSION);
    assert.match(machine.show('StatusText'), /^cloud \w+, devices 0\/0 online, pods 0\/0 running$/);
    machine.sh('mosquitto_pub -h 127.0.0.1 -q 1 -r -t site/note -m kept');
    assert.is(machine.sh(`stat -c %a ${CONFIG} /var/lib/kubeedge`).trim(), '600\n700');
  });

  test('an upgrade keeps the configuration and what was on disk, and starts the new version', async ({
    machine,
    now,
  }) => {
    machine.sh(`echo '# site 7' >> ${CONFIG}`);
    const before = machine.show('MainPID');
    machine.sh(`dpkg -i ${now} </dev/null`);
    assert.is(machine.sh('edgecore --version').trim(), VERSION);
    assert.is(machine.show('ActiveState'), 'active');
    assert.is.not(machine.show('MainPID'), before);
    assert.match(machine.sh(`tail -1 ${CONFIG}`), '# site 7');
    const kept = machine.sh('mosquitto_sub -h 127.0.0.1 -t site/note -C 1 -W 5').trim();
    assert.is(kept, 'kept', 'the retained message outlives the upgrade');
    assert.is(machine.sh('dpkg --verify edgecore').trim(), '');
  });

  test('a process that stands still is started anew by the watchdog', async ({ machine }) => {
    const before = machine.show('MainPID');
    machine.sh(`kill -STOP ${before}`);
    await until(
      'another process serves',
      () => {
        return machine.show('MainPID') !== before && machine.show('ActiveState') === 'active';
      },
      60_000,
    );
    assert.is(machine.show('NRestarts'), '1');
    assert.match(machine.sh('journalctl -u edgecore --no-pager'), 'Watchdog timeout');
  });

  test('it is fed while it lives, for longer than the watchdog waits', async ({ machine }) => {
    const before = machine.show('MainPID');
    // That systemd does not end it is what is waited for.
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    assert.is(machine.show('MainPID'), before);
  });

  test('the journal knows the priority of each line', ({ machine }) => {
    const lines = (filter: string): Record<string, string>[] =>
      machine
        .sh(`journalctl -u edgecore SYSLOG_IDENTIFIER=edgecore ${filter} -o json --no-pager`)
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, string>);
    const levels = lines('').map(({ MESSAGE, PRIORITY }) => [JSON.parse(MESSAGE ?? '').level, PRIORITY]);
    assert.ok(levels.length > 0);
    const numbers: Record<string, string> = { error: '3', warn: '4', info: '6' };
    for (const [level, priority] of levels) assert.is(priority, numbers[level ?? '']);
    assert.ok(lines('-p warning').every(({ MESSAGE }) => JSON.parse(MESSAGE ?? '').level !== 'info'));
  });

  test('the service has few rights, and its unit no faults', ({ machine }) => {
    machine.sh('systemd-analyze verify --man=no edgecore.service');
    const told = machine.sh('systemd-analyze security --no-pager edgecore.service');
    const score = Number(/Overall exposure level for edgecore.service: ([\d.]+)/.exec(told)?.[1]);
    assert.ok(score <= 4, `exposure ${score}`);
    // What it must be able to do all the same.
    machine.sh('test -S /etc/kubeedge/dmi.sock && test -d /var/lib/kubelet');
    const dir = '/proc/$(systemctl show -P MainPID edgecore)/root';
    machine.sh(`mkdir -p ${dir}/srv/by-a-pod`);
  });

  test('it stops within ten seconds, and a removal keeps configuration and state', ({ machine }) => {
    const begun = performance.now();
    machine.sh('systemctl stop edgecore');
    assert.ok(performance.now() - begun < 10_000);
    assert.is(machine.show('Result'), 'success');
    machine.sh('systemctl start edgecore && dpkg -r edgecore');
    machine.sh(`test -s ${CONFIG} && test -s /var/lib/kubeedge/edgecore.db && test ! -e /usr/lib/edgecore`);
  });

  test('a purge leaves nothing behind', ({ machine, now }) => {
    machine.sh(`dpkg -i ${now} && dpkg -P edgecore`);
    const left = machine.sh(
      'ls -d /etc/kubeedge /var/lib/kubeedge /var/lib/kubelet /var/log/pods /usr/lib/edgecore /usr/share/edgecore ' +
        '/etc/systemd/system/multi-user.target.wants/edgecore.service 2>/dev/null || true',
    );
    assert.is(left.trim(), '');
    assert.is(machine.sh('pgrep -f edgecore.cjs || true').trim(), '');
  });
}

if (requireProgram('lintian', 'lintian')) {
  // Of a package that carries Node.js lintian takes a minute.
  const packages: [string, string[]][] = [
    ['armhf', []],
    ['amd64', ['--variant', 'system']],
    ...(process.env.EDGECORE_LONG === 'true'
      ? ([
          ['amd64', []],
          ['arm64', []],
        ] as [string, string[]][])
      : []),
  ];
  for (const [arch, options] of packages)
    test(`lintian finds no error: ${arch} ${options.join(' ')}`, () => {
      run('lintian', ['--fail-on', 'error', makeDeb(arch, options)]);
    });
}

test.run();

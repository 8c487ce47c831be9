import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { newKeys } from '../upgrade/small.ts';
import { type Change, signedVersion } from '../upgrade/version.ts';
import { makeDeb, OLD_VERSION, olderDeb, VERSION } from './debs.ts';
import { canMakeRoots, Machine, makeRoot, run } from './roots.ts';

/** The package on a Debian that is booted: the tests are the life of one gateway, in order. */
type Context = { root: string; machine: Machine; old: string; now: string; keys: ReturnType<typeof newKeys> };
const test = suite<Context>('package and systemd');
const CONFIG = '/etc/kubeedge/config/edgecore.yaml';
const isLong = process.env.EDGECORE_LONG === 'true';

test.before((context) => {
  context.root = mkdtempSync(join(tmpdir(), 'package-'));
  const now = makeDeb('amd64');
  const old = olderDeb(now);
  makeRoot(context.root, 'amd64', 'minbase', ['systemd', 'dbus', 'libstdc++6', 'mosquitto-clients']);
  mkdirSync(join(context.root, 'debs'));
  for (const path of [old, now]) copyFileSync(path, join(context.root, 'debs', basename(path)));
  // A short pause before a restart, and a short watchdog: the order of things is the same.
  const dropIn = join(context.root, 'etc/systemd/system/edgecore.service.d');
  mkdirSync(dropIn, { recursive: true });
  writeFileSync(join(dropIn, 'test.conf'), '[Service]\nWatchdogSec=12\nRestartSec=1\n');
  const keys = newKeys();
  const trusted = join(context.root, 'etc/kubeedge/upgrade-keys');
  mkdirSync(trusted, { recursive: true });
  writeFileSync(join(trusted, 'vendor.pem'), keys.public);
  Object.assign(context, { old: `/debs/${basename(old)}`, now: `/debs/${basename(now)}`, keys });
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

  test('who is in its group may use a socket of MQTT, nobody else', ({ machine }) => {
    const path = '/run/edgecore/mqtt.sock';
    machine.sh(`printf '  eventBus:\\n    listeners: [{ type: unix, path: ${path} }]\\n' >> ${CONFIG}`);
    machine.sh('systemctl restart edgecore && useradd -G edgecore scada && useradd guest');
    const as = (user: string) =>
      machine.sh(`runuser -u ${user} -- mosquitto_pub --unix ${path} -q 1 -t a -m b 2>&1; echo $?`).trim();
    assert.is(as('scada'), '0');
    assert.match(as('guest'), /Permission denied/);
  });

  test('a signed version is tried, and kept; the watchdog is fed for longer than it waits', async (context) => {
    const { machine } = context;
    // Starts that it was not told to do, as of a year: each would make the next pause longer.
    machine.sh('kill -KILL $(systemctl show -P MainPID edgecore)');
    await until('it is started anew', () => machine.show('NRestarts') === '1');
    await until('it serves', () => machine.show('ActiveState') === 'active');
    const told = await upgrade(context, '0.0.2');
    assert.match(told, /0\.0\.2 is kept/);
    assert.is(machine.show('NRestarts'), '1', 'the pauses begin anew');
    assert.is(runs(machine), '0.0.2');
    const pid = machine.show('MainPID');
    const started = Number(machine.show('ExecMainStartTimestampMonotonic')) / 1e6;
    await until(
      'it is older than the twelve seconds that the watchdog waits',
      () => Number(machine.sh('cut -d " " -f 1 /proc/uptime')) - started > 15,
    );
    assert.is(machine.show('MainPID'), pid);
  });

  test('a version that ends at its start is left', async (context) => {
    const { machine } = context;
    for (const version of isLong ? ['0.0.3', '0.0.4', '0.0.5'] : ['0.0.3']) {
      const told = await upgrade(context, version, () => 'process.exit(3)');
      assert.match(told, `${version} was given up for 0.0.2: it ended, or the power went`);
      await until('the version before serves', () => machine.show('ActiveState') === 'active');
      assert.is(runs(machine), '0.0.2');
    }
  });

  if (isLong)
    test('a version that hangs at its start is ended by systemd, and left', async (context) => {
      const { machine } = context;
      machine.sh("systemctl edit --runtime --stdin edgecore <<< $'[Service]\\nTimeoutStartSec=5'");
      const told = await upgrade(context, '0.0.6', () => 'setInterval(() => {}, 1000)');
      assert.match(told, /0\.0\.6 was given up for 0\.0\.2/);
      await until('the version before serves', () => machine.show('ActiveState') === 'active');
      assert.is(runs(machine), '0.0.2');
      machine.sh('rm -r /run/systemd/system/edgecore.service.d && systemctl daemon-reload');
    });

  test('an upgrade of the package keeps the configuration and what was on disk, and starts the new version', ({
    machine,
    now,
  }) => {
    machine.sh(`echo '# site 7' >> ${CONFIG}`);
    const before = machine.show('MainPID');
    machine.sh(`dpkg -i ${now} </dev/null`);
    assert.is(
      runs(machine),
      VERSION,
      'what was installed last counts, not the version that was tried before',
    );
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

  test('its log can be kept in memory, apart from the journal', ({ machine }) => {
    const readme = machine.sh('cat /usr/share/doc/edgecore/examples/log-in-memory/README');
    const commands = readme.match(/^ {2}(install|systemctl) .*$/gm) ?? [];
    assert.is(commands.length, 3);
    const before = machine.sh('journalctl -u edgecore -o cat --no-pager | grep -c \'"started"\'').trim();
    machine.sh(`cd /usr/share/doc/edgecore/examples/log-in-memory && ${commands.join(' && ')}`);
    machine.sh('journalctl --namespace=edgecore -u edgecore -o cat --no-pager | grep \'"started"\'');
    assert.is(
      machine.sh('journalctl -u edgecore -o cat --no-pager | grep -c \'"started"\'').trim(),
      before,
      'the journal has nothing of it',
    );
    assert.is(machine.sh('find /var/log/journal/*.edgecore -type f').trim(), '');
  });

  test('the service has few rights, and its unit no faults', ({ machine }) => {
    machine.sh('systemd-analyze verify --man=no edgecore.service');
    const told = machine.sh('systemd-analyze security --no-pager edgecore.service');
    const score = Number(/Overall exposure level for edgecore.service: ([\d.]+)/.exec(told)?.[1]);
    process.stdout.write(`exposure ${score}\n`);
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
        '/run/edgecore /etc/systemd/system/multi-user.target.wants/edgecore.service 2>/dev/null || true',
    );
    assert.is(left.trim(), '');
    assert.is(machine.sh('getent group edgecore || true').trim(), '');
    assert.is(machine.sh('pgrep -f edgecore.cjs || true').trim(), '');
  });
}

/** The version that runs, as it says itself when it has started. */
function runs(machine: Machine): string {
  const line = machine.sh(
    'journalctl _PID=$(systemctl show -P MainPID edgecore) -o cat --no-pager | grep \'"started"\'',
  );
  return (JSON.parse(line) as { version: string }).version;
}

/** Signs another version, and has the gateway try it.
 * @returns what `edgecore upgrade` says */
async function upgrade(
  { root, machine, keys }: Context,
  version: string,
  change?: Change,
  options = '',
): Promise<string> {
  const dir = join(root, 'root');
  const bundle = await signedVersion({ dir, version, change, key: keys.private });
  return machine.sh(`edgecore upgrade /root/${basename(bundle)} ${options} 2>&1 || true`);
}

if (requireProgram('lintian', 'lintian')) {
  // Of a package that carries Node.js lintian takes a minute.
  const packages: [string, string[]][] = [
    ['armhf', []],
    ['amd64', ['--variant', 'system']],
    ...(isLong
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

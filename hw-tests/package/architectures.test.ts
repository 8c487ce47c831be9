import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { requireProgram } from '../real-parts.ts';
import { makeDeb, OLD_VERSION, olderDeb, tarballOf, VERSION } from './debs.ts';
import { Inside } from './inside.ts';
import { canEmulate, canMakeRoots, makeRoot, run } from './roots.ts';

/** The packages of the other architectures, by qemu-user. `--long` sets the whole Debian up, and has apt find what the
 * package depends on; without, it is only unpacked. */
const isLong = process.env.EDGECORE_LONG === 'true';
/** What a shell and tar need. */
const SHELL = ['dash', 'coreutils', 'tar', 'gzip', 'base-files', 'libc-bin', 'libstdc++6'];
/** What dpkg and the scripts of the package need. */
const TOOLS = [
  ...SHELL,
  ...['dpkg', 'sed', 'grep', 'diffutils', 'findutils', 'perl-base', 'base-passwd', 'passwd'],
  'init-system-helpers',
];
const CONFIG = '/etc/kubeedge/config/edgecore.yaml';
const cases = [
  { arch: 'arm64', qemu: 'qemu-aarch64', node: [] },
  { arch: 'armhf', qemu: 'qemu-arm', node: ['nodejs'] },
] as const;

type Context = { root: string; inside: Inside };
const test = suite<Context>('packages without systemd');
test.before.each((context) => {
  context.root = mkdtempSync(join(tmpdir(), 'package-'));
  context.inside = new Inside();
});
test.after.each(async ({ root, inside }) => {
  await inside.stop();
  rmSync(root, { recursive: true, force: true });
});

if (canMakeRoots() && requireProgram('mosquitto_sub', 'mosquitto-clients')) {
  for (const { arch, qemu, node } of cases) {
    if (!canEmulate(qemu)) continue;
    test(`${arch}: it installs, starts, is upgraded with all that it kept, and is purged`, async ({
      root,
      inside,
    }) => {
      if (isLong) makeRoot(root, arch, 'minbase', ['ca-certificates']);
      else makeRoot(root, arch, 'extract', [...TOOLS, ...node]);
      const sh = (line: string): string => run('chroot', [root, '/bin/sh', '-c', line], { LC_ALL: 'C' });
      const install = (deb: string): void => {
        copyFileSync(deb, join(root, basename(deb)));
        const apt = 'apt-get install -y -qq --no-install-recommends';
        sh(isLong ? `${apt} ./${basename(deb)}` : `dpkg --force-depends -i /${basename(deb)}`);
      };
      const deb = makeDeb(arch);
      if (isLong) sh('apt-get update -qq');
      install(olderDeb(deb));
      assert.is(sh('edgecore --version').trim(), OLD_VERSION);
      await inside.start(root);
      inside.publish('site/note', 'kept');
      sh(`echo '# site 7' >> ${CONFIG}`);
      // The version before runs until its files have been replaced.
      install(deb);
      await inside.stop();
      assert.is(sh('edgecore --version').trim(), VERSION);
      assert.is(sh(`tail -n 1 ${CONFIG}`).trim(), '# site 7');
      await inside.start(root);
      assert.is(inside.retained('site/note'), 'kept');
      await inside.stop();
      sh('dpkg --force-depends -P edgecore');
      sh('for path in /etc/kubeedge /var/lib/kubeedge /usr/lib/edgecore; do test ! -e $path || exit 1; done');
      assert.is(sh('getent group edgecore || true'), '');
    });
  }

  test('the tarball runs where there is neither dpkg nor systemd, as its INSTALL.md says', async ({
    root,
    inside,
  }) => {
    const deb = makeDeb('amd64');
    makeRoot(root, 'amd64', 'extract', SHELL);
    copyFileSync(tarballOf(deb), join(root, 'edgecore.tar.gz'));
    const unpack =
      'mkdir -p /opt/edgecore && tar -xzf /edgecore.tar.gz -C /opt/edgecore --strip-components=1';
    run('chroot', [root, '/bin/sh', '-c', unpack]);
    const start = 'cd /opt/edgecore && exec ./edgecore --config edgecore.yaml';
    await inside.start(root, start);
    inside.publish('site/note', 'kept');
    await inside.stop();
    await inside.start(root, start);
    assert.is(inside.retained('site/note'), 'kept');
  });
}

test.run();

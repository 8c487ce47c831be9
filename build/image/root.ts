import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { accountsOf } from './accounts.ts';
import type { Board } from './boards.ts';
import { run } from './run.ts';
import { enableForDevice, enableUnit, hasUnit, maskUnit } from './units.ts';

export type RootOptions = {
  readonly board: Board;
  readonly containerd: boolean;
  /** Where Debian is taken from. */
  readonly mirror: string;
  /** Puts edgecore into the root. */
  readonly install: (root: string) => void;
};

const SUITE = 'trixie';

/** All that a gateway runs. Named one by one, as nothing is taken for granted: not even what Debian calls essential. */
const packages = [
  // a shell and its usual company
  ...[
    'base-files',
    'bash',
    'coreutils',
    'dash',
    'findutils',
    'grep',
    'gzip',
    'hostname',
    'libc-bin',
    'login',
  ],
  ...['mawk', 'mount', 'netbase', 'passwd', 'procps', 'sed', 'tar', 'util-linux'],
  // what starts and watches the rest
  ...['systemd', 'systemd-sysv', 'udev', 'kmod'],
  // network, names, time
  ...['systemd-resolved', 'systemd-timesyncd', 'iproute2', 'ca-certificates', 'openssh-server'],
  // disks; the two static programs are what the machine starts from
  ...['e2fsprogs', 'fdisk', 'busybox-static', 'e2fsck-static'],
  // what Node.js is linked with
  ...['libstdc++6', 'libatomic1'],
] as const;

const containerPackages = ['containerd', 'runc', 'containernetworking-plugins', 'iptables'] as const;

/** What would write to the read-only root, or is of no use where nobody sits. */
const masked = [
  ...[
    'systemd-sysusers.service',
    'systemd-update-done.service',
    'systemd-hwdb-update.service',
    'ldconfig.service',
  ],
  ...[
    'systemd-firstboot.service',
    'systemd-machine-id-commit.service',
    'systemd-journal-catalog-update.service',
  ],
  ...['systemd-remount-fs.service', 'systemd-logind.service', 'getty.target', 'e2scrub_all.timer'],
  ...['e2scrub_reap.service', 'sshd-keygen.service', 'systemd-networkd-wait-online.service'],
  ...[
    'dbus.socket',
    'dbus.service',
    'systemd-hostnamed.socket',
    'systemd-rfkill.socket',
    'systemd-sysext.socket',
  ],
  ...['systemd-creds.socket', 'systemd-networkd-persistent-storage.service', 'systemd-pstore.service'],
  ...['systemd-bootctl.socket', 'systemd-boot-random-seed.service', 'systemd-user-sessions.service'],
  ...['sshd-unix-local.socket', 'systemd-pcrlock.socket', 'dev-hugepages.mount', 'sys-kernel-debug.mount'],
  ...['sys-kernel-tracing.mount', 'dev-mqueue.mount', 'sys-fs-fuse-connections.mount'],
] as const;

const enabled = [
  ...['systemd-networkd.service', 'systemd-resolved.service', 'systemd-timesyncd.service', 'ssh.service'],
  ...['edgecore-zram.service', 'edgecore-grow.service', 'edgecore-trial.service', 'edgecore.service'],
] as const;

/** Boards have their Wi-Fi under this name. */
const WIFI = 'wpa_supplicant@wlan0.service';

/** What makes units up at every start, of which this machine needs none. */
const maskedGenerators = [
  'ssh',
  'gpt-auto',
  'cryptsetup',
  'getty',
  'sysv',
  'rc-local',
  'tpm2',
  'debug',
  'run',
] as const;

/** What a gateway has no screen, loudspeaker, camera or reader for. */
const needless = [
  ...[
    'usr/share/doc',
    'usr/share/man',
    'usr/share/locale',
    'usr/share/info',
    'usr/share/lintian',
    'usr/share/bug',
  ],
  ...[
    'usr/lib/locale',
    'usr/share/zsh',
    'usr/share/bash-completion',
    'usr/share/initramfs-tools',
    'etc/init.d',
  ],
] as const;
const needlessDrivers = [
  'sound',
  'drivers/gpu',
  'drivers/media',
  'drivers/infiniband',
  'drivers/net/ethernet/mellanox',
];

/** What udev asks of every device: about screens, keyboards, seats and the like. Each costs at every start. */
const needlessRules =
  /alsa|autosuspend|camera|cdrom|dmi|drm|evdev|fido|hidraw|infiniband|input|joystick|memory|mouse|mtd|power-switch|seat|sensor|sound|tape|touchpad|uaccess|v4l|vconsole/;

/** Makes the folder of a whole root: Debian's packages unpacked, and by our own hand what their scripts would do, which
 * could only run on the processor that they are for. Runs nothing of the root, so it takes seconds and no emulator. */
export function makeRoot(root: string, options: RootOptions): void {
  unpack(root, options);
  options.install(root);
  copyOurs(root);
  renameSync(join(root, 'packages'), join(root, 'usr/lib/edgecore-image/packages'));
  settle(root);
  for (const unit of masked) maskUnit(root, unit);
  for (const unit of enabled) enableUnit(root, unit);
  mkdirSync(join(root, 'etc/systemd/system-generators'), { recursive: true });
  for (const name of maskedGenerators)
    symlinkSync('/dev/null', join(root, `etc/systemd/system-generators/systemd-${name}-generator`));
  if (hasUnit(root, 'containerd.service')) enableUnit(root, 'containerd.service');
  if (hasUnit(root, WIFI)) enableForDevice(root, WIFI, 'sys-subsystem-net-devices-wlan0.device');
  thin(root, options.board);
  run('depmod', ['-b', join(root, 'usr'), kernelOf(root)]);
}

/** The version of the one kernel in a root. */
export function kernelOf(root: string): string {
  const [version] = readdirSync(join(root, 'usr/lib/modules'));
  if (!version) throw new Error('the root has no kernel');
  return version;
}

/** Where a root has its kernel and that kernel's device trees; newer packages keep both beside the modules. */
export function kernelFiles(root: string): { readonly image: string; readonly trees: string } {
  const version = kernelOf(root);
  const modules = join(root, 'usr/lib/modules', version);
  return existsSync(join(modules, 'vmlinuz'))
    ? { image: join(modules, 'vmlinuz'), trees: join(modules, 'dtb/broadcom') }
    : {
        image: join(root, `boot/vmlinuz-${version}`),
        trees: join(root, `usr/lib/linux-image-${version}/broadcom`),
      };
}

function unpack(root: string, { board, containerd, mirror }: RootOptions): void {
  const kernel = `linux-image-arm64/${board.kernel}`;
  const names = [...packages, kernel, ...board.packages, ...(containerd ? containerPackages : [])];
  run('mmdebstrap', [
    '--mode=root',
    '--variant=extract',
    '--architectures=arm64',
    '--components=main,non-free-firmware',
    '--aptopt=APT::Install-Recommends "false"',
    `--include=${names.join(',')}`,
    '--quiet',
    // What was unpacked stays known: no package manager ever changes this root.
    '--extract-hook=cd "$1" && ls var/cache/apt/archives | grep deb$ > packages',
    SUITE,
    root,
    mirror,
    ...(board.kernel === SUITE ? [] : [`deb ${mirror} ${board.kernel} main`]),
  ]);
}

/** Our own files, with the modes of Debian's: those of a checkout depend on who made it. */
function copyOurs(root: string): void {
  const from = 'build/image/rootfs';
  for (const name of readdirSync(from, { recursive: true, encoding: 'utf8' }).sort()) {
    const stats = statSync(join(from, name));
    if (stats.isDirectory()) {
      mkdirSync(join(root, name), { recursive: true });
      continue;
    }
    copyFileSync(join(from, name), join(root, name));
    chmodSync(join(root, name), stats.mode & 0o100 ? 0o755 : 0o644);
  }
}

/** Takes away what only the boot partition needs, once it is there. */
export function stripRoot(root: string): void {
  for (const path of ['usr/lib/raspi-firmware', 'usr/lib/systemd/boot'])
    rmSync(join(root, path), { recursive: true, force: true });
  const version = kernelOf(root);
  for (const path of [
    `linux-image-${version}`,
    ...['vmlinuz', 'dtb', 'System.map', 'config'].map((name) => `modules/${version}/${name}`),
  ])
    rmSync(join(root, 'usr/lib', path), { recursive: true, force: true });
  for (const name of readdirSync(join(root, 'boot'))) rmSync(join(root, 'boot', name), { recursive: true });
}

/** What the packages' scripts would have done. */
function settle(root: string): void {
  const sysusers = join(root, 'usr/lib/sysusers.d');
  const lines = readdirSync(sysusers)
    .sort()
    .flatMap((name) => readFileSync(join(sysusers, name), 'utf8').split('\n'));
  const { passwd, group, shadow } = accountsOf(lines);
  writeFileSync(join(root, 'etc/passwd'), passwd);
  writeFileSync(join(root, 'etc/group'), group);
  writeFileSync(join(root, 'etc/shadow'), shadow, { mode: 0o600 });
  cpSync(join(root, 'usr/share/libc-bin/nsswitch.conf'), join(root, 'etc/nsswitch.conf'));
  cpSync(join(root, 'usr/share/openssh/sshd_config'), join(root, 'etc/ssh/sshd_config'));
  writeFileSync(join(root, 'etc/fstab'), '# The root and /var are mounted by build/image/init.\n');
  writeFileSync(join(root, 'etc/ld.so.cache'), '');
  // containerd copies it into each pod.
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n');
  trustAuthorities(root);
  alternative(root, 'usr/bin/awk', 'mawk');
  // Which channels are allowed where; without it a country's own stay silent.
  for (const name of ['regulatory.db', 'regulatory.db.p7s'])
    if (existsSync(join(root, `usr/lib/firmware/${name}-debian`)))
      alternative(root, `usr/lib/firmware/${name}`, `${name}-debian`);
  if (existsSync(join(root, 'usr/sbin/xtables-nft-multi')))
    for (const name of [
      'iptables',
      'iptables-save',
      'iptables-restore',
      'ip6tables',
      'ip6tables-save',
      'ip6tables-restore',
    ])
      alternative(root, `usr/sbin/${name}`, 'xtables-nft-multi');
  // What systemd-tmpfiles would make, and cannot on a root that is read-only.
  for (const name of ['srv', 'root/.ssh', 'var']) mkdirSync(join(root, name), { recursive: true });
  for (const name of ['credstore', 'credstore.encrypted', '../root/.ssh'])
    chmodSync(join(root, 'etc', name), 0o700);
  elsewhere(root, 'etc/mtab', '../proc/self/mounts');
  elsewhere(root, 'etc/default/locale', '../locale.conf');
  elsewhere(root, 'etc/vconsole.conf', 'default/keyboard');
  // The image's bind mount needs a file to lie on.
  writeFileSync(join(root, 'etc/machine-id'), '');
  elsewhere(root, 'etc/resolv.conf', '/run/systemd/resolve/resolv.conf');
  for (const name of ['hostname', 'kubeedge', 'wpa_supplicant'])
    elsewhere(root, `etc/${name}`, `/var/etc/${name}`);
  elsewhere(root, 'etc/systemd/network', '/var/etc/network');
}

function trustAuthorities(root: string): void {
  const from = join(root, 'usr/share/ca-certificates/mozilla');
  const bundle = join(root, 'etc/ssl/certs/ca-certificates.crt');
  mkdirSync(join(root, 'etc/ssl/certs'), { recursive: true });
  rmSync(bundle, { force: true });
  for (const name of readdirSync(from).sort()) appendFileSync(bundle, readFileSync(join(from, name)));
}

function alternative(root: string, path: string, target: string): void {
  rmSync(join(root, path), { force: true });
  symlinkSync(target, join(root, path));
}

/** Has a name of the read-only root point to where it can be changed. What the root had there is not taken along. */
function elsewhere(root: string, path: string, target: string): void {
  rmSync(join(root, path), { recursive: true, force: true });
  symlinkSync(target, join(root, path));
}

function thin(root: string, board: Board): void {
  rmSync(join(root, 'var'), { recursive: true, force: true });
  for (const path of needless) rmSync(join(root, path), { recursive: true, force: true });
  const modules = join(root, 'usr/lib/modules', kernelOf(root), 'kernel');
  for (const path of [...needlessDrivers, ...board.needless])
    rmSync(join(modules, path), { recursive: true, force: true });
  const rules = join(root, 'usr/lib/udev/rules.d');
  for (const name of readdirSync(rules)) if (needlessRules.test(name)) rmSync(join(rules, name));
  mkdirSync(join(root, 'var'));
  chmodSync(root, 0o755);
}

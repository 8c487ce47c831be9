import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type ImageOptions, parseOptions } from '../options.ts';
import { run } from '../run.ts';
import { edgecoreYaml } from '../state.ts';
import type { Medium } from './media.ts';

export const prepareUsage = `  edgecore-flash prepare DISK|IMAGE --join HOST:PORT --token TOKEN --deb FILE [OPTIONS]
      has a card, or an image, of Raspberry Pi OS (Debian 13, since October 2025) install edgecore when it first starts.
      OPTIONS are those of "npm run image": --node-name --ssh-key --wifi --static-ip --config --enrolment-port
`;

const FOLDER = 'edgecore';
/** Types of a FAT partition. */
const FAT = [0x0b, 0x0c, 0x0e];

/** Puts cloud-init's files, edgecore's package and its configuration on the boot partition of Raspberry Pi OS.
 * @param pick finds a disk, or says why it must not be touched
 * @returns the exit code */
export function prepare(
  [target]: readonly string[],
  values: Readonly<Record<string, string | boolean | undefined>>,
  pick: (disk: string) => Medium | string,
): number {
  const { deb } = values;
  const names = [
    'join',
    'enrolment-port',
    'token',
    'node-name',
    'ssh-key',
    'wifi',
    'country',
    'static-ip',
    'config',
  ];
  const args = names.flatMap((name) =>
    typeof values[name] === 'string' ? [`--${name}`, `${values[name]}`] : [],
  );
  const parsed = parseOptions(['--board', 'rpi4', ...args], () => readFileSync(0, 'utf8'));
  const faults = 'faults' in parsed ? parsed.faults : [];
  if (!target) faults.push('say which card or image');
  if (typeof deb !== 'string' || !existsSync(deb))
    faults.push('--deb FILE: want the package of "npm run deb" for arm64');
  if ('faults' in parsed || !target || typeof deb !== 'string' || faults.length > 0) {
    process.stderr.write(`${faults.join('\n')}\n`);
    return 2;
  }
  const isFile = existsSync(target) && statSync(target).isFile();
  const medium = isFile ? { path: target, mounts: [] } : pick(target);
  if (typeof medium === 'string') throw new Error(medium.trim());
  for (const path of medium.mounts) run('umount', [path]);
  const work = mkdtempSync(join(tmpdir(), 'edgecore-flash-'));
  try {
    const at = `${medium.path}@@${bootOffset(medium.path)}`;
    run('mdir', ['-i', at, '::cmdline.txt']); // proves that it is what it is said to be
    fillBoot(work, parsed.options, deb);
    run('mcopy', [
      '-i',
      at,
      '-s',
      '-Q',
      '-o',
      ...['user-data', 'meta-data', 'network-config', FOLDER].map((name) => join(work, name)),
      '::',
    ]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  process.stdout.write(`${medium.path} will join ${parsed.options.join.host} when it first starts\n`);
  return 0;
}

/** Bytes before the FAT partition of a disk. @source the partition table of a master boot record */
export function bootOffset(path: string): number {
  const sector = Buffer.alloc(512);
  const file = openSync(path, 'r');
  readSync(file, sector, 0, 512, 0);
  closeSync(file);
  if (sector.readUInt16BE(510) !== 0x55aa || !FAT.includes(sector[446 + 4] ?? 0))
    throw new Error(`${path} does not begin with a boot partition: write Raspberry Pi OS to it first`);
  return sector.readUInt32LE(446 + 8) * 512;
}

/** The token is in edgecore.yaml alone: cloud-init would keep a copy of what stands in user-data. */
export function fillBoot(folder: string, options: ImageOptions, deb: string): void {
  mkdirSync(join(folder, FOLDER));
  copyFileSync(deb, join(folder, FOLDER, 'edgecore.deb'));
  writeFileSync(join(folder, FOLDER, 'edgecore.yaml'), edgecoreYaml(options));
  writeFileSync(join(folder, FOLDER, 'install.sh'), install);
  writeFileSync(join(folder, 'meta-data'), `instance-id: edgecore-${options.nodeName ?? 'gateway'}\n`);
  writeFileSync(join(folder, 'user-data'), `#cloud-config\n${stringify(userData(options))}`);
  writeFileSync(join(folder, 'network-config'), stringify(networkConfig(options)));
}

const install = `#!/bin/sh
# Run once by cloud-init: installs edgecore, and takes the join token off the boot partition.
set -e
cd "$(dirname "$0")"
install -D -m 600 edgecore.yaml /etc/kubeedge/config/edgecore.yaml
dd if=/dev/zero of=edgecore.yaml bs=1 count="$(stat -c %s edgecore.yaml)" conv=notrunc,fsync 2>/dev/null
rm edgecore.yaml
dpkg --force-confold -i edgecore.deb
systemctl enable --now edgecore.service
rm edgecore.deb
`;

function userData({ nodeName, sshKeys }: ImageOptions): unknown {
  const keys = sshKeys?.split('\n').filter((line) => /^\S/.test(line) && !line.startsWith('#'));
  const user = {
    name: 'edge',
    groups: 'sudo',
    shell: '/bin/bash',
    sudo: 'ALL=(ALL) NOPASSWD:ALL',
    ssh_authorized_keys: keys,
  };
  return {
    ...(nodeName ? { hostname: nodeName } : {}),
    ...(keys ? { users: [user] } : {}),
    runcmd: [
      ...(keys ? [['systemctl', 'enable', '--now', 'ssh.service']] : []),
      ['sh', `/boot/firmware/${FOLDER}/install.sh`],
    ],
  };
}

/** @source netplan, version 2 */
function networkConfig({ staticIp, wifi }: ImageOptions): unknown {
  const fixed = staticIp && {
    addresses: [staticIp.address],
    routes: [{ to: 'default', via: staticIp.gateway }],
    ...(staticIp.dns.length > 0 ? { nameservers: { addresses: staticIp.dns } } : {}),
  };
  return {
    network: {
      version: 2,
      ethernets: { eth0: { optional: true, ...(fixed ?? { dhcp4: true }) } },
      ...(wifi
        ? {
            wifis: {
              wlan0: {
                optional: true,
                dhcp4: true,
                'regulatory-domain': wifi.country,
                'access-points': { [wifi.ssid]: { password: wifi.password } },
              },
            },
          }
        : {}),
    },
  };
}

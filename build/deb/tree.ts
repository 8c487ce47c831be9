import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { commands } from '../../runtime/cli/cli.ts';
import { bashScript } from '../../runtime/cli/completion.ts';
import { NODE_ABI, type NodeBuild, run } from './node-builds.ts';

/** What goes into a package. */
export type Layout = {
  /** Where its tree is made. */
  readonly root: string;
  /** edgecore, as build/bundle.ts makes it. */
  readonly bundle: string;
  /** Carried along, or that of the machine. */
  readonly node: NodeBuild | undefined;
  readonly version: string;
  readonly arch: string;
  /** Time of everything in it, s since epoch. */
  readonly epoch: number;
  readonly depends: string;
};

const FILES = 'build/deb/files';
const UNIT = 'runtime/host/edgecore.service';
const SUMMARY = 'Kubernetes edge node, MQTT broker and device collector';

/** Makes the tree of the Debian package. Where files lie is what upgrades, images and operators rely on:
 * /usr/lib/edgecore (program, node), /usr/bin/edgecore, /etc/kubeedge/config/edgecore.yaml (made by postinst),
 * /var/lib/kubeedge (state). */
export function writeTree(layout: Layout): void {
  const { root, version, epoch } = layout;
  const lib = join(root, 'usr/lib/edgecore');
  const doc = join(root, 'usr/share/doc/edgecore');
  writeProgram(layout, lib);
  mkdirSync(join(root, 'usr/bin'));
  symlinkSync('../lib/edgecore/edgecore', join(root, 'usr/bin/edgecore'));
  put(root, 'usr/lib/systemd/system/edgecore.service', readFileSync(UNIT));
  put(root, 'usr/lib/sysusers.d/edgecore.conf', readFileSync(join(FILES, 'sysusers.conf')));
  put(root, 'usr/lib/tmpfiles.d/edgecore.conf', readFileSync(join(FILES, 'tmpfiles.conf')));
  for (const name of readdirSync(join(FILES, 'log-in-memory')))
    put(doc, `examples/log-in-memory/${name}`, readFileSync(join(FILES, 'log-in-memory', name)));
  put(root, 'usr/share/edgecore/edgecore.yaml', readFileSync(join(FILES, 'edgecore.yaml')));
  put(root, 'usr/share/bash-completion/completions/edgecore', bashScript(commands));
  put(root, 'usr/share/lintian/overrides/edgecore', readFileSync(join(FILES, 'lintian-overrides')));
  const day = new Date(epoch * 1000).toISOString().slice(0, 10);
  const page = readFileSync(join(FILES, 'edgecore.8'), 'utf8');
  put(
    root,
    'usr/share/man/man8/edgecore.8.gz',
    zip(page.replace('@VERSION@', version).replace('@DATE@', day)),
  );
  put(root, 'usr/share/doc/edgecore/changelog.gz', zip(debianChangelog(version, epoch)));
  put(root, 'usr/share/doc/edgecore/NEWS.md.gz', zip(readFileSync('CHANGELOG.md', 'utf8')));
  put(root, 'usr/share/doc/edgecore/copyright', copyright(layout));
  for (const script of ['postinst', 'prerm', 'postrm'])
    put(root, `DEBIAN/${script}`, readFileSync(join(FILES, script)), 0o755);
  put(root, 'DEBIAN/md5sums', sums(root));
  put(root, 'DEBIAN/control', control(layout));
  settle(root, epoch);
}

/** Makes the tarball for systems without dpkg: one folder that runs from anywhere. */
export function writeTarball(layout: Layout, folder: string, tarball: string): void {
  const { node, epoch } = layout;
  writeProgram(layout, folder);
  put(folder, 'edgecore.service', readFileSync(UNIT));
  put(folder, 'edgecore.yaml', readFileSync(join(FILES, 'edgecore.yaml')));
  const needs = node
    ? `Node.js ${node.version}`
    : 'beside Node.js 20.19 or later, which the machine must have';
  put(folder, 'INSTALL.md', readFileSync(join(FILES, 'INSTALL.md'), 'utf8').replace('@NODE@', needs));
  settle(folder, epoch);
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  const tar = tarball.replace(/\.gz$/, '');
  run('tar', ['-cf', tar, ...same, '-C', dirname(folder), basename(folder)]);
  run('gzip', ['-nf', tar]);
}

/** edgecore, and Node.js with it. */
function writeProgram({ bundle, node }: Layout, lib: string): void {
  mkdirSync(lib, { recursive: true });
  cpSync(bundle, lib, { recursive: true });
  if (!node) return;
  for (const file of readdirSync(lib)) {
    const abi = Number(/^uws_.*_(\d+)\.node$/.exec(file)?.[1] ?? NODE_ABI);
    if (abi !== NODE_ABI) rmSync(join(lib, file));
  }
  copyFileSync(node.program, join(lib, 'node'));
  copyFileSync(node.licence, join(lib, 'NODE-LICENSE.txt'));
}

function put(root: string, path: string, content: string | Buffer, mode = 0o644): void {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  chmodSync(full, mode);
}

function zip(text: string): Buffer {
  return gzipSync(text, { level: 9 });
}

/** Gives everything below the same rights and times on every machine. */
function settle(path: string, epoch: number): void {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return;
  if (stats.isDirectory()) for (const name of readdirSync(path)) settle(join(path, name), epoch);
  const isProgram = /\/(edgecore|node)$/.test(path) && stats.isFile() && (stats.mode & 0o100) !== 0;
  const isScript = path.includes('/DEBIAN/') && (stats.mode & 0o100) !== 0;
  chmodSync(path, stats.isDirectory() || isProgram || isScript ? 0o755 : 0o644);
  utimesSync(path, epoch, epoch);
}

/** Files below `root`, DEBIAN left out, sorted. */
function filesOf(root: string, under = ''): string[] {
  return readdirSync(join(root, under), { withFileTypes: true })
    .filter(({ name }) => under !== '' || name !== 'DEBIAN')
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(under, entry.name);
      if (entry.isDirectory()) return filesOf(root, path);
      return entry.isFile() ? [path] : [];
    });
}

function sums(root: string): string {
  const line = (path: string): string =>
    `${createHash('md5')
      .update(readFileSync(join(root, path)))
      .digest('hex')}  ${path}\n`;
  return filesOf(root).map(line).join('');
}

function control({ root, version, arch, depends }: Layout): string {
  const kibibytes = filesOf(root).reduce(
    (sum, path) => sum + Math.ceil(lstatSync(join(root, path)).size / 1024),
    0,
  );
  return `Package: edgecore
Version: ${version}
Architecture: ${arch}
Maintainer: edgecore authors <edgecore@users.noreply.github.com>
Installed-Size: ${kibibytes}
Depends: ${depends}
Recommends: systemd
Suggests: containerd, containernetworking-plugins, iproute2
Section: net
Priority: optional
Description: ${SUMMARY}
 One small process that turns a gateway into a Kubernetes edge node: it joins
 a KubeEdge cloud half, runs pods by containerd, serves MQTT, keeps device
 twins, and polls Modbus and serial devices. It boots, polls its devices and
 runs its pods without the cloud.
`;
}

function debianChangelog(version: string, epoch: number): string {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  return `edgecore (${version}) unstable; urgency=medium

  * What is new stands in /usr/share/doc/edgecore/NEWS.md.gz.

 -- edgecore authors <edgecore@users.noreply.github.com>  ${date}
`;
}

function copyright({ node, epoch }: Layout): string {
  const year = new Date(epoch * 1000).getUTCFullYear();
  const carried = node
    ? `
Files: usr/lib/edgecore/node
Copyright: Node.js contributors, and others
License: Node.js
 The terms of Node.js ${node.version} and of what it contains stand in
 /usr/lib/edgecore/NODE-LICENSE.txt.
`
    : '';
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: edgecore
Comment: The licences of the packages that are part of the bundle stand in
 /usr/lib/edgecore/THIRD-PARTY-LICENSES.txt.

Files: *
Copyright: ${year} edgecore authors
License: Apache-2.0
 On Debian systems the text stands in /usr/share/common-licenses/Apache-2.0.
${carried}`;
}

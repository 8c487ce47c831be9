import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Programs of busybox that the test image offers by name. */
const applets = [
  'sh',
  'sleep',
  'cat',
  'echo',
  'ls',
  'env',
  'httpd',
  'wget',
  'date',
  'touch',
  'id',
  'true',
  'false',
];

/** Another machine than this one, for which an image is. */
export type Foreign = { readonly busybox: string; readonly architecture: string };

/** Makes an OCI image archive whose one layer is Debian's static busybox.
 * @param folder for work files
 * @param command what it runs by default
 * @param foreign for another machine
 * @returns the path of the tar file, for `ctr images import`
 * @source OCI image specification v1.0, image layout */
export function makeImage(
  folder: string,
  name: string,
  command: readonly string[],
  foreign?: Foreign,
): string {
  const work = join(folder, name.replace(/[/:]/g, '_'));
  rmSync(work, { recursive: true, force: true });
  const root = join(work, 'root');
  const blobs = join(work, 'oci', 'blobs', 'sha256');
  for (const path of [join(root, 'bin'), join(root, 'tmp'), join(root, 'etc'), blobs])
    mkdirSync(path, { recursive: true });
  copyFileSync(foreign?.busybox ?? '/bin/busybox', join(root, 'bin/busybox'));
  chmodSync(join(root, 'bin/busybox'), 0o755);
  for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
  const layer = join(work, 'layer.tar');
  tar(['-C', root, '--owner=0', '--group=0', '--mtime=@0', '--sort=name', '-cf', layer, '.']);

  const put = (bytes: Buffer): { digest: string; size: number } => {
    const hash = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hash), bytes);
    return { digest: `sha256:${hash}`, size: bytes.length };
  };
  const putJson = (value: unknown): { digest: string; size: number } =>
    put(Buffer.from(JSON.stringify(value)));
  const layerBlob = put(readFileSync(layer));
  const config = putJson({
    architecture: foreign?.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch),
    os: 'linux',
    config: { Cmd: command, Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [layerBlob.digest] },
  });
  const manifest = putJson({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layerBlob }],
  });
  writeFileSync(join(work, 'oci/oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const entry = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    ...manifest,
    annotations: { 'io.containerd.image.name': name },
  };
  writeFileSync(join(work, 'oci/index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  const archive = `${work}.tar`;
  tar(['-C', join(work, 'oci'), '-cf', archive, '.']);
  rmSync(work, { recursive: true });
  return archive;
}

function tar(args: readonly string[]): void {
  const { status, stderr } = spawnSync('tar', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tar ${args.join(' ')}: ${stderr}`);
}

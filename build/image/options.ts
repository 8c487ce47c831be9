import { createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import { isVersion } from '../../runtime/upgrade/manifest.ts';
import { type BoardName, boards } from './boards.ts';

export type ImageOptions = {
  readonly board: BoardName;
  /** What the gateway dials. */
  readonly join: { readonly host: string; readonly port: number; readonly enrolmentPort: number };
  readonly token: string;
  /** Without one each machine that starts from the image names itself. */
  readonly nodeName: string | undefined;
  /** Lines of an authorized_keys file. */
  readonly sshKeys: string | undefined;
  readonly wifi: { readonly ssid: string; readonly password: string; readonly country: string } | undefined;
  readonly staticIp:
    | { readonly address: string; readonly gateway: string; readonly dns: readonly string[] }
    | undefined;
  readonly containerd: boolean;
  /** More of edgecore.yaml, as text. */
  readonly config: string | undefined;
  readonly mirror: string;
  /** undefined: as in package.json */
  readonly version: string | undefined;
  /** PEM of the private key that signs the update. */
  readonly sign: string | undefined;
  /** undefined: `edgecore-system-VERSION-BOARD.tar.gz` beside the image. */
  readonly update: string | undefined;
  /** undefined: only the update is wanted. */
  readonly out: string | undefined;
};

export const usage = `npm run image -- --board BOARD --join HOST:PORT --token TOKEN [OPTIONS]
npm run image -- --board BOARD --sign KEY [OPTIONS]

Makes a medium that a gateway starts from and joins with: Debian 13 with edgecore, for arm64.

  --board NAME             ${Object.entries(boards)
    .map(([name, { title }]) => `${name.padEnd(6)} ${title}`)
    .join('\n                           ')}
  --join HOST:PORT         the cloud's WebSocket address, port 10000
  --enrolment-port PORT    where it signs certificates, default 10002
  --token TOKEN            the join token; - reads it from standard input
  --node-name NAME         default: edge- and eight signs of its own, so that one image is good for many machines
  --ssh-key FILE           public keys that let in as root; without one there is no ssh
  --wifi SSID:PASSWORD     WPA2; --country CODE says where, default DE
  --static-ip ADDRESS/BITS,GATEWAY[,DNS…]
  --containerd             with what pods need
  --config FILE            more of edgecore.yaml, merged into it
  --mirror URL             Debian's mirror, default http://deb.debian.org/debian
  --version VERSION        default: of package.json
  --sign KEY               Ed25519 private key in PEM: also make the update for gateways of this board,
                           dist/edgecore-system-VERSION-BOARD.tar.gz, which \`edgecore upgrade\` takes, and have the image
                           trust that key; without --join and --token make the update alone
  --out FILE               default dist/edgecore-BOARD.img, and the update beside it; of an update alone, its file
`;

/** Reads the command line.
 * @param readToken for `--token -`
 * @returns the options, or all that is wrong with them */
export function parseOptions(
  args: readonly string[],
  readToken: () => string,
): { options: ImageOptions } | { faults: string[] } {
  const string = { type: 'string' } as const;
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        board: string,
        join: string,
        'enrolment-port': string,
        token: string,
        'node-name': string,
        'ssh-key': string,
        wifi: string,
        country: string,
        'static-ip': string,
        containerd: { type: 'boolean' },
        config: string,
        mirror: string,
        version: string,
        sign: string,
        out: string,
      },
    }));
  } catch (error) {
    return { faults: [error instanceof Error ? error.message : String(error)] };
  }
  const faults: string[] = [];
  const text = (name: string): string | undefined =>
    typeof values[name] === 'string' ? `${values[name]}` : undefined;
  const checked = <T>(name: string, parse: (value: string) => T | string): T | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    const result = parse(value);
    if (typeof result !== 'string') return result;
    faults.push(`--${name} ${value}: ${result}`);
    return undefined;
  };
  const isUpdate = text('sign') !== undefined && text('join') === undefined && text('token') === undefined;
  for (const name of isUpdate ? ['board'] : ['board', 'join', 'token'])
    if (!text(name)) faults.push(`--${name} is missing`);
  const board = checked('board', boardOf);
  const enrolment = checked('enrolment-port', portOf) ?? { port: 10_002 };
  const join = checked('join', addressOf);
  const options = {
    board: board?.name ?? 'virt',
    join: { host: join?.host ?? '', port: join?.port ?? 0, enrolmentPort: enrolment.port },
    token: text('token') === '-' ? readToken().trim() : (text('token') ?? ''),
    nodeName: checked('node-name', nodeNameOf)?.name,
    sshKeys: checked('ssh-key', keysOf)?.keys,
    wifi: checked('wifi', (value) => wifiOf(value, text('country') ?? 'DE')),
    staticIp: checked('static-ip', staticIpOf),
    containerd: values.containerd === true,
    config: checked('config', fileOf)?.content,
    mirror: text('mirror') ?? 'http://deb.debian.org/debian',
    version: checked('version', versionOf)?.version,
    sign: checked('sign', privateKeyOf)?.key,
    update: isUpdate ? text('out') : undefined,
    out: isUpdate ? undefined : (text('out') ?? `dist/edgecore-${board?.name}.img`),
  };
  return faults.length > 0 ? { faults } : { options };
}

function boardOf(value: string): { name: BoardName } | string {
  const names = Object.keys(boards) as BoardName[];
  const name = names.find((known) => known === value);
  return name ? { name } : `there are ${names.join(', ')}`;
}

function versionOf(value: string): { version: string } | string {
  return isVersion(value) ? { version: value } : 'want a version such as 0.2.0';
}

function privateKeyOf(path: string): { key: string } | string {
  const file = fileOf(path);
  if (typeof file === 'string') return file;
  try {
    const { asymmetricKeyType } = createPrivateKey(file.content);
    if (asymmetricKeyType !== 'ed25519') return `its key is of type ${asymmetricKeyType}, want ed25519`;
    return { key: file.content };
  } catch {
    return 'has no private key in PEM (openssl genpkey -algorithm ed25519)';
  }
}

function addressOf(value: string): { host: string; port: number } | string {
  const [, host, port] = value.match(/^(\[[0-9a-fA-F:]+\]|[^:/\s]+):(\d+)$/) ?? [];
  const parsed = portOf(port ?? '');
  return host && typeof parsed !== 'string'
    ? { host, port: parsed.port }
    : 'want HOST:PORT, such as cloud.example:10000';
}

function portOf(value: string): { port: number } | string {
  const port = Number(value);
  return /^\d+$/.test(value) && port >= 1 && port <= 65_535 ? { port } : 'want a port, 1 to 65535';
}

function nodeNameOf(value: string): { name: string } | string {
  const fits = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value);
  return fits ? { name: value } : 'want 1 to 63 of a-z 0-9 -, as it is also the host name';
}

function keysOf(path: string): { keys: string } | string {
  const file = fileOf(path);
  if (typeof file === 'string') return file;
  if (file.content.includes('PRIVATE KEY')) return 'that is the private key: give the file that ends in .pub';
  const fits = /^(ssh-|ecdsa-|sk-)\S+ \S+/m.test(file.content);
  return fits ? { keys: file.content } : 'has no public key of OpenSSH';
}

function fileOf(path: string): { content: string } | string {
  return existsSync(path) ? { content: readFileSync(path, 'utf8') } : 'there is no such file';
}

function wifiOf(
  value: string,
  country: string,
): { ssid: string; password: string; country: string } | string {
  const colon = value.indexOf(':');
  const ssid = value.slice(0, colon);
  const password = value.slice(colon + 1);
  if (colon < 1 || Buffer.byteLength(ssid) > 32) return 'want SSID:PASSWORD, the SSID of 1 to 32 bytes';
  if (!/^[\x20-\x7e]{8,63}$/.test(password)) return 'the password has 8 to 63 letters, digits and signs';
  if (!/^[A-Z]{2}$/.test(country)) return `--country ${country}: want two capital letters`;
  return { ssid, password, country };
}

function staticIpOf(value: string): { address: string; gateway: string; dns: string[] } | string {
  const [address = '', gateway = '', ...dns] = value.split(',');
  const [ip = '', bits = ''] = address.split('/');
  const widest = isIP(ip) === 6 ? 128 : 32;
  if (!isIP(ip) || !/^\d+$/.test(bits) || Number(bits) > widest) return 'want ADDRESS/BITS,GATEWAY[,DNS…]';
  const wrong = [gateway, ...dns].find((other) => !isIP(other));
  return wrong === undefined ? { address, gateway, dns } : `${wrong || 'the gateway'} is not an IP address`;
}

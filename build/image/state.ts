import { createPublicKey, pbkdf2Sync } from 'node:crypto';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument, stringify } from 'yaml';
import { parseConfig } from '../../runtime/config/config.ts';
import type { ImageOptions } from './options.ts';

/** Fills the folder of the state partition, /var: what makes this machine the one that it is. The join token lies here
 * alone, in edgecore.yaml, and edgecore blanks it there once it has joined.
 * @throws Error naming every fault of edgecore.yaml */
export function makeState(folder: string, options: ImageOptions): void {
  for (const name of [
    'cache',
    'lib/kubeedge',
    'log',
    'spool',
    'etc/network',
    'etc/ssh',
    'etc/wpa_supplicant',
  ])
    mkdirSync(join(folder, name), { recursive: true });
  mkdirSync(join(folder, 'tmp'));
  chmodSync(join(folder, 'tmp'), 0o1777);
  symlinkSync('/run', join(folder, 'run'));
  symlinkSync('/run/lock', join(folder, 'lock'));
  const etc = join(folder, 'etc');
  mkdirSync(join(etc, 'kubeedge/config'), { recursive: true });
  writeFileSync(join(etc, 'kubeedge/config/edgecore.yaml'), edgecoreYaml(options), { mode: 0o600 });
  if (options.sign) {
    mkdirSync(join(etc, 'kubeedge/upgrade-keys'));
    writeFileSync(join(etc, 'kubeedge/upgrade-keys/image.pem'), publicKeyOf(options.sign));
  }
  if (options.nodeName) writeFileSync(join(etc, 'hostname'), `${options.nodeName}\n`);
  if (options.sshKeys) writeFileSync(join(etc, 'ssh/authorized_keys'), options.sshKeys, { mode: 0o600 });
  if (options.wifi) {
    const file = join(etc, 'wpa_supplicant/wpa_supplicant-wlan0.conf');
    writeFileSync(file, wpaSupplicantConf(options.wifi), { mode: 0o600 });
  }
  if (options.staticIp)
    writeFileSync(join(etc, 'network/10-static.network'), staticNetwork(options.staticIp));
}

/** @throws Error naming every fault */
export function edgecoreYaml({ join: cloud, token, nodeName, config }: ImageOptions): string {
  const own = {
    apiVersion: 'edgecore.config.kubeedge.io/v1alpha2',
    kind: 'EdgeCore',
    modules: {
      edgeHub: {
        httpServer: `https://${cloud.host}:${cloud.enrolmentPort}`,
        token,
        websocket: { server: `${cloud.host}:${cloud.port}` },
      },
      ...(nodeName ? { edged: { hostnameOverride: nodeName } } : {}),
    },
  };
  const more = config === undefined ? {} : parseDocument(config).toJS();
  const text = stringify(merged(own, more));
  const parsed = parseConfig(text);
  if ('faults' in parsed)
    throw new Error(
      `edgecore.yaml would be wrong:\n${parsed.faults.map((fault) => `  ${JSON.stringify(fault)}`).join('\n')}`,
    );
  return text;
}

function publicKeyOf(key: string): string {
  return String(createPublicKey(key).export({ type: 'spki', format: 'pem' }));
}

function merged(base: unknown, more: unknown): unknown {
  if (!isRecord(base) || !isRecord(more)) return more ?? base;
  const keys = new Set([...Object.keys(base), ...Object.keys(more)]);
  return Object.fromEntries([...keys].map((key) => [key, merged(base[key], more[key])]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a Wi-Fi's password stands for, in hex: there is no way to quote that works for every password.
 * @source wpa_passphrase(8); IEEE 802.11-2020, J.4 */
function wifiKey({ ssid, password }: NonNullable<ImageOptions['wifi']>): string {
  return pbkdf2Sync(password, ssid, 4096, 32, 'sha1').toString('hex');
}

function wpaSupplicantConf(wifi: NonNullable<ImageOptions['wifi']>): string {
  const name = Buffer.from(wifi.ssid).toString('hex');
  return `country=${wifi.country}\nnetwork={\n  ssid=${name}\n  psk=${wifiKey(wifi)}\n}\n`;
}

function staticNetwork({ address, gateway, dns }: NonNullable<ImageOptions['staticIp']>): string {
  const servers = dns.map((server) => `DNS=${server}\n`).join('');
  return `[Match]\nName=en* eth* end*\n\n[Network]\nAddress=${address}\nGateway=${gateway}\n${servers}`;
}

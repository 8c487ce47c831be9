import { lookup } from 'node:dns/promises';
import { accessSync, constants, existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { connect, isIP } from 'node:net';
import { availableParallelism, freemem, loadavg, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { splitHostPort } from '../core/address.ts';
import { errorText } from '../core/errors.ts';
import { seconds } from '../core/units.ts';
import { Sensors } from '../host/sensors.ts';
import { askTime, runProgram } from '../host/time-sync.ts';
import { builtAt } from '../version.ts';
import { connectCri } from '../wire/cri.ts';

export type Finding = {
  readonly check: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly message: string;
  /** What to do; empty when it is well. */
  readonly hint: string;
};

type Check = (config: Config) => Promise<Finding[]> | Finding[];

const MB = 1e6;
/** Of the machine, in use: from here on pods and devices are late. */
const MOST = 0.9;
const ANSWER_LIMIT = 5000;

/** What may keep a node from working, each looked at by itself. @source KubeEdge keadm debug check */
export const checks: Readonly<Record<string, Check>> = {
  cpu() {
    const cores = availableParallelism();
    const load = (loadavg()[1] ?? 0) / cores;
    return load > MOST
      ? [
          warning(
            'cpu',
            `${cores} cores, ${percent(load)} busy in the last five minutes`,
            'Look at what runs with `top`; pods can be limited with resources.limits.cpu.',
          ),
        ]
      : [ok('cpu', `${cores} cores, ${percent(load)} busy in the last five minutes`)];
  },

  mem() {
    const free = available();
    const text = `${mb(free)} of ${mb(totalmem())} MB are free`;
    if (free < 64 * MB) return [failed('mem', text, 'Stop what is not needed: edgecore takes about 70 MB.')];
    return free < 150 * MB
      ? [warning('mem', text, 'Pods with more than that will be killed.')]
      : [ok('mem', text)];
  },

  disk(config) {
    const folder = existing(dirname(config.database.dataSource));
    const { blocks, bavail, bsize, files, ffree } = statfsSync(folder);
    const text = `${folder}: ${mb(bavail * bsize)} of ${mb(blocks * bsize)} MB are free`;
    const more = `\`df -h ${folder}\` shows the disk; logs and images take most: journalctl --vacuum-size=50M, crictl rmi --prune.`;
    const found = [];
    if (!isWritable(folder))
      found.push(
        failed(
          'disk',
          `${folder} cannot be written`,
          'Run it as root; on a read-only root set database.dataSource to a disk that can be written.',
        ),
      );
    if (bavail * bsize < 50 * MB) found.push(failed('disk', text, more));
    else if (bavail / blocks < 1 - MOST) found.push(warning('disk', text, more));
    if (files > 0 && ffree / files < 0.02)
      found.push(
        warning(
          'disk',
          `${folder}: ${ffree} of ${files} inodes are free`,
          'Many small files lie on this disk: find them with `du --inodes`.',
        ),
      );
    return found.length > 0 ? found : [ok('disk', text)];
  },

  async dns(config) {
    const hosts = [...new Set(cloudAddresses(config).map(({ host }) => host))].filter((host) => !isIP(host));
    if (hosts.length === 0) return [ok('dns', 'the cloud is named by its address: no DNS is needed')];
    return Promise.all(
      hosts.map(async (host) => {
        try {
          const { address } = await within(lookup(host));
          return ok('dns', `${host} is ${address}`);
        } catch (error) {
          return failed(
            'dns',
            `${host}: ${errorText(error)}`,
            'Check /etc/resolv.conf (`resolvectl status`), or name the cloud by its address.',
          );
        }
      }),
    );
  },

  async network(config) {
    return Promise.all(
      cloudAddresses(config).map(async ({ host, port, use }) => {
        try {
          const ms = await dial(host, port);
          return ok('network', `${host}:${port} (${use}) takes connections, after ${ms} ms`);
        } catch (error) {
          return failed(
            'network',
            `${host}:${port} (${use}): ${errorText(error)}`,
            'Check the address, the firewall in between, and that the cloud half runs.',
          );
        }
      }),
    );
  },

  async runtime(config) {
    const { containerRuntimeEndpoint: endpoint } = config.modules.edged.tailoredKubeletConfig;
    const cri = connectCri(endpoint);
    try {
      const { runtimeName, runtimeVersion } = await cri.call('version', {}, seconds(5));
      return [ok('runtime', `${endpoint} is ${runtimeName} ${runtimeVersion}`)];
    } catch (error) {
      return [
        warning(
          'runtime',
          `${endpoint}: ${errorText(error)}`,
          'Devices and MQTT work without; for pods install containerd and start it, with its CRI plugin not in disabled_plugins.',
        ),
      ];
    } finally {
      cri.close();
    }
  },

  pid() {
    const most = Math.min(number('/proc/sys/kernel/pid_max'), number('/proc/sys/kernel/threads-max'));
    const threads = Number(read('/proc/loadavg').split(' ')[3]?.split('/')[1] ?? 0);
    const text = `${threads} of ${most} processes and threads`;
    return threads / most > MOST
      ? [failed('pid', text, 'Something starts more and more of them: `ps -eLf` names it.')]
      : [ok('pid', text)];
  },

  async clock() {
    const now = Date.now();
    if (now < builtAt)
      return [
        failed(
          'clock',
          `it is ${new Date(now).toISOString()} here, before this edgecore was built`,
          'Set the time: timedatectl set-ntp true. edgecore goes on by its pinned CA meanwhile.',
        ),
      ];
    const { is, by } = await askTime(new Sensors('/'), runProgram);
    if (is) return [ok('clock', `the time comes from a server, says ${by}`)];
    if (is === false)
      return [
        warning(
          'clock',
          `the clock follows no time server, says ${by}`,
          'timedatectl set-ntp true; with chrony `chronyc sources` shows its servers, with ntpd `ntpq -p`.',
        ),
      ];
    return [
      warning(
        'clock',
        'nobody here knows whether the clock follows a time server',
        'systemd-timesyncd, chrony and ntpd are asked; of another daemon nothing is known.',
      ),
    ];
  },

  serial() {
    const found = ['by-id', 'by-path'].flatMap((kind) =>
      namesIn(`/dev/serial/${kind}`).map((name) => `/dev/serial/${kind}/${name}`),
    );
    const ports =
      found.length > 0
        ? found.filter((path) => path.includes('by-id') || !found.some((other) => other.includes('by-id')))
        : namesIn('/dev')
            .filter((name) => /^tty(USB|ACM|AMA)\d/.test(name))
            .map((name) => `/dev/${name}`);
    if (ports.length === 0) return [ok('serial', 'there is no serial adapter')];
    return ports.map((path) =>
      isWritable(path)
        ? ok('serial', path)
        : failed('serial', `${path} may not be opened`, 'Run it as root, or add the user to group dialout.'),
    );
  },
};

type CloudAddress = { readonly host: string; readonly port: number; readonly use: string };

function cloudAddresses({ modules: { edgeHub } }: Config): CloudAddress[] {
  const { websocket, httpServer, httpServers } = edgeHub;
  const of = (text: string, use: string): CloudAddress => ({ ...splitHostPort(text), use });
  return [
    ...[websocket.server, ...websocket.servers].map((text) => of(text, 'link')),
    ...[httpServer, ...httpServers].map((url) =>
      of(url.replace('https://', '').replace(/^([^:]*|\[.*\])$/, '$1:443'), 'enrolment'),
    ),
  ];
}

/** @returns ms until the connection stood */
function dial(host: string, port: number): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const timer = setTimeout(
      () => socket.destroy(new Error(`no answer in ${ANSWER_LIMIT / 1000} s`)),
      ANSWER_LIMIT,
    );
    socket.once('connect', () => {
      socket.destroy();
      resolve(Math.round(performance.now() - began));
    });
    socket.once('error', reject);
    socket.once('close', () => clearTimeout(timer));
  });
}

function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ANSWER_LIMIT / 1000} s`)), ANSWER_LIMIT);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function finding(state: Finding['state']) {
  return (check: string, message: string, hint = ''): Finding => ({ check, state, message, hint });
}
const ok = finding('ok');
const warning = finding('warning');
const failed = finding('failed');

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function mb(bytes: number): string {
  return (bytes / MB).toFixed(0);
}

function available(): number {
  const kibibytes = read('/proc/meminfo').match(/^MemAvailable:\s+(\d+)/m)?.[1];
  return kibibytes ? Number(kibibytes) * 1024 : freemem();
}

/** @returns the folder, or the nearest one above that is there */
function existing(folder: string): string {
  return existsSync(folder) ? folder : existing(dirname(folder));
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(name)) : [];
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function number(path: string): number {
  return Number(read(path)) || Number.POSITIVE_INFINITY;
}

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PairFiles } from '../mqtt-listeners/certificates.ts';
import { Program, until } from '../program.ts';

/** What every server here lets in. */
export const PASSWORD = "pass'word";
export const DATABASE = 'plant';

/** A real server with its data, which can be stopped and started again on its port. */
export class Server {
  readonly port: number;
  private readonly options: Omit<ConstructorParameters<typeof Program>[0], 'isReady'>;
  private readonly answers: () => boolean | Promise<boolean>;
  private program: Program | undefined;

  /** @param answers whether it serves */
  constructor(port: number, options: Server['options'], answers: Server['answers']) {
    this.port = port;
    this.options = options;
    this.answers = answers;
  }

  async start(): Promise<void> {
    this.program = new Program({ ...this.options, isReady: () => false });
    await until(`${this.options.name} answers`, () => this.answers());
  }

  async stop(): Promise<void> {
    await this.program?.stop();
  }
}

/** Redis that has on disk what it has confirmed. */
export function redis(dir: string, port: number): Server {
  const data = folder(dir, 'redis');
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', data, '--requirepass', PASSWORD];
  return new Server(
    port,
    {
      name: 'redis-server',
      command: 'redis-server',
      args: [...args, '--appendonly', 'yes', '--appendfsync', 'always'],
      log: join(dir, 'redis.log'),
    },
    () => redisAsk(port, 'PING') === 'PONG',
  );
}

/** What redis-cli prints. */
export function redisAsk(port: number, ...command: string[]): string {
  return output('redis-cli', ['-p', `${port}`, '-a', PASSWORD, '--no-auth-warning', '-n', '2', ...command]);
}

/** MariaDB with a user `edge` and an empty database. */
export async function mariadb(dir: string, port: number, tls?: PairFiles): Promise<Server> {
  const data = folder(dir, 'mariadb');
  const socket = join(data, 'mariadb.sock');
  output('mariadb-install-db', [
    '--no-defaults',
    '--user=root',
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
  ]);
  const options = [`--datadir=${data}`, `--socket=${socket}`, '--bind-address=127.0.0.1', `--port=${port}`];
  const server = new Server(
    port,
    {
      name: 'mariadbd',
      command: 'mariadbd',
      args: ['--no-defaults', '--user=root', ...options, '--innodb-buffer-pool-size=16M', ...tlsOptions(tls)],
      log: join(dir, 'mariadb.log'),
    },
    () => spawnSync('mariadb-admin', ['--no-defaults', `--socket=${socket}`, 'ping']).status === 0,
  );
  await server.start();
  const quoted = PASSWORD.replaceAll("'", "''");
  output('mariadb', [
    '--no-defaults',
    `--socket=${socket}`,
    '-e',
    `CREATE DATABASE ${DATABASE}; CREATE USER edge@'127.0.0.1' IDENTIFIED BY '${quoted}';
     GRANT ALL ON ${DATABASE}.* TO edge@'127.0.0.1'`,
  ]);
  return server;
}

function tlsOptions(tls: PairFiles | undefined): string[] {
  return tls ? [`--ssl-cert=${tls.cert}`, `--ssl-key=${tls.key}`] : [];
}

/** The rows of a statement, as the MariaDB client prints them. */
export function mariadbAsk(port: number, sql: string): string[][] {
  const login = ['--host=127.0.0.1', `--port=${port}`, '--user=edge', `--password=${PASSWORD}`, DATABASE];
  const text = output('mariadb', ['--no-defaults', ...login, '--batch', '--skip-column-names', '-e', sql]);
  return text === '' ? [] : text.split('\n').map((line) => line.split('\t'));
}

/** VictoriaMetrics, which takes what InfluxDB 2 takes. */
export function victoriaMetrics(dir: string, port: number): Server {
  return new Server(
    port,
    {
      name: 'victoria-metrics',
      command: 'victoria-metrics',
      args: [`-storageDataPath=${folder(dir, 'victoria')}`, `-httpListenAddr=127.0.0.1:${port}`],
      log: join(dir, 'victoria.log'),
    },
    async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok,
  );
}

/** The values of a series, by time. */
export async function victoriaValues(
  port: number,
  name: string,
): Promise<{ at: number; value: number; metric: Record<string, string> }[]> {
  const base = `http://127.0.0.1:${port}`;
  await fetch(`${base}/internal/force_flush`);
  const query = new URLSearchParams({ 'match[]': name });
  const text = await (await fetch(`${base}/api/v1/export?${query}`)).text();
  return text
    .split('\n')
    .filter(Boolean)
    .map(
      (line) =>
        JSON.parse(line) as { metric: Record<string, string>; values: number[]; timestamps: number[] },
    )
    .flatMap(({ metric, values, timestamps }) =>
      values.map((value, i) => ({ at: timestamps[i] ?? 0, value, metric })),
    )
    .sort((a, b) => a.at - b.at);
}

/** mosquitto that keeps the sessions of its clients over a restart, and lets in whoever has the password. */
export function mosquitto(
  dir: string,
  port: number,
  secure?: { readonly port: number; readonly files: PairFiles },
): Server {
  const data = folder(dir, 'mosquitto');
  const passwords = join(data, 'passwords');
  writeFileSync(passwords, '');
  output('mosquitto_passwd', ['-b', passwords, 'edge', PASSWORD]);
  const config = join(data, 'mosquitto.conf');
  const lines = [
    `listener ${port} 127.0.0.1`,
    ...(secure
      ? [`listener ${secure.port} 127.0.0.1`, `certfile ${secure.files.cert}`, `keyfile ${secure.files.key}`]
      : []),
    'allow_anonymous false',
    `password_file ${passwords}`,
    'user root',
    'persistence true',
    `persistence_location ${data}/`,
    'max_queued_messages 0',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const login = ['-p', `${port}`, '-u', 'edge', '-P', PASSWORD];
  return new Server(
    port,
    { name: 'mosquitto', command: 'mosquitto', args: ['-c', config], log: join(dir, 'mosquitto.log') },
    () => spawnSync('mosquitto_pub', [...login, '-t', 'there', '-m', '1']).status === 0,
  );
}

function folder(dir: string, name: string): string {
  const path = join(dir, name);
  mkdirSync(path, { recursive: true });
  return path;
}

function output(command: string, args: readonly string[]): string {
  const { stdout, stderr, status, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  if (status !== 0) throw new Error(`${command}: ${error ?? stderr}`);
  return stdout.trim();
}

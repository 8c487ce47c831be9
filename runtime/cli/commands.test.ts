import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { loadConfig, minConfigText } from '../config/config.ts';
import { EdgeError } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { Store } from '../store/store.ts';
import { commands, runCommand } from './cli.ts';
import { withoutSecrets } from './collect.ts';

type Context = { dir: string; config: string; run(line: string): Promise<string> };
const test = suite<Context>('commands');
const TOKEN = `${'a'.repeat(64)}.eyJh.eyJl.c2ln`;

test.before.each((context) => {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-cli-'));
  const config = join(dir, 'config', 'edgecore.yaml');
  Object.assign(context, { dir, config });
  context.run = async (line) => {
    let printed = '';
    const print = (text: string): void => {
      printed += text;
    };
    const [name = '', ...args] = line.replaceAll('~', dir).split(' ');
    const where = name === 'completion' || args.includes('--help') ? [] : ['--config', config];
    try {
      const slots = { folder: join(dir, 'slots'), base: dir };
      const code = await runCommand(name, [...args, ...where], {
        print,
        assets: [],
        version: '1.0.0',
        slots,
      });
      return `${printed}${code === 0 ? '' : `status ${code}`}`;
    } catch (error) {
      if (error instanceof EdgeError) return `${error.code}: ${error.message}`;
      throw error;
    }
  };
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true, force: true }));

/** A configuration with all state in `dir`. */
function configure({ dir, config }: Context, modules: Record<string, Record<string, unknown>> = {}): void {
  mkdirSync(join(dir, 'config'), { recursive: true });
  const edgeHub = {
    httpServer: 'https://127.0.0.1:1',
    token: '',
    websocket: { server: '127.0.0.1:1' },
    tlsCaFile: join(dir, 'ca.crt'),
    tlsCertFile: join(dir, 'node.crt'),
    tlsPrivateKeyFile: join(dir, 'node.key'),
  };
  const edged = {
    rootDirectory: join(dir, 'kubelet'),
    tailoredKubeletConfig: { containerRuntimeEndpoint: `unix://${dir}/none.sock` },
  };
  writeFileSync(
    config,
    stringify({
      apiVersion: 'edgecore.config.kubeedge.io/v1alpha2',
      kind: 'EdgeCore',
      database: { dataSource: join(dir, 'state', 'edgecore.db') },
      modules: { edged, edgeHub, ...modules },
    }),
  );
}

test('join writes a configuration that only its owner can read, in keadm’s words', async ({
  run,
  config,
}) => {
  const line = `join --cloudcore-ipport cloud.example:10000 --token ${TOKEN} --edgenode-name gate-7`;
  const more = '--labels site=12,row=3 --set modules.eventBus.mqttMode=0 --no-check --no-start';
  assert.match(await run(`${line} ${more}`), /is written: node gate-7, cloud cloud\.example:10000/);
  const { modules } = loadConfig(config);
  assert.is(modules.edgeHub.httpServer, 'https://cloud.example:10002');
  assert.is(modules.edgeHub.token, TOKEN);
  assert.is(modules.eventBus.mqttMode, 0);
  assert.equal(modules.edged.nodeLabels, { site: '12', row: '3' });
  assert.is(statSync(config).mode & 0o777, 0o600);
});

test('join changes a configuration that is there, and refuses when the node has joined', async (context) => {
  const { run, dir, config } = context;
  configure(context, { eventBus: { mqttQOS: 1 } });
  writeFileSync(config, `# site 12\n${readFileSync(config, 'utf8')}`);
  const line = `join --cloudcore-ipport cloud.example --token ${TOKEN} --no-check --no-start`;
  assert.match(await run(line), /is written/);
  assert.match(readFileSync(config, 'utf8'), /^# site 12$/m);
  const { modules } = loadConfig(config);
  assert.is(modules.edgeHub.websocket.server, 'cloud.example:10000');
  assert.is(modules.edgeHub.tlsCertFile, join(dir, 'node.crt'));
  assert.is(modules.eventBus.mqttQOS, 1);
  writeFileSync(join(dir, 'node.crt'), '');
  assert.match(await run(line), /^JOIN_REFUSED: .*has a certificate already: `edgecore reset`/);
});

for (const [line, wanted] of [
  [`join --token ${TOKEN}`, /--cloudcore-ipport is missing/],
  [`join --cloudcore-ipport a:b:c --token ${TOKEN}`, /--cloudcore-ipport a:b:c: want HOST:PORT/],
  ['join --cloudcore-ipport cloud', /--token or --token-file is missing/],
  ['join --cloudcore-ipport cloud --token abc', /the token is none/],
  ['join --cloudcore-ipport cloud --token-file ~/no', /--token-file .*no: ENOENT/],
  [`join --cloudcore-ipport cloud --token ${TOKEN} --set x`, /--set x: want KEY=VALUE/],
  [
    `join --cloudcore-ipport cloud --token ${TOKEN} --set modules.eventBus.mqttMode=7 --no-check`,
    /^CONFIG_INVALID: .*modules\.eventBus\.mqttMode = 7/s,
  ],
  [
    `join --cloudcore-ipport 127.0.0.1:1 --certport 1 --token ${TOKEN}`,
    /^JOIN_REFUSED: .*127\.0\.0\.1:1\/node\/.*ECONNREFUSED/,
  ],
] as const) {
  test(`${line.replaceAll(TOKEN, 'TOKEN')} is explained, and writes nothing`, async ({ run, config }) => {
    assert.match(await run(line), wanted);
    assert.not.ok(existsSync(config));
  });
}

test('reset lists what it would remove, and removes it when forced', async (context) => {
  const { run, dir, config } = context;
  configure(context);
  await useStore(context, async () => {});
  for (const name of ['node.key', 'node.crt', 'state/other.txt']) writeFileSync(join(dir, name), '');
  const listed = await run('reset');
  for (const name of ['edgecore.yaml', 'node.key', 'edgecore.db'])
    assert.match(listed, new RegExp(`^  .*${name}$`, 'm'));
  assert.ok(existsSync(config), 'listing removes nothing');
  assert.match(await run('reset --force'), /files and folders are removed/);
  for (const path of [config, join(dir, 'node.key'), join(dir, 'state', 'edgecore.db')])
    assert.not.ok(existsSync(path), path);
  assert.ok(existsSync(join(dir, 'state', 'other.txt')), 'what is not ours stays');
});

test('check tells for each thing how it is and what to do', async (context) => {
  configure(context);
  const told = await context.run('check network disk clock --output json');
  const findings = JSON.parse(told.replace('status 1', '')) as {
    check: string;
    state: string;
    message: string;
    hint: string;
  }[];
  assert.equal([...new Set(findings.map(({ check }) => check))], ['network', 'disk', 'clock']);
  const [link] = findings;
  assert.is(link?.state, 'failed');
  assert.match(link?.message ?? '', /127\.0\.0\.1:1 \(link\): .*ECONNREFUSED/);
  assert.ok(link?.hint);
  assert.ok(told.endsWith('status 1'), 'what failed shows in the exit status');
  assert.match(await context.run('check brain'), /^CLI_USAGE: .*brain: want all or some of cpu, mem/);
});

test('every check has a finding on any machine', async (context) => {
  configure(context);
  const told = await context.run('check');
  for (const name of ['cpu', 'mem', 'disk', 'dns', 'network', 'runtime', 'pid', 'clock', 'serial'])
    assert.match(told, new RegExp(`^${name} +(ok|warning|failed)`, 'm'));
});

test('what is asked of an edgecore that does not run is told as that', async (context) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  configure(context, { console: { address: `127.0.0.1:${port}` } });
  for (const line of ['get node', 'get devices', 'describe device x'])
    assert.match(await context.run(line), /^NODE_NOT_RUNNING: .*127\.0\.0\.1:\d+.*ECONNREFUSED/);
});

test('pods and devices are shown as the running edgecore tells them', async (context) => {
  const pod = {
    metadata: { name: 'web', namespace: 'shop' },
    spec: { containers: [{ name: 'a', image: 'x' }] },
    status: {
      phase: 'Running',
      podIP: '10.1.2.3',
      containerStatuses: [{ ready: true, restartCount: 2, state: {} }],
    },
  };
  const device = {
    id: 'default/plc',
    state: 'online',
    reason: '',
    protocol: 'modbus',
    lastOnline: 'now',
    properties: [],
  };
  const server: Server = createServer((request, response) => {
    response.end(JSON.stringify(request.url === '/pods' ? { items: [pod] } : { devices: [device] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  configure(context, {
    console: { address: `127.0.0.1:${port}` },
    edged: { tailoredKubeletConfig: { readOnlyPort: port } },
  });
  try {
    assert.match(
      await context.run('get pods'),
      /^NAMESPACE +NAME +READY +STATUS.*\nshop +web +1\/1 +Running +2 +10\.1\.2\.3\n$/,
    );
    assert.match(await context.run('get devices plc'), /default +plc +modbus +online/);
    assert.is(JSON.parse(await context.run('get pod web -n shop -o json')).status.phase, 'Running');
    assert.match(await context.run('describe device plc'), /^id: default\/plc$/m);
    assert.match(await context.run('get pods other'), /^NOT_ON_NODE: .*pods other/);
    assert.match(await context.run('get pods -o xml'), /^CLI_USAGE: .*want json or yaml/);
    assert.match(await context.run('get secrets'), /^CLI_USAGE: .*secrets: want pods, devices or node/);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

async function useStore({ dir }: Context, work: (store: Store) => Promise<void>): Promise<void> {
  const path = join(dir, 'state', 'edgecore.db');
  const clock = new FakeClock();
  const store = new Store({
    path,
    clock,
    log: silentLogger,
    metrics: new Metrics(),
    syncFile: async () => {},
  });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

/** A commit waits for company; here time is turned by nobody. */
function topics(dir: string): Promise<readonly string[]> {
  const store = new Store({
    path: join(dir, 'state', 'edgecore.db'),
    clock: new FakeClock(),
    log: silentLogger,
    metrics: new Metrics(),
  });
  const found = store.topics.list();
  return store.close().then(() => found);
}

test('a backup is made under a running edgecore, and restored with what was committed by then', async (context) => {
  const { run, dir, config } = context;
  configure(context);
  writeFileSync(join(dir, 'node.key'), 'the key');
  await useStore(context, async (store) => {
    store.lazy(() => store.topics.add('kept'));
  });
  await useStore(context, async () => {
    const told = await run('backup ~/b.tar.gz');
    assert.match(told, /b\.tar\.gz: \d/);
    assert.match(
      await run('restore ~/b.tar.gz'),
      /^BACKUP_REFUSED: .*edgecore runs as process \d+: stop it first/,
    );
  });
  assert.is(statSync(join(dir, 'b.tar.gz')).mode & 0o777, 0o600);
  await useStore(context, async (store) => {
    store.lazy(() => store.topics.add('after'));
  });
  for (const path of [config, join(dir, 'node.key')]) rmSync(path);
  assert.match(await run('restore ~/b.tar.gz'), /restored; start edgecore now/);
  assert.equal(await topics(dir), ['kept']);
  assert.is(readFileSync(join(dir, 'node.key'), 'utf8'), 'the key');
  assert.ok(existsSync(join(dir, 'state', 'edgecore.db.before-restore')));
  assert.is(loadConfig(config).database.dataSource, join(dir, 'state', 'edgecore.db'));
});

test('what is no backup is refused, and nothing is replaced', async (context) => {
  configure(context);
  writeFileSync(join(context.dir, 'x.tar.gz'), 'hello');
  assert.match(await context.run('restore ~/x.tar.gz'), /^BACKUP_REFUSED: /);
  assert.match(await context.run('restore ~/none.tar.gz'), /^BACKUP_REFUSED: /);
  assert.ok(existsSync(context.config));
});

test('secrets are blanked in what is collected', () => {
  const text = `${minConfigText()}  eventBus:\n    mqttPassword: hunter2\n    mqttServerExternal: tcp://me:hunter2@broker:1883\n    passwordFile: ''\n`;
  const shown = withoutSecrets(text);
  assert.not.match(shown, /hunter2|the token of secret/);
  assert.match(shown, /tcp:\/\/me:\(blanked\)@broker:1883/);
  assert.match(shown, /server: cloud\.example:10000/);
  assert.match(withoutSecrets('a: [\n'), /^# it is no YAML/);
});

test('collect writes what it can get, and says of the rest why not', async (context) => {
  configure(context);
  assert.match(await context.run('collect -o ~/c.tar.gz'), /c\.tar\.gz: \d+ KB/);
  const list = spawnSync('tar', ['-tzf', join(context.dir, 'c.tar.gz')], { encoding: 'utf8' }).stdout;
  for (const name of ['edgecore.yaml', 'checks.json', 'log.txt', 'upgrade.json'])
    assert.ok(list.includes(name), name);
});

test('completion knows every command, its verbs and its options', async ({ dir, run }) => {
  const script = await run('completion bash');
  writeFileSync(join(dir, 'completion'), script);
  const complete = (...words: string[]): string =>
    spawnSync(
      'bash',
      [
        '-c',
        `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _edgecore; echo "\${COMPREPLY[*]}"`,
        join(dir, 'completion'),
        ...words,
      ],
      { encoding: 'utf8' },
    ).stdout.trim();
  assert.is(complete('edgecore', 'col'), 'collect');
  assert.is(complete('edgecore', 'mapper', 'ins'), 'install');
  assert.is(complete('edgecore', 'upgrade', '--wi'), '--within --without-link');
  assert.match(await run('completion fish'), /only bash is offered/);
});

test('every command explains itself, and its help fits a terminal', async ({ run }) => {
  for (const name of Object.keys(commands)) {
    const help = await run(`${name} --help`);
    assert.ok(help.startsWith(`edgecore ${name}: `), name);
    for (const line of help.split('\n')) assert.ok(line.length <= 120, `${name}: ${line}`);
  }
});

test.run();

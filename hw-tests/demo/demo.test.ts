import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Kubectl, kubectlPrograms } from '../kubectl.ts';
import { Program, until } from '../program.ts';
import { freePorts, type Ports } from '../stack.ts';

type Context = { dir: string; ports: Ports };
const test = suite<Context>('npm start');
const [kubectlProgram] = kubectlPrograms();

test.before.each(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-demo-'));
  context.ports = await freePorts();
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true, force: true }));

/** What `npm start` runs, on ports and with a state of its own. */
function start({ dir, ports }: Context, seen: string[]): Program {
  const chosen = Object.entries(ports).flatMap(([name, port]) => ['--port', `${name}=${port}`]);
  return new Program({
    name: 'demo',
    command: process.execPath,
    args: ['--import', 'tsx', 'build/demo/demo.ts', '--state', join(dir, 'state'), ...chosen],
    log: join(dir, 'demo.log'),
    isReady: (line) => {
      seen.push(line);
      return line.startsWith('Ctrl-C stops everything');
    },
  });
}

async function stopped(program: Program): Promise<string> {
  program.signal('SIGINT');
  return program.ended;
}

if (kubectlProgram) {
  test('comes up, carries a register to the cluster and a wish to the PLC, stops on Ctrl-C, and starts again from what it knew', async (context) => {
    const { dir, ports } = context;
    const seen: string[] = [];
    const first = start(context, seen);
    await first.ready();
    const kubectl = new Kubectl({
      program: kubectlProgram,
      kubeconfig: join(dir, 'state/mini-master/kubeconfig'),
      namespace: 'default',
    });
    const twin = (name: string): Promise<string> =>
      kubectl.value(['devicestatus', 'plc'], `{.status.twins[?(@.propertyName=="${name}")].reported.value}`);
    const before = await twin('counter');
    await until('the counter moves', async () => (await twin('counter')) !== before);
    const patch = '[{"op":"replace","path":"/spec/properties/2/desired/value","value":"true"}]';
    await kubectl.run(['patch', 'device', 'plc', '--type', 'json', '-p', patch]);
    await until('the switch is on', async () => (await twin('switch')) === 'true');
    const page = await fetch(`http://127.0.0.1:${ports.console}/`);
    assert.match(await page.text(), /<html/);
    assert.is(await stopped(first), 'status 0');

    const again: string[] = [];
    const second = start(context, again);
    await second.ready();
    const value = await until('what was wanted is known', () =>
      kubectl.value(['device', 'plc'], '{.spec.properties[2].desired.value}'),
    );
    assert.is(value, 'true');
    assert.is(await stopped(second), 'status 0');
    assert.ok(seen.some((line) => line.startsWith('all up in')));
    assert.ok(again.some((line) => line.startsWith('all up in')));
  });
}

test('a port that is taken is named, and nothing is started', async (context) => {
  const { ports } = context;
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(ports.mqtt, '127.0.0.1', resolve));
  const seen: string[] = [];
  const program = start(context, seen);
  assert.is(await program.ended, 'status 1');
  other.close();
  assert.is(seen.length, 1);
  assert.match(seen[0] ?? '', new RegExp(`port ${ports.mqtt} \\(the MQTT broker\\) is in use`));
});

test.run();

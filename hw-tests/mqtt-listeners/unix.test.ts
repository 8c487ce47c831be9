import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Program } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { carry } from './mosquitto.ts';
import { NodeAlone } from './node-alone.ts';
import { overUnix } from './stream-client.ts';

type Context = { node: NodeAlone; path: string; edge: Program };
const test = suite<Context>('MQTT over a unix socket');
const mosquitto = requireProgram('mosquitto_sub', 'mosquitto-clients');

test.before(async (context) => {
  context.node = await NodeAlone.prepare();
  context.path = join(context.node.dir, 'mqtt.sock');
  context.edge = await context.node.start([{ type: 'unix', path: context.path, mode: '0600' }]);
});
test.after(({ node }) => node.close());

if (mosquitto) {
  test('mosquitto’s clients carry a message from TCP to the socket and back', async ({ node, path }) => {
    const tcp = ['-h', '127.0.0.1', '-p', String(node.ports.mqtt)];
    for (const [from, to, text] of [
      [tcp, ['--unix', path], 'inwards'],
      [['--unix', path], tcp, 'outwards'],
    ] as const) {
      const { status, output } = await carry(from, to, text);
      assert.equal([status, output.trim()], [0, text]);
    }
  });
}

test('the file has the mode that the configuration says', ({ path }) => {
  assert.is(statSync(path).mode & 0o777, 0o600);
});

test('after a crash the file that was left is replaced; after a stop there is none', async (context) => {
  await context.edge.kill();
  assert.ok(existsSync(context.path));
  context.edge = await context.node.start([{ type: 'unix', path: context.path }]);
  const client = overUnix(context.path);
  assert.is((await client.connect('again')).returnCode, 0);
  client.close();
  await context.edge.stop();
  assert.is(existsSync(context.path), false);
});

test.run();

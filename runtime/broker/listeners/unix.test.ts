import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { EdgeError } from '../../core/errors.ts';
import { FakeClock } from '../../core/fake-clock.ts';
import { silentLogger } from '../../core/log.ts';
import { Metrics } from '../../core/metrics.ts';
import { kibibytes } from '../../core/units.ts';
import type { Peer } from '../peer.ts';
import { type ListenerConfigOf, listenerConfig } from './config.ts';
import { UnixListener } from './unix.ts';

type Context = { folder: string; path: string; peers: Peer[]; create: (mode?: string) => UnixListener };
const test = suite<Context>('the unix socket');

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'edgecore-unix-'));
  context.path = join(context.folder, 'mqtt.sock');
  context.peers = [];
  context.create = (mode = '0660') => {
    const config = v.parse(listenerConfig, { type: 'unix', path: context.path, mode });
    const deps = {
      clock: new FakeClock(),
      log: silentLogger,
      metrics: new Metrics(),
      packetBytes: kibibytes(1),
    };
    return new UnixListener(config as ListenerConfigOf<'unix'>, deps);
  };
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true }));

const start = async ({ peers }: Context, listener: UnixListener): Promise<void> =>
  listener.start((stream, peer) => {
    peers.push(peer);
    stream.on('error', () => {}).end('hello');
  });

/** @returns what the listener says to a client */
async function greeting(path: string): Promise<string> {
  const client = connect(path);
  const [data] = (await once(client, 'data')) as [Buffer];
  client.destroy();
  return data.toString();
}

test('a client is local, and the file has the mode and goes with the listener', async (context) => {
  const listener = context.create();
  await start(context, listener);
  assert.is(statSync(context.path).mode & 0o777, 0o660);
  assert.is(await greeting(context.path), 'hello');
  assert.equal([context.peers[0]?.local, context.peers[0]?.address], [true, `unix:${context.path}`]);
  await listener.stop();
  assert.is(existsSync(context.path), false);
});

test('the socket that a killed process left is replaced', async (context) => {
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script, context.path], { timeout: 10_000 });
  assert.ok(statSync(context.path).isSocket());
  const listener = context.create('0600');
  await start(context, listener);
  assert.is(await greeting(context.path), 'hello');
  assert.is(statSync(context.path).mode & 0o777, 0o600);
  await listener.stop();
});

test('a socket that somebody answers on is left alone and named', async (context) => {
  const other = createServer((socket) => socket.on('error', () => {}).end('other'));
  other.listen(context.path);
  await once(other, 'listening');
  const error = await failure(context);
  assert.is(error.code, 'PORT_TAKEN');
  assert.match(error.message, context.path);
  assert.is(await greeting(context.path), 'other');
  other.close();
  await once(other, 'close');
});

test('a file that is no socket is left alone and named', async (context) => {
  writeFileSync(context.path, 'mine');
  const error = await failure(context);
  assert.is(error.code, 'PORT_UNUSABLE');
  assert.match(error.message, context.path);
  assert.ok(statSync(context.path).isFile());
});

test('a folder that is not there is named', async (context) => {
  context.path = join(context.folder, 'none', 'mqtt.sock');
  const error = await failure(context);
  assert.is(error.code, 'PORT_UNUSABLE');
  assert.match(error.message, context.path);
});

async function failure(context: Context): Promise<EdgeError> {
  const listener = context.create();
  try {
    await start(context, listener);
  } catch (error) {
    assert.instance(error, EdgeError);
    return error as EdgeError;
  } finally {
    await listener.stop();
  }
  throw new Error('it listens');
}

test.run();

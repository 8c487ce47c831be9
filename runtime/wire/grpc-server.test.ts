import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectSocket, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytes, millis, seconds } from '../core/units.ts';
import { GrpcClient } from './grpc-client.ts';
import { GrpcServer } from './grpc-server.ts';
import { GrpcError, grpcStatus } from './grpc-status.ts';
import { listenUnix } from './unix-socket.ts';

type Context = { dir: string; path: string; server: Server; grpc: GrpcServer; client: GrpcClient };
const test = suite<Context>('grpc-server');
const LARGEST = 1000;

const methods = new Map([
  ['/t.T/Echo', async (request: Buffer) => request],
  ['/t.T/Refuse', async () => Promise.reject(new GrpcError(grpcStatus.notFound, 'kein Gerät „ofen“, 100 %'))],
  ['/t.T/Break', async () => Promise.reject(new TypeError('a fault of ours'))],
  ['/t.T/Hang', () => new Promise<Buffer>(() => {})],
]);

test.before.each(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'grpc-server-'));
  context.path = join(context.dir, 'dmi.sock');
  const grpc = new GrpcServer({ methods, largest: bytes(LARGEST) });
  context.grpc = grpc;
  context.server = createServer((socket) => grpc.accept(socket));
  await listenUnix(context.server, 'test', context.path, 0o660);
  context.client = new GrpcClient(context.path);
});
test.after.each(async ({ dir, server, grpc, client }) => {
  client.close();
  grpc.close();
  server.close();
  await once(server, 'close');
  rmSync(dir, { recursive: true });
});

const failure = (work: Promise<unknown>): Promise<[number, string]> =>
  work.then(
    () => [0, 'no failure'],
    (error) => [error.status, error.message],
  );

test('answers, an empty message too, and its file has its mode', async ({ client, path }) => {
  assert.is(String(await client.call('/t.T/Echo', Buffer.from('hello'), seconds(5))), 'hello');
  assert.is((await client.call('/t.T/Echo', Buffer.alloc(0), seconds(5))).length, 0);
  assert.is((await client.call('/t.T/Echo', Buffer.alloc(LARGEST), seconds(5))).length, LARGEST);
  assert.is(statSync(path).mode & 0o777, 0o660);
});

test('tells status and text, in any script', async ({ client }) => {
  assert.equal(await failure(client.call('/t.T/Refuse', Buffer.alloc(0), seconds(5))), [
    5,
    'kein Gerät „ofen“, 100 %',
  ]);
  assert.equal(await failure(client.call('/t.T/Break', Buffer.alloc(0), seconds(5))), [
    13,
    'a fault of ours',
  ]);
  assert.equal(await failure(client.call('/t.T/None', Buffer.alloc(0), seconds(5))), [
    12,
    'unknown method /t.T/None',
  ]);
});

test('a request that is too large is refused by size, and the connection goes on', async ({ client }) => {
  for (const size of [LARGEST + 1, 1_000_000]) {
    const [status, text] = await failure(client.call('/t.T/Echo', Buffer.alloc(size), seconds(5)));
    assert.is(status, 8);
    assert.match(text, 'more than 1000 bytes');
  }
  assert.is(String(await client.call('/t.T/Echo', Buffer.from('still here'), seconds(5))), 'still here');
});

type Raw = { headers: Record<string, unknown>; data: Buffer };

/** One request as it is given, on a session of its own. */
async function raw(path: string, headers: Record<string, string>, body: Buffer): Promise<Raw> {
  const session: ClientHttp2Session = connect('http://localhost', {
    createConnection: () => connectSocket(path),
  });
  const whole = { ':method': 'POST', ':path': '/t.T/Echo', 'content-type': 'application/grpc', ...headers };
  const stream = session.request(whole);
  const chunks: Buffer[] = [];
  let all: Record<string, unknown> = {};
  stream.on('response', (h) => {
    all = { ...all, ...h };
  });
  stream.on('trailers', (h) => {
    all = { ...all, ...h };
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.end(body);
  await once(stream, 'close');
  session.close();
  return { headers: all, data: Buffer.concat(chunks) };
}

const frame = (text: string, flag = 0): Buffer =>
  Buffer.concat([Buffer.from([flag, 0, 0, 0, text.length]), Buffer.from(text)]);

const wrong: readonly (readonly [string, Record<string, string>, Buffer, string, RegExp])[] = [
  ['a cut head', {}, Buffer.from([0, 0]), '13', /cut/],
  ['a cut message', {}, frame('hello').subarray(0, 7), '13', /cut/],
  ['two messages', {}, Buffer.concat([frame('a'), frame('b')]), '13', /more%20than|more than one/],
  ['a compressed message', {}, frame('a', 1), '13', /compressed/],
  ['an unknown compression', { 'grpc-encoding': 'gzip' }, frame('a', 1), '12', /gzip/],
];
for (const [what, headers, body, status, text] of wrong) {
  test(`${what} is refused with status ${status}`, async ({ path }) => {
    const answer = await raw(path, headers, body);
    assert.is(answer.headers['grpc-status'], status);
    assert.match(String(answer.headers['grpc-message']), text);
  });
}

test('what is no gRPC is refused in HTTP, and what is no HTTP/2 ends its connection alone', async ({
  path,
  client,
}) => {
  assert.is((await raw(path, { 'content-type': 'text/plain' }, Buffer.alloc(0))).headers[':status'], 415);
  assert.is((await raw(path, { ':method': 'PUT' }, Buffer.alloc(0))).headers[':status'], 405);
  const socket = connectSocket(path);
  socket.on('error', () => {}).resume();
  socket.write('GET / HTTP/1.1\r\n\r\n');
  await once(socket, 'close');
  assert.is(String(await client.call('/t.T/Echo', Buffer.from('on'), seconds(5))), 'on');
});

test('the deadline of the caller ends a call that hangs', async ({ path }) => {
  const answer = await raw(path, { ':path': '/t.T/Hang', 'grpc-timeout': '20m' }, frame(''));
  assert.is(answer.headers['grpc-status'], '4');
  const client = new GrpcClient(path);
  assert.is((await failure(client.call('/t.T/Hang', Buffer.alloc(0), millis(20))))[0], 4);
  client.close();
});

test('connections are bounded', async ({ path, client }) => {
  const sockets = Array.from({ length: 80 }, () => connectSocket(path));
  let closed = 0;
  const enough = new Promise<void>((resolve) => {
    for (const socket of sockets) {
      socket.on('error', () => {}).resume();
      socket.on('close', () => {
        if (++closed === 80 - 64) resolve();
      });
    }
  });
  await enough;
  for (const socket of sockets) socket.destroy();
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close')));
  let answer = '';
  for (let n = 0; n < 100 && answer === ''; n++)
    answer = await client.call('/t.T/Echo', Buffer.from('room again'), seconds(5)).then(String, () => '');
  assert.is(answer, 'room again');
});

test.run();

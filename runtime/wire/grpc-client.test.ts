import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { millis, seconds } from '../core/units.ts';
import { GrpcClient } from './grpc-client.ts';
import { GrpcError } from './grpc-status.ts';

type Call = { readonly headers: IncomingHttpHeaders; readonly body: Buffer };
type Answer = (stream: ServerHttp2Stream, call: Call) => void;
type Context = {
  dir: string;
  path: string;
  server: Http2Server;
  sessions: Set<ServerHttp2Session>;
  calls: Call[];
  answer: { with: Answer };
  client: GrpcClient;
};
const test = suite<Context>('grpc-client');

const frame = (message: string | Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, Buffer.from(message)]);
};
const head = { ':status': 200, 'content-type': 'application/grpc' };
/** Sends `body`, then the trailers. */
const answerWith =
  (body: Buffer | undefined, trailers: Record<string, string>): Answer =>
  (stream) => {
    stream.respond(head, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(body);
  };
const ok = (text: string): Answer => answerWith(frame(text), { 'grpc-status': '0' });

test.before.each(async (context) => {
  const dir = mkdtempSync(join(tmpdir(), 'grpc-'));
  const path = join(dir, 'runtime.sock');
  const server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  const calls: Call[] = [];
  const answer = { with: ok('fine') };
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const call = { headers, body: Buffer.concat(chunks) };
      calls.push(call);
      answer.with(stream, call);
    });
  });
  server.listen(path);
  await once(server, 'listening');
  Object.assign(context, { dir, path, server, sessions, calls, answer, client: new GrpcClient(path) });
});
test.after.each(async ({ dir, server, sessions, client }) => {
  client.close();
  for (const session of sessions) session.destroy();
  server.close();
  await once(server, 'close');
  rmSync(dir, { recursive: true });
});

const METHOD = '/runtime.v1.RuntimeService/Version';
const call = (client: GrpcClient, timeout = seconds(10)): Promise<string> =>
  client.call(METHOD, Buffer.from('ask'), timeout).then(String);
const failure = (work: Promise<unknown>): Promise<[number, string]> =>
  work.then(
    () => [-1, 'no failure'],
    (error: unknown) => (error instanceof GrpcError ? [error.status, error.message] : [-1, String(error)]),
  );

test('a call is one POST with the method as path, and the message behind a length', async ({
  client,
  calls,
}) => {
  assert.is(await call(client), 'fine');
  const [{ headers, body } = { headers: {}, body: Buffer.alloc(0) }] = calls;
  assert.equal(
    [headers[':method'], headers[':path'], headers['content-type'], headers.te, headers['grpc-timeout']],
    ['POST', METHOD, 'application/grpc', 'trailers', '10000m'],
  );
  assert.is(body.toString('hex'), '000000000361736b');
});

test('calls share one connection and do not wait for each other', async ({
  client,
  answer,
  sessions,
  calls,
}) => {
  const held: (() => void)[] = [];
  answer.with = (stream, one) => {
    const reply = (): void => ok(String(calls.indexOf(one)))(stream, one);
    if (calls.length === 1) held.push(reply);
    else reply();
  };
  const first = call(client);
  assert.is(await call(client), '1');
  assert.is(sessions.size, 1);
  for (const reply of held) reply();
  assert.is(await first, '0');
});

test('an empty message is an answer', async ({ client, answer }) => {
  answer.with = ok('');
  assert.is(await call(client), '');
});

test('an answer in many pieces is put together', async ({ client, answer }) => {
  const large = 'x'.repeat(300_000);
  answer.with = ok(large);
  assert.is(await call(client), large);
});

const failures: [string, Answer, number, string][] = [
  [
    'a refusal in the trailers, its text escaped',
    answerWith(undefined, { 'grpc-status': '5', 'grpc-message': 'no pod %22web%22%0Ahere' }),
    5,
    'no pod "web"\nhere',
  ],
  [
    'a refusal without a body, all in the head',
    (stream) =>
      stream.respond({ ...head, 'grpc-status': '12', 'grpc-message': 'unknown method' }, { endStream: true }),
    12,
    'unknown method',
  ],
  [
    'a text that is badly escaped',
    answerWith(undefined, { 'grpc-status': '2', 'grpc-message': '100%' }),
    2,
    '100%',
  ],
  [
    'another HTTP status',
    (stream) => stream.respond({ ':status': 503 }, { endStream: true }),
    14,
    'HTTP status 503',
  ],
  ['success without a message', answerWith(undefined, { 'grpc-status': '0' }), 2, 'a cut answer'],
  [
    'success with a cut message',
    answerWith(frame('fine').subarray(0, 7), { 'grpc-status': '0' }),
    2,
    'a cut answer',
  ],
  ['trailers without status', answerWith(frame('fine'), { other: '1' }), 2, ''],
];
for (const [what, answering, status, message] of failures) {
  test(`${what} is status ${status}`, async ({ client, answer }) => {
    answer.with = answering;
    assert.equal(await failure(call(client)), [status, message]);
    answer.with = ok('again');
    assert.is(await call(client), 'again');
  });
}

test('silence ends with the deadline, and tells the runtime to stop', async ({ client, answer }) => {
  let cancelled: Promise<unknown> | undefined;
  answer.with = (stream) => {
    cancelled = once(stream, 'close');
  };
  assert.equal(await failure(call(client, millis(20))), [4, 'no answer within 20 ms']);
  await cancelled;
});

test('a connection that breaks fails its calls, and the next call opens another', async ({
  client,
  answer,
  sessions,
}) => {
  answer.with = () => {
    for (const session of sessions) session.destroy();
  };
  assert.is((await failure(call(client)))[0], 14);
  answer.with = ok('back');
  assert.is(await call(client), 'back');
});

test('a runtime that says goodbye is left in peace, and the next call opens another connection', async ({
  client,
  sessions,
}) => {
  await call(client);
  const [session] = sessions;
  assert.ok(session);
  const closed = once(session, 'close');
  session.close();
  await closed;
  assert.is(await call(client), 'fine');
});

test('a runtime that is not there is unavailable, and named by its path', async ({ dir }) => {
  const client = new GrpcClient(join(dir, 'nobody.sock'));
  const [status, message] = await failure(call(client));
  assert.is(status, 14);
  assert.match(message, 'nobody.sock');
  client.close();
});

test('closing fails what is under way', async ({ client, answer }) => {
  answer.with = () => client.close();
  assert.is((await failure(call(client)))[0], 14);
});

test('a connection that is only held is told of when it ends, and not when it is closed here', async ({
  path,
  sessions,
}) => {
  const told: string[] = [];
  let ended = (): void => {};
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const held = new GrpcClient(path, (reason) => {
    told.push(reason);
    ended();
  });
  await held.connect(seconds(10));
  await held.connect(seconds(10));
  assert.is(sessions.size, 1);
  for (const session of sessions) session.destroy();
  await end;
  assert.is(told.length, 1);
  await held.connect(seconds(10));
  held.close();
  assert.is(told.length, 1);
});

test('connecting to nobody, or to somebody who is silent, is unavailable', async ({ dir }) => {
  const nobody = new GrpcClient(join(dir, 'nobody.sock'));
  assert.match((await failure(nobody.connect(seconds(10))))[1], 'nobody.sock');
  const path = join(dir, 'silent.sock');
  const silent = createTcpServer((socket) => socket.on('error', () => {}).resume());
  silent.listen(path);
  await once(silent, 'listening');
  const [status, message] = await failure(new GrpcClient(path).connect(millis(20)));
  assert.is(status, 14);
  assert.match(message, 'no HTTP/2 within 20 ms');
  silent.close();
  await once(silent, 'close');
});

test.run();

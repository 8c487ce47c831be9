import { createServer, type Server, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ByteLine } from './byte-line.ts';
import { openTcp } from './open-tcp.ts';

type Context = { server: Server; port: number; sockets: Socket[]; line: ByteLine };
const test = suite<Context>('the line that the kit opens');

test.before.each(async (context) => {
  context.sockets = [];
  context.server = createServer((socket) => {
    context.sockets.push(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => context.server.listen(0, '127.0.0.1', resolve));
  const address = context.server.address();
  context.port = typeof address === 'object' && address ? address.port : 0;
  context.line = await openTcp({ host: '127.0.0.1', port: context.port });
});
test.after.each(async ({ server, line, sockets }) => {
  line.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

/** The device answers everything with `text`. */
function answers({ sockets }: Context, text: string): void {
  sockets[0]?.on('data', () => sockets[0]?.write(Buffer.from(text, 'latin1')));
}

function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'it did not fail',
    (error) => `${error.kind}: ${error.message}`,
  );
}

test('a question gets its line, without its end, and not what came before', async (context) => {
  context.line.received(Buffer.from('late\r\n'));
  answers(context, '21.5\r\nmore');
  assert.is(await context.line.ask('T?\r\n'), '21.5');
  assert.equal(await context.line.readBytes(4), Buffer.from('more'));
});

test('bytes are latin1, and an end may be of several', async (context) => {
  answers(context, 'a\xff\0b;;');
  assert.is(await context.line.ask(Buffer.from([1]), { end: ';;' }), 'a\xff\0b');
});

test('no answer is a timeout, and the next question is asked all the same', async (context) => {
  assert.is(
    await failure(context.line.ask('T?\n', { timeout: 30 })),
    `timeout: 127.0.0.1:${context.port}: no answer in 30 ms`,
  );
  answers(context, 'here\n');
  assert.is(await context.line.ask('T?\n'), 'here');
});

test('a device that speaks unasked is heard line by line', async ({ line }) => {
  const heard: string[] = [];
  line.received(Buffer.from('a\nb'));
  line.onLine((text) => heard.push(text));
  line.received(Buffer.from('c\nd\n'));
  assert.equal(heard, ['a', 'bc', 'd']);
});

test('what nobody reads is bounded', async ({ line }) => {
  for (let i = 0; i < 100; i++) line.received(Buffer.alloc(10_000, 'x'));
  line.received(Buffer.from('\n'));
  assert.is((await line.readLine()).length, 64 * 1024 - 1);
});

test('a connection that is lost fails who waits, and says so once', async (context) => {
  const { line, sockets, port } = context;
  const waiting = failure(line.readLine());
  sockets[0]?.destroy();
  assert.is(await waiting, `unreachable: 127.0.0.1:${port}: connection lost`);
  assert.is(await line.lost, `127.0.0.1:${port}: connection lost`);
  assert.match(await failure(line.ask('T?')), /^unreachable/);
});

test('one that was closed is not lost', async ({ line }) => {
  let lost = false;
  void line.lost.then(() => {
    lost = true;
  });
  line.close();
  assert.match(await failure(line.readLine()), /closed/);
  assert.is(lost, false);
});

test('what cannot be reached says where and why', async ({ server, port, line, sockets }) => {
  line.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  assert.match(
    await failure(openTcp({ host: '127.0.0.1', port })),
    /^unreachable: 127\.0\.0\.1:\d+: .*ECONNREFUSED/,
  );
});

test('two reads at once are the plugin’s mistake', async ({ line }) => {
  const first = line.readLine({ timeout: 20 });
  assert.throws(() => line.readLine(), /two reads at once/);
  await failure(first);
});

test.run();

import { createServer, type Server, Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Flusher, Outgoing } from './outgoing.ts';
import { duplexPair } from './test-client.ts';

const test = suite('outgoing');
const BLOCK = 16 * 1024;

/** A plain socket as far as Outgoing looks at it: it notes what it is given, and may keep it waiting. */
class FakeSocket extends Socket {
  readonly chunks: Buffer[] = [];
  readonly copies: Buffer[] = [];
  stuck = false;
  private done: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(chunk);
    this.copies.push(Buffer.from(chunk));
    if (this.stuck) this.done = done;
    else done();
  }

  override _writev(items: { chunk: Buffer }[], done: () => void): void {
    for (const { chunk } of items) this._write(chunk, '', () => {});
    done();
  }

  unstick(): void {
    this.stuck = false;
    this.done?.();
  }
}

const bytes = (socket: FakeSocket): Buffer => Buffer.concat(socket.copies);

test('what is written between begin and end leaves in one piece, in the order of the writes', () => {
  const flusher = new Flusher();
  const socket = new FakeSocket();
  const out = new Outgoing(socket, flusher);
  flusher.begin();
  flusher.begin();
  out.append(Buffer.from('abc'));
  out.appendAck(0x40, 0x1234);
  flusher.end();
  assert.equal([socket.chunks.length, out.pending], [0, 7]);
  flusher.end();
  assert.equal([bytes(socket).toString('latin1'), out.pending], ['abc\x40\x02\x12\x34', 0]);
});

test('a block is used again once the socket has taken it, and not before', () => {
  const flusher = new Flusher();
  const socket = new FakeSocket();
  const out = new Outgoing(socket, flusher);
  const send = (text: string): void => {
    flusher.begin();
    out.append(Buffer.from(text));
    flusher.end();
  };
  send('one');
  send('two');
  assert.is(socket.chunks[0]?.buffer, socket.chunks[1]?.buffer);
  socket.stuck = true;
  send('three');
  send('four');
  send('five');
  // What waits in the socket must not be written over.
  socket.unstick();
  assert.is(bytes(socket).toString(), 'onetwothreefourfive');
  assert.is(Buffer.concat(socket.chunks.slice(2)).toString(), 'threefourfive');
});

test('a stream that may hold on to what it is given gets a copy each time', async () => {
  const flusher = new Flusher();
  const [near, far] = duplexPair();
  const got: Buffer[] = [];
  far.on('data', (chunk: Buffer) => got.push(chunk));
  const out = new Outgoing(near, flusher);
  for (const text of ['one', 'two']) {
    flusher.begin();
    out.append(Buffer.from(text));
    flusher.end();
  }
  await new Promise(setImmediate);
  assert.is(Buffer.concat(got).toString(), 'onetwo');
});

test('however many are sent the same in one turn, the blocks of the pool are enough', () => {
  const flusher = new Flusher();
  const all = Array.from({ length: 300 }, () => new FakeSocket());
  const outs = all.map((socket) => new Outgoing(socket, flusher));
  for (const text of ['first', 'second']) {
    flusher.begin();
    for (const [i, out] of outs.entries()) out.append(Buffer.from(`${text} ${i},`));
    flusher.end();
  }
  for (const [i, socket] of all.entries()) assert.is(bytes(socket).toString(), `first ${i},second ${i},`);
  assert.is(new Set(all.flatMap(({ chunks }) => chunks.map(({ buffer }) => buffer))).size, 1);
});

test('blocks that sockets have not written come back to the pool when they have, or are gone', async () => {
  const flusher = new Flusher();
  const send = (socket: FakeSocket, text: string): ArrayBufferLike | undefined => {
    flusher.begin();
    new Outgoing(socket, flusher).append(Buffer.from(text));
    flusher.end();
    return socket.chunks.at(-1)?.buffer;
  };
  const slow = Array.from({ length: 64 }, () => new FakeSocket());
  for (const [i, socket] of slow.entries()) {
    socket.stuck = true;
    send(socket, `slow ${i}`);
  }
  const pool = slow[0]?.chunks[0]?.buffer;
  assert.is.not(send(new FakeSocket(), 'more'), pool);
  for (const [i, socket] of slow.entries()) assert.is(socket.chunks[0]?.toString(), `slow ${i}`);
  slow[0]?.unstick();
  await new Promise(setImmediate);
  assert.is(send(new FakeSocket(), 'more'), pool);
  slow[1]?.destroy();
  const [a, b] = [new FakeSocket(), new FakeSocket()];
  a.stuck = true;
  assert.is(send(a, 'a'), pool);
  assert.is(send(b, 'b'), pool);
  assert.equal([a.chunks[0]?.toString(), slow[2]?.chunks[0]?.toString()], ['a', 'slow 2']);
});

for (const size of [BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK]) {
  test(`a packet of ${size} bytes keeps its place between small ones`, () => {
    const flusher = new Flusher();
    const socket = new FakeSocket();
    const out = new Outgoing(socket, flusher);
    const large = Buffer.alloc(size, 'L');
    for (let round = 0; round < 2; round++) {
      flusher.begin();
      for (const packet of [Buffer.from('a'), large, Buffer.from('b'), large, large, Buffer.from('c')])
        out.append(packet);
      flusher.end();
    }
    const once = Buffer.concat([Buffer.from('a'), large, Buffer.from('b'), large, large, Buffer.from('c')]);
    assert.ok(bytes(socket).equals(Buffer.concat([once, once])));
  });
}

test('outside of a turn it leaves with the next tick', async () => {
  const flusher = new Flusher();
  const socket = new FakeSocket();
  const out = new Outgoing(socket, flusher);
  out.append(Buffer.from('x'));
  assert.is(socket.chunks.length, 0);
  await new Promise<void>((resolve) => process.nextTick(resolve));
  assert.is(bytes(socket).toString(), 'x');
});

test('nothing is written to a stream that has ended', () => {
  const flusher = new Flusher();
  const socket = new FakeSocket();
  const out = new Outgoing(socket, flusher);
  flusher.begin();
  out.append(Buffer.from('x'));
  socket.destroy();
  flusher.end();
  assert.equal([socket.chunks.length, out.pending], [0, 0]);
});

test('over a real socket many blocks arrive as they were sent', async () => {
  const got: Buffer[] = [];
  const server: Server = createServer((socket) => socket.on('data', (chunk) => got.push(chunk)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const socket = new Socket();
  await new Promise<void>((resolve) =>
    socket.connect(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1', resolve),
  );
  const flusher = new Flusher();
  const out = new Outgoing(socket, flusher);
  let wanted = 0;
  for (let i = 0; i < 2000; i++) {
    flusher.begin();
    for (let k = 0; k < 20; k++) {
      const packet = Buffer.alloc(1 + ((i * 31 + k * 7) % 3000), i & 0xff);
      out.append(packet);
      wanted += packet.length;
    }
    flusher.end();
  }
  await new Promise<void>((resolve) => {
    socket.end(resolve);
  });
  await new Promise<void>((resolve) => server.close(() => resolve()));
  const all = Buffer.concat(got);
  assert.is(all.length, wanted);
  let at = 0;
  for (let i = 0; i < 2000; i++)
    for (let k = 0; k < 20; k++) {
      const size = 1 + ((i * 31 + k * 7) % 3000);
      if (all[at] !== (i & 0xff) || all[at + size - 1] !== (i & 0xff)) assert.unreachable(`packet ${i} ${k}`);
      at += size;
    }
});

test.run();

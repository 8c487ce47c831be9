import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createInflate } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SpdyConnection } from './spdy.ts';

/** A server's end: what came in, frame by frame, and a way to answer. */
type Context = {
  client: SpdyConnection;
  server: Socket;
  frames: Buffer[];
  frame: (number: number) => Promise<Buffer>;
  close: () => void;
};
const test = suite<Context>('SPDY');

test.before.each(async (context) => {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => listener.once('connection', resolve));
  const socket = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const server = await accepted;
  const frames: Buffer[] = [];
  let rest = Buffer.alloc(0);
  let wake = (): void => {};
  server.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 8 && rest.length >= 8 + rest.readUIntBE(5, 3)) {
      const end = 8 + rest.readUIntBE(5, 3);
      frames.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    wake();
  });
  server.on('error', () => {});
  const frame = async (number: number): Promise<Buffer> => {
    while (frames.length <= number) await new Promise<void>((resolve) => (wake = resolve));
    return frames[number] ?? Buffer.alloc(0);
  };
  const client = new SpdyConnection(socket, Buffer.alloc(0));
  const close = (): void => {
    client.destroy();
    server.destroy();
    listener.close();
  };
  Object.assign(context, { client, server, frames, frame, close });
});
test.after.each(({ close }) => close());

const reply = (id: number): Buffer => Buffer.from([0x80, 3, 0, 2, 0, 0, 0, 4, 0, 0, 0, id]);
const data = (id: number, text: string, flags = 0): Buffer =>
  Buffer.concat([Buffer.from([0, 0, 0, id, flags, 0, 0, text.length]), Buffer.from(text)]);
const nothing = { data: () => {}, end: () => {} };

test('streams are numbered, their headers are one zlib stream, and it waits for the answer', async (context) => {
  const { client, server, frame, frames } = context;
  const inflate = createInflate();
  const read = (): string => String(inflate.read() ?? '');
  for (const [i, name] of ['error', 'stdin'].entries()) {
    let isOpen = false;
    const opening = client.open({ streamtype: name }, nothing).then(() => (isOpen = true));
    const sent = await frame(i);
    assert.is(sent.subarray(0, 4).toString('hex'), '80030001');
    assert.is(sent.readUInt32BE(8), 1 + 2 * i);
    await new Promise((resolve) => inflate.write(sent.subarray(18), resolve));
    assert.is(read(), `\0\0\0\u0001\0\0\0\nstreamtype\0\0\0\u0005${name}`);
    assert.not(isOpen);
    server.write(reply(1 + 2 * i));
    await opening;
  }
  assert.is(frames.length, 2);
});

test('data goes both ways in pieces of any size, and both ends can end', async ({
  client,
  server,
  frame,
}) => {
  const got: string[] = [];
  let ended = (): void => {};
  const end = new Promise<void>((resolve) => (ended = resolve));
  const opening = client.open({ a: 'b' }, { data: (bytes) => got.push(String(bytes)), end: () => ended() });
  await frame(0);
  server.write(reply(1));
  const stream = await opening;
  await stream.write(Buffer.from('in'));
  await stream.end();
  assert.equal(await frame(1), data(1, 'in'));
  assert.equal(await frame(2), data(1, '', 1));
  // A ping is answered, whatever else is under way.
  const all = Buffer.concat([
    data(1, 'one'),
    Buffer.from('8003000600000004000000aa', 'hex'),
    data(1, 'two', 1),
  ]);
  for (const byte of all) server.write(Buffer.from([byte]));
  await end;
  assert.equal(got, ['one', 'two']);
  assert.is((await frame(3)).toString('hex'), '8003000600000004000000aa');
});

test('a stream that is refused, a connection that breaks, and a frame without measure end what waits', async (context) => {
  const { client, server, frame } = context;
  const refused = client.open({ a: 'b' }, nothing);
  await frame(0);
  server.write(Buffer.from('80030003000000080000000100000003', 'hex'));
  assert.match(await refused.then(String, String), /the stream was refused/);
  let ended = false;
  const second = client.open({ a: 'b' }, { data: () => {}, end: () => (ended = true) });
  await frame(1);
  server.write(Buffer.from('0000000300ffffff', 'hex'));
  assert.match(await second.then(String, String), /the connection was closed/);
  await client.closed;
  assert.ok(ended);
});

test.run();

import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HeaderFrames, withAnyAuthority } from './authority-filter.ts';
import { HeaderReader, headerBlock } from './hpack.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('reads the requests of RFC 7541, C.4: Huffman codes and a table that grows', () => {
  const reader = new HeaderReader();
  const common = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ];
  assert.equal(reader.read(hex('828684418cf1e3c2e5f23a6ba0ab90f4ff')), common);
  assert.equal(reader.read(hex('828684be5886a8eb10649cbf')), [...common, ['cache-control', 'no-cache']]);
  assert.equal(reader.read(hex('828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf')), [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ]);
});

test('forgets what no longer fits, as RFC 7541, C.5 shows in a table of 256 bytes', () => {
  const reader = new HeaderReader();
  reader.read(hex('3fe101')); // 256 bytes
  const first = reader.read(
    hex(
      '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d',
    ),
  );
  assert.equal(first[0], [':status', '302']);
  assert.equal(reader.read(hex('4803333037c1c0bf')), [
    [':status', '307'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ]);
  assert.throws(() => reader.read(hex('c2')), /no header/);
});

const broken = ['80', 'ff', '40', '4001', '4085', '3fe1ff03', '008161', '00017f 8400000000'];
for (const bytes of broken) {
  test(`${bytes} is no header block`, () => {
    assert.throws(() => new HeaderReader().read(hex(bytes)), RangeError);
  });
}

test('what is written is read, long texts too', () => {
  const headers = [
    [':authority', '/etc/kubeedge/dmi.sock'],
    ['x', 'y'.repeat(5000)],
    ['empty', ''],
  ] as const;
  assert.equal(new HeaderReader().read(headerBlock(headers)), headers);
});

/** Two requests of one client, as node:http2 sends them, with the authority that it is told. */
async function requestsOf(authority: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const server = createServer((socket) =>
    socket.on('error', () => {}).on('data', (chunk) => chunks.push(chunk)),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.on('error', () => {});
  for (const path of ['/a', '/b']) {
    const stream = session.request({ ':path': path, ':authority': authority, 'x-long': 'v'.repeat(12_000) });
    stream.on('error', () => {});
    stream.end();
  }
  const length = (): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  while (length() < 20_000) await new Promise((resolve) => setImmediate(resolve));
  session.destroy();
  server.close();
  await once(server, 'close');
  return Buffer.concat(chunks);
}

test('a header block may come in several frames, with padding and priority', () => {
  const block = headerBlock([
    [':authority', '/a/b.sock'],
    ['x', 'y'],
  ]);
  const frame = (type: number, flags: number, body: Buffer): Buffer => {
    const head = Buffer.from([0, 0, body.length, type, flags, 0, 0, 0, 1]);
    return Buffer.concat([head, body]);
  };
  const first = Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 7]), block.subarray(0, 5), Buffer.alloc(2)]);
  const out = new HeaderFrames().take(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(1, 0x8 | 0x20 | 0x1, first),
      frame(9, 0, block.subarray(5, 9)),
      frame(9, 4, block.subarray(9)),
    ]),
  );
  assert.is(out.length, 2);
  const [, headers = Buffer.alloc(0)] = out;
  assert.equal([...headers.subarray(3, 9)], [1, 0x1 | 0x4, 0, 0, 0, 1]);
  assert.equal(new HeaderReader().read(headers.subarray(9)), [
    [':authority', 'localhost'],
    ['x', 'y'],
  ]);
  assert.throws(
    () =>
      new HeaderFrames().take(
        Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(1, 0x8, Buffer.from([9, 1]))]),
      ),
    /padding/,
  );
});

test('bytes may come in any pieces', async () => {
  const bytes = await requestsOf('/etc/kubeedge/dmi.sock');
  const whole = Buffer.concat(new HeaderFrames().take(bytes));
  const frames = new HeaderFrames();
  const single = Buffer.concat([...bytes].flatMap((byte) => frames.take(Buffer.from([byte]))));
  assert.ok(whole.equals(single));
  assert.not.match(whole.toString('latin1'), 'kubeedge');
});

test('a server behind it takes a path for the name of a host, and leaves real names alone', async () => {
  const heard: string[] = [];
  const http2 = createHttp2();
  http2.on('stream', (stream, headers) => {
    heard.push(`${headers[':authority']} ${headers[':path']}`);
    stream.respond({ ':status': 200 });
    stream.end('fine');
  });
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    http2.emit('connection', withAnyAuthority(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  for (const authority of ['/etc/kubeedge/dmi.sock', '%2Fetc%2Fdmi.sock', 'localhost:80']) {
    const stream = session.request({ ':path': '/x', ':authority': authority });
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.is(Buffer.concat(chunks).toString(), 'fine');
  }
  assert.equal(heard, ['localhost /x', '%2Fetc%2Fdmi.sock /x', 'localhost:80 /x']);
  session.destroy();
  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, 'close');
});

test('what is no HTTP/2 is ended', async () => {
  const server = createServer((socket) => withAnyAuthority(socket).on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => {}).resume();
  socket.write('GET /');
  await once(socket, 'close');
  server.close();
  await once(server, 'close');
});

test.run();

import { once } from 'node:events';
import { connect } from 'node:net';
import { resolve } from 'node:path';
import type { Duplex } from 'node:stream';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import WebSocket from 'ws';
import type { HttpServer } from './http.ts';
import { NodeHttpServer } from './node-server.ts';
import type { UpgradeRefusal, UpgradeRequest } from './upgrade.ts';
import { loadUws, UwsHttpServer } from './uws-server.ts';

type Opened = { readonly stream: Duplex; readonly request: UpgradeRequest };
type Context = {
  server: HttpServer;
  url: string;
  /** What the route says of the next client. */
  refusal: UpgradeRefusal | undefined;
  opened: Opened[];
  clients: WebSocket[];
};

const PAYLOAD = 256 * 1024;
const LIMIT_MS = 5000;
const page = () => ({ status: 200, type: 'text/plain', body: 'page' });
const uws = loadUws(
  ['uWebSockets.js/binaries', 'uWebSockets.js-next'].map((folder) => resolve('node_modules', folder)),
);
const servers: [string, () => HttpServer][] = [['node:http', () => new NodeHttpServer(page)]];
if (uws) servers.push(['uWebSockets.js', () => new UwsHttpServer(uws, page)]);

for (const [name, create] of servers) {
  const test = suite<Context>(`WebSockets on ${name}`);

  test.before.each(async (context) => {
    Object.assign(context, { refusal: undefined, opened: [], clients: [] });
    context.server = create();
    context.server.upgrade({
      path: '/mqtt',
      protocols: ['mqtt', 'mqttv3.1'],
      maxPayload: PAYLOAD,
      connections: 10,
      refuse: () => context.refusal,
      open: (stream, request) => {
        stream.on('error', () => {});
        context.opened.push({ stream, request });
      },
    });
    await context.server.start({ host: '127.0.0.1', port: 0 });
    context.url = `127.0.0.1:${context.server.port}`;
  });
  test.after.each(async ({ server, clients }) => {
    for (const client of clients) client.terminate();
    await server.stop();
  });

  test('the client’s first subprotocol that is spoken is chosen', async (context) => {
    const client = await open(context, ['soap', 'mqttv3.1', 'mqtt']);
    assert.is(client.protocol, 'mqttv3.1');
    const { request } = lastOf(context);
    assert.equal([request.host, request.origin, request.address], [context.url, undefined, '127.0.0.1']);
  });

  test('bytes go both ways, whatever messages they lie in', async (context) => {
    const client = await open(context);
    const { stream } = lastOf(context);
    for (const part of ['ab', 'c', '', 'def']) client.send(Buffer.from(part));
    assert.is((await read(stream, 6)).toString(), 'abcdef');
    stream.cork();
    for (const part of ['1', '23', '456']) stream.write(part);
    stream.uncork();
    assert.is((await received(client, 6)).toString(), '123456');
  });

  test('an end from here closes the WebSocket after what was written', async (context) => {
    const client = await open(context);
    const closed = bounded(once(client, 'close'));
    const got = received(client, 3);
    const { stream } = lastOf(context);
    stream.resume().end('bye');
    assert.is((await got).toString(), 'bye');
    assert.is((await closed)[0], 1000);
    if (!stream.closed) await bounded(once(stream, 'close'));
  });

  test('an end from there ends the stream after what was sent', async (context) => {
    const client = await open(context);
    const { stream } = lastOf(context);
    const closed = bounded(once(stream, 'close'));
    client.send(Buffer.from('bye'));
    client.close();
    assert.is((await read(stream, 3)).toString(), 'bye');
    await closed;
  });

  test('a client that vanishes closes the stream', async (context) => {
    const client = await open(context);
    const { stream } = lastOf(context);
    stream.resume();
    const closed = bounded(once(stream, 'close'));
    client.terminate();
    await closed;
    stream.write('into the void');
  });

  test('a destroyed stream cuts the WebSocket', async (context) => {
    const client = await open(context);
    const closed = bounded(once(client, 'close'));
    lastOf(context).stream.destroy();
    assert.is((await closed)[0], 1006);
  });

  test('text is refused [MQTT-6.0.0-1]', async (context) => {
    const client = await open(context);
    lastOf(context).stream.resume();
    const closed = bounded(once(client, 'close'));
    client.send('text');
    assert.is((await closed)[0], 1003);
  });

  test('a message over the limit closes the WebSocket', async (context) => {
    const client = await open(context);
    lastOf(context).stream.resume();
    const closed = bounded(once(client, 'close'));
    client.on('error', () => {}); // its own write may fail
    client.send(Buffer.alloc(PAYLOAD + 1));
    await closed;
    assert.is(lastOf(context).stream.readableLength, 0);
  });

  test('a client that does not read holds back the writer, and gets everything when it does', async (context) => {
    const client = await open(context);
    const { stream } = lastOf(context);
    client.pause();
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let written = 0;
    while (written < 64 * 1024 * 1024) {
      const flowing = stream.write(chunk);
      written += chunk.length;
      if (!flowing && !(await drains(stream))) break;
    }
    assert.ok(written < 32 * 1024 * 1024, `${written} bytes were taken`);
    assert.ok(stream.writableLength > 0);
    const got = received(client, written);
    client.resume();
    assert.is((await got).length, written);
  });

  test('what nobody reads is held in the network or bounded here', async (context) => {
    const client = await open(context);
    const { stream } = lastOf(context);
    client.on('error', () => {}); // its writes may fail once it is closed
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const closed = once(client, 'close');
    for (let i = 0; i < 160; i++) client.send(chunk);
    await until('bytes wait', () => stream.readableLength >= 64 * 1024);
    // uWebSockets.js cannot leave them in the network: it gives the client up.
    if (name === 'uWebSockets.js') assert.is((await bounded(closed))[0], 1013);
    else assert.ok(client.bufferedAmount > 0);
    assert.ok(stream.readableLength <= PAYLOAD + 192 * 1024, `${stream.readableLength} bytes wait`);
    stream.destroy();
  });

  test('who offers no subprotocol that is spoken gets 400', async ({ url }) => {
    const answer = await ask(url, upgradeOf('/mqtt', { 'Sec-WebSocket-Protocol': 'soap' }));
    assert.match(answer, /^HTTP\/1\.1 400/);
    assert.match(answer, /offer a subprotocol of mqtt, mqttv3\.1/);
    assert.match(await ask(url, upgradeOf('/mqtt', {})), /^HTTP\/1\.1 400/);
  });

  test('who is refused reads why', async (context) => {
    context.refusal = { status: 403, reason: 'not from there' };
    const answer = await ask(context.url, upgradeOf('/mqtt', { 'Sec-WebSocket-Protocol': 'mqtt' }));
    assert.match(answer, /^HTTP\/1\.1 403/);
    assert.match(answer, /not from there/);
    assert.is(context.opened.length, 0);
  });

  test('everything that is no WebSocket is answered as ever', async ({ url }) => {
    for (const [path, headers] of [
      ['/', {}],
      ['/mqtt', {}],
      ['/', { Upgrade: 'h2c', Connection: 'Upgrade' }],
    ] as const) {
      const lines = Object.entries(headers).map(([key, value]) => `${key}: ${value}\r\n`);
      const answer = await ask(url, `GET ${path} HTTP/1.1\r\nHost: ${url}\r\n${lines.join('')}\r\n`);
      assert.match(answer, /^HTTP\/1\.1 200/);
      assert.match(answer, /page/);
    }
    const elsewhere = await ask(url, upgradeOf('/elsewhere', { 'Sec-WebSocket-Protocol': 'mqtt' }));
    assert.match(elsewhere, /^HTTP\/1\.1 200/);
  });

  test('a handshake without a good key opens nothing', async (context) => {
    const headers = { 'Sec-WebSocket-Protocol': 'mqtt', 'Sec-WebSocket-Key': 'short' };
    await ask(context.url, upgradeOf('/mqtt', headers));
    assert.is(context.opened.length, 0);
  });

  test('stopping cuts the WebSockets that are open', async (context) => {
    const client = await open(context);
    const closed = bounded(once(client, 'close'));
    await bounded(context.server.stop());
    await closed;
  });

  test.run();
}

function lastOf({ opened }: Context): Opened {
  const last = opened.at(-1);
  assert.ok(last, 'no WebSocket was opened');
  return last as Opened;
}

async function open(context: Context, protocols = ['mqtt']): Promise<WebSocket> {
  const client = new WebSocket(`ws://${context.url}/mqtt`, protocols);
  context.clients.push(client);
  await bounded(once(client, 'open'));
  return client;
}

function upgradeOf(path: string, headers: Readonly<Record<string, string>>): string {
  const all = {
    Host: '127.0.0.1',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** Sends a request as it stands and gives the beginning of what comes back. */
async function ask(url: string, request: string): Promise<string> {
  const [host = '', port = ''] = url.split(':');
  const socket = connect(Number(port), host);
  socket.write(request);
  const [chunk] = (await bounded(once(socket, 'data'))) as [Buffer];
  socket.destroy();
  return chunk.toString();
}

function read(stream: Duplex, bytes: number): Promise<Buffer> {
  return gather(bytes, (take) => stream.on('data', take));
}

function received(client: WebSocket, bytes: number): Promise<Buffer> {
  return gather(bytes, (take) => client.on('message', (data: Buffer) => take(data)));
}

function gather(bytes: number, listen: (take: (chunk: Buffer) => void) => void): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  return bounded(
    new Promise((done) =>
      listen((chunk) => {
        parts.push(chunk);
        length += chunk.length;
        if (length >= bytes) done(Buffer.concat(parts));
      }),
    ),
  );
}

/** Whether the writer may go on within the time that something takes on its way inside this machine. */
function drains(stream: Duplex): Promise<boolean> {
  return new Promise((done) => {
    const timer = setTimeout(() => done(false), 300);
    stream.once('drain', () => {
      clearTimeout(timer);
      done(true);
    });
  });
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not within ${LIMIT_MS} ms: ${what}`);
    await new Promise((done) => setImmediate(done));
  }
}

async function bounded<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came within ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

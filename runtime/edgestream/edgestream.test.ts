import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { type WebSocket, WebSocketServer } from 'ws';
import { FakeClock } from '../core/fake-clock.ts';
import { type Logger, silentLogger } from '../core/log.ts';
import { trustedTime } from '../core/time-trust.ts';
import { seconds } from '../core/units.ts';
import { issueTestCertificate } from '../wire/test-certificate.ts';
import { decodeFrame, encodeConnect, encodeFrame, type Frame, frameType } from '../wire/tunnel.ts';
import { edgeStreamConfig } from './config.ts';
import { EdgeStream } from './edgestream.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spki = publicKey.export({ type: 'spki', format: 'der' });
const cert = new X509Certificate(
  issueTestCertificate('cloud', spki, { name: 'cloud', key: privateKey }),
).toString();
const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

/** CloudStream's end of the tunnel. */
class TestCloudStream {
  readonly upgrades: { readonly path: string; readonly headers: IncomingHttpHeaders }[] = [];
  private readonly server: Server;
  private readonly sockets: WebSocketServer;
  private readonly frames: Frame[] = [];
  private readonly waiting: ((frame: Frame) => void)[] = [];
  private readonly arrivals: ((socket: WebSocket) => void)[] = [];

  constructor(autoPong = true) {
    this.server = createServer({ cert, key });
    this.sockets = new WebSocketServer({ server: this.server, autoPong, skipUTF8Validation: true });
    this.sockets.on('connection', (socket, request) => {
      this.upgrades.push({ path: request.url ?? '', headers: request.headers });
      socket.on('message', (data: Buffer, binary) => {
        assert.not(binary, 'frames travel as text');
        const frame = decodeFrame(data);
        assert.ok(frame);
        const waiting = this.waiting.shift();
        if (waiting) waiting(frame);
        else this.frames.push(frame);
      });
      this.arrivals.shift()?.(socket);
    });
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  async stop(): Promise<void> {
    for (const client of this.sockets.clients) client.terminate();
    this.server.close();
    await once(this.server, 'close');
  }

  connection(): Promise<WebSocket> {
    return new Promise((resolve) => this.arrivals.push(resolve));
  }

  next(): Promise<Frame> {
    const frame = this.frames.shift();
    return frame ? Promise.resolve(frame) : new Promise((resolve) => this.waiting.push(resolve));
  }
}

type Context = {
  clock: FakeClock;
  cloud: TestCloudStream;
  /** Answers of the kubelet's port that are held open, by path. */
  held: Map<string, ServerResponse>;
  asked: string[];
  joined: { yes: boolean };
  retry: () => Promise<void>;
  make: (address: string) => EdgeStream;
  stop: () => Promise<void>;
};
const test = suite<Context>('edgestream');

test.before.each(async (context) => {
  const clock = new FakeClock();
  const cloud = new TestCloudStream();
  await cloud.start();
  const held: Context['held'] = new Map();
  const asked: string[] = [];
  const kubelet = createHttpServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    if (path.includes('follow=true')) {
      held.set(path, response);
      response.write('first\n');
    } else response.end(path.includes('large') ? 'x'.repeat(200_000) : `log of ${path}\n`);
  }).listen(0, '127.0.0.1');
  await once(kubelet, 'listening');
  const joined = { yes: true };
  let warned = (): void => {};
  const log: Logger = { ...silentLogger, warn: () => warned(), child: () => log };
  const retry = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      warned = resolve;
    });
    await new Promise((resolve) => setImmediate(resolve));
  };
  const made: EdgeStream[] = [];
  const make = (server: string): EdgeStream => {
    const stream = new EdgeStream({
      config: v.parse(edgeStreamConfig, { enable: true, server }),
      node: 'edge-1',
      nodeIp: () => '192.0.2.1',
      kubeletPort: () => (kubelet.address() as AddressInfo).port,
      credentials: () => (joined.yes ? { ca: cert, cert, key } : undefined),
      time: trustedTime,
      clock,
      log,
      random: () => 0.5,
    });
    made.push(stream);
    return stream;
  };
  const stop = async (): Promise<void> => {
    for (const stream of made) await stream.stop();
    await cloud.stop();
    kubelet.closeAllConnections();
    kubelet.close();
    await once(kubelet, 'close');
  };
  Object.assign(context, { clock, cloud, held, asked, joined, retry, make, stop });
});
test.after.each(async ({ stop, clock }) => {
  await stop();
  assert.is(clock.pending, 0, 'no timer is left');
});

const connect = async ({ cloud, make }: Pick<Context, 'cloud' | 'make'>): Promise<WebSocket> => {
  const connection = cloud.connection();
  await make(cloud.address).start();
  return connection;
};
const ask = (socket: WebSocket, stream: number, path: string, type: number = frameType.logs): void => {
  const [target = '', query = ''] = path.split('?');
  const data = encodeConnect(stream, { path: target, query, method: 'GET' });
  socket.send(encodeFrame({ stream, type, data }), { binary: false });
};
const shown = ({ stream, type, data }: Frame): unknown[] => [stream, type, data.toString()];

test('the tunnel says which node it is of', async (context) => {
  await connect(context);
  const [{ path, headers } = { path: '', headers: {} as IncomingHttpHeaders }] = context.cloud.upgrades;
  assert.equal(
    [path, headers.sessionhostnameoverride, headers.sessioninternalip],
    ['/v1/kubeedge/connect', 'edge-1', '192.0.2.1'],
  );
});

test('a request for logs brings the answer’s body, and then its end', async (context) => {
  const socket = await connect(context);
  ask(socket, 7, '/containerLogs/default/web/app?tailLines=5');
  assert.equal(shown(await context.cloud.next()), [
    7,
    3,
    'log of /containerLogs/default/web/app?tailLines=5\n',
  ]);
  assert.equal(shown(await context.cloud.next()), [7, 4, '']);
});

test('a large answer comes in frames of at most 64 KiB', async (context) => {
  const socket = await connect(context);
  ask(socket, 7, '/large');
  let length = 0;
  for (
    let frame = await context.cloud.next();
    frame.type === frameType.data;
    frame = await context.cloud.next()
  ) {
    assert.ok(frame.data.length <= 65_536);
    length += frame.data.length;
  }
  assert.is(length, 200_000);
});

test('streams run beside each other; one that the cloud ends is let go on the kubelet’s side', async (context) => {
  const socket = await connect(context);
  const { cloud, held } = context;
  ask(socket, 1, '/a?follow=true');
  assert.equal(shown(await cloud.next()), [1, 3, 'first\n']);
  ask(socket, 2, '/b');
  assert.equal(shown(await cloud.next()), [2, 3, 'log of /b\n']);
  assert.equal(shown(await cloud.next()), [2, 4, '']);
  const [response] = held.values();
  assert.ok(response);
  const gone = once(response, 'close');
  socket.send(encodeFrame({ stream: 1, type: frameType.remove, data: Buffer.alloc(0) }), { binary: false });
  await gone;
});

for (const type of [frameType.exec, frameType.attach]) {
  test(`frame type ${type} is refused with a word and an end`, async (context) => {
    const socket = await connect(context);
    ask(socket, 3, '/exec/default/web/app', type);
    assert.equal(shown(await context.cloud.next()), [3, 3, 'exec and attach are not offered on this node\n']);
    assert.equal(shown(await context.cloud.next()), [3, 4, '']);
    assert.equal(context.asked, []);
  });
}

test('a request that cannot be read is refused, frames that say nothing are passed over', async (context) => {
  const socket = await connect(context);
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.of(0x80),
    encodeFrame({ stream: 9, type: 99, data: Buffer.from('x') }),
  ])
    socket.send(bytes, { binary: false });
  socket.send(encodeFrame({ stream: 4, type: frameType.logs, data: Buffer.from('{') }), { binary: false });
  assert.equal(shown(await context.cloud.next()), [4, 3, 'the request cannot be read\n']);
  assert.equal(shown(await context.cloud.next()), [4, 4, '']);
});

test('no more than 32 streams are open at a time', async (context) => {
  const socket = await connect(context);
  for (let stream = 0; stream < 33; stream++) ask(socket, stream, `/${stream}?follow=true`);
  let frame = await context.cloud.next();
  while (frame.stream !== 32) frame = await context.cloud.next();
  assert.is(frame.data.toString(), 'too many streams are open\n');
});

test('a tunnel that ends lets its streams go, and is opened anew after two seconds', async (context) => {
  const socket = await connect(context);
  const { cloud, clock, held, retry } = context;
  ask(socket, 1, '/a?follow=true');
  await cloud.next();
  const [response] = held.values();
  assert.ok(response);
  const gone = once(response, 'close');
  const waiting = retry();
  socket.send(encodeFrame({ stream: 0, type: frameType.close, data: Buffer.from('no such node') }), {
    binary: false,
  });
  await Promise.all([gone, waiting]);
  const next = cloud.connection();
  await clock.advance(seconds(2) - 1);
  assert.is(cloud.upgrades.length, 1);
  await clock.advance(1);
  await next;
});

test('it pings every five seconds, and gives up a cloud that is silent for thirty', async (context) => {
  const mute = new TestCloudStream(false);
  await mute.start();
  const socket = await connect({ ...context, cloud: mute });
  const { clock, retry } = context;
  // An answer shows that the tunnel is open on both ends.
  ask(socket, 1, '/a');
  await mute.next();
  const pinged = once(socket, 'ping');
  await clock.advance(seconds(5));
  await pinged;
  const waiting = retry();
  const closed = once(socket, 'close');
  await clock.advance(seconds(30));
  await Promise.all([waiting, closed]);
  await mute.stop();
});

test('a node that has not joined yet waits, and connects once it has', async (context) => {
  const { cloud, clock, joined, make } = context;
  joined.yes = false;
  await make(cloud.address).start();
  await clock.advance(seconds(1));
  assert.is(cloud.upgrades.length, 0);
  joined.yes = true;
  const connection = cloud.connection();
  await clock.advance(seconds(1));
  await connection;
});

test.run();

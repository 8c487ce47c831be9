import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { FakeClock } from '../../core/fake-clock.ts';
import { silentLogger } from '../../core/log.ts';
import { Metrics } from '../../core/metrics.ts';
import { kibibytes } from '../../core/units.ts';
import type { Peer } from '../peer.ts';
import { duplexPair } from '../test-client.ts';
import { type ListenerConfigOf, listenerConfig } from './config.ts';
import { WebSocketListener } from './websocket.ts';

type Context = { peers: Peer[]; create: (config?: object) => WebSocketListener };
const test = suite<Context>('the WebSocket listener');
const request = { host: '127.0.0.1:10560', origin: undefined, address: '192.0.2.7' };

test.before.each((context) => {
  context.peers = [];
  context.create = (config = {}) => {
    const parsed = v.parse(listenerConfig, { type: 'websocket', ...config }) as ListenerConfigOf<'websocket'>;
    const deps = {
      clock: new FakeClock(),
      log: silentLogger,
      metrics: new Metrics(),
      packetBytes: kibibytes(1),
    };
    return new WebSocketListener(parsed, deps);
  };
});

const start = ({ peers }: Context, listener: WebSocketListener): Promise<void> =>
  listener.start((_stream, peer) => void peers.push(peer));

test('it takes what the HTTP server brings, with the address of the client', async (context) => {
  const listener = context.create({ allowAnonymous: true });
  assert.equal([listener.route.path, listener.route.maxPayload], ['/mqtt', 1024]);
  await start(context, listener);
  const [near] = duplexPair();
  assert.is(listener.route.refuse(request), undefined);
  listener.route.open(near, request);
  const [peer] = context.peers;
  assert.equal([peer?.address, peer?.local, peer?.allowAnonymous], ['ws:192.0.2.7', false, true]);
  await listener.stop();
  assert.is(near.destroyed, true);
});

test('a page from elsewhere is refused unless it is listed', async (context) => {
  const page = { ...request, origin: 'https://hmi.example' };
  const strict = context.create();
  await start(context, strict);
  assert.is(strict.route.refuse(page)?.status, 403);
  const open = context.create({ origins: ['https://hmi.example'] });
  await start(context, open);
  assert.is(open.route.refuse(page), undefined);
});

test('beyond its rules it answers 503, as it does while it is closed', async (context) => {
  const listener = context.create({ connectionBurst: 1 });
  assert.is(listener.route.refuse(request)?.status, 503);
  await start(context, listener);
  assert.is(listener.route.refuse(request), undefined);
  assert.is(listener.route.refuse(request)?.status, 503);
  await listener.stop();
  const [near] = duplexPair();
  listener.route.open(near, request);
  assert.is(near.destroyed, true);
});

test.run();

import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { run } from './mosquitto.ts';
import { NodeAlone } from './node-alone.ts';
import { overTcp, overWebSocket, type StreamClient } from './stream-client.ts';

type Context = {
  node: NodeAlone;
  clients: StreamClient[];
  open: (headers?: Record<string, string>) => StreamClient;
};
const mosquitto = requireProgram('mosquitto_pub', 'mosquitto-clients');
const PACKET = 64 * 1024;
const publish = { cmd: 'publish', qos: 1, messageId: 1, retain: false, dup: false } as const;

for (const [server, prepare] of [
  ['uWebSockets.js', () => {}],
  ['node:http', (node: NodeAlone) => node.withoutUws()],
] as const) {
  const test = suite<Context>(`MQTT over WebSocket on ${server}`);

  test.before(async (context) => {
    context.node = await NodeAlone.prepare();
    prepare(context.node);
    context.clients = [];
    context.open = (headers) => {
      const client = overWebSocket(context.node.ports.console, headers);
      context.clients.push(client);
      return client;
    };
    await context.node.start([
      { type: 'websocket', origins: ['https://hmi.example'], packetBytes: PACKET, maxConnections: 70 },
    ]);
  });
  test.after.each(({ clients }) => {
    for (const client of clients.splice(0)) client.close();
  });
  test.after(({ node }) => node.close());

  if (mosquitto) {
    test('a page’s client hears what mosquitto’s client publishes', async ({ node, open }) => {
      const client = open({ Origin: `http://127.0.0.1:${node.ports.console}` });
      await client.connect('page');
      await subscribe(client, 'plc/#');
      const tcp = ['-h', '127.0.0.1', '-p', String(node.ports.mqtt)];
      await run('mosquitto_pub', [...tcp, '-t', 'plc/temperature', '-m', '21.5', '-q', '1']);
      assert.equal(payloadOf(await client.next('publish')), '21.5');
    });
  }

  test('packets may lie across messages, and several in one', async ({ open }) => {
    const client = open();
    await client.connect('splitter');
    await subscribe(client, 'split');
    const packets = Buffer.concat([
      client.bytesOf({ ...publish, topic: 'split', payload: 'one' }),
      client.bytesOf({ ...publish, messageId: 2, topic: 'split', payload: 'two' }),
    ]);
    for (const byte of packets.subarray(0, packets.length - 4)) client.stream.write(Buffer.of(byte));
    client.stream.write(packets.subarray(packets.length - 4));
    assert.is(payloadOf(await client.next('publish')), 'one');
    assert.is(payloadOf(await client.next('publish')), 'two');
  });

  test('a packet as large as allowed passes, a larger one ends that client alone', async ({ open }) => {
    const [good, bad] = [open(), open()];
    await Promise.all([good.connect('good'), bad.connect('bad')]);
    await subscribe(good, 'large');
    const payload = Buffer.alloc(PACKET - 64, 'x');
    good.send({ ...publish, topic: 'large', payload });
    assert.is(payloadOf(await good.next('publish')).length, payload.length);
    bad.send({ ...publish, topic: 'large', payload: Buffer.alloc(PACKET) });
    await bad.endsByItself();
    await good.ping();
  });

  test('a client that does not read loses messages, not the memory of the node', async ({ node, open }) => {
    const slow = open();
    await slow.connect('slow');
    await subscribe(slow, 'flood', 0);
    slow.stream.pause();
    const publisher = overTcp(node.ports.mqtt);
    await publisher.connect('fast');
    const payload = Buffer.alloc(60_000, 'x');
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 50; i++) publisher.send({ ...publish, qos: 0, topic: 'flood', payload });
      await publisher.ping();
    }
    publisher.close();
    const dropped = await until('messages are dropped', () =>
      figure(node, 'edgecore_mqtt_messages_dropped_total'),
    );
    assert.ok(dropped > 100, `${dropped} of 1000 were dropped`);
    slow.stream.resume();
    await slow.ping();
  });

  test('more pages than console connections may be open, and no more than allowed', async ({
    node,
    open,
  }) => {
    const clients = Array.from({ length: 70 }, () => open());
    for (const [i, client] of clients.entries()) await client.connect(`page-${i}`);
    const refused = await handshake(node.ports.console, {});
    assert.match(refused, /^HTTP\/1\.1 503/);
    assert.match(refused, /70 clients are connected/);
    const page = await fetch(`http://127.0.0.1:${node.ports.console}/healthz`);
    assert.is(page.status, 200);
  });

  const refusals: [string, Record<string, string>, RegExp][] = [
    ['a page from elsewhere', { Origin: 'https://evil.example' }, /403/],
    ['a page whose name was pointed here', { Origin: 'http://evil.example', Host: 'evil.example' }, /403/],
    ['a client that offers another subprotocol', { 'Sec-WebSocket-Protocol': 'soap' }, /400/],
    ['a handshake with a short key', { 'Sec-WebSocket-Key': 'short' }, /40\d/],
  ];
  for (const [what, headers, status] of refusals) {
    test(`${what} is refused before the handshake`, async ({ node }) => {
      await until('there is room again', async () => (await figure(node, clientsFigure)) === 0);
      assert.match((await handshake(node.ports.console, headers)).split('\r\n', 1)[0] ?? '', status);
    });
  }

  test('a listed page and both subprotocols are taken', async ({ node }) => {
    for (const protocol of ['mqtt', 'mqttv3.1']) {
      const headers = { 'Sec-WebSocket-Protocol': protocol, Origin: 'https://hmi.example' };
      const answer = await handshake(node.ports.console, headers);
      assert.match(answer, /^HTTP\/1\.1 101/);
      assert.match(answer, new RegExp(`^sec-websocket-protocol: ${protocol}\r$`, 'im'));
    }
  });

  test('stopping says goodbye to an MQTT 5 client', async ({ node }) => {
    const five = overWebSocket(node.ports.console, {}, 5);
    await five.connect('five');
    await node.stop();
    assert.is(Reflect.get(await five.next('disconnect'), 'reasonCode'), 0x8b);
    await five.endsByItself();
  });

  test.run();
}

const clientsFigure = 'edgecore_mqtt_listener_connections{listener="websocket /mqtt"}';

async function subscribe(client: StreamClient, topic: string, qos: 0 | 1 = 1): Promise<void> {
  client.send({ cmd: 'subscribe', messageId: 9, subscriptions: [{ topic, qos }] });
  await client.next('suback');
}

function payloadOf(packet: object): string {
  return String(Reflect.get(packet, 'payload'));
}

async function figure(node: NodeAlone, name: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${node.ports.console}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
}

/** A handshake as it stands on the wire.
 * @returns the beginning of the answer */
async function handshake(port: number, headers: Readonly<Record<string, string>>): Promise<string> {
  const all = {
    Host: `127.0.0.1:${port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': 'mqtt',
    ...headers,
  };
  const socket: Duplex = connect(port, '127.0.0.1');
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET /mqtt HTTP/1.1\r\n${lines.join('')}\r\n`);
  const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(10_000) })) as [Buffer];
  socket.destroy();
  return chunk.toString();
}

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../program.ts';
import { NodeAlone } from './node-alone.ts';
import { overTcp, overUnix, type StreamClient } from './stream-client.ts';

type Context = {
  node: NodeAlone;
  port: number;
  socket: string;
  clients: StreamClient[];
  open: () => StreamClient;
};
const test = suite<Context>('what a listener lets in');
const PENDING = 10;
const BURST = 40;

test.before.each(async (context) => {
  const node = await NodeAlone.prepare();
  const { stream: port } = node.ports;
  const socket = join(node.dir, 'mqtt.sock');
  Object.assign(context, { node, port, socket, clients: [] });
  const address = `127.0.0.1:${port}`;
  await node.start([
    {
      type: 'tcp',
      address,
      maxPending: PENDING,
      connectionBurst: BURST,
      connectionsPerSecond: 5,
      maxConnections: 12,
    },
    { type: 'unix', path: socket },
  ]);
  context.open = () => {
    const client = overTcp(port);
    context.clients.push(client);
    return client;
  };
});
test.after.each(async ({ node, clients }) => {
  for (const client of clients) client.close();
  await node.close();
});

test('while one listener is flooded the others serve, and it serves again afterwards', async ({
  node,
  socket,
  clients,
  open,
}) => {
  const before = open();
  await before.connect('before');
  const flood = setInterval(() => {
    for (let i = 0; i < 20; i++) {
      const client = open();
      client.send({
        cmd: 'connect',
        clientId: '',
        clean: true,
        keepalive: 0,
        protocolId: 'MQTT',
        protocolVersion: 4,
      });
    }
  }, 5);
  try {
    await until('the flood is turned away', async () => (await refused(node)) > 1000);
    const began = performance.now();
    for (const client of [overTcp(node.ports.mqtt), overUnix(socket)]) {
      assert.is((await client.connect('another')).returnCode, 0);
      await client.ping();
      client.close();
    }
    assert.ok(performance.now() - began < 2000, 'the other listeners are slow');
    await before.ping();
  } finally {
    clearInterval(flood);
  }
  for (const client of clients) client.close();
  await until('it serves again', async () => {
    const client = overTcp(node.ports.stream);
    const answer = await client.connect('after').finally(() => client.close());
    return answer.returnCode === 0;
  });
});

test('who says nothing gives way to who speaks', async ({ node, open }) => {
  const silent: StreamClient[] = [];
  for (let i = 0; i < PENDING + 5; i++) silent.push(open());
  await until('the first ones are cut', () => silent.slice(0, 5).every(({ ended }) => ended));
  assert.is((await open().connect('speaks')).returnCode, 0);
  assert.is(silent.filter(({ ended }) => !ended).length <= PENDING, true);
  assert.ok((await refused(node)) >= 5);
});

test('no more clients than allowed are inside; the place of one that leaves is free', async ({ open }) => {
  const inside: StreamClient[] = [];
  for (let i = 0; i < 12; i++) {
    const client = open();
    await client.connect(`client-${i}`);
    inside.push(client);
  }
  await open().endsByItself();
  inside[0]?.close();
  await until('there is room', async () => {
    const client = open();
    return (await client.connect('next')).returnCode === 0;
  });
});

test('a taken port is named, and nothing else stays open', async ({ port }) => {
  const other = await NodeAlone.prepare();
  const socket = join(other.dir, 'mqtt.sock');
  const address = `127.0.0.1:${port}`;
  const program = other.create([
    { type: 'unix', path: socket },
    { type: 'tcp', address },
  ]);
  assert.is(await program.ended, 'status 1');
  assert.match(
    readFileSync(other.log, 'utf8'),
    `the address is in use by another program: MQTT tcp ${address}`,
  );
  assert.is(existsSync(socket), false);
  await other.close();
});

test('the socket of another edgecore is named and goes on serving', async ({ socket }) => {
  const other = await NodeAlone.prepare();
  const program = other.create([{ type: 'unix', path: socket }]);
  assert.is(await program.ended, 'status 1');
  assert.match(
    readFileSync(other.log, 'utf8'),
    `the address is in use by another program: MQTT unix ${socket}`,
  );
  await other.close();
  const client = overUnix(socket);
  assert.is((await client.connect('still')).returnCode, 0);
  client.close();
});

test('every fault of the listeners is named before anything is opened', async () => {
  const other = await NodeAlone.prepare();
  const address = `127.0.0.1:${other.ports.mqtt}`;
  const listeners = [
    { type: 'tls', address, requireCertificate: true },
    { type: 'unix', path: 'here', mode: 660 },
    { type: 'websocket', origins: ['hmi'] },
  ];
  const program = other.create(listeners, { console: { enable: false } });
  assert.is(await program.ended, 'status 2');
  const said = readFileSync(other.log, 'utf8');
  for (const line of [
    'listeners.0.tlsCertFile: is missing',
    'listeners.0.tlsPrivateKeyFile: is missing',
    'listeners.0.tlsCaFile: want the CA',
    `listeners.0.address = "${address}": another listener has it`,
    'listeners.1.path = "here": want an absolute path',
    'listeners.1.mode = 660: want octal digits in quotes',
    'listeners.2.origins.0 = "hmi": want an origin',
    'console.enable = false: want true',
  ]) {
    assert.ok(said.includes(`modules.${line.startsWith('console') ? '' : 'eventBus.'}${line}`), line);
  }
  await other.close();
});

/** Connections that the listeners turned away, all together. */
async function refused(node: NodeAlone): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${node.ports.console}/metrics`)).text();
  const values = [...text.matchAll(/^edgecore_mqtt_connections_refused_total\{.*\} (\d+)$/gm)];
  return values.reduce((sum, match) => sum + Number(match[1]), 0);
}

test.run();

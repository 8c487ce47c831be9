import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt, { type Packet } from 'mqtt-packet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../runtime/core/log.ts';
import { seededRandom, testSeed } from '../../runtime/core/test-random.ts';
import { openDatabase } from '../../runtime/store/database.ts';
import { type Program, until } from '../program.ts';
import { checkpointBegins, type LoneEdge, loneEdge } from './edge.ts';
import { Ledger, numberOf } from './ledger.ts';
import { Load } from './load.ts';

/** `EDGECORE_KILLS` says how often, `EDGECORE_SEED` repeats a run. */
const isLong = process.env.EDGECORE_LONG === 'true';
const kills = Number(process.env.EDGECORE_KILLS ?? (isLong ? 200 : 25));
const seed = testSeed();
/** In which a killed edgecore has to serve again, also on a busy machine. */
const START_LIMIT = 10_000;

type Context = { dir: string; edge: LoneEdge; ledger: Ledger; load: Load; running: Program | undefined };
const test = suite<Context>('edgecore, killed');
const random = seededRandom(seed);
const starts: number[] = [];

test.before(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-kill-'));
  context.edge = await loneEdge(context.dir);
  context.ledger = new Ledger();
  const { edge, ledger } = context;
  context.load = new Load({ port: edge.port, publishers: 4, ledger, random });
});

test.after(async ({ dir, load, running, ledger }) => {
  load.close();
  await running?.kill();
  if (ledger.faults.length === 0) rmSync(dir, { recursive: true });
});

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts edgecore and waits until it serves. */
async function startReady(context: Context): Promise<Program> {
  const began = performance.now();
  const program = context.edge.start();
  context.running = program;
  await program.ready();
  starts.push(performance.now() - began);
  return program;
}

/** What a new client gets of the retained messages. */
function retained(port: number, count: number): Promise<Map<string, number>> {
  return new Promise((resolve, reject) => {
    const found = new Map<string, number>();
    const socket = connect(port, '127.0.0.1');
    const parser = mqtt.parser({ protocolVersion: 4 });
    const send = (packet: Packet): void => void socket.write(mqtt.generate(packet));
    const end = (act: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      act();
    };
    const timer = setTimeout(
      () => end(() => reject(new Error(`only ${found.size} retained messages came`))),
      START_LIMIT,
    );
    parser.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connack')
        send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'state/+', qos: 0 }] });
      if (packet.cmd !== 'publish' || !packet.retain) return;
      found.set(packet.topic, numberOf(packet.payload as Buffer));
      if (found.size === count) end(() => resolve(found));
    });
    socket.on('data', (chunk: Buffer) => parser.parse(chunk));
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('connect', () =>
      send({
        cmd: 'connect',
        clientId: 'looker',
        clean: true,
        keepalive: 0,
        protocolId: 'MQTT',
        protocolVersion: 4,
      }),
    );
  });
}

/** Each topic's retained message is none before the last that was acknowledged by now. */
async function checkRetained({ edge, load, ledger }: Context): Promise<void> {
  const least = load.retainedTopics.map((topic) => [topic, ledger.lastAcknowledged(topic)] as const);
  const known = least.filter(([, n]) => n > 0);
  if (known.length === 0) return;
  const found = await retained(edge.port, known.length);
  for (const [topic, n] of known) {
    const there = found.get(topic) ?? 0;
    if (there < n || there > ledger.lastPublished(topic))
      ledger.fault(`retained ${topic} is ${there}; acknowledged was ${n}`);
  }
}

/** One life of the process, ended at a random moment of a random part of it.
 * @returns which part that was */
async function liveAndDie(context: Context, nth: number): Promise<string> {
  const die = async (program: Program, part: string): Promise<string> => {
    await program.kill();
    return part;
  };
  const part = random();
  if (part < 0.3) {
    const program = context.edge.start();
    context.running = program;
    const usual = [...starts].sort((a, b) => a - b)[starts.length >> 1] ?? 500;
    await wait(random() * usual * 1.1);
    return die(program, 'starting');
  }
  const program = await startReady(context);
  if (part < 0.5) {
    const seen = await checkpointBegins(context.edge.database, 3000);
    await wait(random() * 3);
    return die(program, seen ? 'in a checkpoint' : 'after a while');
  }
  if (nth % 5 === 0) await checkRetained(context);
  await wait(random() * 200);
  return die(program, 'under load');
}

test(`${kills} times, seed ${seed}: nothing that was acknowledged is lost, and QoS 2 arrives once`, async (context) => {
  const { load, ledger } = context;
  const parts = new Map<string, number>();
  await startReady(context);
  load.connect();
  await until('every subscription is kept', () => load.isSubscribed);
  load.run();
  await context.running?.kill();
  for (let nth = 1; nth < kills && ledger.faults.length === 0; nth++) {
    const part = await liveAndDie(context, nth);
    parts.set(part, (parts.get(part) ?? 0) + 1);
  }
  load.pause();
  let program = await startReady(context);
  await until('everything is acknowledged', () => load.pending === 0, 60_000);
  await until('everything has arrived', () => ledger.missing().length === 0, 60_000).catch(() => {
    for (const what of ledger.missing()) ledger.fault(`lost: ${what}`);
  });
  await checkRetained(context);
  // Once more: what was done is not done again.
  await program.kill();
  program = await startReady(context);
  const everyone = [...load.subscribers, ...load.publishers];
  await until('everyone is back', () => everyone.every(({ isOnline }) => isOnline));
  await Promise.all(everyone.map((client) => client.roundTrip()));
  await checkRetained(context);
  const { published, acknowledged, delivered, duplicates1, duplicates2, lost } = ledger.figures();
  process.stdout.write(
    [
      `  seed ${seed}: ${kills} kills (${[...parts].map(([part, count]) => `${count} ${part}`).join(', ')})`,
      `  published ${published}, acknowledged ${acknowledged}, delivered ${delivered}`,
      `  duplicates: QoS 1 ${duplicates1}, QoS 2 ${duplicates2}; lost ${lost}`,
      `  starts: ${starts.length}, slowest ${Math.max(...starts).toFixed(0)} ms`,
      '',
    ].join('\n'),
  );
  assert.equal(ledger.faults, [], `seed ${seed}, ${context.dir}`);
  assert.equal([published - acknowledged, lost], [0, 0]);
  assert.ok(Math.max(...starts) < START_LIMIT);
});

test('the database is whole, and nothing of what was delivered stays in it', async ({
  edge,
  load,
  running,
}) => {
  load.close();
  await running?.stop();
  const { db } = openDatabase(edge.database, Date.now(), silentLogger);
  try {
    assert.equal(db.all('PRAGMA integrity_check'), [{ integrity_check: 'ok' }]);
    const rows = (table: string): number => Number(db.get(`SELECT count(*) AS n FROM ${table}`)?.n);
    assert.equal(['mqtt_batch', 'mqtt_incoming', 'mqtt_will'].map(rows), [0, 0, 0]);
    assert.is(rows('mqtt_retained'), load.retainedTopics.length);
    assert.equal(rows('mqtt_session'), load.subscribers.length + load.publishers.length);
  } finally {
    db.close();
  }
});

test.run();

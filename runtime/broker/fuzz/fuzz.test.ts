import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../core/fake-clock.ts';
import { type Logger, silentLogger } from '../../core/log.ts';
import { Metrics } from '../../core/metrics.ts';
import { testSeed } from '../../core/test-random.ts';
import { kibibytes, seconds } from '../../core/units.ts';
import { Broker } from '../broker.ts';
import type { BrokerLimits } from '../config.ts';
import type { Message } from '../message.ts';
import { readAnswers } from './answers.ts';
import { census, growth } from './census.ts';
import { mutate, split } from './mutations.ts';
import { Neighbour, Witness } from './neighbours.ts';
import { Random } from './random.ts';
import { ValidSessions } from './valid-sessions.ts';
import { turn, Wire } from './wire.ts';

/** Streams of one run; every tenth is not mutated. */
const CASES = process.env.EDGECORE_LONG === 'true' ? 20_000_000 : 200_000;
/** Cases between two exchanges of the neighbours. */
const BETWEEN = 100;
/** Turns of the event loop that the end of a connection may take. */
const MOST_TURNS = 40;
const versions = [3, 4, 5] as const;

const limits: Partial<BrokerLimits> = {
  packetBytes: kibibytes(64),
  sessions: 1000,
  subscriptions: 500,
  subscriptionsPerClient: 20,
  retainedCount: 100,
  retainedBytes: kibibytes(256),
  queueCount: 50,
  queueBytes: kibibytes(64),
  sessionExpiry: seconds(600),
};

type Context = { seed: number; clock: FakeClock; broker: Broker; faults: string[] };
const test = suite<Context>('the broker and what is not MQTT');

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Errors of the broker are faults of it here: whatever comes, it has an answer. */
const strictLogger = (faults: string[]): Logger => ({
  ...silentLogger,
  error: (message, fields) => faults.push(`${message}: ${fields?.reason ?? fields?.error}`),
  child: () => strictLogger(faults),
});

test.before((context) => {
  context.seed = testSeed();
  context.clock = new FakeClock();
  context.faults = [];
  const log = strictLogger(context.faults);
  const metrics = new Metrics();
  context.broker = new Broker({ listeners: [], limits, clock: context.clock, log, metrics });
  process.stdout.write(`EDGECORE_SEED=${context.seed} `);
});
test.after(({ broker }) => broker.stop());

type Case = {
  readonly version: 3 | 4 | 5;
  readonly mutations: readonly string[];
  readonly chunks: readonly Buffer[];
};

function makeCase(sessions: ValidSessions, random: Random): Case {
  const version = random.pick(versions);
  const packets = sessions.make(version, random);
  const other = (): Buffer[] => sessions.make(random.pick(versions), random);
  const mutations = random.oneIn(10) ? [] : mutate(packets, random, other);
  return { version, mutations, chunks: split(packets, random) };
}

/** The version that a stream's CONNECT asks for; any when it is none. */
function askedVersion(chunks: readonly Buffer[]): 3 | 4 | 5 {
  const start = Buffer.concat(chunks.slice(0, 40)).subarray(0, 40);
  let at = 1;
  while (at < start.length && (start[at] as number) >= 0x80) at++;
  const nameBytes = at + 3 <= start.length ? start.readUInt16BE(at + 1) : 0;
  const level = (start[at + 3 + nameBytes] ?? 4) & 0x7f;
  return level === 3 || level === 5 ? level : 4;
}

/** Brings a stream to the broker and looks at how it ends. @throws Error saying what is wrong */
async function run({ broker, faults }: Context, it: Case, random: Random): Promise<void> {
  const { mutations, chunks } = it;
  const [isAbrupt, isThorough] = [random.oneIn(5), random.oneIn(8)];
  const { counters } = broker;
  const before = counters.malformed.value + counters.refused.value;
  const wire = new Wire();
  broker.attach(wire, { address: 'fuzz', local: true });
  await turn();
  for (const chunk of chunks) {
    if (wire.isEnded) break;
    wire.bring(chunk);
  }
  await turn();
  const endedItself = wire.isEnded;
  if (isAbrupt) wire.destroy();
  else wire.hangUp();
  for (let turns = 0; !wire.closed; turns++) {
    if (turns > MOST_TURNS) throw new Error('the connection does not end');
    await turn();
  }
  if (faults.length > 0) throw new Error(faults[0]);
  const wasBroken = counters.malformed.value + counters.refused.value > before;
  const { connack, disconnect } = readAnswers(wire.sent, askedVersion(chunks), isThorough);
  if (disconnect !== undefined && !endedItself) throw new Error('DISCONNECT without an end');
  if (disconnect !== undefined && !wasBroken) throw new Error('DISCONNECT that nothing counts');
  if (connack !== undefined && connack !== 0 && !endedItself) throw new Error('open after a refusal');
  if (mutations.length === 0 && (connack !== 0 || disconnect !== undefined))
    throw new Error('a good client was sent away');
}

test(`${CASES} streams disturb nobody, and leave nothing behind`, async (context) => {
  const { seed, clock, broker, faults } = context;
  const sessions = new ValidSessions(new Random(seed));
  const neighbours = versions.map((version) => new Neighbour(broker, version));
  const witnesses = ([4, 5] as const).map((version) => new Witness(broker, version));
  await turn();
  for (const witness of witnesses) witness.start();
  for (const neighbour of neighbours) await neighbour.start();
  for (const neighbour of neighbours) await neighbour.exchange();
  const noted = (error: unknown): unknown => faults.push(`not caught: ${error}`);
  process.on('unhandledRejection', noted);
  process.on('uncaughtException', noted);
  await settle(context);
  const before = census(broker);
  let heapBefore = 0;
  const begun = performance.now();
  for (let n = 0; n < CASES; n++) {
    const random = new Random(seed + Math.imul(n + 1, 0x9e3779b1));
    const it = makeCase(sessions, random);
    try {
      await run(context, it, random);
      for (const witness of witnesses) {
        witness.look();
        if (witness.fault) throw new Error(`a witness got ${witness.fault}`);
      }
      if (n % BETWEEN === 0) for (const neighbour of neighbours) await neighbour.exchange();
      if (n % 1000 === 0) await clock.advance(seconds(100));
    } catch (error) {
      const hex = it.chunks.map((chunk) => chunk.toString('hex')).join(' ');
      const how = `v${it.version}, ${it.mutations.join(', ') || 'as it is'}`;
      assert.unreachable(
        `EDGECORE_SEED=${seed} case ${n} (${how}): ${(error as Error).message}\n${hex.slice(0, 20_000)}`,
      );
    }
    if (n === Math.floor(CASES / 10)) heapBefore = heapInUse();
  }
  const perSecond = Math.round(CASES / ((performance.now() - begun) / 1000));
  await settle(context);
  for (const neighbour of neighbours) await neighbour.exchange();
  for (const witness of witnesses) witness.look();
  await settle(context);
  process.off('unhandledRejection', noted);
  process.off('uncaughtException', noted);
  assert.equal(faults, []);
  assert.equal(growth(before, census(broker)), [], 'the broker holds what it did not before');
  const grown = (heapInUse() - heapBefore) / 2 ** 20;
  process.stdout.write(
    `${perSecond} streams/s, ${witnesses[1]?.messages} messages seen, heap ${grown.toFixed(1)} MB `,
  );
  assert.ok(grown < 4, `the heap has grown by ${grown.toFixed(1)} MB`);
});

/** What a test needs to see of a broker from inside. */
type Inside = { readonly hub: { readonly retained: { readonly messages: Map<string, Message> } } };

/** Ends every session that nobody has, and forgets retained messages and routes. */
async function settle({ broker, clock }: Context): Promise<void> {
  await clock.advance(seconds(7200));
  const { messages } = (broker as unknown as Inside).hub.retained;
  for (const topic of [...messages.keys()])
    broker.publish({ topic, payload: Buffer.alloc(0), qos: 0, retain: true });
  broker.subscribe('x', () => {})();
  await turn();
}

function heapInUse(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

test.run();

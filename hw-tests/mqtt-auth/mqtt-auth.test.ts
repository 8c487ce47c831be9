import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock, withTimeout } from '../../runtime/core/clock.ts';
import { seconds } from '../../runtime/core/units.ts';
import { type Program, until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { type AccessFiles, edgecore, type RunningBroker, startEdgecore, startMosquitto } from './brokers.ts';
import { publish, Subscriber, type Who } from './client.ts';
import { ACL, type Answer, answers, askers, entries, observer, users } from './questions.ts';

type Context = {
  dir: string;
  files: AccessFiles;
  ours: RunningBroker;
  mosquitto: RunningBroker;
  /** Stopped at the end, also after a failure. */
  started: Program[];
};
const test = suite<Context>('MQTT users and rules');
const here = ['mosquitto', 'mosquitto_passwd'].every((name) => requireProgram(name, 'mosquitto'));
const clients = ['mosquitto_pub', 'mosquitto_sub'].every((name) => requireProgram(name, 'mosquitto-clients'));

test.before(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'mqtt-auth-'));
  context.files = { passwordFile: join(context.dir, 'passwords'), aclFile: join(context.dir, 'acl') };
  writeFileSync(context.files.passwordFile, '');
  // Both kinds of hash that mosquitto_passwd makes.
  for (const [i, { name, password }] of users.entries())
    setPassword(context, name, password, i % 2 ? 'sha512' : 'sha512-pbkdf2');
  writeFileSync(context.files.aclFile, ACL);
  context.ours = await startEdgecore(context.dir, context.files);
  context.mosquitto = await startMosquitto(context.dir, context.files);
  context.started = [context.ours.program, context.mosquitto.program];
});
test.after(async ({ started, dir }) => {
  await Promise.all(started.reverse().map((program) => program.stop()));
  rmSync(dir, { recursive: true });
});

function setPassword({ files }: Context, name: string, password: string, kind = 'sha512-pbkdf2'): void {
  execFileSync('mosquitto_passwd', ['-b', '-H', kind, files.passwordFile, name, password]);
}

async function subscriber(
  { dir, started }: Context,
  port: number,
  who: Who,
  name: string,
): Promise<Subscriber> {
  const reader = new Subscriber(port, who, ['#', '$dev/#'], join(dir, 'log', name));
  started.push(reader.program);
  await reader.program.ready();
  return reader;
}

function endOf({ name, ended }: Program): Promise<string> {
  return withTimeout(systemClock, seconds(20), ended, () => new Error(`${name} does not end`));
}

const topics = Object.keys(answers);
const END = 'end';

/** Which topics reach each asker, who subscribes to everything. */
async function readable(context: Context, { port, program }: RunningBroker): Promise<string[][]> {
  const readers = await Promise.all(
    Object.values(askers).map((who, i) => subscriber(context, port, who, `${program.name}-reader-${i}`)),
  );
  for (const topic of [...topics, END]) assert.is(await publish(port, observer, topic, 'asked'), '');
  await Promise.all(readers.map((reader) => reader.got(`${END}=asked`)));
  await Promise.all(readers.map((reader) => reader.program.stop()));
  return readers.map(({ received }) => topics.filter((topic) => received.includes(`${topic}=asked`)));
}

/** Which topics each asker can publish to: what arrives at one who may read everything, and what the asker is told. */
async function writable(context: Context, { port, program }: RunningBroker): Promise<string[][]> {
  const watching = await subscriber(context, port, observer, `${program.name}-observer`);
  const told: string[][] = [];
  for (const who of Object.values(askers)) {
    const accepted: string[] = [];
    for (const topic of topics) {
      const said = await publish(port, who, topic, who.id);
      if (said === '') accepted.push(topic);
      else assert.match(said, /Not authorized/);
    }
    told.push(accepted);
  }
  await publish(port, { ...observer, id: 'observer-2' }, END, 'all asked');
  await watching.got(`${END}=all asked`);
  await watching.program.stop();
  const arrived = Object.values(askers).map(({ id }) =>
    topics.filter((topic) => watching.received.includes(`${topic}=${id}`)),
  );
  assert.equal(arrived, told);
  return arrived;
}

async function answersOf(context: Context, broker: RunningBroker): Promise<Record<string, Answer[]>> {
  const [may, can] = [await readable(context, broker), await writable(context, broker)];
  const answer = (i: number, topic: string): Answer =>
    `${may[i]?.includes(topic) ? 'r' : ''}${can[i]?.includes(topic) ? 'w' : ''}` as Answer;
  return Object.fromEntries(
    topics.map((topic) => [topic, Object.keys(askers).map((_, i) => answer(i, topic))]),
  );
}

if (here && clients) {
  test('both brokers answer the same questions alike', async (context) => {
    const [ours, theirs] = await Promise.all([
      answersOf(context, context.ours),
      answersOf(context, context.mosquitto),
    ]);
    assert.equal(theirs, answers);
    assert.equal(ours, answers);
  });

  for (const { who, enters } of entries) {
    const name = JSON.stringify({ username: who.username, password: who.password });
    test(`${name} is ${enters ? 'let in' : 'refused'}`, async ({ ours, mosquitto }) => {
      for (const version of ['mqttv31', 'mqttv311', 'mqttv5'] as const) {
        const ask = ({ port }: RunningBroker) => publish(port, who, 'both', 'x', version);
        const [said, theirs] = await Promise.all([ask(ours), ask(mosquitto)]);
        assert.is(theirs === '', enters, `mosquitto, ${version}: ${theirs}`);
        if (enters) assert.is(said, '', version);
        else assert.match(said, /bad user name or password/i); // mosquitto itself says: not authorised
      }
    });
  }

  test('subscribing to what may not be read is refused, mosquitto only delivers nothing', async (context) => {
    const log = join(context.dir, 'log', 'refused');
    const { program } = new Subscriber(context.ours.port, askers.bob, ['public/#'], log);
    context.started.push(program);
    await endOf(program);
    assert.match(readFileSync(log, 'utf8'), /All subscription requests were denied/);
  });
}

const AGAIN = 'the MQTT rules were read again';
const REFUSED = 'the MQTT rules stay as they were';

function count(log: string, text: string): number {
  return readFileSync(log, 'utf8').split(text).length - 1;
}

async function logged({ log }: RunningBroker, text: string, act: () => void): Promise<void> {
  const before = count(log, text);
  act();
  await until(`the log says ${text}`, () => count(log, text) > before, 10_000);
}

if (here && clients) {
  test('SIGHUP has the files read again, a changed file has itself, and who is connected stays', async (context) => {
    const { ours, files } = context;
    const reader = await subscriber(context, ours.port, askers.bob, 'stays');
    await logged(ours, AGAIN, () => ours.program.signal('SIGHUP'));
    const dora = { id: 'c7', username: 'dora', password: 'new' };
    assert.match(await publish(ours.port, dora, 'both', '1'), /bad user name/i);
    await logged(ours, AGAIN, () => setPassword(context, 'dora', 'new'));
    assert.is(await publish(ours.port, dora, 'both', '1'), '');
    await logged(ours, AGAIN, () => {
      writeFileSync(
        `${files.aclFile}.new`,
        `${ACL}\nuser bob\ntopic read news\nuser dora\ntopic write news\n`,
      );
      renameSync(`${files.aclFile}.new`, files.aclFile);
    });
    assert.is(await publish(ours.port, dora, 'news', 'fresh'), '');
    await reader.got('news=fresh');
    assert.is(reader.connects, 1);
    await reader.program.stop();
  });

  test('a bad file is named with its line, and the rules stay', async (context) => {
    const { ours, files } = context;
    await logged(ours, REFUSED, () => appendFileSync(files.aclFile, 'topic reed x\n'));
    const lines = readFileSync(files.aclFile, 'utf8').split('\n').length - 1;
    const line = readFileSync(ours.log, 'utf8')
      .split('\n')
      .find((text) => text.includes(REFUSED));
    const { resource, reason, level } = JSON.parse(line ?? '{}');
    assert.equal([level, resource], ['error', `${files.aclFile}:${lines}`]);
    assert.is(reason, '"reed": want read, write, readwrite or deny');
    assert.is(await publish(ours.port, askers.alice, 'plant', 'x'), '');
  });

  test('edgecore does not start with such a file: status 2, and the place', async ({
    dir,
    files,
    started,
  }) => {
    const other = join(dir, 'other');
    mkdirSync(other);
    const { program, log } = await edgecore(other, files);
    started.push(program);
    assert.is(await endOf(program), 'status 2');
    assert.match(readFileSync(log, 'utf8'), /acl:\d+: "reed": want read, write, readwrite or deny/);
  });

  test.run();
}

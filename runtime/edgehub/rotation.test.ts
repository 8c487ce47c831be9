import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { trustedTime } from '../core/time-trust.ts';
import { issueTestCertificate } from '../wire/test-certificate.ts';
import type { Credentials } from './certificates.ts';
import { Rotation } from './rotation.ts';

const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);
type Context = {
  clock: FakeClock;
  renewed: number[];
  tries: number[];
  /** How many of the next tries fail. */
  cloud: { refuses: number };
  time: { isTrusted: boolean };
  make: (random: number) => Rotation;
};
const test = suite<Context>('rotation of the certificate');

function certificate(from: number, to: number): Credentials {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const der = issueTestCertificate('system:node:edge-1', spki, { name: 'ca', key: privateKey }, [from, to]);
  return { ca: '', cert: new X509Certificate(der).toString(), key: '' };
}

test.before.each((context) => {
  const clock = new FakeClock(START);
  const renewed: number[] = [];
  const tries: number[] = [];
  const cloud = { refuses: 0 };
  const time = { ...trustedTime, isTrusted: true };
  let current = certificate(START, START + 100 * DAY);
  const certificates = {
    load: () => current,
    renew: async () => {
      tries.push(clock.monotonic());
      if (cloud.refuses-- > 0) throw new Error('no');
      current = certificate(clock.now(), clock.now() + 100 * DAY);
    },
  };
  const make = (random: number): Rotation =>
    new Rotation({
      certificates,
      clock,
      time,
      log: silentLogger,
      random: () => random,
      renewed: () => renewed.push((clock.now() - START) / DAY),
    });
  Object.assign(context, { clock, renewed, tries, cloud, time, make });
});

/** Goes through time a few hours at a time, without firing each look. */
async function pass(clock: FakeClock, days: number): Promise<void> {
  for (let i = 0; i < days * 6; i++) {
    clock.jump(DAY / 6 - 120_000);
    await clock.advance(120_000);
  }
}

for (const [random, expected] of [
  [0, 70],
  [0.5, 80],
  [0.999, 90],
] as const) {
  test(`it comes at ${expected} % of the life where chance is ${random}`, async ({
    clock,
    renewed,
    make,
  }) => {
    const rotation = make(random);
    rotation.start();
    await pass(clock, 95);
    assert.is(renewed.length, 1);
    assert.ok(Math.abs((renewed[0] ?? 0) - expected) < 0.2, String(renewed[0]));
    await rotation.stop();
    assert.is(clock.pending, 0);
  });
}

test('a failed renewal is tried again after 2, 4, 8, 16 and 32 s, then every 32 s', async ({
  clock,
  renewed,
  tries,
  cloud,
  make,
}) => {
  const rotation = make(0.5);
  rotation.start();
  cloud.refuses = 7;
  clock.jump(81 * DAY);
  await clock.advance(300_000);
  const waits = tries.slice(1).map((at, i) => Math.round((at - (tries[i] ?? 0)) / 1000));
  assert.equal(waits, [2, 4, 8, 16, 32, 32, 32]);
  assert.is(renewed.length, 1);
  await rotation.stop();
});

test('neither an expired certificate nor one whose dates mean nothing is renewed', async ({
  clock,
  tries,
  time,
  make,
}) => {
  const rotation = make(0.5);
  rotation.start();
  time.isTrusted = false;
  clock.jump(81 * DAY);
  await clock.advance(120_000);
  time.isTrusted = true;
  clock.jump(20 * DAY);
  await clock.advance(120_000);
  assert.equal(tries, []);
  await rotation.stop();
});

test('stopping ends the wait for another try', async ({ clock, cloud, make }) => {
  const rotation = make(0.5);
  rotation.start();
  cloud.refuses = 100;
  clock.jump(81 * DAY);
  await clock.advance(120_000);
  await rotation.stop();
  assert.is(clock.pending, 0);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../runtime/core/test-random.ts';
import { millis } from '../../runtime/core/units.ts';
import type { FrameCheck } from './frame-check.ts';
import { type Form, Framer, type Framing } from './framing.ts';
import { parseTemplate, render } from './template.ts';

const SEED = Number(process.env.EDGECORE_SEED ?? 20_260);
const none: FrameCheck = { kind: 'none' };
const crc: FrameCheck = {
  kind: 'sum',
  sum: 'crc16-modbus',
  from: 0,
  encoding: 'binary',
  order: 'little',
  init: 0xffff,
};
const nmea: FrameCheck = { kind: 'nmea' };
const empty = Buffer.alloc(0);

function framing(form: Form, check: FrameCheck = none, max = 64): Framing {
  return { form, check, max, quiet: millis(50) };
}

function bytes(text: string, check: FrameCheck = none): Buffer {
  const template = parseTemplate(text);
  if ('fault' in template) throw new Error(template.fault);
  const made = render(template, check);
  if ('fault' in made) throw new Error(made.fault);
  return made;
}

/** What comes out, frames as text and damage as `!`. @param chunks `|` is a silence */
function cuts(how: Framing, chunks: readonly (Buffer | '|')[], midway = false): string[] {
  const framer = new Framer(how);
  framer.reset(midway);
  return chunks
    .flatMap((chunk) => (chunk === '|' ? framer.silence() : framer.push(chunk)))
    .map((cut) => (cut.kind === 'frame' ? cut.bytes.toString('latin1') : `!${cut.why}`));
}

const line = framing({ kind: 'delimiter', start: empty, delimiter: Buffer.from('\n'), trailer: 0 });
const star = framing(
  { kind: 'delimiter', start: Buffer.from('$'), delimiter: Buffer.from('\r\n'), trailer: 0 },
  nmea,
  82,
);
const stx = framing(
  { kind: 'delimiter', start: Buffer.from([2]), delimiter: Buffer.from([3]), trailer: 1 },
  { kind: 'sum', sum: 'xor', from: 1, encoding: 'binary', order: 'big', init: 0 },
);
const sized = framing(
  { kind: 'length', start: Buffer.from([0xaa]), offset: 1, width: 1, order: 'big', counts: 'rest', add: 2 },
  crc,
);
const bare = framing(
  { kind: 'length', start: empty, offset: 0, width: 2, order: 'little', counts: 'frame', add: 0 },
  crc,
);
const fixed = framing({ kind: 'fixed', start: empty, size: 4 });
const quiet = framing({ kind: 'silence' });

test('a delimiter ends a frame, wherever the chunks are cut', () => {
  assert.equal(cuts(line, [Buffer.from('T=1\r\nT='), Buffer.from('2\n\n'), Buffer.from('T=3')]), [
    'T=1',
    'T=2',
  ]);
  assert.equal(cuts(line, [Buffer.from('1.5\nT=2\n')], true), ['T=2'], 'the end of a frame is no frame');
});

test('a frame that never ends is dropped with its tail', () => {
  const long = Buffer.alloc(200, 'x');
  const [told, next] = cuts(line, [long, long, Buffer.from('T=9\nT=1\n')]);
  assert.is(told, '!a frame longer than 64 bytes');
  assert.is(next, 'T=1');
});

test('start bytes bring a frame back into step, and a second start drops the one before', () => {
  const good = bytes('$GPA,1*{checksum}\\r\\n', nmea);
  assert.equal(cuts(star, [Buffer.from('gar$GPA,1'), good, Buffer.from('bage'), good]), [
    '!a frame broke off: "$GPA,1"',
    '$GPA,1',
    '$GPA,1',
  ]);
  assert.match(cuts(star, [Buffer.from('$GPA,2*00\r\n')])[0] ?? '', /^!checksum \*00 instead of \*/);
});

test('a checksum may follow the end mark', () => {
  const good = bytes('\\x02T21\\x03{checksum}', stx.check);
  assert.equal(cuts(stx, [good.subarray(0, -1), good.subarray(-1), good]), ['\x02T21\x03', '\x02T21\x03']);
});

test('a length says where a frame ends, whatever it counts', () => {
  const good = bytes('\\xaa\\x03abc{checksum}', crc);
  assert.equal(cuts(sized, [good, good]), ['\xaa\x03abc', '\xaa\x03abc']);
  const frame = bytes('\\x07\\x00abc{checksum}', crc);
  assert.equal(cuts(bare, [frame, frame]), ['\x07\0abc', '\x07\0abc']);
});

test('a length that lies costs its own frame only', () => {
  const good = bytes('\\xaa\\x03abc{checksum}', crc);
  const lies = Buffer.from([0xaa, 0x30, 1, 2]);
  assert.equal(cuts(sized, [lies, good, '|', good]), [
    '!a frame broke off: "\\xaa0\\x01\\x02\\xaa\\x03abc\\xc9\\x1c"'.replace(/\\xc9\\x1c/, showTail(good)),
    '\xaa\x03abc',
    '\xaa\x03abc',
  ]);
  const endless = Buffer.from([0xaa, 0xff]);
  assert.equal(cuts(sized, [endless, good]), ['!a frame longer than 64 bytes', '\xaa\x03abc']);
});

function showTail(good: Buffer): string {
  return [...good.subarray(-2)]
    .map((byte) =>
      byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
    )
    .join('');
}

test('without a start or a checksum only silence tells where a fixed frame begins', () => {
  assert.equal(cuts(fixed, [Buffer.from('ab'), Buffer.from('cdefgh')]), ['abcd', 'efgh']);
  assert.equal(
    cuts(
      fixed,
      [Buffer.from('cd'), '|', Buffer.from('abcd'), Buffer.from('ab'), '|', Buffer.from('abcd')],
      true,
    ),
    ['abcd', '!a frame broke off: "ab"', 'abcd'],
  );
});

test('silence ends a frame, and spoils one that is too long', () => {
  assert.equal(cuts(quiet, [Buffer.from('ab'), Buffer.from('c'), '|', '|', Buffer.from('d'), '|']), [
    'abc',
    'd',
  ]);
  assert.equal(cuts(quiet, [Buffer.alloc(65, 'x'), Buffer.from('y'), '|', Buffer.from('d'), '|']), [
    '!a frame longer than 64 bytes',
    'd',
  ]);
  assert.equal(cuts(quiet, [Buffer.from('bc'), '|', Buffer.from('abc'), '|'], true), ['abc']);
});

test('a pattern cuts what matches, and waits while more of it may come', () => {
  const open = framing({ kind: 'regex', pattern: /T=[\d.]+/ });
  assert.equal(cuts(open, [Buffer.from('xxT=2'), Buffer.from('1.5'), '|']), ['T=21.5']);
  assert.equal(cuts(open, [Buffer.from('T=2'), Buffer.from('1;')]), ['T=21']);
  const bare = framing({ kind: 'regex', pattern: /[\d.]+\r/ });
  assert.equal(cuts(bare, [Buffer.from('1.5\r22.5\r')], true), ['22.5\r'], 'the end of a frame is no frame');
  assert.equal(cuts(bare, ['|', Buffer.from('21.5\r')], true), ['21.5\r']);
  const closed = framing({ kind: 'regex', pattern: /T=[\d.]+\r/ });
  assert.equal(cuts(closed, [Buffer.from('T=2'), Buffer.from('1\rT=')]), ['T=21\r']);
});

type Kind = {
  readonly name: string;
  readonly how: Framing;
  readonly make: (content: string) => Buffer;
  readonly gap: boolean;
};
const kinds: Kind[] = [
  { name: 'line', how: line, make: (c) => Buffer.from(`${c}\n`), gap: false },
  { name: 'nmea', how: star, make: (c) => bytes(`$${c}*{checksum}\\r\\n`, nmea), gap: false },
  { name: 'stx', how: stx, make: (c) => bytes(`\\x02${c}\\x03{checksum}`, stx.check), gap: false },
  {
    name: 'length',
    how: sized,
    make: (c) => bytes(`\\xaa${hexByte(c.length)}${c}{checksum}`, crc),
    gap: false,
  },
  {
    name: 'length without start',
    how: bare,
    make: (c) => bytes(`${hexByte(c.length + 4)}\\x00${c}{checksum}`, crc),
    gap: false,
  },
  {
    name: 'fixed with crc',
    how: framing({ kind: 'fixed', start: empty, size: 10 }, crc),
    make: (c) => bytes(`${c.padEnd(8).slice(0, 8)}{checksum}`, crc),
    gap: false,
  },
  {
    name: 'silence',
    how: framing({ kind: 'silence' }, crc),
    make: (c) => bytes(`${c}{checksum}`, crc),
    gap: true,
  },
];

function hexByte(value: number): string {
  return `\\x${value.toString(16).padStart(2, '0')}`;
}

function contents(random: () => number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `T${i}=${(random() * 1000).toFixed(2)}`);
}

/** Cuts a stream at random places. */
function split(stream: Buffer, random: () => number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < stream.length; ) {
    const size = 1 + Math.floor(random() * 12);
    chunks.push(stream.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

function feed({ how, gap }: Kind, frames: readonly Buffer[], random: () => number): string[] {
  const chunks = gap
    ? frames.flatMap((frame): (Buffer | '|')[] => [...split(frame, random), '|'])
    : split(Buffer.concat(frames), random);
  return cuts(how, [...chunks, '|']).filter((cut) => !cut.startsWith('!'));
}

for (const kind of kinds) {
  test(`${kind.name}: every frame comes out whole, cut at random places (seed ${SEED})`, () => {
    const random = seededRandom(SEED);
    for (let round = 0; round < 20; round++) {
      const frames = contents(random, 30).map(kind.make);
      const alone = frames.flatMap((frame) => cuts(kind.how, [frame, '|']));
      assert.is(alone.length, frames.length);
      assert.equal(feed(kind, frames, random), alone);
    }
  });

  test(`${kind.name}: after garbage it is in step again within one frame (seed ${SEED})`, () => {
    const random = seededRandom(SEED + 1);
    for (let round = 0; round < 100; round++) {
      const garbage = Buffer.from(
        Array.from({ length: Math.floor(random() * 90) }, () => Math.floor(random() * 256)),
      );
      const frames = contents(random, 12).map(kind.make);
      const wanted = frames.slice(-4).flatMap((frame) => cuts(kind.how, [frame, '|']));
      const got = feed(kind, [garbage, ...frames], random);
      assert.equal(got.slice(-4), wanted, `round ${round}`);
    }
  });

  test(`${kind.name}: any bytes at all are taken in bounded memory (seed ${SEED})`, () => {
    const random = seededRandom(SEED + 2);
    const framer = new Framer(kind.how);
    for (let i = 0; i < 5_000; i++) {
      const chunk = Buffer.from(
        Array.from({ length: 1 + Math.floor(random() * 8) }, () => Math.floor(random() * 256)),
      );
      for (const cut of framer.push(chunk)) {
        if (cut.kind === 'frame') assert.ok(cut.bytes.length <= kind.how.max);
      }
      const { data } = framer as unknown as { data: Buffer };
      assert.ok(data.length <= kind.how.max + 16, `${data.length} bytes kept`);
    }
  });

  if (kind.how.check.kind === 'sum' && kind.how.check.sum === 'crc16-modbus') {
    test(`${kind.name}: with 5 % of the bytes damaged every frame that comes out is one that was sent (seed ${SEED})`, () => {
      const random = seededRandom(SEED + 3);
      const sent = contents(random, 3000);
      const frames = sent.map(kind.make);
      const whole = new Set(frames.flatMap((frame) => cuts(kind.how, [frame, '|'])));
      const damagedFrames = frames.map((frame) =>
        Buffer.from(frame.map((byte) => (random() < 0.05 ? Math.floor(random() * 256) : byte))),
      );
      const got = feed(kind, damagedFrames, random);
      assert.ok(got.length > 300, `${got.length} of ${sent.length} came through`);
      for (const frame of got) assert.ok(whole.has(frame), `${JSON.stringify(frame)} was never sent`);
    });
  }
}

test.run();

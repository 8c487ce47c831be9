import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { copyLog, type LogOptions, parseLogLine } from './container-log.ts';

/** Takes what is written, and lets a test wait for it. */
class Sink extends Writable {
  text = '';
  private wanted: { text: string; resolve: () => void } | undefined;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
    if (this.wanted && this.text.endsWith(this.wanted.text)) this.wanted.resolve();
  }

  until(text: string): Promise<void> {
    if (this.text.endsWith(text)) return Promise.resolve();
    return new Promise((resolve) => {
      this.wanted = { text, resolve };
    });
  }
}

type Context = { dir: string; path: string; copy: (options?: Partial<LogOptions>) => Promise<string> };
const test = suite<Context>('container-log');
const everything: LogOptions = {
  follow: false,
  tailLines: undefined,
  timestamps: false,
  since: undefined,
  limitBytes: undefined,
};
const never = new AbortController().signal;

test.before.each((context) => {
  const dir = mkdtempSync(join(tmpdir(), 'container-log-'));
  const path = join(dir, '0.log');
  const copy: Context['copy'] = async (options = {}) => {
    const sink = new Sink();
    await copyLog(path, { ...everything, ...options }, sink, () => true, never);
    return sink.text;
  };
  Object.assign(context, { dir, path, copy });
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

const time = (n: number): string => `2026-01-01T00:00:0${n}.123456789Z`;
const line = (n: number, text: string, tag = 'F', stream = 'stdout'): string =>
  `${time(n)} ${stream} ${tag} ${text}\n`;

const lines: [string, ReturnType<typeof parseLogLine>][] = [
  [`${time(1)} stdout F hello`, { time: time(1), text: 'hello', whole: true }],
  [`${time(1)} stderr P part`, { time: time(1), text: 'part', whole: false }],
  [`${time(1)} stdout F:x tagged`, { time: time(1), text: 'tagged', whole: true }],
  [`${time(1)} stdout F `, { time: time(1), text: '', whole: true }],
  [`${time(1)} stdout F  two  blanks `, { time: time(1), text: ' two  blanks ', whole: true }],
  [`${time(1)} stdout F a\rb`, { time: time(1), text: 'a\rb', whole: true }],
  [`${time(1)} stdin F x`, undefined],
  [`${time(1)} stdout X x`, undefined],
  ['', undefined],
  ['no log', undefined],
];
for (const [text, wanted] of lines) {
  test(`the line ${JSON.stringify(text)}`, () => assert.equal(parseLogLine(text), wanted));
}

const log = line(1, 'one') + line(2, 'two', 'F', 'stderr') + line(3, 'three');
const wishes: [string, Partial<LogOptions>, string][] = [
  ['everything', {}, 'one\ntwo\nthree\n'],
  ['the last two lines', { tailLines: 2 }, 'two\nthree\n'],
  ['no line', { tailLines: 0 }, ''],
  ['more lines than there are', { tailLines: 9 }, 'one\ntwo\nthree\n'],
  ['with their times', { timestamps: true, tailLines: 1 }, `${time(3)} three\n`],
  ['since the second one', { since: Date.parse(time(2)) }, 'two\nthree\n'],
  ['no more than six bytes', { limitBytes: 6 }, 'one\ntw'],
];
for (const [what, options, wanted] of wishes) {
  test(`asked for ${what}`, async ({ path, copy }) => {
    writeFileSync(path, log);
    assert.is(await copy(options), wanted);
  });
}

test('parts of a long line are put together', async ({ path, copy }) => {
  writeFileSync(path, line(1, 'a', 'P') + line(1, 'b', 'P') + line(1, 'c'));
  assert.is(await copy(), 'abc\n');
});

test('a line that is still in writing waits', async ({ path, copy }) => {
  writeFileSync(path, line(1, 'one') + line(2, 'two').slice(0, -2));
  assert.is(await copy(), 'one\n');
});

test('a limit counts bytes, not letters', async ({ path, copy }) => {
  writeFileSync(path, line(1, 'äö'));
  assert.is(await copy({ limitBytes: 4 }), 'äö');
});

test('carriage returns and line separators of Unicode end no line', async ({ path, copy }) => {
  writeFileSync(path, line(1, '10%\r20%\r') + line(2, 'a\u2028b'));
  assert.is(await copy(), '10%\r20%\r\na\u2028b\n');
});

test('a line that goes over the border of two reads stays whole', async ({ path, copy }) => {
  const long = 'ä'.repeat(50_000);
  writeFileSync(path, line(1, long) + line(2, long) + line(3, 'end'));
  assert.is(await copy(), `${long}\n${long}\nend\n`);
});

test('a log that is not there yet is empty', async ({ copy }) => {
  assert.equal([await copy(), await copy({ tailLines: 3 })], ['', '']);
});

test('followed, a log goes on until the container has ended, each line once', async ({ path }) => {
  // Neither carriage returns nor bytes that are no UTF-8 may shift the place where reading goes on.
  const odd = Buffer.concat([
    Buffer.from(`${time(1)} stdout F `),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('\r\n'),
  ]);
  writeFileSync(path, odd);
  const sink = new Sink();
  let ended = false;
  const copying = copyLog(path, { ...everything, follow: true }, sink, () => ended, never);
  await sink.until('\r\n');
  appendFileSync(path, line(2, 'two'));
  await sink.until('two\n');
  ended = true;
  appendFileSync(path, line(3, 'three'));
  await copying;
  assert.is(sink.text, '\ufffd\ufffd\r\ntwo\nthree\n');
});

test('who followed and went away is let go', async ({ path }) => {
  writeFileSync(path, log);
  const gone = new AbortController();
  const sink = new Sink();
  const copying = copyLog(path, { ...everything, follow: true }, sink, () => false, gone.signal);
  await sink.until('three\n');
  gone.abort();
  await copying;
  assert.is(sink.text, 'one\ntwo\nthree\n');
});

test.run();

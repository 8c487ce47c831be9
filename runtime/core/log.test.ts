import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError } from './errors.ts';
import { FakeClock } from './fake-clock.ts';
import { createLogger, type Logger, type LogLevel } from './log.ts';
import { minutes } from './units.ts';

type Line = Record<string, unknown>;
type Context = { clock: FakeClock; lines: Line[]; log: Logger; make: (level: LogLevel) => Logger };
const test = suite<Context>('log');

test.before.each((context) => {
  const clock = new FakeClock();
  const lines: Line[] = [];
  const make = (level: LogLevel): Logger =>
    createLogger({
      level,
      clock,
      write: (line) => {
        assert.ok(line.endsWith('\n'));
        assert.is(line.indexOf('\n'), line.length - 1, 'one line');
        lines.push(JSON.parse(line) as Line);
      },
    });
  Object.assign(context, { clock, lines, make, log: make('info') });
});

test('a line is one JSON object with time, level, module and message', ({ log, lines }) => {
  log.child('edgehub').info('link up', { server: 'cloud:10000', text: 'two\nlines' });
  assert.equal(lines, [
    {
      time: '2026-01-01T00:00:00.000Z',
      level: 'info',
      module: 'edgehub',
      message: 'link up',
      server: 'cloud:10000',
      text: 'two\nlines',
    },
  ]);
});

for (const [level, told] of [
  ['debug', ['debug', 'info', 'warn', 'error']],
  ['info', ['info', 'warn', 'error']],
  ['warn', ['warn', 'error']],
  ['error', ['error']],
] as const) {
  test(`level ${level} writes ${told.join(', ')}`, ({ make, lines }) => {
    const log = make(level);
    log.debug('d');
    log.info('i');
    log.warn('w');
    log.error('e');
    assert.equal(
      lines.map((line) => line.level),
      [...told],
    );
  });
}

test('fields of a debug line are not built while debug is off', ({ log, make, lines }) => {
  log.debug('x', () => {
    throw new Error('built');
  });
  make('debug').debug('x', () => ({ a: 1 }));
  assert.is(lines[0]?.a, 1);
});

test('an error of ours shows code, message, hint and cause; another its message', ({ log, lines }) => {
  log.error('one', { error: new EdgeError('LINK_TIMEOUT', { detail: 'x', cause: new Error('deep') }) });
  log.error('two', { error: new Error('plain') });
  assert.equal(lines[0]?.error, {
    code: 'LINK_TIMEOUT',
    message: 'the cloud did not answer in time: x',
    hint: 'Check the link quality and the load of the cloud side.',
    cause: 'deep',
  });
  assert.is(lines[1]?.error, 'plain');
});

for (const level of ['warn', 'error'] as const) {
  test(`the same ${level} is written once a minute; the next line says how many were left out`, async ({
    log,
    lines,
    clock,
  }) => {
    for (let i = 0; i < 5; i++) log[level]('no answer', { device: 'plc', reason: `${i}` });
    assert.is(lines.length, 1);
    await clock.advance(minutes(1) - 1);
    log[level]('no answer', { device: 'plc' });
    assert.is(lines.length, 1);
    await clock.advance(1);
    log[level]('no answer', { device: 'plc' });
    assert.equal(
      lines.map((line) => line.suppressed),
      [undefined, 5],
    );
  });
}

test('a warning about something else, or of another module, is another warning', ({ log, lines }) => {
  log.warn('no answer', { device: 'a' });
  log.warn('no answer', { device: 'b' });
  log.warn('no contact', { device: 'a' });
  log.child('modbus').warn('no answer', { device: 'a' });
  assert.is(lines.length, 4);
});

test('information is never left out', ({ log, lines }) => {
  for (let i = 0; i < 3; i++) log.info('link up');
  assert.is(lines.length, 3);
});

test('a jump of the wall clock does not lift the limit', ({ log, lines, clock }) => {
  log.warn('x');
  clock.jump(minutes(60));
  log.warn('x');
  assert.is(lines.length, 1);
});

test('for the journal each line begins with its priority', ({ clock }) => {
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', clock, priorities: true, write: (line) => lines.push(line) });
  log.error('a');
  log.warn('b');
  log.info('c');
  log.debug('d');
  assert.equal(
    lines.map((line) => line.slice(0, 4)),
    ['<3>{', '<4>{', '<6>{', '<7>{'],
  );
});

test.run();

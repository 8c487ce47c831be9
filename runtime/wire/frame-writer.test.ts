import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { seconds } from '../core/units.ts';
import { FrameWriter } from './frame-writer.ts';

type Context = {
  clock: FakeClock;
  writer: FrameWriter;
  /** Sizes of pieces, `p` for a ping; `+` where more of the frame follows. */
  wire: string[];
  pings: Buffer[];
  drained: { count: number };
};
const test = suite<Context>('frame writer');

test.before.each((context) => {
  const clock = new FakeClock();
  const wire: string[] = [];
  const pings: Buffer[] = [];
  const drained = { count: 0 };
  const socket = {
    send: (data: Buffer, { fin, binary }: { fin: boolean; binary: boolean }, done: () => void): void => {
      assert.not(binary);
      wire.push(`${data.length}${fin ? '' : '+'}`);
      done();
    },
    ping: (data: Buffer): void => {
      wire.push('p');
      pings.push(data);
    },
  };
  const writer = new FrameWriter({ socket, clock, drained: () => drained.count++ });
  Object.assign(context, { clock, writer, wire, pings, drained });
});
test.after.each(({ writer, clock }) => {
  writer.close();
  assert.is(clock.pending, 0, 'no timer is left');
});

const K = 1024;
const text = (size: number): string => 'x'.repeat(size);

test('small frames go whole, with a ping for each 8 KiB', ({ writer, wire }) => {
  for (let i = 0; i < 9; i++) writer.write(text(K));
  assert.equal(wire, [...Array(8).fill('1024'), 'p', '1024']);
  assert.not(writer.full);
});

test('a large frame goes in pieces, not further ahead than 32 KiB of what was read', ({
  writer,
  wire,
  pings,
  drained,
}) => {
  writer.write(text(50 * K));
  const piece = ['8192+', 'p'];
  assert.equal(wire.splice(0), [...piece, ...piece, ...piece, ...piece]);
  assert.ok(writer.full);
  writer.pong(pings[0] as Buffer);
  assert.equal(wire.splice(0), piece);
  // One answer stands for those before it.
  writer.pong(pings[3] as Buffer);
  assert.equal(wire.splice(0), [...piece, '2048']);
  assert.is(drained.count, 1);
  assert.not(writer.full);
});

test('a keepalive passes what waits, but does not cut a frame in two', ({ writer, wire, pings }) => {
  writer.write(text(40 * K));
  writer.write(text(10));
  writer.writeFirst(text(99));
  wire.length = 0;
  writer.pong(pings[3] as Buffer);
  assert.equal(wire, ['8192', 'p', '99', '10']);
});

test('a frame is handed over when it is written, and has arrived when a ping behind it is answered', async ({
  writer,
  wire,
  pings,
  clock,
}) => {
  const said: string[] = [];
  const note = (what: string) => (): void => void said.push(what);
  writer.write(text(10), { handed: note('handed a'), arrived: note('a') });
  await clock.advance(500);
  writer.write(text(10), { arrived: note('b') });
  assert.equal(said, ['handed a']);
  assert.equal(wire, ['10', '10'], 'they wait for company');
  await clock.advance(500);
  assert.equal(wire, ['10', '10', 'p']);
  writer.write(text(10), { arrived: note('c') });
  writer.pong(pings[0] as Buffer);
  assert.equal(said, ['handed a', 'a', 'b']);
  await clock.advance(seconds(1));
  writer.pong(pings[1] as Buffer);
  assert.equal(said.at(-1), 'c');
});

test('a ping serves also those that did not ask for it', async ({ writer, pings, clock, wire }) => {
  let arrived = 0;
  writer.write(text(10), { arrived: () => arrived++ });
  writer.mark();
  writer.pong(pings[0] as Buffer);
  assert.is(arrived, 1);
  await clock.advance(seconds(1));
  assert.equal(wire, ['10', 'p']);
});

test('whoever asks for a sign of life hears of it when it comes, once', ({ writer, pings }) => {
  const said: string[] = [];
  writer.mark(() => said.push('a'));
  writer.mark(() => said.push('b'));
  writer.mark(() => said.push('c'));
  writer.pong(pings[1] as Buffer);
  assert.equal(said, ['a', 'b'], 'one answer stands for those before it');
  writer.pong(pings[1] as Buffer);
  writer.close();
  writer.pong(pings[2] as Buffer);
  assert.equal(said, ['a', 'b']);
});

test('pongs that answer nothing, or twice, do no harm', ({ writer, pings }) => {
  writer.pong(Buffer.from('strange'));
  writer.pong(Buffer.alloc(4));
  writer.mark();
  writer.pong(pings[0] as Buffer);
  writer.pong(pings[0] as Buffer);
  assert.not(writer.full);
});

test('a character of several bytes is not broken', ({ wire, writer }) => {
  writer.write('é'.repeat(5 * K));
  assert.equal(wire, ['8192+', 'p', '2048']);
});

test('what was on its way when the connection went has not arrived', ({ writer, pings }) => {
  writer.write(text(10), { arrived: () => assert.unreachable() });
  writer.mark();
  writer.close();
  writer.pong(pings[0] as Buffer);
});

test.run();

import { EventEmitter } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type SerialLike, serialWire } from './serial-wire.ts';

const test = suite('a serial wire');

/** A port that notes in which order it is told what. */
class FakePort extends EventEmitter {
  isOpen = true;
  readonly told: string[] = [];
  drained: () => void = () => {};

  set({ rts }: { rts?: boolean }, done: (error: Error | null) => void): void {
    this.told.push(`rts ${rts}`);
    done(null);
  }

  write(bytes: Buffer): void {
    this.told.push(`write ${bytes.toString('hex')}`);
  }

  drain(done: () => void): void {
    this.drained = done;
  }

  close(done: () => void): void {
    this.isOpen = false;
    this.told.push('close');
    done();
  }
}

const open = (rts: 'none' | 'high' | 'low') => {
  const port = new FakePort();
  return { port, wire: serialWire(port as unknown as SerialLike, rts) };
};

for (const [rts, sending] of [
  ['high', true],
  ['low', false],
] as const) {
  test(`RTS is ${rts} while it sends, and no longer than until the last bit has left`, () => {
    const { port, wire } = open(rts);
    wire.send(Buffer.from('0103', 'hex'));
    assert.equal(port.told, [`rts ${!sending}`, `rts ${sending}`, 'write 0103']);
    port.drained();
    assert.is(port.told.at(-1), `rts ${!sending}`);
  });
}

test('an adapter that switches by itself is left alone', async () => {
  const { port, wire } = open('none');
  wire.send(Buffer.from('0103', 'hex'));
  await wire.close();
  assert.equal(port.told, ['write 0103', 'close']);
});

test('a device that is pulled out is told with the reason', async () => {
  const { port, wire } = open('none');
  port.emit('error', new Error('Input/output error'));
  port.emit('close');
  assert.is(await wire.lost, 'Input/output error');
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../runtime/core/clock.ts';
import { Bus } from './bus.ts';
import type { Connection } from './driver.ts';
import { WireError } from './wire-error.ts';

const test = suite('the bus of a connection');

/** A connection that opens when it is told to. */
class FakeTransport {
  opened = 0;
  closed = 0;
  readonly opening: (() => void)[] = [];
  private readonly waits: boolean;

  constructor(waits = false) {
    this.waits = waits;
  }

  async open(): Promise<Connection> {
    this.opened++;
    if (this.waits) await new Promise<void>((resolve) => this.opening.push(resolve));
    return { close: () => this.close() };
  }

  close(): void {
    this.closed++;
  }
}

function newBus(transport: FakeTransport): Bus {
  return new Bus({ connect: () => transport.open(), clock: systemClock, random: () => 0.5 });
}

/** @returns why a request failed */
function failure(request: Promise<unknown>): Promise<string> {
  return request.then(
    () => 'it did not',
    (error: unknown) => (error instanceof WireError ? `${error.kind}: ${error.message}` : String(error)),
  );
}

test('noise and one request without answer leave the connection, what is garbled does not', async () => {
  const transport = new FakeTransport();
  const bus = newBus(transport);
  for (const kind of ['timeout', 'noise', 'exception'] as const) {
    const exchange = async (): Promise<never> => {
      throw new WireError(kind, kind);
    };
    assert.is(await failure(bus.request('read', exchange)), `${kind}: ${kind}`);
    assert.equal([transport.opened, transport.closed], [1, 0], kind);
  }
  const garbled = async (): Promise<never> => {
    throw new WireError('garbled', 'HTTP');
  };
  await failure(bus.request('read', garbled));
  assert.equal([transport.opened, transport.closed], [1, 1]);
  await bus.request('read', async () => {});
  assert.is(transport.opened, 2);
});

test('a connection that opens when the bus has been stopped is let go, and nothing is asked on it', async () => {
  const transport = new FakeTransport(true);
  const bus = newBus(transport);
  let asked = false;
  const request = failure(
    bus.request('read', async () => {
      asked = true;
    }),
  );
  await new Promise((resolve) => setImmediate(resolve)); // it opens
  void bus.stop();
  const { closed } = transport;
  transport.opening[0]?.();
  assert.is(await request, 'unreachable: stopped');
  assert.is(asked, false);
  assert.is(transport.closed, closed + 1);
});

test.run();

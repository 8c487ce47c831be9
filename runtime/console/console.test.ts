import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { seconds } from '../core/units.ts';
import type { EventStream, HttpAnswer, HttpHandler } from '../wire/http/http.ts';
import { Console } from './console.ts';
import type { ConsoleSnapshot } from './snapshot.ts';

class FakeStream implements EventStream {
  readonly texts: string[] = [];
  keepsUp = true;
  open = true;
  private closed = (): void => {};

  write(text: string): boolean {
    this.texts.push(text);
    return this.keepsUp;
  }

  onClose(closed: () => void): void {
    this.closed = closed;
  }

  close(): void {
    this.open = false;
    this.closed();
  }
}

type Context = {
  clock: FakeClock;
  handler: HttpHandler;
  change: () => void;
  console: Console;
  view: () => FakeStream | HttpAnswer;
};
const test = suite<Context>('console');
const snapshot: ConsoleSnapshot = {
  node: 'edge-1',
  version: '0.1.0',
  now: 0,
  startedAt: 0,
  rssMb: 50,
  store: { state: 'ok', since: 1 },
  link: { state: 'online', since: 0, server: 'cloud:10000' },
  runtime: { ready: true, message: '' },
  devices: [],
  pods: [],
  rules: [],
  mqtt: { clients: 0, received: 0, sent: 0, dropped: 0 },
};

test.before.each(async (context) => {
  const clock = new FakeClock();
  const listeners = new Set<() => void>();
  let handler: HttpHandler | undefined;
  let address: unknown;
  const page = new Console({
    config: { enable: true, address: '127.0.0.1:10560' },
    clock,
    log: silentLogger,
    snapshot: () => snapshot,
    metrics: () => 'edgecore_devices 2\n',
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    openServer: (served) => {
      handler = served;
      return {
        port: 1,
        start: async (at) => {
          address = at;
        },
        stop: async () => {},
      };
    },
  });
  await page.start();
  assert.equal(address, { host: '127.0.0.1', port: 10_560 });
  const view: Context['view'] = () => {
    const answer = handler?.({ method: 'GET', path: '/api/events' });
    assert.ok(answer);
    if (!('stream' in answer)) return answer;
    const stream = new FakeStream();
    answer.stream(stream);
    return stream;
  };
  const change = (): void => {
    for (const listener of listeners) listener();
  };
  Object.assign(context, { clock, handler, change, console: page, view });
});
test.after.each(async ({ console: page, clock, change }) => {
  await page.stop();
  change();
  assert.is(clock.pending, 0, 'no timer is left');
});

const viewer = (view: Context['view']): FakeStream => {
  const stream = view();
  assert.ok(stream instanceof FakeStream);
  return stream;
};

const pages: [string, string, number, string][] = [
  ['GET', '/', 200, 'text/html; charset=utf-8'],
  ['GET', '/api/state', 200, 'application/json'],
  ['GET', '/metrics', 200, 'text/plain; version=0.0.4; charset=utf-8'],
  ['GET', '/healthz', 200, 'text/plain; charset=utf-8'],
  ['GET', '/other', 404, 'text/plain; charset=utf-8'],
  ['POST', '/api/state', 405, 'text/plain; charset=utf-8'],
  ['DELETE', '/', 405, 'text/plain; charset=utf-8'],
];
for (const [method, path, status, type] of pages) {
  test(`${method} ${path} is ${status}`, ({ handler }) => {
    const answer = handler({ method, path });
    assert.ok('status' in answer);
    assert.equal([answer.status, answer.type], [status, type]);
  });
}

test('state and metrics are those of the moment', ({ handler }) => {
  const bodyOf = (path: string): string => {
    const answer = handler({ method: 'GET', path });
    return 'body' in answer ? answer.body : '';
  };
  assert.equal(JSON.parse(bodyOf('/api/state')), snapshot);
  assert.is(bodyOf('/metrics'), 'edgecore_devices 2\n');
});

test('a page gets all there is at once, as one event', ({ view }) => {
  assert.equal(viewer(view).texts, [`data: ${JSON.stringify(snapshot)}\n\n`]);
});

test('changes of a quarter of a second go together', async ({ view, change, clock }) => {
  const { texts } = viewer(view);
  for (let i = 0; i < 100; i++) change();
  await clock.advance(249);
  assert.is(texts.length, 1);
  await clock.advance(1);
  assert.is(texts.length, 2);
  await clock.advance(1000);
  assert.is(texts.length, 2);
});

test('without a change a page hears every five seconds', async ({ view, clock }) => {
  const { texts } = viewer(view);
  await clock.advance(seconds(15));
  assert.is(texts.length, 4);
});

test('while nobody looks nothing is gathered', async ({ change, clock }) => {
  const before = clock.pending;
  change();
  assert.is(clock.pending, before);
});

test('a page that does not read is let go, the others stay', async ({ view, clock }) => {
  const [slow, quick] = [viewer(view), viewer(view)];
  slow.keepsUp = false;
  await clock.advance(seconds(10));
  assert.equal([slow.open, quick.open], [false, true]);
  assert.equal([slow.texts.length, quick.texts.length], [2, 3]);
});

test('eight pages may be open; one that closes makes room', ({ view }) => {
  const open = Array.from({ length: 8 }, () => viewer(view));
  const refused = view();
  assert.ok('status' in refused);
  assert.is(refused.status, 503);
  open[3]?.close();
  viewer(view);
});

test('stopping closes the pages', async ({ view, console: page }) => {
  const stream = viewer(view);
  await page.stop();
  assert.not(stream.open);
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceCommands } from '../core/device-commands.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { seconds } from '../core/units.ts';
import type { EventStream, HttpAnswer, HttpHandler, HttpRequest } from '../wire/http/http.ts';
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
  /** What comes in by the port, and by the socket. */
  ask: (method: string, path: string, more?: Partial<HttpRequest>) => HttpAnswer | Promise<HttpAnswer>;
  askSocket: Context['ask'];
  /** What was asked of devices. */
  asked: string[];
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
  plugins: [],
  writes: false,
  pods: [],
  rules: [],
  mqtt: { clients: 0, received: 0, sent: 0, dropped: 0 },
};

test.before.each(async (context) => {
  const clock = new FakeClock();
  const listeners = new Set<() => void>();
  let handler: HttpHandler | undefined;
  let socket: HttpHandler | undefined;
  const asked: string[] = [];
  const commands: DeviceCommands = {
    set: async (...args) => {
      asked.push(`set ${args.join(' ')}`);
      return args[2] === 'away' ? { kind: 'kept', reason: 'the device is offline' } : { kind: 'done' };
    },
    call: async (...args) => {
      asked.push(`call ${args.join(' ')}`);
      return { kind: 'refused', code: 422, reason: 'no' };
    },
  };
  let address: unknown;
  const page = new Console({
    config: { enable: true, address: '127.0.0.1:10560', writes: true },
    clock,
    log: silentLogger,
    snapshot: () => snapshot,
    metrics: () => 'edgecore_devices 2\n',
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    devices: commands,
    openSocket: (served) => {
      socket = served;
      return { start: async () => {}, stop: async () => {} };
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
  const asks =
    (door: () => HttpHandler | undefined): Context['ask'] =>
    (method, path, more = {}) => {
      const served = door();
      assert.ok(served);
      return served({ method, path, header: () => undefined, address: '127.0.0.1', body: '', ...more });
    };
  const ask = asks(() => handler);
  const askSocket = asks(() => socket);
  const view: Context['view'] = () => {
    const answer = ask('GET', '/api/events');
    if (answer instanceof Promise) throw new Error('it comes at once');
    if (!('stream' in answer)) return answer;
    const stream = new FakeStream();
    answer.stream(stream);
    return stream;
  };
  const change = (): void => {
    for (const listener of listeners) listener();
  };
  Object.assign(context, { clock, ask, askSocket, asked, change, console: page, view });
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
  test(`${method} ${path} is ${status}`, async ({ ask }) => {
    const answer = await ask(method, path);
    assert.ok('status' in answer);
    assert.equal([answer.status, answer.type], [status, type]);
  });
}

test('state and metrics are those of the moment', async ({ ask }) => {
  const bodyOf = async (path: string): Promise<string> => {
    const answer = await ask('GET', path);
    return 'body' in answer ? answer.body : '';
  };
  assert.equal(JSON.parse(await bodyOf('/api/state')), snapshot);
  assert.is(await bodyOf('/metrics'), 'edgecore_devices 2\n');
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

const json = { 'content-type': 'application/json', host: '127.0.0.1:10560' };
const own = { ...json, origin: 'http://127.0.0.1:10560', 'sec-fetch-site': 'same-origin' };
const headers = (given: Readonly<Record<string, string>>): Pick<HttpRequest, 'header'> => ({
  header: (name) => given[name],
});
const SET = '/api/devices/default/plc/properties/set%20point';
const told = async (answer: HttpAnswer | Promise<HttpAnswer>): Promise<string> => {
  const got = await answer;
  return 'status' in got ? `${got.status} ${got.body}` : 'a stream';
};

test('the page sets a property and calls a method', async ({ ask, asked }) => {
  const body = '{"value":"2=1"}';
  assert.is(await told(ask('POST', SET, { ...headers(own), body })), '200 {"outcome":"done","reason":""}');
  const call = '/api/devices/shop/plc/methods/move/x';
  assert.is(
    await told(ask('POST', call, { ...headers(own), body })),
    '422 {"outcome":"refused","reason":"no"}',
  );
  assert.equal(asked, ['set default/plc set point 2=1', 'call shop/plc move x 2=1']);
});

test('a value for a device that is away is kept', async ({ ask }) => {
  const answer = ask('POST', SET, { ...headers(own), body: '{"value":"away"}' });
  assert.is(await told(answer), '202 {"outcome":"kept","reason":"the device is offline"}');
});

const outsiders: [string, Partial<HttpRequest>][] = [
  ['from another machine', { ...headers(own), address: '192.0.2.7' }],
  ['with a form of another site', headers({ ...own, 'content-type': 'text/plain' })],
  ['without a type', headers({ host: json.host })],
  ['from another site', headers({ ...own, origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' })],
  ['from another port of this machine', headers({ ...own, origin: 'http://127.0.0.1:3000' })],
  ['from an opaque page', headers({ ...own, origin: 'null' })],
  [
    'by a name that is pointed at this machine',
    headers({ ...own, host: 'evil.example:10560', origin: 'http://evil.example:10560' }),
  ],
];
for (const [who, request] of outsiders) {
  test(`a write ${who} is refused`, async ({ ask, asked }) => {
    const answer = await told(ask('POST', SET, { ...request, body: '{"value":"1"}' }));
    assert.ok(answer.startsWith('403 '), answer);
    assert.equal(asked, []);
  });
}

test('a program of this machine may write, by the port and by the socket', async ({
  ask,
  askSocket,
  asked,
}) => {
  const body = '{"value":"1"}';
  assert.match(await told(ask('POST', SET, { ...headers(json), body })), /^200/);
  assert.match(await told(askSocket('POST', SET, { body, address: '' })), /^200/);
  assert.is(asked.length, 2);
});

for (const body of ['', '[]', '{"value":1}', '{"value"', `{"value":"${'x'.repeat(20_000)}"}`]) {
  test(`a body ${body.slice(0, 12)} of ${body.length} is none`, async ({ ask, asked }) => {
    assert.match(await told(ask('POST', SET, { ...headers(own), body })), /^400/);
    assert.equal(asked, []);
  });
}

test.run();

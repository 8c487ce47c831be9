import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../core/errors.ts';
import {
  BODY_LIMIT,
  type EventStream,
  type HttpAnswer,
  type HttpHandler,
  type HttpRequest,
  type HttpServer,
} from './http.ts';
import { NodeHttpServer } from './node-server.ts';
import { loadUws, UwsHttpServer } from './uws-server.ts';

const modules = new URL('../../../node_modules/', import.meta.url).pathname;
const uws = loadUws([`${modules}uWebSockets.js/binaries`, `${modules}uWebSockets.js-next`]);
/** Where no binary of uWebSockets.js loads there is nothing to test of it. */
const servers: [string, (handler: HttpHandler) => HttpServer][] = [
  ['node:http', (handler) => new NodeHttpServer(handler)],
  ...(uws
    ? [
        ['uWebSockets.js', (h: HttpHandler) => new UwsHttpServer(uws, h)] as [
          string,
          (h: HttpHandler) => HttpServer,
        ],
      ]
    : []),
];

type Page = { response: IncomingMessage; body: string };
const get = async (port: number, path: string, method = 'GET'): Promise<Page> => {
  const call = request({ host: '127.0.0.1', port, path, method, agent: false });
  call.end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { response, body };
};
/** Opens a stream of events; the response is paused until somebody reads. */
const open = async (port: number): Promise<IncomingMessage> => {
  const call = request({ host: '127.0.0.1', port, path: '/events', agent: false });
  call.on('error', () => {});
  call.end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  response.on('error', () => {});
  return response;
};
/** Resolves when the stream is over, cut or not. */
const closing = (response: IncomingMessage): Promise<void> =>
  new Promise((resolve) => {
    response.once('close', resolve);
  });
const failure = (work: Promise<void>): Promise<unknown> =>
  work.then(
    () => 'no failure',
    (error: unknown) => errorCode(error),
  );

const later = async (): Promise<HttpAnswer> => {
  await new Promise((resolve) => setImmediate(resolve));
  return { status: 200, type: 'text/plain', body: 'later\n', headers: { 'X-Own': '1' } };
};

type Context = {
  server: HttpServer;
  requests: HttpRequest[];
  streams: EventStream[];
  closed: { count: number; wanted: (() => void) | undefined };
};

for (const [name, make] of servers) {
  const test = suite<Context>(name);

  test.before.each(async (context) => {
    const requests: HttpRequest[] = [];
    const streams: EventStream[] = [];
    const closed: Context['closed'] = { count: 0, wanted: undefined };
    const stream = (opened: EventStream): void => {
      streams.push(opened);
      opened.onClose(() => {
        closed.count++;
        closed.wanted?.();
      });
    };
    const server = make((asked) => {
      requests.push(asked);
      if (asked.path === '/events') return { stream };
      if (asked.path === '/later') return later();
      const status = asked.path === '/none' ? 404 : 200;
      return { status, type: 'text/plain; charset=utf-8', body: 'grün\n' };
    });
    await server.start({ host: '127.0.0.1', port: 0 });
    Object.assign(context, { server, requests, streams, closed });
  });
  test.after.each(({ server }) => server.stop());

  test('a page has its status, type and body, and is bound to this origin', async ({ server, requests }) => {
    const { response, body } = await get(server.port, '/page?x=1');
    assert.equal([response.statusCode, body], [200, 'grün\n']);
    const { headers } = response;
    assert.is(headers['content-type'], 'text/plain; charset=utf-8');
    assert.is(headers['cache-control'], 'no-store');
    assert.is(headers['x-frame-options'], 'DENY');
    assert.is(headers['x-content-type-options'], 'nosniff');
    assert.match(String(headers['content-security-policy']), "default-src 'self'");
    assert.equal(
      requests.map((r) => [r.method, r.path, r.address, r.header('host'), r.header('x-none'), r.body]),
      [['GET', '/page', '127.0.0.1', `127.0.0.1:${server.port}`, undefined, '']],
    );
  });

  test('the handler decides on status and method', async ({ server, requests }) => {
    assert.is((await get(server.port, '/none')).response.statusCode, 404);
    await get(server.port, '/', 'POST');
    assert.is(requests.at(-1)?.method, 'POST');
  });

  test('the body of a POST comes whole, and one that is too long not at all', async ({
    server,
    requests,
  }) => {
    const post = async (body: string): Promise<number | undefined> => {
      const call = request({
        host: '127.0.0.1',
        port: server.port,
        path: '/later',
        method: 'POST',
        agent: false,
      });
      call.end(body);
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    assert.is(await post('grün'), 200);
    assert.is(await post('x'.repeat(BODY_LIMIT)), 200);
    assert.is(await post('x'.repeat(BODY_LIMIT + 1)), 413);
    assert.equal(
      requests.map(({ body }) => body.length),
      [4, BODY_LIMIT],
    );
  });

  test('an answer may come later, with headers of its own', async ({ server }) => {
    const { response, body } = await get(server.port, '/later');
    assert.equal([response.headers['x-own'], body], ['1', 'later\n']);
  });

  test('a stream of events stays open, and sends text as it is', async ({ server, streams }) => {
    const response = await open(server.port);
    assert.equal(
      [response.statusCode, response.headers['content-type'], response.headers['cache-control']],
      [200, 'text/event-stream', 'no-store'],
    );
    let text = '';
    response.setEncoding('utf8');
    const arrived = new Promise<void>((resolve) => {
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.endsWith('data: 2\n\n')) resolve();
      });
    });
    for (const n of [1, 2]) assert.ok(streams[0]?.write(`data: ${n}\n\n`));
    await arrived;
    assert.match(text, 'data: 1\n\ndata: 2\n\n');
    response.destroy();
  });

  test('a client that goes away is told once', async ({ server, streams, closed }) => {
    const response = await open(server.port);
    const gone = new Promise<void>((resolve) => {
      closed.wanted = resolve;
    });
    response.destroy();
    await gone;
    streams[0]?.close();
    assert.is(closed.count, 1);
  });

  test('a stream that the server closes ends for the client', async ({ server, streams, closed }) => {
    const response = await open(server.port);
    response.resume();
    const ended = closing(response);
    streams[0]?.close();
    await ended;
    assert.is(closed.count, 1);
  });

  test('a client that does not read is told by write', async ({ server, streams }) => {
    const response = await open(server.port);
    const text = 'x'.repeat(64 * 1024);
    let writes = 0;
    while (streams[0]?.write(text) && writes < 1000) writes++;
    assert.ok(writes < 1000, 'bounded');
    assert.ok(writes >= 3, 'a short pause is none');
    response.destroy();
  });

  test('an address that is taken, and one that is not of this machine, are told apart', async ({
    server,
  }) => {
    const other = make(() => ({ status: 200, type: 'text/plain', body: '' }));
    assert.is(await failure(other.start({ host: '127.0.0.1', port: server.port })), 'PORT_TAKEN');
    const foreign = make(() => ({ status: 200, type: 'text/plain', body: '' }));
    assert.is(await failure(foreign.start({ host: '192.0.2.1', port: 1 })), 'PORT_UNUSABLE');
  });

  test('a server that stops ends its streams, and the next one may have its port at once', async ({
    server,
  }) => {
    // A free port by its number, as a configuration names it.
    const { port } = server;
    await server.stop();
    for (const body of ['first', 'second', 'third']) {
      const next = make(({ path }) =>
        path === '/events' ? { stream: () => {} } : { status: 200, type: 'text/plain', body },
      );
      await next.start({ host: '127.0.0.1', port });
      assert.is((await get(port, '/')).body, body);
      const response = await open(port);
      response.resume();
      const ended = closing(response);
      await next.stop();
      await ended;
    }
  });

  test.run();
}

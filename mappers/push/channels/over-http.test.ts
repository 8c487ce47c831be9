import { createServer, type IncomingMessage, type Server } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../../runtime/core/clock.ts';
import { encode, int64, message, one, str } from '../../../runtime/wire/protobuf.ts';
import { type Channel, type ChannelDeps, type Notes, PushError } from '../channel.ts';
import { openChannel } from '../open-channel.ts';
import type { Sample } from '../sample.ts';
import type { Target } from '../target.ts';

type Asked = { readonly url: string; readonly authorization: string; readonly body: string };
type Reply = { readonly status?: number; readonly body?: string | Buffer };
type Context = {
  server: Server;
  url: string;
  asked: Asked[];
  replies: Reply[];
  open: (target: Target) => Promise<Channel>;
};
const test = suite<Context>('targets behind HTTP');

const credentials = { userName: 'u', password: 'p', token: 'secret', ca: undefined };
const deps: ChannelDeps = {
  credentials,
  clock: systemClock,
  broker: { isAt: () => false, publish: async () => {} },
};
const sample = (value: string, more: Partial<Sample['route']> = {}): Sample => ({
  route: { namespace: 'default', device: 'd', property: 't', type: 'int', path: '/in', ...more },
  at: 0,
  n: 0,
  value,
});
const ignore: Notes = { confirmed: () => {}, rejected: () => {} };

test.before.each(async (context) => {
  context.asked = [];
  context.replies = [];
  context.server = createServer(async (request, response) => {
    const { url = '', headers } = request;
    const body = await bodyOf(request);
    context.asked.push({ url, authorization: headers.authorization ?? '', body });
    const { status = 200, body: answer = '' } = context.replies.shift() ?? {};
    response.statusCode = status;
    response.end(answer);
  });
  await new Promise<void>((resolve) => context.server.listen(0, '127.0.0.1', resolve));
  const address = context.server.address();
  context.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  const opened: Channel[] = [];
  context.open = async (target) => {
    const channel = await openChannel(target, deps);
    opened.push(channel);
    return channel;
  };
});
test.after.each(({ server }) => {
  server.closeAllConnections();
  server.close();
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

async function faultOf(work: Promise<unknown>): Promise<PushError> {
  const error = await work.catch((caught: unknown) => caught);
  assert.instance(error, PushError);
  return error as PushError;
}

test('forms are sent one by one, and those that were taken are known', async ({
  asked,
  replies,
  url,
  open,
}) => {
  const channel = await open({ method: 'http', url, timeout: 5 });
  const confirmed: number[] = [];
  replies.push({}, {}, { status: 503, body: 'tired' });
  const fault = await faultOf(
    channel.send(
      ['1', '2', '3'].map((v) => sample(v)),
      { ...ignore, confirmed: (count) => confirmed.push(count) },
    ),
  );
  assert.equal(confirmed, [1, 2]);
  assert.is(fault.kind, 'away');
  assert.match(fault.message, '/in answers 503: tired');
  assert.equal([asked[0]?.url, asked[0]?.authorization], ['/in', 'Bearer secret']);
  channel.close();
});

for (const [status, kind] of [
  [400, 'refused'],
  [413, 'refused'],
  [401, 'away'],
  [404, 'away'],
  [429, 'away'],
  [500, 'away'],
] as const) {
  test(`${status} of a web server means that the value is ${kind}`, async ({ replies, url, open }) => {
    replies.push({ status });
    const channel = await open({ method: 'http', url, timeout: 5 });
    assert.is((await faultOf(channel.send([sample('1')], ignore))).kind, kind);
    channel.close();
  });
}

test('a server that is not there is named', async ({ open }) => {
  const channel = await open({ method: 'http', url: 'http://127.0.0.1:1', timeout: 5 });
  const fault = await faultOf(channel.send([sample('1')], ignore));
  assert.is(fault.kind, 'away');
  assert.match(fault.message, 'ECONNREFUSED 127.0.0.1:1: check that http://127.0.0.1:1 is right, runs');
});

test('InfluxDB gets its points together, and says who may not write', async ({
  asked,
  replies,
  url,
  open,
}) => {
  const channel = await open({ method: 'influxdb2', url: `${url}/base`, org: 'my org', bucket: 'b' });
  replies.push({ status: 204 }, { status: 401, body: '{"code":"unauthorized"}' });
  const route = { measurement: 'm', fieldKey: 'f' };
  await channel.send([sample('1', route), sample('2', route)], ignore);
  assert.is(asked[0]?.url, '/base/api/v2/write?org=my+org&bucket=b&precision=ns');
  assert.is(asked[0]?.authorization, 'Token secret');
  assert.is(asked[0]?.body.split('\n').length, 2);
  assert.match(
    (await faultOf(channel.send([sample('3')], ignore))).message,
    'set the environment variable TOKEN',
  );
  channel.close();
});

test('TDengine gets a super table once, then values', async ({ asked, replies, url, open }) => {
  replies.push({ body: '{"code":0}' }, { body: '{"code":0}' }, { body: '{"code":0}' });
  const channel = await open({ method: 'tdengine', addr: url.slice(7), dbName: 'plant' });
  await channel.send([sample('1'), sample('2')], ignore);
  await channel.send([sample('3')], ignore);
  assert.equal(
    asked.map(({ url: path, body }) => `${path} ${body.slice(0, 13)}`),
    ['/rest/sql/plant CREATE STABLE', '/rest/sql/plant INSERT INTO `', '/rest/sql/plant INSERT INTO `'],
  );
  assert.is(asked[0]?.authorization, `Basic ${Buffer.from('u:p').toString('base64')}`);
  channel.close();
});

test("TDengine's word decides whether a value is refused", async ({ replies, url, open }) => {
  const channel = await open({ method: 'tdengine', addr: url.slice(7), dbName: 'plant' });
  replies.push({ body: '{"code":904,"desc":"Database not exist"}' });
  const away = await faultOf(channel.send([sample('1')], ignore));
  assert.equal([away.kind, away.message], ['away', 'TDengine answers 0x388 Database not exist']);
  replies.push({ body: '{"code":0}' }, { body: '{"code":9728,"desc":"syntax error"}' });
  assert.is((await faultOf(channel.send([sample('1')], ignore))).kind, 'refused');
  assert.is((await faultOf(channel.send([sample('x'.repeat(65))], ignore))).kind, 'refused');
  replies.push({ body: '<html>' });
  assert.is((await faultOf(channel.send([sample('1')], ignore))).kind, 'away');
  channel.close();
});

test('what an OpenTelemetry collector rejects is not sent again', async ({ asked, replies, url, open }) => {
  const Partial = message({ rejected: int64(1), text: str(2) });
  const body = encode(message({ partial: one(1, Partial) }), { partial: { rejected: 1, text: 'too old' } });
  const channel = await open({ method: 'otel', url });
  await channel.send([sample('1')], ignore);
  assert.is(asked[0]?.url, '/v1/metrics');
  replies.push({ body });
  const rejected: unknown[] = [];
  await channel.send([sample('1')], { ...ignore, rejected: (...what) => rejected.push(what) });
  assert.equal(rejected, [[1, 'too old']]);
  channel.close();
  const other = await open({ method: 'otel', url: `${url}/otlp/v1/metrics?key=1` });
  await other.send([sample('1')], ignore);
  assert.is(asked.at(-1)?.url, '/otlp/v1/metrics?key=1');
  other.close();
});

test.run();

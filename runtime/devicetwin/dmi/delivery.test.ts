import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../core/fake-clock.ts';
import { type DeviceId, kibibytes } from '../../core/units.ts';
import { mapperMethods } from '../../wire/dmi-messages.ts';
import { type GrpcMethod, GrpcServer } from '../../wire/grpc-server.ts';
import { GrpcError } from '../../wire/grpc-status.ts';
import { decode, type Table } from '../../wire/protobuf.ts';
import { listenUnix } from '../../wire/unix-socket.ts';
import type { Carried } from './convert.ts';
import { Delivery } from './delivery.ts';

/** A mapper of which every answer is the test's. */
class FakeMapper {
  readonly calls: string[] = [];
  /** @returns why it refuses the call */
  answer: (call: string) => Promise<string | undefined> = () => Promise.resolve(undefined);
  private readonly path: string;
  private server: Server | undefined;
  private grpc: GrpcServer | undefined;
  private waiting: { count: number; done: () => void } | undefined;

  constructor(path: string) {
    this.path = path;
  }

  async listen(): Promise<void> {
    const methods = new Map<string, GrpcMethod>(
      Object.entries(mapperMethods).map(([name, { request }]) => [
        `/v1beta1.DeviceMapperService/${name}`,
        (bytes) => this.called(name, decode(request as Table<never>, bytes)),
      ]),
    );
    const grpc = new GrpcServer({ methods, largest: kibibytes(64) });
    this.grpc = grpc;
    this.server = createServer((socket) => grpc.accept(socket));
    await listenUnix(this.server, 'test', this.path, 0o600);
  }

  async close(): Promise<void> {
    this.grpc?.close();
    const { server } = this;
    this.server = undefined;
    server?.close();
    if (server) await once(server, 'close');
  }

  /** Resolves when it has been called that often in all. */
  until(count: number): Promise<void> {
    if (this.calls.length >= count) return Promise.resolve();
    return new Promise((done) => {
      this.waiting = { count, done };
    });
  }

  private async called(name: string, request: Readonly<Record<string, unknown>>): Promise<Buffer> {
    const subject = request.device ?? request.model ?? request.deviceName ?? request.modelName;
    const call = `${name} ${subject}`;
    this.calls.push(call);
    if (this.waiting && this.calls.length >= this.waiting.count) this.waiting.done();
    const refusal = await this.answer(call);
    if (refusal !== undefined) throw new GrpcError(2, refusal);
    return Buffer.alloc(0);
  }
}

type Context = {
  dir: string;
  clock: FakeClock;
  mapper: FakeMapper;
  wanted: Map<DeviceId, Carried>;
  told: string[];
  heard: (what: string) => Promise<void>;
  make: (has?: readonly Carried[], fresh?: boolean) => Delivery;
};
const test = suite<Context>('delivery');

const ID = 'd/oven' as DeviceId;
const carried = (version: number, modelVersion = 1, id = ID): Carried => ({
  id,
  device: Buffer.from(`${id.split('/')[1]}-${version}`),
  modelKey: 'd/model',
  model: Buffer.from(`model-${modelVersion}`),
});
/** Lets sockets and promises come to rest; what is waited for is asserted by its effect. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.before.each(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'delivery-'));
  const path = join(context.dir, 'mapper.sock');
  context.clock = new FakeClock();
  context.mapper = new FakeMapper(path);
  context.wanted = new Map();
  context.told = [];
  const waiting: { what: string; done: () => void }[] = [];
  const tell = (what: string): void => {
    context.told.push(what);
    for (const one of waiting) if (what.startsWith(one.what)) one.done();
  };
  context.heard = (what) =>
    context.told.some((text) => text.startsWith(what))
      ? Promise.resolve()
      : new Promise((done) => waiting.push({ what, done }));
  const made: Delivery[] = [];
  context.make = (has = [], fresh = true) => {
    const delivery = new Delivery(
      {
        clock: context.clock,
        random: () => 0.5,
        path,
        wanted: context.wanted,
        connected: () => tell('connected'),
        away: (reason) => tell(`away ${reason}`),
        refused: (id, reason) => tell(`${id} ${reason ?? 'taken'}`),
      },
      has,
      fresh,
    );
    made.push(delivery);
    return delivery;
  };
  (context as unknown as { made: Delivery[] }).made = made;
});
test.after.each(async (context) => {
  for (const delivery of (context as unknown as { made: Delivery[] }).made) delivery.stop();
  await context.mapper.close();
  assert.is(context.clock.pending, 0, 'a stopped delivery leaves no timer');
  rmSync(context.dir, { recursive: true });
});

test('models come before devices, and go after them', async ({ mapper, wanted, make }) => {
  await mapper.listen();
  wanted.set(ID, carried(1));
  const delivery = make();
  delivery.wake();
  await mapper.until(2);
  wanted.delete(ID);
  delivery.forget(ID);
  await mapper.until(4);
  assert.equal(mapper.calls, [
    'CreateDeviceModel model-1',
    'RegisterDevice oven-1',
    'RemoveDevice oven',
    'RemoveDeviceModel model',
  ]);
});

test('a device that it was given when it registered is not sent again, only what has changed since; models are', async ({
  mapper,
  wanted,
  make,
}) => {
  await mapper.listen();
  wanted.set(ID, carried(1));
  const delivery = make([carried(1)]);
  delivery.wake();
  wanted.set(ID, carried(2, 2));
  delivery.wake();
  await mapper.until(2);
  assert.equal(mapper.calls, ['CreateDeviceModel model-2', 'UpdateDevice oven-2']);
  wanted.set(ID, carried(2, 3));
  delivery.wake();
  await mapper.until(3);
  assert.is(mapper.calls[2], 'UpdateDeviceModel model-3');
});

test('what may be there already is updated, and registered when it is not there', async ({
  mapper,
  wanted,
  make,
}) => {
  await mapper.listen();
  mapper.answer = async (call) =>
    call === 'UpdateDevice oven-1' && mapper.calls.length === 2 ? 'device not found' : undefined;
  wanted.set(ID, carried(1));
  make([], false).wake();
  await mapper.until(4);
  assert.equal(
    mapper.calls,
    ['CreateDeviceModel model-1', 'UpdateDevice oven-1', 'RegisterDevice oven-1', 'UpdateDevice oven-1'],
    'a yes to a register may mean the version that was there',
  );
});

test('of several versions while one is under way the last one is sent', async ({ mapper, wanted, make }) => {
  await mapper.listen();
  let go = (): void => {};
  mapper.answer = (call) =>
    call === 'UpdateDevice oven-2'
      ? new Promise((resolve) => {
          go = () => resolve(undefined);
        })
      : Promise.resolve(undefined);
  wanted.set(ID, carried(2));
  const delivery = make([carried(1)]);
  delivery.wake();
  await mapper.until(2);
  for (const version of [3, 4, 5]) {
    wanted.set(ID, carried(version));
    delivery.wake();
  }
  go();
  await mapper.until(3);
  assert.equal(mapper.calls.slice(1), ['UpdateDevice oven-2', 'UpdateDevice oven-5']);
});

test('a mapper that does not listen yet is tried again, and away after five seconds', async ({
  clock,
  mapper,
  wanted,
  make,
  heard,
  told,
}) => {
  wanted.set(ID, carried(1));
  make().wake();
  for (let n = 0; n < 40 && told.length === 0; n++) {
    for (let m = 0; m < 20; m++) await settle();
    await clock.advance(500);
  }
  assert.is(told.length, 1);
  assert.match(told[0] ?? '', /^away .*ENOENT/);
  await mapper.listen();
  const back = heard('connected');
  for (let n = 0; n < 40 && told.length === 1; n++) {
    await clock.advance(30_000);
    for (let m = 0; m < 20; m++) await settle();
  }
  await back;
  await mapper.until(2);
  assert.equal(mapper.calls, ['CreateDeviceModel model-1', 'RegisterDevice oven-1']);
});

test('after a loss what it has is in doubt: everything is brought again', async ({
  clock,
  mapper,
  wanted,
  make,
  heard,
}) => {
  await mapper.listen();
  wanted.set(ID, carried(1));
  make([carried(1)]).wake();
  await heard('connected');
  await mapper.until(1);
  await mapper.close();
  await mapper.listen();
  for (let n = 0; n < 40 && mapper.calls.length < 3; n++) {
    for (let m = 0; m < 20; m++) await settle();
    await clock.advance(500);
  }
  await mapper.until(3);
  assert.equal(mapper.calls.slice(1, 3), ['CreateDeviceModel model-1', 'UpdateDevice oven-1']);
});

test('what went while the mapper was away is removed when it is back', async ({
  clock,
  mapper,
  wanted,
  make,
  heard,
}) => {
  await mapper.listen();
  wanted.set(ID, carried(1));
  const delivery = make([carried(1)]);
  delivery.wake();
  await heard('connected');
  await mapper.until(1);
  await mapper.close();
  wanted.delete(ID);
  delivery.forget(ID);
  await mapper.listen();
  for (let n = 0; n < 40 && mapper.calls.length < 3; n++) {
    for (let m = 0; m < 20; m++) await settle();
    await clock.advance(500);
  }
  await mapper.until(3);
  assert.equal(mapper.calls.slice(1), ['RemoveDevice oven', 'RemoveDeviceModel model']);
});

test('a device that is refused is told, tried again later, and told when it is taken', async ({
  clock,
  mapper,
  wanted,
  make,
  heard,
  told,
}) => {
  await mapper.listen();
  let refusing = true;
  mapper.answer = async (call) => (refusing && call.endsWith('oven-2') ? 'too hot' : undefined);
  const other = carried(1, 1, 'd/other' as DeviceId);
  wanted.set(ID, carried(2));
  wanted.set(other.id, other);
  make([carried(1)]).wake();
  await heard('d/oven too hot');
  await mapper.until(3);
  assert.equal(
    mapper.calls,
    ['CreateDeviceModel model-1', 'UpdateDevice oven-2', 'RegisterDevice other-1'],
    'the others are not held up',
  );
  refusing = false;
  for (let n = 0; n < 40 && !told.includes('d/oven taken'); n++) {
    for (let m = 0; m < 20; m++) await settle();
    await clock.advance(500);
  }
  assert.ok(told.includes('d/oven taken'));
});

test('a device that goes while it is brought does not stay', async ({ mapper, wanted, make }) => {
  await mapper.listen();
  const delivery = make([], true);
  mapper.answer = async (call) => {
    if (call === 'RegisterDevice oven-1') {
      wanted.delete(ID);
      delivery.forget(ID);
    }
    return undefined;
  };
  wanted.set(ID, carried(1));
  delivery.wake();
  await mapper.until(4);
  assert.equal(mapper.calls.slice(2), ['RemoveDevice oven', 'RemoveDeviceModel model']);
});

test.run();

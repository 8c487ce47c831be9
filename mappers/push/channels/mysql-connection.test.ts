import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../../runtime/core/clock.ts';
import { PushError } from '../channel.ts';
import { cachingSha2Password, nativePassword } from './mysql-auth.ts';
import { MysqlConnection } from './mysql-connection.ts';

/** A server that plays one login by the book and keeps what it is told; MariaDB, which has no caching_sha2_password, is in
 * hw-tests/push. */
type Context = {
  server: Server;
  address: string;
  heard: Buffer[];
  answers: (Buffer | Buffer[])[];
  plugin: string;
};
const test = suite<Context>('a connection to MySQL');

const password = "pass'word ä";
const scramble = Buffer.from('000102030405060708090a0b0c0d0e0f10111213', 'hex');
const OK = Buffer.from('00000002000000', 'hex');
const credentials = { userName: '', password, token: '', ca: undefined };

test('proofs are those that another implementation makes', () => {
  assert.is(nativePassword(password, scramble).toString('hex'), '568abfeda9d53e2ae439b8f38f2941720ab615c5');
  assert.is(
    cachingSha2Password(password, scramble).toString('hex'),
    'a97418416944fcac4f17b66f3e0ee1bbe80edceedcf7d95a2caccdea19a37e65',
  );
  assert.is(nativePassword('', scramble).length + cachingSha2Password('', scramble).length, 0);
});

test.before.each(async (context) => {
  context.heard = [];
  context.answers = [];
  context.plugin = 'caching_sha2_password';
  context.server = createServer((socket) => {
    let sequence = 0;
    const say = (...bodies: Buffer[]): void => {
      for (const body of bodies) socket.write(framed(body, sequence++));
    };
    say(greeting(context.plugin));
    onPackets(socket, (body, number) => {
      sequence = number + 1;
      context.heard.push(body);
      const next = context.answers.shift() ?? OK;
      say(...(Array.isArray(next) ? next : [next]));
    });
  });
  await new Promise<void>((resolve) => context.server.listen(0, '127.0.0.1', resolve));
  const address = context.server.address();
  context.address = `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
});
test.after.each(({ server }) => {
  server.close();
});

function framed(body: Buffer, sequence: number): Buffer {
  const header = Buffer.alloc(4);
  header.writeUIntLE(body.length, 0, 3);
  header[3] = sequence;
  return Buffer.concat([header, body]);
}

function onPackets(socket: Socket, take: (body: Buffer, sequence: number) => void): void {
  let rest = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUIntLE(0, 3)) {
      const length = rest.readUIntLE(0, 3);
      const body = rest.subarray(4, 4 + length);
      const number = rest[3] ?? 0;
      rest = rest.subarray(4 + length);
      take(body, number);
    }
  });
}

function greeting(plugin: string): Buffer {
  const flags = 0x000aa200 | 0x8;
  const low = Buffer.alloc(2);
  low.writeUInt16LE(flags & 0xffff);
  const high = Buffer.alloc(2);
  high.writeUInt16LE(flags >>> 16);
  return Buffer.concat([
    Buffer.from([10]),
    Buffer.from('8.4.0\0'),
    Buffer.alloc(4),
    scramble.subarray(0, 8),
    Buffer.from([0]),
    low,
    Buffer.from([45, 2, 0]),
    high,
    Buffer.from([21]),
    Buffer.alloc(10),
    scramble.subarray(8),
    Buffer.from(`\0${plugin}\0`),
  ]);
}

const open = ({ address }: Context): Promise<MysqlConnection> =>
  MysqlConnection.open(address, { user: 'edge', database: 'plant', credentials }, systemClock);

test('a server that knows the password is content with the proof', async (context) => {
  context.answers = [[Buffer.from([1, 3]), OK]];
  const connection = await open(context);
  const login = context.heard[0] ?? Buffer.alloc(0);
  assert.is(login.subarray(32, 37).toString(), 'edge\0');
  assert.is(login[37], 32);
  assert.equal(login.subarray(38, 70), cachingSha2Password(password, scramble));
  assert.is(login.subarray(70).toString(), 'plant\0caching_sha2_password\0');
  await connection.run('SELECT 1');
  assert.is(context.heard[1]?.toString(), '\x03SELECT 1');
  connection.close();
});

test('one that does not gets it sealed with its key', async (context) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  context.answers = [Buffer.from([1, 4]), Buffer.concat([Buffer.from([1]), Buffer.from(pem)]), OK];
  const connection = await open(context);
  assert.equal(context.heard[1], Buffer.from([2]));
  const sealed = context.heard[2] ?? Buffer.alloc(0);
  const masked = privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, sealed);
  const plain = masked.map((byte, i) => byte ^ (scramble[i % 20] ?? 0));
  assert.is(Buffer.from(plain).toString(), `${password}\0`);
  connection.close();
});

test('a server may switch to the plugin of the user', async (context) => {
  const other = Buffer.from('13121110f0e0d0c0b0a090807060504030201ff1', 'hex');
  const change = Buffer.concat([
    Buffer.from('\xfemysql_native_password\0', 'latin1'),
    other,
    Buffer.alloc(1),
  ]);
  context.answers = [change, OK];
  const connection = await open(context);
  assert.equal(context.heard[1], nativePassword(password, other));
  connection.close();
});

function failure(number: number, state: string, text: string): Buffer {
  const head = Buffer.alloc(3);
  head[0] = 0xff;
  head.writeUInt16LE(number, 1);
  return Buffer.concat([head, Buffer.from(`#${state}${text}`)]);
}

const faults: [number, string, 'away' | 'refused', string][] = [
  [1045, '28000', 'away', 'set userName, and PASSWORD or modules.push.credentials'],
  [1049, '42000', 'away', '1049 as told'],
  [1406, '22001', 'refused', '1406 as told'],
  [1103, '42000', 'refused', '1103 as told'],
];
for (const [number, state, kind, text] of faults) {
  test(`error ${number} means that the value is ${kind}`, async (context) => {
    context.answers = [OK, failure(number, state, 'as told')];
    const connection = await open(context);
    const error = await connection.run('INSERT').catch((caught: unknown) => caught);
    assert.instance(error, PushError);
    assert.is((error as PushError).kind, kind);
    assert.match((error as PushError).message, text);
    connection.close();
  });
}

test('a way to log in that is not known here is named', async (context) => {
  context.answers = [Buffer.concat([Buffer.from('\xfeed25519\0', 'latin1'), scramble, Buffer.alloc(1)])];
  const error = await open(context).catch((caught: unknown) => caught);
  assert.match((error as Error).message, 'logs in by ed25519: want mysql_native_password');
});

test('what is no MySQL is told from one', async (context) => {
  context.plugin = 'x'.repeat(4000);
  const other = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('SSH-2.0-OpenSSH_9.2\r\n'.repeat(300_000));
  });
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const at = other.address();
  const address = `127.0.0.1:${typeof at === 'object' ? at?.port : 0}`;
  const error = await open({ ...context, address }).catch((caught: unknown) => caught);
  assert.is((error as PushError).kind, 'away');
  assert.match((error as Error).message, /no MySQL|more was sent/);
  other.close();
});

test.run();

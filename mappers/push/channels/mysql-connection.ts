import type { Clock } from '../../../runtime/core/clock.ts';
import { type Credentials, PushError } from '../channel.ts';
import { cachingSha2Password, nativePassword, sealedPassword } from './mysql-auth.ts';
import { PushSocket } from './socket.ts';

/** MySQL's protocol as far as statements without results need it. Values go as hexadecimal literals, so that nothing is
 * escaped here.
 * @source MySQL internals manual, client/server protocol; MariaDB knowledge base, the same */

const LONG_PASSWORD = 0x1;
const CONNECT_WITH_DB = 0x8;
const PROTOCOL_41 = 0x200;
const SSL = 0x800;
const TRANSACTIONS = 0x2000;
const SECURE_CONNECTION = 0x8000;
const PLUGIN_AUTH = 0x80000;
const FLAGS = LONG_PASSWORD | CONNECT_WITH_DB | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH;
/** utf8mb4_general_ci; both servers know it. */
const CHARSET = 45;
const LARGEST_PACKET = 0xffffff;
const COM_QUERY = 3;

const OK = 0x00;
const MORE_AUTH = 0x01;
const SWITCH_OR_EOF = 0xfe;
const ERROR = 0xff;
const REQUEST_KEY = 0x02;
const FAST_OK = 0x03;

/** What is wrong with a value or a name, by error number: too long a packet, table names, an identifier. */
const REFUSALS = new Set([1059, 1102, 1103, 1153]);
/** Access denied, to the server or the database. */
const DENIED = new Set([1044, 1045, 1698]);

type Login = { readonly user: string; readonly database: string; readonly credentials: Credentials };
type Greeting = { readonly scramble: Buffer; readonly plugin: string; readonly canTls: boolean };

/** A connection that is logged in. */
export class MysqlConnection {
  private readonly socket: PushSocket;
  private sequence = 0;

  private constructor(socket: PushSocket) {
    this.socket = socket;
  }

  /** @throws PushError away */
  static async open(address: string, login: Login, clock: Clock): Promise<MysqlConnection> {
    const connection = new MysqlConnection(await PushSocket.open(address, clock));
    try {
      await connection.logIn(login);
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  get isClosed(): boolean {
    return this.socket.isClosed;
  }

  /** @throws PushError */
  async run(sql: string): Promise<void> {
    this.sequence = 0;
    this.write(Buffer.concat([Buffer.of(COM_QUERY), Buffer.from(sql)]));
    const packet = await this.read();
    if (packet[0] !== OK)
      throw new PushError('away', 'the server answers with a table to what asks for none');
  }

  close(): void {
    this.socket.close();
  }

  private async logIn({ user, database, credentials }: Login): Promise<void> {
    const { scramble, plugin, canTls } = greetingOf(await this.read());
    const { password, ca } = credentials;
    const flags = FLAGS | (ca ? SSL : 0);
    if (ca) {
      if (!canTls)
        throw new PushError('away', 'the server speaks no TLS, and caFile in the credentials asks for it');
      this.write(head(flags));
      await this.socket.secure(ca);
    }
    const proof = proofOf(plugin, password, scramble);
    this.write(
      Buffer.concat([head(flags), text(user), Buffer.of(proof.length), proof, text(database), text(plugin)]),
    );
    await this.finishLogin(password, scramble, plugin, ca !== undefined);
  }

  private async finishLogin(
    password: string,
    first: Buffer,
    plugin: string,
    isSealed: boolean,
  ): Promise<void> {
    let scramble = first;
    for (;;) {
      const packet = await this.read();
      if (packet[0] === OK) return;
      if (packet[0] === SWITCH_OR_EOF) {
        const end = packet.indexOf(0, 1);
        const wanted = packet.subarray(1, end).toString();
        scramble = Buffer.from(packet.subarray(end + 1, end + 21));
        this.write(proofOf(wanted, password, scramble));
      } else if (packet[0] === MORE_AUTH && packet[1] !== FAST_OK) {
        await this.fullLogin(password, scramble, isSealed);
      } else if (packet[0] !== MORE_AUTH) {
        throw new PushError('away', `the server logs in by ${plugin} in a way that is not known here`);
      }
    }
  }

  private async fullLogin(password: string, scramble: Buffer, isSealed: boolean): Promise<void> {
    if (isSealed) return this.write(text(password));
    this.write(Buffer.of(REQUEST_KEY));
    const key = (await this.read()).subarray(1).toString();
    this.write(sealedPassword(password, scramble, key));
  }

  private write(body: Buffer): void {
    const header = Buffer.alloc(4);
    header.writeUIntLE(body.length, 0, 3);
    header[3] = this.sequence++ & 0xff;
    this.socket.write(Buffer.concat([header, body]));
  }

  /** @throws PushError for an error that the server tells */
  private async read(): Promise<Buffer> {
    const header = await this.socket.read(4);
    this.sequence = ((header[3] ?? 0) + 1) & 0xff;
    const packet = await this.socket.read(header.readUIntLE(0, 3));
    if (packet[0] === ERROR) throw errorOf(packet);
    return packet;
  }
}

function head(flags: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32LE(flags, 0);
  bytes.writeUInt32LE(LARGEST_PACKET, 4);
  bytes[8] = CHARSET;
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function proofOf(plugin: string, password: string, scramble: Buffer): Buffer {
  switch (plugin) {
    case 'mysql_native_password':
      return nativePassword(password, scramble);
    case 'caching_sha2_password':
      return cachingSha2Password(password, scramble);
    default:
      throw new PushError(
        'away',
        `the user logs in by ${plugin}: want mysql_native_password or caching_sha2_password (CREATE USER … IDENTIFIED BY)`,
      );
  }
}

/** The server's first packet, protocol version 10. */
function greetingOf(packet: Buffer): Greeting {
  const end = packet.indexOf(0, 1);
  if (packet[0] !== 10 || end < 0 || packet.length < end + 32)
    throw new PushError('away', 'what answers is no MySQL or MariaDB');
  const at = end + 5;
  const flags = packet.readUInt16LE(at + 9) | (packet.readUInt16LE(at + 14) << 16);
  const length = Math.max(13, (packet[at + 16] ?? 0) - 8);
  const second = at + 27;
  const scramble = Buffer.concat([packet.subarray(at, at + 8), packet.subarray(second, second + 12)]);
  const name = packet.subarray(second + length).toString();
  // A server asks for its own plugin; one that is not known here may switch to the user's.
  const plugin = name.replace(/\0.*$/s, '') === 'caching_sha2_password' ? 'caching_sha2_password' : NATIVE;
  return { scramble, plugin, canTls: (flags & SSL) !== 0 };
}

const NATIVE = 'mysql_native_password';

function errorOf(packet: Buffer): PushError {
  const number = packet.readUInt16LE(1);
  const hasState = packet[3] === 0x23;
  const state = hasState ? packet.subarray(4, 9).toString() : '';
  const said = packet.subarray(hasState ? 9 : 3).toString();
  const isRefusal = state.startsWith('22') || REFUSALS.has(number);
  const todo = DENIED.has(number) ? ': set userName, and PASSWORD or modules.push.credentials' : '';
  return new PushError(isRefusal ? 'refused' : 'away', `the server answers ${number} ${said}${todo}`);
}

import { connect as connectTcp, type Socket } from 'node:net';
import modbusSerial from 'modbus-serial';
import { errorCode, errorText } from '../../runtime/core/errors.ts';
import type { Millis } from '../../runtime/core/units.ts';
import type { Connection } from '../kit/driver.ts';
import { WireError } from '../kit/wire-error.ts';
import type { Area, Endpoint, Point } from './config.ts';
import type { Block } from './plan.ts';
import { SerialLine } from './serial-line.ts';

// The package's types name a default export; at run time the module itself is the class, and has that too.
const ModbusRTU = modbusSerial.default;
type Client = InstanceType<typeof ModbusRTU>;

const CONNECT_TIMEOUT = 3000;
const KEEPALIVE = 30_000;
const NO_ANSWER = 'what came is no answer to the request';

/** Names of the exception codes. @source MODBUS Application Protocol V1.1b3 §7 */
const exceptions: Readonly<Record<number, string>> = {
  1: 'illegal function',
  2: 'illegal data address',
  3: 'illegal data value',
  4: 'server device failure',
  5: 'acknowledge',
  6: 'server device busy',
  8: 'memory parity error',
  10: 'gateway path unavailable',
  11: 'gateway target device failed to respond',
};

/** Opens a Modbus connection, over TCP or a serial line.
 * @throws WireError `unreachable` */
export async function openModbus(endpoint: Endpoint): Promise<ModbusConnection> {
  try {
    if (endpoint.kind === 'tcp') {
      const socket = await openSocket(endpoint.host, endpoint.port);
      const client = newClient();
      await client.linkTCP(socket, { port: endpoint.port });
      return new ModbusConnection(endpoint, client, socket);
    }
    const line = new SerialLine(endpoint);
    const client = newClient(line);
    await new Promise<void>((resolve, reject) => {
      client.open((error?: Error | null) => (error ? reject(error) : resolve()));
    });
    return new ModbusConnection(endpoint, client, line);
  } catch (error) {
    throw new WireError('unreachable', `${addressOf(endpoint)}: ${errorText(error)}`);
  }
}

function newClient(line?: SerialLine): Client {
  const client = new ModbusRTU(line);
  // Without a listener an error of the socket between two requests would end the process.
  client.on('error', () => {});
  return client;
}

/** An open Modbus connection on modbus-serial. One request at a time: its owner is a Bus. */
export class ModbusConnection implements Connection {
  private readonly endpoint: Endpoint;
  private readonly client: Client;
  private readonly wire: Socket | SerialLine;

  constructor(endpoint: Endpoint, client: Client, wire: Socket | SerialLine) {
    this.endpoint = endpoint;
    this.client = client;
    this.wire = wire;
  }

  close(): Promise<void> {
    // destroy, not close: a peer that is gone would never answer our FIN.
    this.client.destroy(() => {});
    if (this.wire instanceof SerialLine) return this.wire.closed;
    this.wire.destroy();
    return Promise.resolve();
  }

  /** Reads a block; bits come as one byte each.
   * @throws WireError */
  async read(unit: number, block: Block, timeout: Millis): Promise<Buffer> {
    const client = await this.prepare(unit, timeout);
    const { area, address, count } = block;
    const answer = await this.guard(readArea(client, area, address, count));
    const got = area === 'coil' || area === 'discrete' ? Buffer.from(answer.data.map(Number)) : answer.buffer;
    const want = area === 'coil' || area === 'discrete' ? count : count * 2;
    if (got.length < want) throw new WireError('garbled', `answered ${got.length} bytes instead of ${want}`);
    return got;
  }

  /** Writes one point.
   * @param raw its registers, or for a coil one byte
   * @throws WireError */
  async write(unit: number, point: Point, raw: Buffer, timeout: Millis): Promise<void> {
    const client = await this.prepare(unit, timeout);
    if (point.area === 'coil')
      return this.guard(client.writeCoil(point.address, raw[0] === 1)).then(() => {});
    if (point.count === 1)
      return this.guard(client.writeRegister(point.address, raw.readUInt16BE())).then(() => {});
    await this.guard(client.writeRegisters(point.address, raw));
  }

  private get line(): SerialLine | undefined {
    return this.wire instanceof SerialLine ? this.wire : undefined;
  }

  private async prepare(unit: number, timeout: Millis): Promise<Client> {
    await this.line?.settle(unit, timeout);
    const { client } = this;
    if (!client.isOpen) throw this.gone();
    client.setID(unit);
    client.setTimeout(timeout);
    return client;
  }

  private async guard<T>(work: Promise<T>): Promise<T> {
    const before = this.wire.bytesRead;
    try {
      return await work;
    } catch (error) {
      const wire = toWireError(error, addressOf(this.endpoint));
      if (wire.kind === 'timeout' && !this.client.isOpen) throw this.gone();
      const isNoise = wire.kind === 'timeout' && this.wire.bytesRead !== before;
      if (isNoise || wire.kind === 'garbled') throw this.garbled(isNoise ? NO_ANSWER : errorText(error));
      throw wire;
    }
  }

  /** On a serial line every request starts afresh. On TCP the package waits for the rest of a frame that garbage
   * announces, and would swallow every later answer. */
  private garbled(why: string): WireError {
    return new WireError(this.line ? 'noise' : 'garbled', `${addressOf(this.endpoint)}: ${why}`);
  }

  private gone(): WireError {
    return new WireError('unreachable', `${addressOf(this.endpoint)}: connection lost`);
  }
}

/** `host:port` or the serial device, for texts and as the key of the bus. */
export function addressOf(endpoint: Endpoint): string {
  return endpoint.kind === 'tcp' ? `${endpoint.host}:${endpoint.port}` : endpoint.path;
}

/** How the connection is opened, for people. */
export function settingsOf(endpoint: Endpoint): string {
  if (endpoint.kind === 'tcp') return 'TCP';
  const { baudRate, dataBits, parity, stopBits } = endpoint;
  return `${baudRate} ${dataBits}${parity[0]?.toUpperCase()}${stopBits}`;
}

function openSocket(host: string, port: number): Promise<Socket> {
  const socket = connectTcp({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE });
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new Error(`no connection in ${CONNECT_TIMEOUT} ms`)),
      CONNECT_TIMEOUT,
    );
    socket.once('error', fail);
    socket.once('close', () => clearTimeout(timer));
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

function readArea(
  client: Client,
  area: Area,
  address: number,
  count: number,
): Promise<{ data: (number | boolean)[]; buffer: Buffer }> {
  switch (area) {
    case 'coil':
      return client.readCoils(address, count);
    case 'discrete':
      return client.readDiscreteInputs(address, count);
    case 'input':
      return client.readInputRegisters(address, count);
    case 'holding':
      return client.readHoldingRegisters(address, count);
    default:
      return area satisfies never;
  }
}

function toWireError(error: unknown, address: string): WireError {
  const code =
    typeof error === 'object' && error !== null && 'modbusCode' in error ? Number(error.modbusCode) : 0;
  if (code > 0)
    return new WireError('exception', `exception ${code}, ${exceptions[code] ?? 'unknown'}`, code);
  const text = errorText(error);
  const errno =
    typeof error === 'object' && error !== null && 'errno' in error ? error.errno : errorCode(error);
  if (errno === 'ETIMEDOUT' || /timed out/i.test(text))
    return new WireError('timeout', `${address}: no answer in time`);
  if (/port not open|closed|ECONNRESET|EPIPE/i.test(`${text} ${errno}`)) {
    return new WireError('unreachable', `${address}: connection lost`);
  }
  return new WireError('garbled', `${address}: ${text}`);
}

import modbusSerial from 'modbus-serial';
import { errorText } from '../../runtime/core/errors.ts';
import { type Millis, millis } from '../../runtime/core/units.ts';
import type { Connection } from '../kit/driver.ts';
import { WireError } from '../kit/wire-error.ts';
import { addressOf, type Endpoint, isSerial, settingsOf } from './config-endpoint.ts';
import type { Area } from './config-points.ts';
import { ModbusPort } from './port.ts';
import { openWire, type Wire } from './wire.ts';

// The package's types name a default export; at run time the module itself is the class, and has that too.
const ModbusRTU = modbusSerial.default;
type Client = InstanceType<typeof ModbusRTU>;

/** Whom to ask, and how long to wait. */
export type Slave = {
  readonly unit: number;
  /** Until the answer begins; the time that it is under way comes on top. */
  readonly timeout: Millis;
  /** Silence before the request. */
  readonly delay: Millis;
};

/** What a read asks for. */
export type Range = {
  readonly area: Exclude<Area, 'identification'>;
  readonly address: number;
  readonly count: number;
};

/** One write request, by its function: 5, 15, 6, 16, 22, 23. */
export type WriteRequest =
  | { readonly kind: 'coil' | 'coils'; readonly address: number; readonly on: boolean }
  | {
      readonly kind: 'register' | 'registers' | 'readWrite';
      readonly address: number;
      readonly bytes: Buffer;
    }
  | { readonly kind: 'mask'; readonly address: number; readonly and: number; readonly or: number };

/** Bytes of a request, a read's answer and a write's answer beside the values, checksums included. */
const FRAMES = 24;
const nobodyWaits = (): void => {};
const LONGEST_IDENTIFICATION = 250;
const MOST_OBJECTS = 32;

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
/** A gateway's words for a device behind it that is away. */
const AWAY = new Set([10, 11]);

/** Opens a Modbus connection.
 * @throws WireError `unreachable` */
export async function openModbus(endpoint: Endpoint): Promise<ModbusConnection> {
  try {
    return new ModbusConnection(endpoint, await openWire(endpoint));
  } catch (error) {
    throw new WireError('unreachable', `${addressOf(endpoint)}: ${errorText(error)}`);
  }
}

/** An open Modbus connection: the requests of modbus-serial over a port of ours. One request at a time: its owner is a
 * Bus. */
export class ModbusConnection implements Connection {
  readonly lost: Promise<string>;
  private readonly endpoint: Endpoint;
  private readonly wire: Wire;
  private readonly port: ModbusPort;
  private readonly client: Client;

  constructor(endpoint: Endpoint, wire: Wire) {
    this.endpoint = endpoint;
    this.wire = wire;
    this.port = new ModbusPort(endpoint, wire);
    this.client = new ModbusRTU(this.port);
    this.client.open(() => {});
    this.lost = wire.lost.then((reason) => this.named(reason));
  }

  close(): Promise<void> {
    this.port.destroy();
    return this.wire.close();
  }

  /** Reads registers, or bits as one byte each.
   * @throws WireError */
  async read(slave: Slave, { area, address, count }: Range): Promise<Buffer> {
    const isBits = area === 'coil' || area === 'discrete';
    const want = isBits ? count : count * 2;
    const answer = await this.ask(slave, isBits ? Math.ceil(count / 8) : want, (client) =>
      readArea(client, area, address, count),
    );
    const got = isBits ? Buffer.from(answer.data.map(Number)) : answer.buffer;
    if (got.length < want) throw this.error('garbled', `answered ${got.length} bytes instead of ${want}`);
    // Bits come by the byte.
    return got.subarray(0, want);
  }

  /** @throws WireError */
  async write(slave: Slave, request: WriteRequest): Promise<void> {
    const bytes = 'bytes' in request ? request.bytes.length : 0;
    // A read-write's answer brings the values back.
    await this.ask(slave, request.kind === 'readWrite' ? bytes * 2 : bytes, (client) =>
      write(client, request),
    );
  }

  /** Asks what the device tells of itself, from object 0 on.
   * @param category 1 basic, 2 regular, 3 extended
   * @returns texts by object id
   * @throws WireError
   * @source MODBUS Application Protocol V1.1b3 §6.21 */
  async identify(slave: Slave, category: number): Promise<ReadonlyMap<number, string>> {
    const texts = new Map<number, string>();
    let next: number | undefined = 0;
    for (let i = 0; next !== undefined && i < MOST_OBJECTS; i++) {
      const object: number = next;
      const { data } = await this.ask(slave, LONGEST_IDENTIFICATION, (client) =>
        client.readDeviceIdentification(category, object),
      );
      for (const [id, text] of Object.entries(data)) texts.set(Number(id), String(text));
      next = this.port.follows;
    }
    return texts;
  }

  /** One request and its answer.
   * @param values bytes of values in both together */
  private async ask<T>(slave: Slave, values: number, request: (client: Client) => Promise<T>): Promise<T> {
    const { port, client } = this;
    const timeout = millis(slave.timeout + port.airtime(FRAMES + values));
    await port.settle(slave.unit, timeout, slave.delay);
    if (!port.isOpen) throw this.error('unreachable', 'connection lost');
    client.setID(slave.unit);
    client.setTimeout(timeout);
    const before = port.bytesRead;
    try {
      return await new Promise<T>((resolve, reject) => {
        port.onFailure = reject;
        request(client).then(resolve, reject);
      });
    } catch (error) {
      throw this.wireError(error, port.bytesRead !== before);
    } finally {
      port.onFailure = nobodyWaits;
      forgetAnswer(client, port._transactionIdWrite);
    }
  }

  /** @param heard something came, though no answer */
  private wireError(error: unknown, heard: boolean): WireError {
    if (error instanceof WireError) {
      const kind = error.kind === 'garbled' && !this.endsWithGarbage ? 'noise' : error.kind;
      return this.error(kind, error.kind === 'noise' ? this.doubted(error.message) : error.message);
    }
    const code = Number(isRecordOf(error, 'modbusCode') ? error.modbusCode : 0);
    const meaning = `exception ${code}, ${exceptions[code] ?? 'unknown'}`;
    if (AWAY.has(code)) return this.error('timeout', meaning);
    if (code > 0) return new WireError('exception', meaning, code);
    if (!isRecordOf(error, 'errno') || error.errno !== 'ETIMEDOUT')
      return this.error('garbled', errorText(error));
    if (!heard) return this.error('timeout', 'no answer in time');
    return this.error(
      this.endsWithGarbage ? 'garbled' : 'noise',
      this.doubted('what came is no answer to the request'),
    );
  }

  /** On a stream what follows garbage would be out of step; on a line every request starts afresh. */
  private get endsWithGarbage(): boolean {
    return this.endpoint.wire.kind === 'tcp';
  }

  /** Noise and never an answer: the line may be set up wrongly. */
  private doubted(what: string): string {
    if (this.port.isProven || !isSerial(this.endpoint)) return what;
    return `${what}; is it ${settingsOf(this.endpoint)}?`;
  }

  private error(kind: WireError['kind'], what: string): WireError {
    return new WireError(kind, this.named(what));
  }

  private named(what: string): string {
    return `${addressOf(this.endpoint)}: ${what}`;
  }
}

/** modbus-serial keeps a request and its answer, with all that waited for it, until the next one: by then they are old to the
 * garbage collector, which lets them lie about for long. (A new object in place of the one that holds them would be no
 * help: from the old one, itself old by then, they would still be reached.) */
function forgetAnswer(client: Client, id: number): void {
  delete (client as unknown as { _transactions: Record<number, unknown> })._transactions[id];
}

function isRecordOf<K extends string>(value: unknown, key: K): value is Record<K, unknown> {
  return typeof value === 'object' && value !== null && key in value;
}

function readArea(
  client: Client,
  area: Range['area'],
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

function write(client: Client, request: WriteRequest): Promise<unknown> {
  const { address } = request;
  switch (request.kind) {
    case 'coil':
      return client.writeCoil(address, request.on);
    case 'coils':
      return client.writeCoils(address, [request.on]);
    case 'register':
      return client.writeRegister(address, request.bytes.readUInt16BE());
    case 'registers':
      return client.writeRegisters(address, request.bytes);
    case 'mask':
      return client.maskWriteRegister(address, request.and, request.or);
    case 'readWrite':
      return readWrite(client, address, request.bytes);
    default:
      return request satisfies never;
  }
}

/** The package's types leave out its promise for function 23. */
function readWrite(client: Client, address: number, bytes: Buffer): Promise<unknown> {
  const count = bytes.length / 2;
  return new Promise((resolve, reject) => {
    client.writeFC23(client.getID(), address, count, address, count, bytes, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

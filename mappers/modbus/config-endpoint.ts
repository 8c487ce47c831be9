import type { ConfigReader } from '../kit/config-reader.ts';

/** A serial line. */
export type SerialSettings = {
  readonly kind: 'serial';
  readonly path: string;
  readonly baudRate: number;
  readonly dataBits: 7 | 8;
  readonly parity: 'none' | 'even' | 'odd';
  readonly stopBits: 1 | 2;
  /** Which level of RTS switches a half-duplex driver to sending; `none` where the adapter does it by itself. */
  readonly rts: 'none' | 'high' | 'low';
};

export type NetworkAddress = { readonly kind: 'tcp' | 'udp'; readonly host: string; readonly port: number };

/** How requests lie on the wire: with Modbus TCP's header, in binary with a checksum, or in hexadecimal. */
export type FramingName = 'mbap' | 'rtu' | 'ascii';

/** Where a device is reached, and in which form. */
export type Endpoint = { readonly wire: SerialSettings | NetworkAddress; readonly framing: FramingName };

type Mode = { readonly wire: 'serial' | 'tcp' | 'udp'; readonly framing: FramingName };

const modes: Readonly<Record<string, Mode>> = {
  tcp: { wire: 'tcp', framing: 'mbap' },
  udp: { wire: 'udp', framing: 'mbap' },
  rtu: { wire: 'serial', framing: 'rtu' },
  ascii: { wire: 'serial', framing: 'ascii' },
  rtuovertcp: { wire: 'tcp', framing: 'rtu' },
  rtuoverudp: { wire: 'udp', framing: 'rtu' },
  asciiovertcp: { wire: 'tcp', framing: 'ascii' },
};
const MODES = 'tcp, rtu, ascii, udp, rtuOverTcp, asciiOverTcp or rtuOverUdp';

export function isSerial({ wire }: Endpoint): boolean {
  return wire.kind === 'serial';
}

/** `host:port` or the serial device, for texts and as the key of the bus. */
export function addressOf({ wire }: Endpoint): string {
  if (wire.kind === 'serial') return wire.path;
  const host = wire.host.includes(':') ? `[${wire.host}]` : wire.host;
  return `${host}:${wire.port}${wire.kind === 'udp' ? '/udp' : ''}`;
}

/** How the connection is opened, for people: `19200 8N1 RTU`. */
export function settingsOf({ wire, framing }: Endpoint): string {
  const form = framing === 'mbap' ? 'Modbus TCP' : framing.toUpperCase();
  if (wire.kind !== 'serial') return form;
  const { baudRate, dataBits, parity, stopBits, rts } = wire;
  const driver = rts === 'none' ? '' : `, RTS ${rts} to send`;
  return `${baudRate} ${dataBits}${parity[0]?.toUpperCase()}${stopBits} ${form}${driver}`;
}

/** @returns undefined when something is wrong with it, which is noted */
export function parseEndpoint(reader: ConfigReader): Endpoint | undefined {
  const line = reader.within('com');
  const named = reader.text('communicateMode', 'mode') ?? (line.has('serialPort') ? 'rtu' : 'tcp');
  const mode = modes[named.toLowerCase().replace(/[^a-z]/g, '')];
  if (!mode) return reader.fault('communicateMode', `${named} is not served: want ${MODES}`);
  const { framing } = mode;
  const wire =
    mode.wire === 'serial' ? parseSerial(line, framing) : parseAddress(reader.within('tcp'), mode.wire);
  return wire && { wire, framing };
}

function parseAddress(reader: ConfigReader, kind: 'tcp' | 'udp'): NetworkAddress | undefined {
  const host = reader.text('host', 'ip');
  if (!host) return reader.fault('host', 'missing: want the name or IP address of the device');
  const port = reader.whole(['port'], [1, 65_535], 502);
  return port === undefined ? undefined : { kind, host, port };
}

function parseSerial(reader: ConfigReader, framing: FramingName): SerialSettings | undefined {
  const path = reader.text('serialPort');
  if (!path) return reader.fault('serialPort', 'missing: want a path such as /dev/serial/by-id/…');
  const baudRate = reader.whole(['baudRate'], [50, 4_000_000], 9600);
  const dataBits = reader.whole(['dataBits'], framing === 'rtu' ? [8, 8] : [7, 8], 8);
  const stopBits = reader.whole(['stopBits'], [1, 2], 1);
  const parity = reader.choice('parity', ['none', 'even', 'odd'], 'none');
  const rts = reader.choice('rts', ['none', 'high', 'low'], reader.isTrue('rs485Enabled') ? 'high' : 'none');
  if (baudRate === undefined || dataBits === undefined || stopBits === undefined || !parity || !rts)
    return undefined;
  const form = { dataBits: dataBits as 7 | 8, stopBits: stopBits as 1 | 2, parity, rts };
  return { kind: 'serial', path, baudRate, ...form };
}

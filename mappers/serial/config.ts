import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import { type Millis, millis } from '../../runtime/core/units.ts';
import { sumWidth } from '../kit/checksum.ts';
import type { LineSettings } from '../kit/serial-port.ts';
import { parseBytes } from './bytes.ts';
import type { FrameCheck } from './frame-check.ts';
import { type Form, type Framing, leastFrame } from './framing.ts';
import { parsePoint, type SerialPoint } from './points.ts';
import type { PortName } from './ports.ts';
import { parseQuestion, type Question } from './question.ts';
import { Settings } from './settings.ts';

export const protocols = ['serial', 'serial-nmea', 'serial-json'] as const;
type Protocol = (typeof protocols)[number];

/** A serial device with its properties. */
export type SerialConfig = {
  readonly port: PortName;
  readonly line: LineSettings;
  readonly framing: Framing;
  /** How long an answer may take. */
  readonly timeout: Millis;
  /** The silence before a request. */
  readonly pause: Millis;
  /** How often a question is asked again when its answer came damaged. */
  readonly retries: number;
  /** It speaks unasked. */
  readonly listen: boolean;
  /** What has not been heard for so long is not known any more. */
  readonly staleAfter: Millis;
  readonly points: readonly SerialPoint[];
};

/** What the protocol's name stands for when nothing else is said. */
const defaults: Readonly<
  Record<
    Protocol,
    {
      baudRate: number;
      start: string;
      delimiter: string;
      max: number;
      check: 'none' | 'nmea';
      listen: boolean;
    }
  >
> = {
  serial: { baudRate: 9600, start: '', delimiter: '\n', max: 1024, check: 'none', listen: false },
  'serial-nmea': { baudRate: 4800, start: '$', delimiter: '\n', max: 256, check: 'nmea', listen: true },
  'serial-json': { baudRate: 9600, start: '', delimiter: '\n', max: 4096, check: 'none', listen: true },
};

const PATH = 'spec.protocol.configData';
const USB_ID = /^(0x)?([0-9a-f]{4})$/i;

/** Reads a Device with one of the serial protocols.
 * @returns what of it can be served, and every fault as `spec.path: what is wrong`. A fault of the line or its framing
 *   leaves nothing to serve, one of a property only that one out
 * @source mappers/README.md lists every key */
export function parseSerialDevice(
  device: Device,
  model: DeviceModel,
): { readonly config: SerialConfig | undefined; readonly faults: readonly string[] } {
  const faults: string[] = [];
  const name = device.spec.protocol?.protocolName?.toLowerCase();
  const protocol = protocols.find((p) => p === name) ?? 'serial';
  const settings = new Settings(PATH, faults, device.spec.protocol?.configData);
  const port = parsePort(settings);
  const line = parseLine(settings, protocol);
  const check = parseCheck(settings, protocol);
  const framing = parseFraming(settings, protocol, check);
  const shared = {
    timeout: millis(settings.count('timeout', 1000, [10, 60_000])),
    pause: millis(settings.count('pause', 0, [0, 10_000])),
    retries: settings.count('retries', 2, [0, 10]),
    listen: settings.flag('listen', defaults[protocol].listen),
    staleAfter: millis(settings.count('staleAfter', 10_000, [100, 86_400_000])),
  };
  const questions = parseQuestions(settings, framing, shared.listen);
  settings.refuseOthers('a serial device');
  if (faults.length > 0 || !port || !framing) return { config: undefined, faults };
  const points = (device.spec.properties ?? []).flatMap((property, i) => {
    const context = { isJson: protocol === 'serial-json', model, framing, questions, listen: shared.listen };
    return parsePoint(property, `spec.properties[${i}]`, context, faults) ?? [];
  });
  // Where nothing can be served the faults are the answer, and no port is opened.
  if (points.length === 0 && faults.length > 0) return { config: undefined, faults };
  return { config: { port, line, framing, ...shared, points }, faults };
}

function parsePort(settings: Settings): PortName | undefined {
  const path = settings.text('serialPort');
  const usb = {
    vendorId: usbId(settings, 'vendorId'),
    productId: usbId(settings, 'productId'),
    serialNumber: settings.text('serialNumber'),
    interface: settings.has('interface') ? settings.count('interface', 0, [0, 255]) : undefined,
  };
  const isUsb = usb.vendorId !== undefined || usb.productId !== undefined || usb.serialNumber !== undefined;
  if (path !== undefined) {
    if (isUsb)
      return settings.fault(
        'serialPort',
        'is there beside vendorId, productId or serialNumber: want one of them',
      );
    if (!path.startsWith('/'))
      return settings.fault('serialPort', `${path}: want a path such as /dev/serial/by-id/…`);
    return { kind: 'path', path };
  }
  if (!isUsb)
    return settings.fault(
      'serialPort',
      'missing: want a path such as /dev/serial/by-id/…, or vendorId and productId',
    );
  return { kind: 'usb', ...usb };
}

/** Four hexadecimal digits, which YAML may have taken for a number. */
function usbId(settings: Settings, key: string): string | undefined {
  const text = settings.text(key);
  if (text === undefined) return undefined;
  const id = USB_ID.exec(text.padStart(4, '0'))?.[2];
  return (
    id?.toLowerCase() ??
    settings.fault(key, `${text}: want four hexadecimal digits in quotes, as lsusb shows them`)
  );
}

function parseLine(settings: Settings, protocol: Protocol): LineSettings {
  return {
    baudRate: settings.count('baudRate', defaults[protocol].baudRate, [50, 4_000_000]),
    dataBits: settings.count('dataBits', 8, [7, 8]) as 7 | 8,
    stopBits: settings.count('stopBits', 1, [1, 2]) as 1 | 2,
    parity: settings.word('parity', ['none', 'even', 'odd'], 'none'),
    flowControl: settings.word('flowControl', ['none', 'rtscts', 'xonxoff'], 'none'),
  };
}

function parseCheck(all: Settings, protocol: Protocol): FrameCheck {
  const settings = all.part('checksum', 'type');
  const kinds = ['none', 'nmea', 'xor', 'sum8', 'crc16-modbus', 'crc16-ccitt'] as const;
  const kind = settings?.word('type', kinds, 'none') ?? defaults[protocol].check;
  const options = {
    from: settings?.count('from', 0, [0, 64]) ?? 0,
    encoding: settings?.word('encoding', ['binary', 'hex'], 'binary') ?? 'binary',
    order: settings?.word('order', ['big', 'little'], kind === 'crc16-modbus' ? 'little' : 'big') ?? 'big',
    init: settings?.count('init', 0xffff, [0, 0xffff]) ?? 0xffff,
  } as const;
  settings?.refuseOthers('a checksum');
  if (kind === 'none' || kind === 'nmea') return { kind };
  return { kind: 'sum', sum: kind, ...options };
}

function parseFraming(all: Settings, protocol: Protocol, check: FrameCheck): Framing | undefined {
  const settings = all.part('framing', 'type') ?? new Settings(`${PATH}.framing`, []);
  const kind = settings.word('type', ['delimiter', 'length', 'fixed', 'silence', 'regex'], 'delimiter');
  const max = settings.count('maxLength', defaults[protocol].max, [4, 65_536]);
  const quiet = quietOf(settings, kind);
  const form = parseForm(settings, kind, protocol);
  settings.refuseOthers(`${kind} framing`);
  if (!form) return undefined;
  const framing = { form, check, max, quiet };
  if (form.kind === 'fixed' && form.size > max)
    return settings.fault('size', `${form.size}: more than maxLength ${max}`);
  if (form.kind === 'fixed' && form.size < leastFrame(framing))
    return settings.fault('size', `${form.size}: too short for its start and its checksum`);
  if (
    form.kind === 'delimiter' &&
    check.kind === 'sum' &&
    form.trailer > 0 &&
    form.trailer < sumWidth[check.sum]
  )
    return settings.fault('trailer', `${form.trailer}: the checksum ${check.sum} takes more`);
  return framing;
}

/** Silence ends a frame or spoils one. A delimiter needs none. */
function quietOf(settings: Settings, kind: Form['kind']): Millis | undefined {
  if (kind === 'delimiter') return undefined;
  return millis(settings.count('silence', kind === 'silence' ? 20 : 100, [1, 10_000]));
}

function parseForm(settings: Settings, kind: Form['kind'], protocol: Protocol): Form | undefined {
  switch (kind) {
    case 'delimiter': {
      const start = bytes(settings, 'start', defaults[protocol].start);
      const delimiter = bytes(settings, 'delimiter', defaults[protocol].delimiter);
      if (delimiter.length === 0) return settings.fault('delimiter', 'is empty');
      return { kind, start, delimiter, trailer: settings.count('trailer', 0, [0, 16]) };
    }
    case 'length':
      return {
        kind,
        start: bytes(settings, 'start', ''),
        offset: settings.count('offset', 0, [0, 64]),
        width: Number(settings.word('width', ['1', '2', '4'], '1')) as 1 | 2 | 4,
        order: settings.word('order', ['big', 'little'], 'big'),
        counts: settings.word('counts', ['rest', 'frame'], 'rest'),
        add: settings.count('add', 0, [-64, 64]),
      };
    case 'fixed':
      settings.need('size', 'the number of bytes of a frame');
      return { kind, start: bytes(settings, 'start', ''), size: settings.count('size', 1, [1, 65_536]) };
    case 'silence':
      return { kind };
    case 'regex': {
      settings.need('pattern', 'the pattern of a frame');
      const pattern = settings.pattern('pattern');
      if (pattern?.test(''))
        return settings.fault('pattern', 'matches nothing at all: a frame needs at least one byte');
      return pattern ? { kind, pattern } : undefined;
    }
    default:
      return kind satisfies never;
  }
}

function bytes(settings: Settings, key: string, otherwise: string): Buffer {
  const parsed = parseBytes(settings.verbatim(key) ?? otherwise);
  if (!('fault' in parsed)) return parsed;
  settings.fault(key, parsed.fault);
  return Buffer.from(otherwise);
}

function parseQuestions(
  settings: Settings,
  framing: Framing | undefined,
  listen: boolean,
): ReadonlyMap<string, Question | undefined> {
  const questions = new Map<string, Question | undefined>();
  for (const [name, part] of settings.parts('requests', 'send')) {
    part.need('send', 'what is sent');
    questions.set(name, parseQuestion(part, 'send', framing?.check ?? { kind: 'none' }, listen));
    part.refuseOthers('a request');
  }
  return questions;
}

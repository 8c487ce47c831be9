import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel, PropertyType } from '../../runtime/core/devices.ts';
import { parseSerialDevice } from './config.ts';

type Free = Readonly<Record<string, unknown>>;

function objects(protocolName: string, configData: Free, visitors: Free, type: PropertyType = 'FLOAT') {
  const model: DeviceModel = {
    apiVersion: 'devices.kubeedge.io/v1beta1',
    kind: 'DeviceModel',
    metadata: { name: 'thermometer' },
    spec: { properties: [{ name: 'temperature', type, accessMode: 'ReadWrite' }] },
  };
  const device: Device = {
    apiVersion: 'devices.kubeedge.io/v1beta1',
    kind: 'Device',
    metadata: { name: 'hall' },
    spec: {
      protocol: { protocolName, configData },
      properties: [{ name: 'temperature', visitors: { protocolName, configData: visitors } }],
    },
  };
  return { device, model };
}

function parse(protocolName: string, configData: Free, visitors: Free, type?: PropertyType) {
  const { device, model } = objects(protocolName, configData, visitors, type);
  return parseSerialDevice(device, model);
}

const PORT = { serialPort: '/dev/ttyUSB0' };
const ASK = { request: 'T?\\r\\n', match: '^T=(.+)$' };

test('a device needs little: a port, a question and a pattern', () => {
  const { config, faults } = parse('serial', PORT, ASK);
  assert.equal(faults, []);
  assert.equal(config?.line, {
    baudRate: 9600,
    dataBits: 8,
    stopBits: 1,
    parity: 'none',
    flowControl: 'none',
  });
  assert.is(config?.listen, false);
  const [point] = config?.points ?? [];
  assert.is(point?.question?.text, 'T?\\r\\n');
  assert.is(point?.field?.kind === 'pattern' && point.field.group, 1);
  assert.is(point?.writable, false);
});

test('NMEA and JSON lines are ready made', () => {
  const nmea = parse('serial-nmea', PORT, { sentence: 'GGA', field: 9 });
  assert.equal(nmea.faults, []);
  assert.equal(
    [nmea.config?.line.baudRate, nmea.config?.listen, nmea.config?.framing.check.kind],
    [4800, true, 'nmea'],
  );
  const json = parse('serial-json', PORT, {});
  assert.equal(json.faults, []);
  assert.equal(json.config?.points[0]?.field, {
    kind: 'json',
    path: ['temperature'],
    text: { type: 'FLOAT', scale: 1, add: 0, radix: 10, decimal: '.' },
  });
});

test('an adapter may be named by what it says of itself', () => {
  const { config, faults } = parse('serial', { vendorId: '0403', productId: 6001, serialNumber: 'A5' }, ASK);
  assert.equal(faults, []);
  assert.equal(config?.port, {
    kind: 'usb',
    vendorId: '0403',
    productId: '6001',
    serialNumber: 'A5',
    interface: undefined,
  });
});

/** Settings of the device, and its faults behind `spec.protocol.configData.`. */
const deviceFaults: [Free, string[]][] = [
  [{}, ['serialPort: missing: want a path such as /dev/serial/by-id/…, or vendorId and productId']],
  [{ serialPort: 'COM1' }, ['serialPort: COM1: want a path such as /dev/serial/by-id/…']],
  [
    { ...PORT, vendorId: '0403' },
    ['serialPort: is there beside vendorId, productId or serialNumber: want one of them'],
  ],
  [
    { vendorId: 'FTDI' },
    [
      'vendorId: FTDI: want four hexadecimal digits in quotes, as lsusb shows them',
      'serialPort: missing: want a path such as /dev/serial/by-id/…, or vendorId and productId',
    ],
  ],
  [
    { ...PORT, baudRate: 'fast', parity: 'mark' },
    ['baudRate: fast: want a whole number from 50 to 4000000', 'parity: mark: want none, even or odd'],
  ],
  [{ ...PORT, framing: 'lines' }, ['framing.type: lines: want delimiter, length, fixed, silence or regex']],
  [
    { ...PORT, framing: { delimiter: '\\q' } },
    ['framing.delimiter: \\q is unknown: there are \\r, \\n, \\t, \\0, \\\\ and \\xHH'],
  ],
  [{ ...PORT, framing: { delimiter: '' } }, ['framing.delimiter: is empty']],
  [{ ...PORT, framing: { type: 'fixed' } }, ['framing.size: missing: want the number of bytes of a frame']],
  [
    { ...PORT, framing: { type: 'fixed', size: 2 }, checksum: 'crc16-modbus' },
    ['framing.size: 2: too short for its start and its checksum'],
  ],
  [
    { ...PORT, framing: { type: 'regex', pattern: 'a*' } },
    ['framing.pattern: matches nothing at all: a frame needs at least one byte'],
  ],
  [
    { ...PORT, checksum: 'md5' },
    ['checksum.type: md5: want none, nmea, xor, sum8, crc16-modbus or crc16-ccitt'],
  ],
  [{ ...PORT, requests: { all: { expect: 'x' } } }, ['requests.all.send: missing: want what is sent']],
  [
    { ...PORT, requests: { all: 'A {value}' } },
    ['requests.all.send: {value} has no meaning in a question: want it in write'],
  ],
];

test('every fault of a device is named with its path, and nothing of it is served', () => {
  for (const [configData, wanted] of deviceFaults) {
    const { config, faults } = parse('serial', configData, ASK);
    assert.equal(
      faults,
      wanted.map((fault) => `spec.protocol.configData.${fault}`),
    );
    assert.is(config, undefined);
  }
  const { faults } = parse('serial', { ...PORT, fraiming: 'silence' }, ASK);
  assert.match(
    faults[0] ?? '',
    /^spec\.protocol\.configData\.fraiming: no setting of a serial device: there are baudRate, /,
  );
});

/** Settings of a property, its type, and its fault behind the visitor's path. */
const pointFaults: [Free, PropertyType, string][] = [
  [{ request: 'T?' }, 'FLOAT', 'match: missing: want match, offset, sentence, path or write'],
  [
    { match: 'T' },
    'FLOAT',
    'request: missing: want request or ask, or listen: true for a device that speaks unasked',
  ],
  [
    { ask: 'all', match: 'T' },
    'FLOAT',
    'ask: all: want a name of spec.protocol.configData.requests (there are: none)',
  ],
  [{ ...ASK, capture: 2 }, 'FLOAT', 'capture: 2: the pattern has 1 groups'],
  [{ ...ASK, match: '(' }, 'FLOAT', 'match: (: no regular expression (Unterminated group)'],
  [{ ...ASK, scale: 0 }, 'FLOAT', 'scale: 0 would make every value the same'],
  [{ ...ASK, on: 'yes' }, 'BOOLEAN', 'off: missing: on and off go together'],
  [{ request: 'T?', offset: 2 }, 'FLOAT', `type: missing: want bool, int8`],
  [{ request: 'T?', offset: 2, type: 'string' }, 'FLOAT', 'type: string gives no FLOAT'],
  [{ request: 'T?', offset: 2, type: 'bytes', order: 'little' }, 'STRING', 'order: a bytes has none'],
  [{ ...ASK, write: 'SET' }, 'FLOAT', 'write: "SET" has no {value}'],
  [{ ...ASK, write: 'SET {value:%q}' }, 'FLOAT', 'write: {value:%q}: want a form such as'],
  [
    { ...ASK, write: '{value}{checksum}' },
    'FLOAT',
    'write: has {checksum}, but spec.protocol.configData.checksum is none',
  ],
  [
    { ...ASK, write: '{value}', ansver: 'OK' },
    'FLOAT',
    'ansver: no setting of a property read by match: there are add, answer',
  ],
  [{ request: 'T?', path: 'a..b' }, 'FLOAT', 'path: "..b": want a path such as climate.temp'],
];

test('every fault of a property is named with its path', () => {
  for (const [visitors, type, wanted] of pointFaults) {
    const { config, faults } = parse('serial', PORT, visitors, type);
    const want = `spec.properties[0].visitors.configData.${wanted}`;
    assert.is(faults.length, 1, faults.join('\n'));
    assert.is(faults[0]?.slice(0, want.length), want);
    assert.is(config, undefined, 'it had no other property');
  }
});

test('a property with a fault leaves the others as they are', () => {
  const { device, model } = objects('serial', PORT, ASK);
  const properties = [...(device.spec.properties ?? []), { name: 'unknown' }];
  const { config, faults } = parseSerialDevice({ ...device, spec: { ...device.spec, properties } }, model);
  assert.equal(faults, ['spec.properties[1].name: unknown is not in model thermometer']);
  assert.equal(
    config?.points.map(({ property }) => property),
    ['temperature'],
  );
});

test('a device that speaks unasked needs a pattern for the answers to its questions', () => {
  const { faults } = parse('serial', { ...PORT, listen: true }, ASK);
  assert.match(faults[0] ?? '', /configData\.expect: missing: want a pattern that tells the answer/);
  assert.equal(parse('serial', { ...PORT, listen: true }, { ...ASK, expect: '^T=' }).faults, []);
});

test('a named request serves several properties', () => {
  const { device, model } = objects(
    'serial',
    { ...PORT, requests: { all: { send: 'A\\r\\n', expect: '^A' } } },
    {},
  );
  const property = (name: string) => ({
    name,
    visitors: { configData: { ask: 'all', match: `${name}=(\\S+)` } },
  });
  const properties = ['temperature', 'humidity'];
  const { config, faults } = parseSerialDevice(
    { ...device, spec: { ...device.spec, properties: properties.map(property) } },
    { ...model, spec: { properties: properties.map((name) => ({ name, type: 'FLOAT' })) } },
  );
  assert.equal(faults, []);
  assert.is(config?.points[0]?.question, config?.points[1]?.question);
});

test.run();

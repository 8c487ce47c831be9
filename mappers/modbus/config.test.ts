import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel, DeviceProperty, PropertyType } from '../../runtime/core/devices.ts';
import { parseModbusDevice } from './config.ts';
import { addressOf, settingsOf } from './config-endpoint.ts';

const model = (type: PropertyType = 'INT'): DeviceModel => ({
  metadata: { name: 'm' },
  spec: { properties: [{ name: 'p', type }] },
});
const device = (configData: object, visitor: object, more: Partial<DeviceProperty> = {}): Device => ({
  metadata: { name: 'd', namespace: 'default' },
  spec: {
    protocol: { protocolName: 'modbus', configData: { ...configData } },
    properties: [{ name: 'p', visitors: { configData: { ...visitor } }, ...more }],
  },
});

test("KubeEdge's keys are read as KubeEdge means them", () => {
  const kubeedge = device(
    { ip: '172.17.0.3', port: '1502', slaveID: 4 },
    { register: 'HoldingRegister', offset: 2, limit: 2, scale: 1, isSwap: true, isRegisterSwap: true },
    { collectCycle: 2000 },
  );
  const { device: parsed, faults } = parseModbusDevice(kubeedge, model('FLOAT'));
  assert.equal(faults, []);
  assert.equal(parsed?.endpoint, {
    wire: { kind: 'tcp', host: '172.17.0.3', port: 1502 },
    framing: 'mbap',
  });
  assert.is(parsed?.unit, 4);
  const [point] = parsed?.points ?? [];
  assert.equal([point?.area, point?.address, point?.count, point?.cycle], ['holding', 2, 2, 2000]);
  assert.equal([point?.encoding.format, point?.encoding.order], ['float32', 'DCBA']);
});

test('a serial line is taken from com or from the top', () => {
  for (const configData of [
    { communicateMode: 'RTU', serialPort: '/dev/ttyS0', baudRate: 19200, parity: 'even', slaveID: 1 },
    { com: { serialPort: '/dev/ttyS0', baudRate: '19200', parity: 'even' }, slaveID: 1 },
  ]) {
    const { device: parsed, faults } = parseModbusDevice(
      device(configData, { register: 'coil', address: 1 }),
      model('BOOLEAN'),
    );
    assert.equal(faults, []);
    const wire = {
      kind: 'serial',
      path: '/dev/ttyS0',
      baudRate: 19200,
      dataBits: 8,
      stopBits: 1,
      parity: 'even',
      rts: 'none',
    };
    assert.equal(parsed?.endpoint, { wire, framing: 'rtu' });
  }
});

const good = { register: 'holding', address: 0 };
const broken: [string, object, object, string][] = [
  ['no host', {}, good, 'spec.protocol.configData.host: missing: want the name or IP address of the device'],
  [
    'a port out of range',
    { host: 'h', port: 99999 },
    good,
    'spec.protocol.configData.port: 99999: want a whole number from 1 to 65535',
  ],
  [
    'a mode of its own',
    { mode: 'plus' },
    good,
    'spec.protocol.configData.communicateMode: plus is not served: want tcp, rtu, ascii, udp, rtuOverTcp, asciiOverTcp or rtuOverUdp',
  ],
  [
    'an unknown register',
    { host: 'h' },
    { register: 'magic', address: 0 },
    'spec.properties[0].visitors.configData.register: magic: want holding, input, coil, discrete or identification (or HoldingRegister …)',
  ],
  [
    'no address',
    { host: 'h' },
    { register: 'coil' },
    'spec.properties[0].visitors.configData.address: missing',
  ],
  [
    'an unknown order',
    { host: 'h' },
    { ...good, order: 'ACBD' },
    'spec.properties[0].visitors.configData.order: ACBD: want ABCD, BADC, CDAB or DCBA',
  ],
  [
    'a scale of nought',
    { host: 'h' },
    { ...good, scale: 0 },
    'spec.properties[0].visitors.configData.scale: 0 would make every value the same',
  ],
  [
    'three registers for an INT',
    { host: 'h' },
    { ...good, limit: 3 },
    'spec.properties[0].visitors.configData.limit: 3: a INT takes 1, 2 or 4 registers',
  ],
  [
    'a length that is not its type’s',
    { host: 'h' },
    { ...good, type: 'float32', limit: 1 },
    'spec.properties[0].visitors.configData.limit: 1: a float32 takes 2 registers',
  ],
  [
    'a bit that a register has not',
    { host: 'h' },
    { ...good, type: 'bool', bit: 16 },
    'spec.properties[0].visitors.configData.bit: 16: want a whole number from 0 to 15',
  ],
  [
    'more bits than are left',
    { host: 'h' },
    { ...good, type: 'uint16', bit: 12, bits: 5 },
    'spec.properties[0].visitors.configData.bits: 5: want a whole number from 1 to 4',
  ],
  [
    'a bit field of a float',
    { host: 'h' },
    { ...good, type: 'float32', bits: 5 },
    'spec.properties[0].visitors.configData.bits: a float32 has no bit fields: want (u)int16 or (u)int32',
  ],
  [
    'a first address of 0 where they count from 1',
    { host: 'h' },
    { ...good, addressBase: 1 },
    'spec.properties[0].visitors.configData.address: 0: want a whole number from 1 to 65536',
  ],
  [
    'a unit that a line cannot have',
    { mode: 'rtu', serialPort: '/dev/ttyUSB0', unitId: 0 },
    good,
    'spec.protocol.configData.unitId: 0: want a whole number from 1 to 247',
  ],
  [
    'seven data bits for RTU',
    { mode: 'rtu', serialPort: '/dev/ttyUSB0', dataBits: 7 },
    good,
    'spec.protocol.configData.dataBits: 7: want a whole number from 8 to 8',
  ],
  [
    'a parity of its own',
    { mode: 'rtu', serialPort: '/dev/ttyUSB0', parity: 'mark' },
    good,
    'spec.protocol.configData.parity: mark: want none, even or odd',
  ],
  [
    'a limit that the protocol has not',
    { host: 'h', maxRegisters: 126 },
    good,
    'spec.protocol.configData.maxRegisters: 126: want a whole number from 1 to 125',
  ],
  [
    'a value beyond the last register',
    { host: 'h' },
    { register: 'holding', address: 65_535, type: 'uint32' },
    'spec.properties[0].visitors.configData.address: 65535 and 2 registers end beyond 65535',
  ],
];
for (const [name, configData, visitor, fault] of broken) {
  test(`${name} is named with its path`, () => {
    assert.equal(parseModbusDevice(device(configData, visitor), model()).faults, [fault]);
  });
}

const modes: [object, string, string][] = [
  [{ host: 'h' }, 'h:502', 'Modbus TCP'],
  [{ mode: 'udp', host: '::1', port: 1502 }, '[::1]:1502/udp', 'Modbus TCP'],
  [{ mode: 'rtuOverTcp', host: 'h' }, 'h:502', 'RTU'],
  [{ mode: 'RTU_over_TCP', host: 'h' }, 'h:502', 'RTU'],
  [{ mode: 'ascii', serialPort: '/dev/ttyS0', dataBits: 7, parity: 'even' }, '/dev/ttyS0', '9600 7E1 ASCII'],
  [{ communicateMode: 'RTU', serialPort: '/dev/ttyS0' }, '/dev/ttyS0', '9600 8N1 RTU'],
  [{ com: { serialPort: '/dev/ttyS0' }, rs485Enabled: true }, '/dev/ttyS0', '9600 8N1 RTU, RTS high to send'],
];
for (const [configData, address, settings] of modes) {
  test(`${JSON.stringify(configData)} is ${address} as ${settings}`, () => {
    const { device: parsed, faults } = parseModbusDevice(device(configData, good), model());
    assert.equal(faults, []);
    assert.ok(parsed);
    assert.equal(parsed && [addressOf(parsed.endpoint), settingsOf(parsed.endpoint)], [address, settings]);
  });
}

test('addresses may count from 1, and a byte of a register may be the value', () => {
  const high = { register: 'input', address: 1, addressBase: 1, type: 'int8', byte: 'high' };
  const [point] = parseModbusDevice(device({ host: 'h' }, high), model()).device?.points ?? [];
  assert.equal([point?.address, point?.encoding.format, point?.encoding.bit], [0, 'int8', 8]);
});

test('two values that are written into one place are named, and served; fields of one register are not', () => {
  const two = (one: object, other: object): readonly string[] => {
    const properties = [one, other].map((configData, i) => ({
      name: `p${i}`,
      visitors: { configData: { register: 'holding', ...configData } },
    }));
    const spec = { ...device({ host: 'h' }, good).spec, properties };
    const both: DeviceModel = {
      metadata: { name: 'm' },
      spec: { properties: ['p0', 'p1'].map((name) => ({ name, type: 'INT' as const })) },
    };
    const { device: parsed, faults } = parseModbusDevice({ metadata: { name: 'd' }, spec }, both);
    assert.is(parsed?.points.length, 2);
    return faults;
  };
  assert.equal(two({ address: 4, type: 'uint32' }, { address: 5 }), [
    'spec.properties[1].visitors.configData.address: holding 5 overlaps holding 4 to 5 of p0, which is written, too',
  ]);
  assert.equal(
    two({ address: 4, type: 'uint16', bits: 4 }, { address: 4, type: 'uint16', bit: 4, bits: 4 }),
    [],
  );
});

test('a property that is wrong does not take the right ones with it', () => {
  const two: Device = device({ host: 'h' }, good);
  const properties = [...(two.spec.properties ?? []), { name: 'ghost', visitors: { configData: good } }];
  const { device: parsed, faults } = parseModbusDevice(
    { ...two, spec: { ...two.spec, properties } },
    model(),
  );
  assert.equal(faults, ['spec.properties[1].name: ghost is not in model m']);
  assert.is(parsed?.points.length, 1);
});

test.run();

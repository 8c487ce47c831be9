import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel, DeviceProperty, PropertyType } from '../../runtime/core/devices.ts';
import { parseModbusDevice } from './config.ts';

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
  assert.equal(parsed?.endpoint, { kind: 'tcp', host: '172.17.0.3', port: 1502 });
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
    const line = {
      kind: 'rtu',
      path: '/dev/ttyS0',
      baudRate: 19200,
      dataBits: 8,
      stopBits: 1,
      parity: 'even',
    };
    assert.equal(parsed?.endpoint, line);
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
    { mode: 'udp' },
    good,
    'spec.protocol.configData.communicateMode: udp is not served: want tcp or rtu',
  ],
  [
    'an unknown register',
    { host: 'h' },
    { register: 'magic', address: 0 },
    'spec.properties[0].visitors.configData.register: magic: want holding, input, coil or discrete (or HoldingRegister …)',
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

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel, PropertyType } from '../../runtime/core/devices.ts';
import type { Value } from '../kit/driver.ts';
import { WireError } from '../kit/wire-error.ts';
import { answerPdu, exceptionPdu, ILLEGAL_ADDRESS, ILLEGAL_VALUE } from './answer.ts';
import { parseModbusDevice } from './config.ts';
import { ModbusConnection } from './connection.ts';
import { ModbusDevice } from './device.ts';
import { MemoryBank } from './memory-bank.ts';
import { MemoryWire } from './memory-wire.ts';

const test = suite('a Modbus device');

/** A device over Modbus TCP in memory.
 * @param visitors of properties p0, p1 … */
function rig(visitors: readonly object[], config: object = {}, type: PropertyType = 'INT') {
  const properties = visitors.map((configData, i) => ({
    name: `p${i}`,
    visitors: { configData: { register: 'holding', type: 'uint16', ...configData } },
  }));
  const protocol = { configData: { host: 'plc', timeout: 50, ...config } };
  const object: Device = { metadata: { name: 'd' }, spec: { protocol, properties } };
  const model: DeviceModel = {
    metadata: { name: 'm' },
    spec: { properties: properties.map(({ name }) => ({ name, type })) },
  };
  const parsed = parseModbusDevice(object, model);
  assert.equal(parsed.faults, []);
  assert.ok(parsed.device);
  const device = new ModbusDevice(parsed.device as NonNullable<typeof parsed.device>);
  const bank = new MemoryBank(1000);
  for (let i = 0; i < 1000; i++) bank.holding.writeUInt16BE(i, i * 2);
  /** `3@10+2` for each request. */
  const asked: string[] = [];
  /** @returns an exception code, or undefined to answer */
  const rules = { refuse: (_code: number, _from: number, _to: number): number | undefined => undefined };
  const wire = new MemoryWire();
  wire.answer = (frame) => {
    const pdu = frame.subarray(7);
    const [code, from] = [pdu[0] ?? 0, pdu.length > 4 ? pdu.readUInt16BE(1) : 0];
    const count = code <= 4 || code >= 15 ? pdu.readUInt16BE(Math.min(3, pdu.length - 2)) : 1;
    asked.push(code === 43 ? `${code}/${pdu[2]} from ${pdu[3]}` : `${code}@${from}+${count}`);
    const exception = rules.refuse(code, from, from + count);
    const answer = exception === undefined ? answerPdu(pdu, bank) : exceptionPdu(code, exception);
    const head = Buffer.from(frame.subarray(0, 7));
    head.writeUInt16BE(answer.length + 1, 4);
    return [Buffer.concat([head, answer])];
  };
  const connection = new ModbusConnection(
    { wire: { kind: 'tcp', host: 'plc', port: 502 }, framing: 'mbap' },
    wire,
  );
  const cycle = async (): Promise<Record<string, string>> => {
    asked.length = 0;
    const values: Value[] = [];
    for (const exchange of device.plan(device.points)) values.push(...(await exchange.run(connection)));
    return Object.fromEntries(values.map((v) => [v.property, 'value' in v ? v.value : `! ${v.fault}`]));
  };
  const write = async (property: string, value: string): Promise<void> => {
    asked.length = 0;
    const point = device.points.find((p) => p.property === property);
    assert.ok(point);
    await device.write(connection, point as NonNullable<typeof point>, value);
  };
  return { device, bank, asked, rules, wire, connection, cycle, write };
}

const at = (...addresses: number[]): object[] => addresses.map((address) => ({ address }));

test('one register that the device does not have costs its own property, and a request in ten cycles', async () => {
  const { cycle, asked, rules } = rig(at(0, 1, 2, 3, 4, 5, 6, 7));
  rules.refuse = (_, from, to) => (from <= 5 && to > 5 ? ILLEGAL_ADDRESS : undefined);
  const first = await cycle();
  assert.equal(first.p5, '! exception 2, illegal data address');
  assert.equal([first.p4, first.p6, first.p7], ['4', '6', '7']);
  assert.ok(asked.length <= 7, `${asked}`);
  const counts: number[] = [];
  for (let i = 0; i < 10; i++) {
    assert.equal(await cycle(), first);
    counts.push(asked.length);
  }
  assert.equal(counts, [2, 2, 2, 2, 2, 2, 2, 2, 2, 3]);
});

test('a register that comes back is read with its neighbours again', async () => {
  const { cycle, asked, rules } = rig(at(0, 1, 2));
  rules.refuse = (_, from, to) => (from <= 1 && to > 1 ? ILLEGAL_ADDRESS : undefined);
  await cycle();
  rules.refuse = () => undefined;
  for (let i = 0; i < 10; i++) await cycle();
  assert.equal(await cycle(), { p0: '0', p1: '1', p2: '2' });
  assert.equal(asked, ['3@0+3']);
});

test('places between two properties that the device does not have are not read a second time', async () => {
  const { cycle, asked, rules } = rig(at(0, 1, 8, 9));
  rules.refuse = (_, from, to) => (from <= 4 && to > 4 ? ILLEGAL_ADDRESS : undefined);
  assert.equal(await cycle(), { p0: '0', p1: '1', p2: '8', p3: '9' });
  assert.equal(asked, ['3@0+10', '3@0+2', '3@8+2']);
  await cycle();
  assert.equal(asked, ['3@0+2', '3@8+2']);
});

for (const code of [ILLEGAL_VALUE, ILLEGAL_ADDRESS]) {
  test(`a read that is too long, refused with exception ${code}, is halved until it is taken, and that is remembered`, async () => {
    const { cycle, asked, rules } = rig(at(...Array.from({ length: 100 }, (_, i) => i)));
    rules.refuse = (_, from, to) => (to - from > 32 ? code : undefined);
    const values = await cycle();
    assert.ok(Object.entries(values).every(([name, value]) => `p${value}` === name));
    await cycle();
    assert.equal(asked, ['3@0+25', '3@25+25', '3@50+25', '3@75+25']);
  });
}

test('a register that changes among others that do not is read anew, and changes back', async () => {
  const { cycle, bank } = rig(at(0, 1, 2));
  assert.equal(await cycle(), { p0: '0', p1: '1', p2: '2' });
  bank.holding.writeUInt16BE(77, 2);
  assert.equal(await cycle(), { p0: '0', p1: '77', p2: '2' });
  bank.holding.writeUInt16BE(1, 2);
  assert.equal(await cycle(), { p0: '0', p1: '1', p2: '2' });
});

test('limits of the configuration hold from the first request', async () => {
  const { cycle, asked } = rig(at(0, 1, 2, 3, 20), { maxRegisters: 2, maxGap: 0 });
  await cycle();
  assert.equal(asked, ['3@0+2', '3@2+2', '3@20+1']);
});

test('a function that the device does not know is left for the other one, and not tried again', async () => {
  const { write, asked, rules, bank } = rig([{ address: 0 }, { address: 2, type: 'uint32' }]);
  rules.refuse = (code) => (code === 6 ? 1 : undefined);
  await write('p0', '77');
  assert.equal(asked, ['6@0+1', '16@0+1']);
  await write('p0', '78');
  assert.equal(asked, ['16@0+1']);
  assert.is(bank.holding.readUInt16BE(0), 78);
  rules.refuse = (code) => (code === 16 ? 1 : undefined);
  const error = await write('p1', '65538').then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.match(String(error), 'illegal function: the device takes no write');
  assert.equal(asked, ['16@2+2']);
});

test('several registers are written one by one only when the device takes them in no other way', async () => {
  const { write, asked, rules, bank } = rig([{ address: 2, type: 'uint32' }]);
  rules.refuse = (code) => (code === 16 ? 1 : undefined);
  await write('p0', '65538');
  assert.equal(asked, ['16@2+2', '6@2+1', '6@3+1']);
  assert.is(bank.holding.readUInt32BE(4), 65_538);
});

test('bits keep their neighbours, by reading first or by function 22 where that is known', async () => {
  const { write, asked, rules, bank } = rig([{ address: 4, bit: 4, bits: 4 }], { bitWrite: 'mask' });
  bank.holding.writeUInt16BE(0xabcd, 8);
  await write('p0', '5');
  assert.is(bank.holding.readUInt16BE(8).toString(16), 'ab5d');
  assert.equal(asked.length, 1);
  rules.refuse = (code) => (code === 22 ? 1 : undefined);
  await write('p0', '6');
  assert.is(bank.holding.readUInt16BE(8).toString(16), 'ab6d');
  assert.equal(asked.slice(1), ['3@4+1', '6@4+1']);
  await write('p0', '7');
  assert.equal(asked, ['3@4+1', '6@4+1']);
});

test('function 23 writes and reads back in one', async () => {
  const { write, asked, bank } = rig([{ address: 4, type: 'uint32' }], { write: 'readWrite' });
  await write('p0', '65537');
  assert.is(bank.holding.readUInt32BE(8), 65_537);
  assert.equal(asked, ['23@4+2']);
});

test('what a device tells of itself is read as text, over as many answers as it takes', async () => {
  const { cycle, asked, bank } = rig(
    [
      { register: 'identification', object: 'vendorName' },
      { register: 'identification', object: 4 },
    ],
    {},
    'STRING',
  );
  bank.identification.set(0, 'ACME');
  for (const id of [1, 2, 3]) bank.identification.set(id, 'x'.repeat(100));
  bank.identification.set(4, 'Press');
  assert.equal(await cycle(), { p0: 'ACME', p1: 'Press' });
  assert.equal(asked, ['43/2 from 0', '43/2 from 3']);
});

test('a gateway that cannot reach the device says that it is away, not that a register is wrong', async () => {
  const { cycle, rules } = rig(at(0));
  rules.refuse = () => 11;
  const error = await cycle().then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.ok(error instanceof WireError);
  assert.equal((error as WireError).kind, 'timeout');
  assert.match((error as WireError).message, 'gateway target device failed to respond');
});

test('a connection that breaks fails the request at once', async () => {
  const { cycle, wire, connection } = rig(at(0), { timeout: 60_000 });
  wire.answer = () => {
    wire.lose('connection reset');
    return [];
  };
  const error = await cycle().then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.match(String(error), 'plc:502: connection reset');
  assert.is(await connection.lost, 'plc:502: connection reset');
});

test('a value that the register cannot hold is refused before anything is sent', async () => {
  const { write, asked } = rig(at(0));
  const error = await write('p0', '70000').then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.equal([(error as WireError).kind, (error as WireError).message], ['refused', 'does not fit uint16']);
  assert.equal(asked, []);
});

test.run();

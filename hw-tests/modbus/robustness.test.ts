import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DriverMapper } from '../../mappers/kit/mapper.ts';
import type { Device, DeviceProperty } from '../../runtime/core/devices.ts';
import { Plc } from '../plc/plc.ts';
import { RtuSlaves } from '../plc/rtu-slaves.ts';
import type { Fault } from '../plc/slaves.ts';
import { requireProgram } from '../real-parts.ts';
import { Line } from '../serial/line.ts';
import { newMapper, plcObjects, plcObjectsAt, RecordingManager } from './fixture.ts';

const BAUD = 19_200;
const RESTARTS = 50;
/** The longest wait between two tries of a device, with its jitter, and a cycle. */
const BACKOFF = 16_500;

type Context = { manager: RecordingManager; mapper: DriverMapper };
const test = suite<Context>('modbus under faults');
const hasSocat = requireProgram('socat', 'socat') !== undefined;

test.before.each((context) => {
  context.manager = new RecordingManager();
  context.mapper = newMapper(context.manager);
});
test.after.each(async ({ mapper }) => {
  await mapper.stop();
});

const isIn =
  (manager: RecordingManager, state: string, name = 'plc') =>
  (): boolean =>
    manager.states.get(`default/${name}`)?.state === state;
const reads = (manager: RecordingManager, property: string, value: string) => (): boolean =>
  manager.values.get(`default/plc/${property}`) === value;

function withDesired(device: Device, desired: Readonly<Record<string, string>>): Device {
  const edit = (property: DeviceProperty): DeviceProperty => {
    const value = desired[property.name];
    return value === undefined ? property : { ...property, desired: { value } };
  };
  return { ...device, spec: { ...device.spec, properties: (device.spec.properties ?? []).map(edit) } };
}

/** Mulberry32: the same numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test(`a PLC that is restarted ${RESTARTS} times is read again each time`, async ({ manager, mapper }) => {
  let plc = new Plc({ moves: false });
  const port = await plc.start('127.0.0.1', 0);
  const { device, model } = plcObjects(port);
  mapper.applyDevice(device, model);
  await manager.until('online', isIn(manager, 'online'));
  const took: number[] = [];
  for (let i = 1; i <= RESTARTS; i++) {
    await plc.stop();
    plc = new Plc({ moves: false });
    plc.memory.input.writeInt16BE(1000 + i, 0);
    await plc.start('127.0.0.1', port);
    took.push(await manager.until(`restart ${i}`, reads(manager, 'temperature', String((1000 + i) / 10))));
  }
  await plc.stop();
  process.stdout.write(`longest until it is read again: ${Math.round(Math.max(...took))} ms\n`);
  assert.ok(Math.max(...took) < BACKOFF, `${took.map(Math.round)}`);
});

test('two units behind one address share one connection', async ({ manager, mapper }) => {
  const plc = new Plc();
  const port = await plc.start('127.0.0.1', 0);
  for (const [name, unit] of [
    ['plc', 1],
    ['second', 2],
  ] as const) {
    const { device, model } = plcObjects(port, name, unit);
    mapper.applyDevice(device, model);
  }
  for (const name of ['plc', 'second'])
    await manager.until(`${name} is online`, isIn(manager, 'online', name));
  assert.is(plc.connections, 1);
  await plc.stop();
});

const networks: [string, object, (plc: Plc) => Promise<number>, ConstructorParameters<typeof Plc>[0]][] = [
  ['Modbus over UDP', { mode: 'udp' }, (plc) => plc.startUdp('127.0.0.1', 0), { form: 'mbap' }],
  ['RTU over TCP', { mode: 'rtuOverTcp' }, (plc) => plc.start('127.0.0.1', 0), { form: 'rtu' }],
  ['ASCII over TCP', { mode: 'asciiOverTcp' }, (plc) => plc.start('127.0.0.1', 0), { form: 'ascii' }],
  ['RTU over UDP', { mode: 'rtuOverUdp' }, (plc) => plc.startUdp('127.0.0.1', 0), { form: 'rtu' }],
];
for (const [name, config, start, options] of networks) {
  test(`${name}: values are read, a desired one is written, silence and its end are noticed`, async ({
    manager,
    mapper,
  }) => {
    const plc = new Plc({ ...options, moves: false });
    const port = await start(plc);
    plc.memory.input.writeInt16BE(-55, 0);
    const { device, model } = plcObjectsAt({ ...config, host: '127.0.0.1', port, timeout: 300 }, 'plc');
    mapper.applyDevice(withDesired(device, { setpoint: '30.25' }), model);
    await manager.until('the temperature', reads(manager, 'temperature', '-5.5'));
    await manager.until('the setpoint', reads(manager, 'setpoint', '30.25'));
    assert.is(plc.memory.holding.readFloatBE(0), 30.25);
    plc.nextDelay = 500; // a late answer
    plc.memory.input.writeInt16BE(-66, 0);
    await manager.until('the next temperature', reads(manager, 'temperature', '-6.6'));
    plc.fault = 'silent';
    await manager.until('offline', isIn(manager, 'offline'));
    plc.fault = 'none';
    await manager.until('online again', isIn(manager, 'online'));
    await plc.stop();
  });
}

if (hasSocat) {
  /** A line with slaves and the PLC's device on it. */
  const onLine = async (
    { manager, mapper }: Context,
    work: (rig: {
      line: Line;
      slaves: RtuSlaves;
      apply: (desired: Record<string, string>) => void;
    }) => Promise<void>,
    options: { form?: 'rtu' | 'ascii'; random?: () => number; retries?: number } = {},
  ): Promise<void> => {
    const line = new Line();
    const slaves = new RtuSlaves([1], options);
    await line.connect();
    await slaves.open(line.slaves, BAUD);
    const mode = options.form ?? 'rtu';
    const config = {
      mode,
      serialPort: line.master,
      baudRate: BAUD,
      timeout: 200,
      retries: options.retries ?? 1,
    };
    const { device, model } = plcObjectsAt(config, 'plc');
    const apply = (desired: Record<string, string>): void =>
      void mapper.applyDevice(withDesired(device, desired), model);
    try {
      apply({});
      await manager.until('online', isIn(manager, 'online'));
      await work({ line, slaves, apply });
    } finally {
      await mapper.stop();
      await slaves.close();
      await line.remove();
    }
  };

  test('ASCII on a serial line: values are read and written', async (context) => {
    const { manager } = context;
    await onLine(
      context,
      async ({ slaves, apply }) => {
        slaves.slave(1).memory.input.writeInt16BE(123, 0);
        await manager.until('the temperature', reads(manager, 'temperature', '12.3'));
        apply({ setpoint: '44.5', switch: 'true' });
        await manager.until('the setpoint', reads(manager, 'setpoint', '44.5'));
        assert.is(slaves.slave(1).memory.coils[0], 1);
        slaves.slave(1).fault = 'crc';
        await manager.until('offline', isIn(manager, 'offline'));
        assert.match(manager.states.get('default/plc')?.reason ?? '', 'CRC error');
      },
      { form: 'ascii' },
    );
  });

  test('a two-wire adapter that hears itself: values are read and written', async (context) => {
    const { manager } = context;
    await onLine(context, async ({ slaves, apply }) => {
      const slave = slaves.slave(1);
      slave.fault = 'echo';
      slave.memory.input.writeInt16BE(321, 0);
      await manager.until('the temperature', reads(manager, 'temperature', '32.1'));
      apply({ setpoint: '55.5' });
      await manager.until('the setpoint', reads(manager, 'setpoint', '55.5'));
      assert.is(slave.memory.holding.readFloatBE(0), 55.5);
      await manager.until('online', isIn(manager, 'online'));
    });
  });

  for (const fault of ['drop', 'wrongSlave', 'garbage'] satisfies Fault[]) {
    test(`${fault} on a line makes the device offline, never wrong, and it recovers`, async (context) => {
      const { manager } = context;
      await onLine(context, async ({ slaves }) => {
        const slave = slaves.slave(1);
        slave.memory.input.writeInt16BE(77, 0);
        await manager.until('the temperature', reads(manager, 'temperature', '7.7'));
        manager.history.length = 0;
        slave.fault = fault;
        slave.memory.input.writeInt16BE(88, 0);
        await manager.until('offline', isIn(manager, 'offline'));
        assert.equal(
          manager.history.filter(({ property }) => property === 'temperature'),
          [],
        );
        slave.fault = 'none';
        await manager.until('the next temperature', reads(manager, 'temperature', '8.8'));
      });
    });
  }

  const seed = Number(process.env.EDGECORE_SEED ?? 1905);
  test(`5 % damaged bytes both ways: values are right or not there, never wrong (seed ${seed})`, async (context) => {
    const { manager } = context;
    await onLine(
      context,
      async ({ slaves, apply }) => {
        const slave = slaves.slave(1);
        const { memory } = slave;
        // Each register's values come from a set of its own, so that a mix-up shows.
        const sets = {
          temperature: new Set<string>(),
          counter: new Set<string>(),
          setpoint: new Set(['21.5', '40', '41']),
        };
        const step = (n: number): void => {
          memory.input.writeInt16BE(1000 + n, 0);
          memory.input.writeUInt32BE(70_000 + n, 4);
          sets.temperature.add(String((1000 + n) / 10));
          sets.counter.add(String(70_000 + n));
        };
        step(0);
        await manager.until('the temperature', reads(manager, 'temperature', '100'));
        manager.history.length = 0;
        slave.damage = 0.05;
        slaves.requestDamage = 0.05;
        const asked = slave.requests;
        for (let n = 1; n <= 30; n++) {
          step(n);
          if (n % 10 === 0) apply({ setpoint: String(40 + ((n / 10) % 2)) });
          // The pace at which the values change; nothing waits for it.
          await new Promise((resolve) => setTimeout(resolve, 500));
        }
        slave.damage = 0;
        slaves.requestDamage = 0;
        step(31);
        const took = await manager.until('recovery', reads(manager, 'temperature', '103.1'));
        const wrong = manager.history.filter(
          ({ property, value }) => property in sets && !sets[property as keyof typeof sets].has(value),
        );
        const told = `${slave.requests - asked} requests arrived, ${manager.history.length} values were reported`;
        process.stdout.write(`${told}, it recovered in ${Math.round(took)} ms\n`);
        assert.equal(wrong, []);
        assert.ok(manager.history.length >= 5, told);
        assert.ok(took < BACKOFF, `${took} ms`);
      },
      { random: seeded(seed), retries: 4 },
    );
  });
}

test.run();

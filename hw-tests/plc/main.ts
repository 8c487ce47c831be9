import { parseArgs } from 'node:util';
import { Plc } from './plc.ts';
import { loadRegisterMap } from './register-map.ts';

/** Plays a PLC until it is told to stop: `--host 127.0.0.1 --port 1502`, or `--serial /dev/ttyUSB0 --baud 9600 --unit 1`;
 * `--map registers.yaml` gives it other registers. Prints one JSON line when it serves. */
const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '1502' },
    serial: { type: 'string' },
    baud: { type: 'string', default: '9600' },
    unit: { type: 'string', default: '1' },
    map: { type: 'string' },
  },
});

/** @returns where it serves */
async function serve(): Promise<string> {
  const { host, port, serial, baud, unit, map } = values;
  if (serial !== undefined) {
    // The demonstration's bundle has no native part of a serial port beside it.
    const { RtuSlaves } = await import('./rtu-slaves.ts');
    const slaves = new RtuSlaves([Number(unit)]);
    if (map !== undefined) loadRegisterMap(map, slaves.slave(Number(unit)).memory);
    await slaves.open(serial, Number(baud));
    stopWith(() => slaves.close());
    return `${serial} unit ${unit}`;
  }
  const plc = new Plc({ moves: map === undefined });
  if (map !== undefined) loadRegisterMap(map, plc.memory);
  stopWith(() => plc.stop());
  return `${host}:${await plc.start(host, Number(port))}`;
}

function stopWith(stop: () => Promise<void>): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stop().then(() => process.exit(0)));
}

serve().then(
  (modbus) => process.stdout.write(`${JSON.stringify({ ready: true, modbus })}\n`),
  (error: unknown) => {
    const where = values.serial ?? `${values.host}:${values.port}`;
    process.stderr.write(`the PLC cannot serve ${where}: ${String(error)}\n`);
    process.exit(1);
  },
);

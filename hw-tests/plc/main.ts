import { parseArgs } from 'node:util';
import { Plc } from './plc.ts';

/** Plays a PLC until it is told to stop: `--host 127.0.0.1 --port 1502`. Prints one JSON line when it serves. */
const { values } = parseArgs({
  options: { host: { type: 'string', default: '127.0.0.1' }, port: { type: 'string', default: '1502' } },
});

const plc = new Plc();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void plc.stop().then(() => process.exit(0)));

plc.start(values.host, Number(values.port)).then(
  (port) => process.stdout.write(`${JSON.stringify({ ready: true, modbus: `${values.host}:${port}` })}\n`),
  (error: unknown) => {
    process.stderr.write(`the PLC cannot listen on ${values.host}:${values.port}: ${String(error)}\n`);
    process.exit(1);
  },
);

import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../../runtime/core/clock.ts';
import { errorText } from '../../../runtime/core/errors.ts';
import type { LogFields, Logger } from '../../../runtime/core/log.ts';
import { Metrics } from '../../../runtime/core/metrics.ts';
import { TokenBucket } from '../../../runtime/core/token-bucket.ts';
import { deviceId } from '../../../runtime/core/units.ts';
import { DriverMapper } from '../../kit/mapper.ts';
import { type FromWorker, type Handed, LONGEST_TEXT, type ToWorker, type WorkerStart } from '../messages.ts';
import { newKit, type PluginDriver } from './kit.ts';
import { loadDriver } from './load.ts';
import { serialOpener } from './open-serial.ts';
import { ReportOutbox } from './report-outbox.ts';

/** The thread in which one plugin runs: the kit, and the plugin's driver in it. */
const BEAT = 500;
/** Plugins give way to MQTT and the cloud; how much less a thread is worth, and the least. */
const LESS = 10;
const LEAST = 19;

const { name, protocols, main, port } = workerData as WorkerStart;
// The port is the kit's: what a plugin posts past it would pile up in edgecore.
parentPort?.close();
Reflect.deleteProperty(workerData, 'port');
const say = (message: FromWorker): void => port.postMessage(message);

// Edgecore leaves out what is too much anyway; here it is left out before it is sent.
const pace = new TokenBucket({ clock: systemClock, rate: 1, burst: 20 });
const note = (level: 'info' | 'warn', text: unknown): void => {
  if (!pace.hasToken) return;
  pace.take();
  say({ kind: 'log', level, text: String(text).slice(0, LONGEST_TEXT) });
};
const noteFields = (level: 'info' | 'warn') => (message: string, fields?: LogFields) =>
  note(level, fields ? `${message} ${JSON.stringify(fields)}` : message);
/** The kit's own. */
const kitLog: Logger = {
  debug: () => {},
  info: noteFields('info'),
  warn: noteFields('warn'),
  error: noteFields('warn'),
  child: () => kitLog,
};

// What it prints goes the same way: a stream to the main thread would keep that busy.
for (const stream of [process.stdout, process.stderr]) stream.write = print;
lowerPriority();
setInterval(() => {
  say({ kind: 'beat', held: process.memoryUsage().external });
}, BEAT);
const driver = await loadDriver(main, protocols, newPluginKit());
if ('refused' in driver) say({ kind: 'refused', reason: driver.refused });
else serve(driver);

function newPluginKit() {
  return newKit({
    openSerial: serialOpener((options, end) => {
      port.postMessage({ kind: 'serial', options, port: end } satisfies FromWorker, [end]);
    }),
    log: { info: (text) => note('info', text), warn: (text) => note('warn', text) },
  });
}

function serve(made: PluginDriver): void {
  const outbox = new ReportOutbox((report) => say({ kind: 'report', ...report }), systemClock);
  const mapper = new DriverMapper({
    driver: { name, protocols, configure: (device, model) => made.configure(device, model) },
    manager: outbox,
    sink: outbox,
    clock: systemClock,
    log: kitLog,
    metrics: new Metrics(),
    random: Math.random,
  });
  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'devices':
        for (const id of message.remove) {
          mapper.removeDevice(id);
          outbox.forget(id);
        }
        return say({ kind: 'took', faults: message.apply.flatMap((handed) => apply(mapper, handed)) });
      case 'noted':
        return outbox.noted();
      case 'write':
        return void write(mapper, message);
      case 'stop':
        // Lines are let go of before the next one may open them.
        return void mapper.stop().finally(() => process.exit(0));
      default:
        return message satisfies never;
    }
  });
  say({ kind: 'ready' });
}

async function write(
  mapper: DriverMapper,
  { number, id, property, value }: Extract<ToWorker, { kind: 'write' }>,
): Promise<void> {
  const fault = await mapper.write(id, property, value);
  say({ kind: 'wrote', number, ...(fault === undefined ? {} : { fault: fault.slice(0, LONGEST_TEXT) }) });
}

function apply(mapper: DriverMapper, { device, model }: Handed) {
  const id = deviceId(device.metadata.namespace ?? 'default', device.metadata.name);
  try {
    const fault = mapper.applyDevice(device, model);
    return fault === undefined ? [] : [{ id, fault }];
  } catch (error) {
    return [{ id, fault: `the plugin's configure failed: ${errorText(error)}` }];
  }
}

/** In place of a stream's `write`. */
function print(text: Uint8Array | string, ...rest: unknown[]): boolean {
  note('info', typeof text === 'string' ? text : Buffer.from(text).toString());
  const done = rest.at(-1);
  if (typeof done === 'function') done();
  return true;
}

/** Linux counts priorities by thread. */
function lowerPriority(): void {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    setPriority(thread, Math.min(getPriority(thread) + LESS, LEAST));
  } catch {
    // Another system: it is as important as the others.
  }
}

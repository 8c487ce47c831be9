import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import type { SerialPort } from 'serialport';
import { errorText } from '../../runtime/core/errors.ts';

/** How a serial line is set. */
export type LineSettings = {
  readonly baudRate: number;
  readonly dataBits: 7 | 8;
  readonly parity: 'none' | 'even' | 'odd';
  readonly stopBits: 1 | 2;
  readonly flowControl?: 'none' | 'rtscts' | 'xonxoff';
};

/** `19200 8N1`, for texts. */
export function showLine({
  baudRate,
  dataBits,
  parity,
  stopBits,
  flowControl = 'none',
}: LineSettings): string {
  const flow = flowControl === 'none' ? '' : ` ${flowControl}`;
  return `${baudRate} ${dataBits}${parity[0]?.toUpperCase()}${stopBits}${flow}`;
}

/** Opens a serial port and locks it against other programs.
 * @throws Error that says what to do: there is no such port, another program has it, no right to it */
export async function openSerialPort(path: string, line: LineSettings): Promise<SerialPort> {
  // Loaded when there is a line: its native part costs memory that a gateway without one can do without.
  const { SerialPort } = await import('serialport');
  const { baudRate, dataBits, parity, stopBits, flowControl } = line;
  const flow =
    flowControl === 'rtscts' ? { rtscts: true } : flowControl === 'xonxoff' ? { xon: true, xoff: true } : {};
  const port = new SerialPort({ path, baudRate, dataBits, parity, stopBits, ...flow, autoOpen: false });
  port.on('error', () => {}); // shows as a request without answer, or as a port that is closed
  try {
    await new Promise<void>((resolve, reject) => port.open((error) => (error ? reject(error) : resolve())));
  } catch (error) {
    throw new Error(await whyNot(path, errorText(error)));
  }
  return port;
}

/** The binding's texts name the system call; people want to know what to do. */
async function whyNot(path: string, text: string): Promise<string> {
  if (/No such file|No such device/i.test(text))
    return 'No such file or directory: is the adapter plugged in?';
  if (/Permission denied/i.test(text))
    return 'Permission denied: the user of edgecore must be in the group of the port, dialout';
  if (/lock port|temporarily unavailable|busy/i.test(text)) return `is taken by ${await holderOf(path)}`;
  return text.replace(/^Error: /, '');
}

/** Who has a device open, as far as this process may see. */
async function holderOf(path: string): Promise<string> {
  const device = await realpath(path).catch(() => path);
  const processes = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of processes) {
    const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const file of files) {
      if ((await readlink(`/proc/${pid}/fd/${file}`).catch(() => '')) !== device) continue;
      if (Number(pid) === process.pid)
        return 'edgecore itself, by another name of the port or for another protocol';
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'a program');
      return `${name.trim()} (process ${pid})`;
    }
  }
  return 'another program';
}

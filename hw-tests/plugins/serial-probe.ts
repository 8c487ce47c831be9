import { SerialPort } from 'serialport';

/** The probe of mappers/docs/plugin.md at the other end of a serial line. */
export class SerialProbe {
  readonly values = new Map([
    ['T', '21.5'],
    ['S', '15'],
  ]);
  private port: SerialPort | undefined;
  private rest = '';

  open(path: string): Promise<void> {
    const port = new SerialPort({ path, baudRate: 9600, autoOpen: false });
    this.port = port;
    port.on('data', (chunk: Buffer) => this.take(chunk.toString('latin1')));
    port.on('error', () => {}); // a line that is gone is no news to a probe
    return new Promise((resolve, reject) => port.open((error) => (error ? reject(error) : resolve())));
  }

  close(): Promise<void> {
    const { port } = this;
    this.port = undefined;
    return new Promise((resolve) => (port?.isOpen ? port.close(() => resolve()) : resolve()));
  }

  private take(text: string): void {
    const lines = (this.rest + text).split('\r\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.port?.write(`${this.answer(line)}\r\n`);
  }

  private answer(request: string): string {
    const letter = request[0] ?? '';
    const value = this.values.get(letter);
    if (value === undefined) return 'ERR what is that';
    if (request === `${letter}?`) return value;
    this.values.set(letter, request.slice(2));
    return 'OK';
  }
}

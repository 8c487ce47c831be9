import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

type Answer = { readonly return?: unknown; readonly error?: { readonly desc: string } };

/** The emulator's control line.
 * @source qemu docs/interop/qmp-spec */
export class Qmp {
  private readonly socket: Socket;
  private readonly waiting: ((answer: Answer) => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    createInterface({ input: socket }).on('line', (line) => {
      const message = JSON.parse(line) as Answer;
      if ('return' in message || 'error' in message) this.waiting.shift()?.(message);
    });
  }

  static async connect(path: string): Promise<Qmp> {
    const socket = createConnection(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('error', reject);
    });
    socket.on('error', () => {}); // the emulator was killed
    const qmp = new Qmp(socket);
    await qmp.run('qmp_capabilities');
    return qmp;
  }

  /** @throws Error with what the emulator says against it */
  async run(execute: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const answer = await new Promise<Answer>((resolve) => {
      this.waiting.push(resolve);
      this.socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    });
    if (answer.error) throw new Error(`${execute}: ${answer.error.desc}`);
    return answer.return;
  }

  close(): void {
    this.socket.destroy();
  }
}

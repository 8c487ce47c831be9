import { type IncomingMessage, request } from 'node:http';
import { EdgeError, errorCode, errorText } from '../core/errors.ts';

/** Longer than edgecore waits for a device. */
const LIMIT = 30_000;

/** Speaks to the edgecore that runs on this machine, over its socket. */
export class LocalClient {
  private readonly socketPath: string;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** @throws EdgeError EDGECORE_UNREACHABLE */
  async get(path: string): Promise<unknown> {
    return JSON.parse((await this.text('GET', path)).body);
  }

  /** @throws EdgeError EDGECORE_UNREACHABLE */
  async post(path: string, body: unknown): Promise<{ status: number; body: string }> {
    return this.text('POST', path, JSON.stringify(body));
  }

  /** Server-sent events, each parsed, until the other side ends.
   * @throws EdgeError EDGECORE_UNREACHABLE */
  async *events(path: string): AsyncGenerator<unknown> {
    const response = await this.open('GET', path);
    if (response.statusCode !== 200) throw this.failed(await textOf(response));
    let rest = '';
    for await (const chunk of response) {
      const events = (rest + String(chunk)).split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) if (event.startsWith('data: ')) yield JSON.parse(event.slice(6));
    }
  }

  private async text(method: string, path: string, body = ''): Promise<{ status: number; body: string }> {
    const response = await this.open(method, path, body);
    return { status: response.statusCode ?? 0, body: await textOf(response) };
  }

  private open(method: string, path: string, body = ''): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { socketPath } = this;
      const headers = body
        ? { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
        : {};
      const call = request({ socketPath, method, path, headers, agent: false }, resolve);
      call.setTimeout(LIMIT, () => call.destroy(new Error(`no answer in ${LIMIT / 1000} s`)));
      call.once('error', (error) => reject(this.failed(reasonOf(error), error)));
      call.end(body);
    });
  }

  private failed(reason: string, cause?: unknown): EdgeError {
    return new EdgeError('EDGECORE_UNREACHABLE', { detail: `${this.socketPath}: ${reason}`, cause });
  }
}

function reasonOf(error: unknown): string {
  switch (errorCode(error)) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return 'nobody listens there';
    case 'EACCES':
      return 'it belongs to another user';
    default:
      return errorText(error);
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return text;
}

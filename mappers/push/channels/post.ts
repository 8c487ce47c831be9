import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connectFault, PushError } from '../channel.ts';

export type Answer = { readonly status: number; readonly body: Buffer };

const MOST_READ = 64 * 1024;
const LONGEST_SHOWN = 200;
/** Statuses that speak of the request's content: sent again it would fare no better. */
const REFUSALS = new Set([400, 413, 415, 422]);

/** One connection to an HTTP server, kept open between requests. */
export class Poster {
  readonly url: URL;
  private readonly agent: HttpAgent | HttpsAgent;
  private readonly timeout: number;

  /** @param timeout ms of silence
   * @param ca PEM */
  constructor(url: string, { timeout = 10_000, ca }: { timeout?: number; ca?: string | undefined } = {}) {
    this.url = new URL(url);
    this.timeout = timeout;
    const options = { keepAlive: true, maxSockets: 1 };
    this.agent =
      this.url.protocol === 'https:'
        ? new HttpsAgent({ ...options, ...(ca ? { ca } : {}) })
        : new HttpAgent(options);
  }

  /** @throws PushError when there is no answer, or one that is no success */
  async post(
    path: string,
    headers: Readonly<Record<string, string>>,
    body: string | Buffer,
  ): Promise<Buffer> {
    const answer = await this.exchange(path, headers, Buffer.from(body)).catch((error: unknown) => {
      throw connectFault(this.url.origin, error);
    });
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    const said = answer.body.toString().trim().replace(/\s+/g, ' ').slice(0, LONGEST_SHOWN);
    const text = `${this.url.origin}${path} answers ${answer.status}${said ? `: ${said}` : ''}`;
    throw new PushError(REFUSALS.has(answer.status) ? 'refused' : 'away', text);
  }

  close(): void {
    this.agent.destroy();
  }

  private exchange(path: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<Answer> {
    const send = this.url.protocol === 'https:' ? httpsRequest : httpRequest;
    const length = { 'content-length': String(body.length) };
    return new Promise((resolve, reject) => {
      const request = send(
        new URL(path, this.url),
        { method: 'POST', agent: this.agent, headers: { ...headers, ...length }, timeout: this.timeout },
        (response) => readBody(response).then((read) => resolve(answerOf(response, read)), reject),
      );
      request.on('timeout', () => request.destroy(new Error(`no answer in ${this.timeout / 1000} s`)));
      request.on('error', reject);
      request.end(body);
    });
  }
}

function answerOf({ statusCode = 0 }: IncomingMessage, body: Buffer): Answer {
  return { status: statusCode, body };
}

/** What is beyond the limit is read and passed over, so that the connection can be used again. */
function readBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    response.on('data', (chunk: Buffer) => {
      if (length < MOST_READ) chunks.push(chunk);
      length += chunk.length;
    });
    response.on('end', () => resolve(Buffer.concat(chunks)));
    response.on('error', reject);
  });
}

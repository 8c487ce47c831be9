import { type RequestOptions, request } from 'node:https';
import { type Clock, deadline } from '../core/clock.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import type { TimeTrust } from '../core/time-trust.ts';
import { seconds } from '../core/units.ts';
import { pinnedSocket } from '../wire/pinned-tls.ts';
import { Servers } from './servers.ts';

export type Reply = { readonly status: number; readonly body: Buffer };

export type Ask = {
  readonly path: string;
  /** Whom to believe, PEM; undefined while nobody can be. */
  readonly ca: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** What to show, PEM. */
  readonly identity?: { readonly cert: string; readonly key: string };
};

const TIMEOUT = seconds(30);
const BODY_LIMIT = 1024 * 1024;

/** The HTTPS end where edges get the CA and their certificates, at whichever of its addresses answers. */
export class EnrolmentClient {
  private readonly servers: Servers;
  private readonly clock: Clock;
  private readonly time: TimeTrust;

  constructor(deps: {
    readonly servers: readonly string[];
    readonly clock: Clock;
    readonly time: TimeTrust;
  }) {
    this.clock = deps.clock;
    this.servers = new Servers(deps.servers);
    this.time = deps.time;
  }

  /** The address that is asked first. */
  get server(): string {
    return this.servers.current;
  }

  /** Asks the addresses in turn until one answers, whatever it says.
   * @throws EdgeError EDGEHUB_CA_UNREACHABLE */
  async get(ask: Ask, signal: AbortSignal): Promise<Reply> {
    for (;;) {
      const url = new URL(ask.path, this.servers.current);
      const limit = deadline(this.clock, TIMEOUT, signal);
      try {
        const reply = await this.getFrom(url, ask, limit.signal);
        this.servers.worked();
        return reply;
      } catch (cause) {
        if (!this.servers.failed() && !signal.aborted) continue;
        const detail = `${url.href}: ${errorText(cause)}`;
        throw new EdgeError('EDGEHUB_CA_UNREACHABLE', { detail, cause });
      } finally {
        limit.done();
      }
    }
  }

  private async getFrom(url: URL, ask: Ask, signal: AbortSignal): Promise<Reply> {
    const { body, ca, identity, headers } = ask;
    const length = body ? { 'content-length': String(body.length) } : {};
    const tls: RequestOptions =
      ca === undefined ? { rejectUnauthorized: false } : { ca, ...(identity ?? {}) };
    const options: RequestOptions = { ...tls, headers: { ...headers, ...length }, signal };
    if (ca === undefined || this.time.isTrusted) return exchange(url, { ...options, agent: false }, body);
    const socket = await pinnedSocket(
      { host: url.hostname, port: Number(url.port), ca, ...identity },
      signal,
    );
    return exchange(url, { ...options, createConnection: () => socket }, body);
  }
}

function exchange(url: URL, options: RequestOptions, body: Buffer | undefined): Promise<Reply> {
  return new Promise<Reply>((resolve, reject) => {
    const call = request(url, { ...options, method: 'GET' }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > BODY_LIMIT) response.destroy(new Error(`more than ${BODY_LIMIT} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end(body);
  });
}

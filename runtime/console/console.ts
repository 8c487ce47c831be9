import { splitHostPort } from '../core/address.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import { millis, seconds } from '../core/units.ts';
import type { EventStream, HttpAnswer, HttpHandler, HttpRequest, HttpServer } from '../wire/http/http.ts';
import type { ConsoleConfig } from './config.ts';
import { page } from './page.ts';
import type { ConsoleSnapshot } from './snapshot.ts';

/** The HTTP server, as far as the page uses it. */
export type ConsoleServer = Pick<HttpServer, 'port' | 'start' | 'stop'>;

export type ConsoleDeps = {
  readonly config: ConsoleConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly snapshot: () => ConsoleSnapshot;
  /** Prometheus' text of all figures. */
  readonly metrics: () => string;
  /** Calls back after a change of what is shown; returns how to stop that. */
  readonly onChange: (listener: () => void) => () => void;
  readonly openServer: (handler: HttpHandler) => ConsoleServer;
};

/** Pages that may be open at a time. */
const VIEWERS = 8;
/** Changes within this time go to the pages together. */
const GATHER = millis(250);
/** Without a change the page still hears from us, so that ages move and a dead process shows. */
const HEARTBEAT = seconds(5);

/** The local page, its data and the metrics. It only reads. */
export class Console {
  readonly name = 'console';
  private readonly deps: ConsoleDeps;
  private readonly server: ConsoleServer;
  private readonly viewers = new Set<EventStream>();
  private gathering: Timer | undefined;
  private heartbeat: Timer | undefined;
  private unsubscribe: (() => void) | undefined;

  constructor(deps: ConsoleDeps) {
    this.deps = deps;
    this.server = deps.openServer((request) => this.answer(request));
  }

  get port(): number {
    return this.server.port;
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  async start(): Promise<void> {
    await this.server.start(splitHostPort(this.deps.config.address));
    this.unsubscribe = this.deps.onChange(() => this.changed());
    this.heartbeat = this.deps.clock.every(HEARTBEAT, () => this.show());
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    this.heartbeat?.cancel();
    this.gathering?.cancel();
    for (const viewer of this.viewers) viewer.close();
    await this.server.stop();
  }

  private answer({ method, path }: HttpRequest): HttpAnswer {
    if (method !== 'GET') return text(405, 'only GET is served here\n');
    switch (path) {
      case '/':
        return { status: 200, type: 'text/html; charset=utf-8', body: page };
      case '/api/state':
        return { status: 200, type: 'application/json', body: JSON.stringify(this.deps.snapshot()) };
      case '/api/events':
        if (this.viewers.size >= VIEWERS) return text(503, `${VIEWERS} pages are open already: close one\n`);
        return { stream: (stream) => this.admit(stream) };
      case '/metrics':
        return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: this.deps.metrics() };
      case '/healthz':
        return text(200, 'ok\n');
      default:
        return text(404, 'there is /, /api/state, /api/events, /metrics and /healthz\n');
    }
  }

  private admit(stream: EventStream): void {
    this.viewers.add(stream);
    stream.onClose(() => this.viewers.delete(stream));
    stream.write(this.frame());
  }

  private changed(): void {
    if (this.viewers.size === 0 || this.gathering) return;
    this.gathering = this.deps.clock.after(GATHER, () => {
      this.gathering = undefined;
      this.show();
    });
  }

  private show(): void {
    if (this.viewers.size === 0) return;
    const frame = this.frame();
    // A page that does not read is let go; it comes back by itself when it can.
    for (const viewer of this.viewers) if (!viewer.write(frame)) viewer.close();
  }

  private frame(): string {
    return `data: ${JSON.stringify(this.deps.snapshot())}\n\n`;
  }
}

function text(status: number, body: string): HttpAnswer {
  return { status, type: 'text/plain; charset=utf-8', body };
}

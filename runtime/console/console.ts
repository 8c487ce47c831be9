import { splitHostPort } from '../core/address.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { DeviceCommands } from '../core/device-commands.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { millis, seconds } from '../core/units.ts';
import type { EventStream, HttpAnswer, HttpHandler, HttpRequest, HttpServer } from '../wire/http/http.ts';
import type { ConsoleConfig } from './config.ts';
import { type Door, deviceWrite } from './device-writes.ts';
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
  readonly devices: DeviceCommands;
  readonly openServer: (handler: HttpHandler) => ConsoleServer;
  /** The same for programs of this machine, on a socket that only edgecore's own user may open: `edgecore device`. */
  readonly openSocket: (handler: HttpHandler) => ConsoleSocket;
};

export type ConsoleSocket = { start(): Promise<void>; stop(): Promise<void> };

/** Pages that may be open at a time. */
const VIEWERS = 8;
/** Changes within this time go to the pages together. */
const GATHER = millis(250);
/** Without a change the page still hears from us, so that ages move and a dead process shows. */
const HEARTBEAT = seconds(5);

/** The local page, its data and the metrics, and what it lets people do with devices. */
export class Console {
  readonly name = 'console';
  private readonly deps: ConsoleDeps;
  /** None when the page is switched off. */
  private readonly server: ConsoleServer | undefined;
  private readonly socket: ConsoleSocket;
  private readonly viewers = new Set<EventStream>();
  private gathering: Timer | undefined;
  private heartbeat: Timer | undefined;
  private unsubscribe: (() => void) | undefined;

  constructor(deps: ConsoleDeps) {
    this.deps = deps;
    if (deps.config.enable) this.server = deps.openServer((request) => this.answer(request, 'port'));
    this.socket = deps.openSocket((request) => this.answer(request, 'socket'));
  }

  get port(): number {
    return this.server?.port ?? 0;
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  async start(): Promise<void> {
    await this.server?.start(splitHostPort(this.deps.config.address));
    // A node without it is one without `edgecore device`, and nothing else.
    await this.socket.start().catch((error) => {
      this.deps.log.warn('edgecore device cannot be served', { reason: errorText(error) });
    });
    this.unsubscribe = this.deps.onChange(() => this.changed());
    this.heartbeat = this.deps.clock.every(HEARTBEAT, () => this.show());
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    this.heartbeat?.cancel();
    this.gathering?.cancel();
    for (const viewer of this.viewers) viewer.close();
    await this.socket.stop();
    await this.server?.stop();
  }

  private answer(request: HttpRequest, door: Door): HttpAnswer | Promise<HttpAnswer> {
    const { method, path } = request;
    const { config, devices } = this.deps;
    const written = method === 'POST' ? deviceWrite(request, door, config.writes, devices) : undefined;
    if (written) return written;
    if (method !== 'GET') return text(405, 'only GET is served here, and POST below /api/devices/\n');
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

import type { TLSSocket } from 'node:tls';
import { type Clock, deadline, sleep } from '../core/clock.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { backoffDelays } from '../core/retry.ts';
import type { TimeTrust } from '../core/time-trust.ts';
import { type Millis, millis, seconds } from '../core/units.ts';
import type { FrameNotices } from '../wire/frame-writer.ts';
import { pinnedSocket } from '../wire/pinned-tls.ts';
import type { Credentials } from './certificates.ts';
import type { EdgeHubConfig } from './config.ts';
import { Connection } from './connection.ts';
import { Servers } from './servers.ts';

export type LinkState = {
  readonly state: 'online' | 'connecting' | 'offline';
  /** ms since epoch of the last change. */
  readonly since: number;
  /** Which of the cloud's addresses. */
  readonly server: string;
  /** Why it is not online. */
  readonly reason?: string;
};

export type LinkEvents = {
  /** One frame's text. */
  frame(text: string): void;
  up(): void;
  down(reason: string): void;
  /** There is room for more frames. */
  drained(): void;
};

export type LinkDeps = {
  readonly config: EdgeHubConfig;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Obtains the certificate, joining the cloud when there is none yet. */
  readonly credentials: (signal: AbortSignal) => Promise<Credentials>;
  readonly time: TimeTrust;
  /** Why a connection failed, in an operator's words; undefined when there is nothing to add. */
  readonly explain: (error: unknown) => string | undefined;
  readonly events: LinkEvents;
};

/** Differs: KubeEdge waits a fixed 30 s; a fleet of gateways then returns in step. */
const RETRY = { first: seconds(1), factor: 2, cap: seconds(60), jitter: 0.3 };
/** The wait before another address is tried while there is one. */
const NEXT_ADDRESS = seconds(1);
/** A connection that lived this long starts the back-off over. */
const STABLE = seconds(60);
const LINGER = seconds(2);

/** The link to CloudHub: connects for ever, to whichever of its addresses answers.
 *
 * Names are resolved anew at every try, and nothing of a former connection is used again, TLS session included: the cloud
 * may have moved, or be another one behind the same name.
 * @source KubeEdge edge/pkg/edgehub, viaduct WebSocket client */
export class Link {
  private readonly deps: LinkDeps;
  private readonly servers: Servers;
  private readonly abort = new AbortController();
  private connection: Connection | undefined;
  private current: LinkState;
  private running: Promise<void> | undefined;
  private delays: Iterator<Millis, never>;
  /** Whether the last try led to a connection. */
  private wasReached = false;
  /** Ends the wait before the next try. */
  private hurry: AbortController | undefined;

  constructor(deps: LinkDeps) {
    this.deps = deps;
    const { server, servers } = deps.config.websocket;
    this.servers = new Servers([server, ...servers]);
    this.delays = backoffDelays(RETRY, deps.random);
    this.current = { state: 'connecting', since: deps.clock.now(), server };
  }

  get state(): LinkState {
    return this.current;
  }

  /** Whether a frame sent now would wait behind others. */
  get full(): boolean {
    return this.connection?.full ?? false;
  }

  /** Starts connecting; does not wait for success, because the node works without the cloud. */
  start(): void {
    this.running = this.run(this.abort.signal);
  }

  async stop(): Promise<void> {
    this.abort.abort();
    this.hurry?.abort();
    const { connection } = this;
    connection?.close();
    const linger = this.deps.clock.after(LINGER, () => connection?.abandon('edgecore stops'));
    await this.running;
    linger.cancel();
  }

  /** Ends the connection, if there is one, and opens it anew without waiting. */
  reconnect(reason: string): void {
    this.delays = backoffDelays(RETRY, this.deps.random);
    this.hurry?.abort();
    this.connection?.abandon(reason);
  }

  /** Writes one frame; false when there is no connection. */
  send(text: string, notices?: FrameNotices): boolean {
    if (this.current.state !== 'online' || !this.connection?.isOpen) return false;
    this.connection.send(text, notices);
    return true;
  }

  /** Calls back when all that the cloud had sent before it read this has come; never, when there is no connection. */
  probe(answered: () => void): void {
    if (this.current.state === 'online' && this.connection?.isOpen) this.connection.probe(answered);
  }

  private async run(signal: AbortSignal): Promise<void> {
    const { clock, log, random } = this.deps;
    while (!signal.aborted) {
      const started = clock.monotonic();
      const server = this.servers.current;
      const reason = await this.once(server, signal).catch((error: unknown) => this.explain(error));
      if (signal.aborted) return;
      if (clock.monotonic() - started > STABLE) this.delays = backoffDelays(RETRY, random);
      const wait = this.nextWait();
      log.warn('no link to the cloud', { server, reason, retryMs: wait });
      this.become('offline', server, reason);
      this.hurry = new AbortController();
      await sleep(clock, wait, this.hurry.signal);
    }
  }

  /** Within a round of all addresses there is little to wait for; between rounds there is. */
  private nextWait(): Millis {
    if (this.wasReached || this.servers.failed()) return this.delays.next().value;
    return millis(Math.round(NEXT_ADDRESS * (1 + (this.deps.random() * 2 - 1) * RETRY.jitter)));
  }

  private explain(error: unknown): string {
    if (error instanceof EdgeError && error.retry === 'never')
      this.deps.log.error('this node cannot connect', { error });
    return this.deps.explain(error) ?? errorText(error);
  }

  /** One connection from dial to end.
   * @returns why it ended */
  private async once(server: string, signal: AbortSignal): Promise<string> {
    this.wasReached = false;
    this.become('connecting', server, this.current.reason);
    const credentials = await this.deps.credentials(signal);
    if (signal.aborted) return 'stopped';
    const connection = this.dial(server, credentials, await this.withoutDates(server, credentials, signal));
    this.connection = connection;
    const ended = await connection.ended;
    this.connection = undefined;
    const reason = this.deps.explain(connection.fault) ?? ended;
    if (!this.wasReached) return reason;
    this.become('offline', server, reason);
    this.deps.events.down(reason);
    return reason;
  }

  /** While the clock is wrong the dates in certificates mean nothing; the pinned CA and the name do. */
  private async withoutDates(
    server: string,
    { ca, cert, key }: Credentials,
    signal: AbortSignal,
  ): Promise<TLSSocket | undefined> {
    if (this.deps.time.isTrusted) return undefined;
    const { clock, config } = this.deps;
    const { hostname, port } = new URL(`wss://${server}`);
    const limit = deadline(clock, seconds(config.websocket.handshakeTimeout), signal);
    try {
      return await pinnedSocket({ host: hostname, port: Number(port), ca, cert, key }, limit.signal);
    } finally {
      limit.done();
    }
  }

  private dial(server: string, { ca, cert, key }: Credentials, socket: TLSSocket | undefined): Connection {
    const { config, node, clock, events } = this.deps;
    return new Connection({
      url: `wss://${server}/${config.projectID}/${node}/events`,
      options: {
        ca,
        cert,
        key,
        minVersion: 'TLSv1.2',
        // CloudHub upgrades without `ConnectionUse: msg` too, but then never reads.
        headers: { node_id: node, project_id: config.projectID, ConnectionUse: 'msg' },
        ...(socket ? { createConnection: () => socket } : {}),
      },
      clock,
      handshakeTimeout: seconds(config.websocket.handshakeTimeout),
      heartbeat: seconds(config.heartbeat),
      events: {
        open: () => {
          this.servers.worked();
          this.wasReached = true;
          this.become('online', server);
          events.up();
        },
        frame: (text) => events.frame(text),
        drained: () => events.drained(),
      },
    });
  }

  private become(state: LinkState['state'], server: string, reason?: string): void {
    const { clock, log } = this.deps;
    const since = clock.now();
    this.current = { state, since, server, ...(reason === undefined ? {} : { reason }) };
    if (state === 'online') log.info('link up', { server });
  }
}

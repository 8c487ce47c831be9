import WebSocket from 'ws';
import { type Clock, sleep, type Timer } from '../core/clock.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { encodeMessage, newMessage } from '../core/message.ts';
import { backoffDelays } from '../core/retry.ts';
import { mebibytes, seconds } from '../core/units.ts';
import type { Credentials } from './certificates.ts';
import type { EdgeHubConfig } from './config.ts';
import { Receipts } from './receipts.ts';

export type LinkState = {
  readonly state: 'online' | 'connecting' | 'offline';
  /** ms since epoch of the last change. */
  readonly since: number;
  /** Why it is not online. */
  readonly reason?: string;
};

export type LinkEvents = {
  /** One frame's text. */
  frame(text: string): void;
  up(): void;
  down(reason: string): void;
};

export type LinkDeps = {
  readonly config: EdgeHubConfig;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Obtains the certificate, joining the cloud when there is none yet. */
  readonly credentials: (signal: AbortSignal) => Promise<Credentials>;
  readonly events: LinkEvents;
};

/** Differs: KubeEdge waits a fixed 30 s; a fleet of gateways then returns in step. */
const RETRY = { first: seconds(1), factor: 2, cap: seconds(60), jitter: 0.3 };
/** A connection that lived this long starts the back-off over. */
const STABLE = seconds(60);
const FRAME_LIMIT = mebibytes(8);
/** What a ping carries whose pong is a receipt. */
const RECEIPT = 'receipt';

/** The WebSocket to CloudHub: connects for ever, keeps alive, notices a dead peer.
 * @source KubeEdge edge/pkg/edgehub, viaduct WebSocket client */
export class Link {
  private readonly deps: LinkDeps;
  private socket: WebSocket | undefined;
  private receipts: Receipts | undefined;
  private current: LinkState;
  private running: Promise<void> | undefined;
  private readonly abort = new AbortController();

  constructor(deps: LinkDeps) {
    this.deps = deps;
    this.current = { state: 'connecting', since: deps.clock.now() };
  }

  get state(): LinkState {
    return this.current;
  }

  /** Starts connecting; does not wait for success, because the node works without the cloud. */
  start(): void {
    this.running = this.run(this.abort.signal);
  }

  async stop(): Promise<void> {
    this.abort.abort();
    this.socket?.close(1000);
    const linger = this.deps.clock.after(seconds(2), () => this.socket?.terminate());
    await this.running;
    linger.cancel();
  }

  /** Writes one frame; false when there is no connection.
   * @param received is called when the cloud has received it; never when the connection ends before */
  send(text: string, received?: () => void): boolean {
    if (this.current.state !== 'online' || !this.socket) return false;
    this.socket.send(text);
    if (received) this.receipts?.expect(received);
    return true;
  }

  private async run(signal: AbortSignal): Promise<void> {
    let delays = backoffDelays(RETRY, this.deps.random);
    while (!signal.aborted) {
      const started = this.deps.clock.monotonic();
      const reason = await this.once(signal).catch((error: unknown) => this.explain(error));
      if (signal.aborted) return;
      if (this.deps.clock.monotonic() - started > STABLE) delays = backoffDelays(RETRY, this.deps.random);
      const wait = delays.next().value;
      this.deps.log.warn('no link to the cloud', {
        server: this.deps.config.websocket.server,
        reason,
        retryMs: wait,
      });
      this.become('offline', reason);
      await sleep(this.deps.clock, wait, signal);
    }
  }

  private explain(error: unknown): string {
    if (error instanceof EdgeError && error.retry === 'never') this.deps.log.error('cannot join', { error });
    return errorText(error);
  }

  /** One connection from dial to end.
   * @returns why it ended */
  private async once(signal: AbortSignal): Promise<string> {
    const credentials = await this.deps.credentials(signal);
    if (signal.aborted) return 'stopped';
    const socket = this.dial(credentials);
    this.socket = socket;
    try {
      return await this.live(socket);
    } finally {
      this.socket = undefined;
      if (this.current.state === 'online') {
        this.become('offline', 'connection lost');
        this.deps.events.down('connection lost');
      }
    }
  }

  private dial({ ca, cert, key }: Credentials): WebSocket {
    const { config, node } = this.deps;
    return new WebSocket(`wss://${config.websocket.server}/${config.projectID}/${node}/events`, {
      ca,
      cert,
      key,
      minVersion: 'TLSv1.2',
      handshakeTimeout: config.websocket.handshakeTimeout * 1000,
      perMessageDeflate: false,
      maxPayload: FRAME_LIMIT,
      // CloudHub upgrades without `ConnectionUse: msg` too, but then never reads.
      headers: { node_id: node, project_id: config.projectID, ConnectionUse: 'msg' },
    });
  }

  private live(socket: WebSocket): Promise<string> {
    const { clock, config, events } = this.deps;
    return new Promise((resolve) => {
      let heard = clock.monotonic();
      let beat: Timer | undefined;
      let reason: string | undefined;
      const receipts = new Receipts(() => socket.ping(RECEIPT));
      this.receipts = receipts;
      const alive = (): void => {
        heard = clock.monotonic();
      };
      socket.on('open', () => {
        alive();
        this.become('online');
        events.up();
        this.keepAlive(socket);
        beat = clock.every(seconds(config.heartbeat), () => {
          // CloudHub never answers a keepalive; the pong to our ping is what tells a half-open connection.
          if (clock.monotonic() - heard > 2 * seconds(config.heartbeat)) {
            reason = 'the cloud has fallen silent';
            socket.terminate();
          } else this.keepAlive(socket);
        });
      });
      socket.on('message', (data) => {
        alive();
        events.frame(data.toString());
      });
      socket.on('pong', (data) => {
        alive();
        if (data.toString() === RECEIPT) receipts.pong();
      });
      socket.on('error', (error) => {
        reason = errorText(error);
      });
      socket.on('close', (code) => {
        beat?.cancel();
        resolve(reason ?? `closed by the cloud (${code})`);
      });
    });
  }

  private keepAlive(socket: WebSocket): void {
    const draft = {
      source: 'websocket',
      group: 'resource',
      operation: 'keepalive',
      resource: 'node',
      content: 'ping',
    };
    socket.send(encodeMessage(newMessage(draft, this.deps.clock.now())));
    socket.ping();
  }

  private become(state: LinkState['state'], reason?: string): void {
    const since = this.deps.clock.now();
    this.current = reason === undefined ? { state, since } : { state, since, reason };
    if (state === 'online') this.deps.log.info('link up', { server: this.deps.config.websocket.server });
  }
}

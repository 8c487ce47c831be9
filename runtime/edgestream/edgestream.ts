import type { TLSSocket } from 'node:tls';
import WebSocket from 'ws';
import { type Clock, deadline, sleep } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { backoffDelays } from '../core/retry.ts';
import type { TimeTrust } from '../core/time-trust.ts';
import { mebibytes, seconds } from '../core/units.ts';
import { pinnedSocket } from '../wire/pinned-tls.ts';
import {
  decodeConnect,
  decodeFrame,
  encodeFrame,
  type Frame,
  frameType,
  LARGEST_FRAME,
} from '../wire/tunnel.ts';
import type { EdgeStreamConfig } from './config.ts';
import { LocalStream } from './local-stream.ts';

type Identity = { readonly ca: string; readonly cert: string; readonly key: string };

export type EdgeStreamDeps = {
  readonly config: EdgeStreamConfig;
  readonly node: string;
  /** This node's address, as its Node object has it. */
  readonly nodeIp: () => string;
  /** The kubelet's port on this machine. */
  readonly kubeletPort: () => number;
  /** What the node has joined the cloud with; undefined until then. */
  readonly credentials: () => Identity | undefined;
  readonly clock: Clock;
  readonly time: TimeTrust;
  readonly log: Logger;
  /** [0, 1) */
  readonly random: () => number;
};

const RETRY = { first: seconds(2), factor: 2, cap: seconds(60), jitter: 0.3 };
const PING = seconds(5);
/** Pings without an answer before the tunnel is taken for dead. */
const SILENCE = seconds(30);
/** What may wait in the socket before the local sides are paused. */
const BACKLOG = mebibytes(1);
const LARGEST_STREAMS = 32;

/** The node's end of CloudStream's tunnel: requests of the API server for logs, brought to the kubelet's port.
 * @source KubeEdge edge/pkg/edgestream */
export class EdgeStream {
  readonly name = 'edgestream';
  private readonly deps: EdgeStreamDeps;
  private readonly log: Logger;
  private readonly abort = new AbortController();
  private readonly streams = new Map<number, LocalStream>();
  private socket: WebSocket | undefined;
  /** There is a newer certificate than the one that it was opened with. */
  private isStale = false;
  private running: Promise<void> | undefined;

  constructor(deps: EdgeStreamDeps) {
    this.deps = deps;
    this.log = deps.log.child('edgestream');
  }

  /** Starts connecting; does not wait for success. */
  async start(): Promise<void> {
    this.running = this.run(this.abort.signal);
  }

  async stop(): Promise<void> {
    this.abort.abort();
    this.socket?.terminate();
    await this.running;
  }

  /** The node has a new certificate: the tunnel is opened anew with it, once nobody uses it. */
  renewed(): void {
    this.isStale = true;
    this.refresh();
  }

  private refresh(): void {
    if (this.isStale && this.streams.size === 0) this.socket?.terminate();
  }

  private async run(signal: AbortSignal): Promise<void> {
    const { clock, random, config } = this.deps;
    let delays = backoffDelays(RETRY, random);
    while (!signal.aborted) {
      const started = clock.monotonic();
      const reason = await this.once();
      if (signal.aborted) return;
      if (clock.monotonic() - started > SILENCE) delays = backoffDelays(RETRY, random);
      if (reason) this.log.warn('no tunnel for kubectl logs', { server: config.server, reason });
      await sleep(clock, delays.next().value, signal);
    }
  }

  /** One tunnel from dial to end.
   * @returns why it ended; undefined when there is nothing to dial with yet */
  private async once(): Promise<string | undefined> {
    const { config, node, nodeIp, credentials } = this.deps;
    const identity = credentials();
    this.isStale = false;
    if (!identity) return undefined;
    const tls = await this.withoutDates(identity).catch((error: unknown) => errorText(error));
    if (typeof tls === 'string' || this.abort.signal.aborted) return String(tls);
    const socket = new WebSocket(`wss://${config.server}/v1/kubeedge/connect`, {
      ...identity,
      ...(tls ? { createConnection: () => tls } : {}),
      minVersion: 'TLSv1.2',
      handshakeTimeout: config.handshakeTimeout * 1000,
      perMessageDeflate: false,
      maxPayload: LARGEST_FRAME,
      // Frames are binary in messages of type text.
      skipUTF8Validation: true,
      headers: { SessionHostNameOverride: node, SessionInternalIP: nodeIp() },
    });
    this.socket = socket;
    const reason = await this.live(socket);
    for (const stream of this.streams.values()) stream.stop();
    this.streams.clear();
    this.socket = undefined;
    return reason;
  }

  /** While the clock is wrong the dates in certificates mean nothing. */
  private async withoutDates(identity: Identity): Promise<TLSSocket | undefined> {
    const { config, clock, time } = this.deps;
    if (time.isTrusted) return undefined;
    const { hostname, port } = new URL(`wss://${config.server}`);
    const limit = deadline(clock, seconds(config.handshakeTimeout), this.abort.signal);
    try {
      return await pinnedSocket({ host: hostname, port: Number(port), ...identity }, limit.signal);
    } finally {
      limit.done();
    }
  }

  private live(socket: WebSocket): Promise<string> {
    const { clock } = this.deps;
    return new Promise((resolve) => {
      let heard = clock.monotonic();
      let reason = '';
      const alive = (): void => {
        heard = clock.monotonic();
      };
      const beat = clock.every(PING, () => {
        if (clock.monotonic() - heard > SILENCE) {
          reason = 'the cloud has fallen silent';
          socket.terminate();
        } else if (socket.readyState === WebSocket.OPEN) socket.ping();
      });
      socket.on('open', alive);
      socket.on('pong', alive);
      socket.on('message', (data: Buffer) => {
        alive();
        const frame = decodeFrame(data);
        if (frame) this.received(frame);
      });
      socket.on('error', (error) => {
        reason = errorText(error);
      });
      socket.on('close', (code) => {
        beat.cancel();
        resolve(reason || `closed by the cloud (${code})`);
      });
    });
  }

  private received({ stream, type, data }: Frame): void {
    switch (type) {
      case frameType.logs:
      case frameType.metrics:
        this.open(stream, data);
        break;
      case frameType.exec:
      case frameType.attach:
        this.refuse(stream, 'exec and attach are not offered on this node');
        break;
      case frameType.remove:
        this.streams.get(stream)?.stop();
        this.streams.delete(stream);
        this.refresh();
        break;
      case frameType.close:
        this.socket?.terminate();
        break;
      default:
        break;
    }
  }

  private open(stream: number, data: Buffer): void {
    const connect = decodeConnect(data);
    if (!connect) return this.refuse(stream, 'the request cannot be read');
    if (this.streams.size >= LARGEST_STREAMS) return this.refuse(stream, 'too many streams are open');
    this.streams.get(stream)?.stop();
    const local = new LocalStream({
      connect,
      port: this.deps.kubeletPort(),
      data: (bytes) => this.send(stream, frameType.data, bytes),
      end: () => {
        if (this.streams.get(stream) !== local) return;
        this.streams.delete(stream);
        this.send(stream, frameType.remove);
        this.refresh();
      },
    });
    this.streams.set(stream, local);
  }

  private refuse(stream: number, why: string): void {
    this.send(stream, frameType.data, Buffer.from(`${why}\n`));
    this.send(stream, frameType.remove);
  }

  private send(stream: number, type: number, data: Buffer = Buffer.alloc(0)): void {
    const { socket } = this;
    if (socket?.readyState !== WebSocket.OPEN) return;
    socket.send(encodeFrame({ stream, type, data }), { binary: false }, () => {
      if (socket.bufferedAmount < BACKLOG) for (const local of this.streams.values()) local.resume();
    });
    if (socket.bufferedAmount >= BACKLOG) for (const local of this.streams.values()) local.pause();
  }
}

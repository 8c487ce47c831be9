import type { Duplex } from 'node:stream';
import { isOriginAllowed } from '../../core/origin.ts';
import { isLoopback } from '../peer.ts';
import type { ListenerConfigOf } from './config.ts';
import { Door } from './door.ts';
import type { Accept, Listener, ListenerDeps } from './listener.ts';
import type { WebSocketRequest, WebSocketRoute } from './web-socket-route.ts';

/** MQTT over WebSocket, on an HTTP server that somebody else runs.
 * @source MQTT 5 §6, MQTT 3.1.1 §6: binary messages, packets may lie across them, subprotocol `mqtt` */
export class WebSocketListener implements Listener {
  readonly name: string;
  readonly route: WebSocketRoute;
  private readonly config: ListenerConfigOf<'websocket'>;
  private readonly door: Door;
  /** Undefined while closed. */
  private accept: Accept | undefined;

  constructor(config: ListenerConfigOf<'websocket'>, deps: ListenerDeps) {
    this.name = `websocket ${config.path}`;
    this.config = config;
    this.door = new Door(this.name, config, deps);
    this.route = {
      path: config.path,
      protocols: ['mqtt', 'mqttv3.1'],
      maxPayload: config.packetBytes ?? deps.packetBytes,
      connections: config.maxConnections,
      refuse: (request) => this.refuse(request),
      open: (stream, request) => this.open(stream, request),
    };
  }

  async start(accept: Accept): Promise<void> {
    this.accept = accept;
  }

  async stop(): Promise<void> {
    this.accept = undefined;
    await this.door.close();
  }

  private refuse({ origin, host }: WebSocketRequest): { status: number; reason: string } | undefined {
    if (!this.accept) return { status: 503, reason: 'the broker is not running' };
    if (!isOriginAllowed(origin, host, this.config.origins)) {
      return { status: 403, reason: `pages of ${origin} may not connect: list it in the listener's origins` };
    }
    const reason = this.door.refusal();
    return reason === undefined ? undefined : { status: 503, reason };
  }

  private open(stream: Duplex, { address }: WebSocketRequest): void {
    if (!this.accept) return void stream.destroy();
    this.door.enter(stream);
    this.accept(stream, this.door.peer(stream, { address: `ws:${address}`, local: isLoopback(address) }));
  }
}

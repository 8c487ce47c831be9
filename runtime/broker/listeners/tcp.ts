import { createServer, type Server } from 'node:net';
import { splitHostPort } from '../../core/address.ts';
import type { Logger } from '../../core/log.ts';
import type { ListenerConfigOf } from './config.ts';
import { Door } from './door.ts';
import type { Accept, Listener, ListenerDeps } from './listener.ts';
import { arrivalOf, closed, listen, socketOptions } from './listening.ts';

/** MQTT over TCP. */
export class TcpListener implements Listener {
  readonly name: string;
  private readonly config: ListenerConfigOf<'tcp'>;
  private readonly door: Door;
  private readonly log: Logger;
  private readonly server: Server;
  private accept: Accept = (stream) => stream.destroy();

  constructor(config: ListenerConfigOf<'tcp'>, deps: ListenerDeps) {
    this.name = `tcp ${config.address}`;
    this.config = config;
    this.door = new Door(this.name, config, deps);
    this.log = deps.log.child('broker');
    this.server = createServer(socketOptions, (socket) => {
      if (this.door.take(socket)) this.accept(socket, this.door.peer(socket, arrivalOf(socket)));
    });
  }

  async start(accept: Accept): Promise<void> {
    this.accept = accept;
    await listen(this.server, splitHostPort(this.config.address), this.name, this.log);
  }

  async stop(): Promise<void> {
    await Promise.all([closed(this.server), this.door.close()]);
  }
}

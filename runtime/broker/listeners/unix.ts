import { chmodSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import type { Logger } from '../../core/log.ts';
import { removeStaleSocket } from '../../core/stale-socket.ts';
import type { ListenerConfigOf } from './config.ts';
import { Door } from './door.ts';
import type { Accept, Listener, ListenerDeps } from './listener.ts';
import { closed, listen } from './listening.ts';

/** MQTT over a unix socket: who may connect is decided by the file's mode and owner. */
export class UnixListener implements Listener {
  readonly name: string;
  private readonly config: ListenerConfigOf<'unix'>;
  private readonly door: Door;
  private readonly log: Logger;
  private readonly server: Server;
  private accept: Accept = (stream) => stream.destroy();

  constructor(config: ListenerConfigOf<'unix'>, deps: ListenerDeps) {
    const address = `unix:${config.path}`;
    this.name = `unix ${config.path}`;
    this.config = config;
    this.door = new Door(this.name, config, deps);
    this.log = deps.log.child('broker');
    this.server = createServer((socket) => {
      if (this.door.take(socket)) this.accept(socket, this.door.peer(socket, { address, local: true }));
    });
  }

  async start(accept: Accept): Promise<void> {
    const { path, mode } = this.config;
    this.accept = accept;
    if (await removeStaleSocket(path, `MQTT ${this.name}`))
      this.log.info('the socket of a process that is gone is replaced', { listener: this.name });
    await listen(this.server, { path }, this.name, this.log);
    chmodSync(path, Number.parseInt(mode, 8));
  }

  /** The socket's file goes with the server. */
  async stop(): Promise<void> {
    await Promise.all([closed(this.server), this.door.close()]);
  }
}

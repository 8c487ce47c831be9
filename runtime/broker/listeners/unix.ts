import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { EdgeError, errorCode } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { ListenerConfigOf } from './config.ts';
import { Door } from './door.ts';
import type { Accept, Listener, ListenerDeps } from './listener.ts';
import { closed, listen } from './listening.ts';

/** How long a process that holds the socket may take to answer before it counts as there. */
const ANSWER_MS = 2000;

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
    await this.clear();
    await listen(this.server, { path }, this.name, this.log);
    chmodSync(path, Number.parseInt(mode, 8));
  }

  /** The socket's file goes with the server. */
  async stop(): Promise<void> {
    await Promise.all([closed(this.server), this.door.close()]);
  }

  /** Removes the socket of a process that ended without doing so; anything else at the path stays. */
  private async clear(): Promise<void> {
    const { path } = this.config;
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!found) return;
    if (!found.isSocket()) {
      throw new EdgeError('PORT_UNUSABLE', {
        detail: `MQTT ${this.name}: a file that is no socket is there`,
      });
    }
    if (await isAnswered(path)) throw new EdgeError('PORT_TAKEN', { detail: `MQTT ${this.name}` });
    this.log.info('the socket of a process that is gone is replaced', { listener: this.name });
    unlinkSync(path);
  }
}

/** True unless it is certain that nobody listens on the socket. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const end = (answered: boolean): void => {
      probe.destroy();
      resolve(answered);
    };
    probe.setTimeout(ANSWER_MS, () => end(true));
    probe.once('connect', () => end(true));
    probe.once('error', (error) => end(errorCode(error) !== 'ECONNREFUSED'));
  });
}

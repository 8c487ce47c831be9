import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { splitHostPort } from '../../core/address.ts';
import type { Clock, Timer } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { seconds } from '../../core/units.ts';
import type { ListenerConfigOf } from './config.ts';
import { Door } from './door.ts';
import type { Accept, Listener, ListenerDeps } from './listener.ts';
import { arrivalOf, closed, listen, socketOptions } from './listening.ts';
import { readTlsFiles, type TlsMaterial, versionOf } from './tls-files.ts';

/** How often the files are looked at. They are asked for, as notifications of the kernel miss network file systems and
 * the renamed folders that Kubernetes mounts. */
const LOOK = seconds(5);
const HANDSHAKE = seconds(10);
const minVersion = 'TLSv1.2';

/** MQTT over TLS, with certificates of clients when the configuration names their CA. */
export class TlsListener implements Listener {
  readonly name: string;
  private readonly config: ListenerConfigOf<'tls'>;
  private readonly door: Door;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly server: Server;
  /** Sockets by connection: Node tells of a finished handshake without saying on which socket it was. */
  private readonly sockets = new Map<string, Socket>();
  private tls: TlsServer | undefined;
  private looking: Timer | undefined;
  private seen = '';
  private used = '';
  private accept: Accept = (stream) => stream.destroy();

  constructor(config: ListenerConfigOf<'tls'>, deps: ListenerDeps) {
    this.name = `tls ${config.address}`;
    this.config = config;
    this.door = new Door(this.name, config, deps);
    this.clock = deps.clock;
    this.log = deps.log.child('broker');
    // The door stands before the handshake, which is what costs.
    this.server = createServer(socketOptions, (socket) => {
      if (this.door.take(socket)) this.shakeHands(socket);
    });
  }

  async start(accept: Accept): Promise<void> {
    this.accept = accept;
    this.used = await versionOf(this.config);
    this.seen = this.used;
    this.tls = this.createTls(await readTlsFiles(this.config));
    await listen(this.server, splitHostPort(this.config.address), this.name, this.log);
    this.looking = this.clock.every(LOOK, () => void this.look());
  }

  async reload(): Promise<void> {
    this.used = await versionOf(this.config);
    try {
      this.tls?.setSecureContext({ ...(await readTlsFiles(this.config)), minVersion });
      this.log.info('the certificate files of a listener are in use', { listener: this.name });
    } catch (error) {
      this.log.error('the certificate before stays in use', { listener: this.name, error });
    }
  }

  async stop(): Promise<void> {
    this.looking?.cancel();
    await Promise.all([closed(this.server), this.door.close()]);
  }

  /** Files are changed one after the other: they are read when they have rested from one look to the next. */
  private async look(): Promise<void> {
    const version = await versionOf(this.config);
    const rests = version === this.seen;
    this.seen = version;
    if (rests && version !== this.used) await this.reload();
  }

  private createTls(material: TlsMaterial): TlsServer {
    const tls = createTlsServer({
      ...material,
      minVersion,
      handshakeTimeout: HANDSHAKE,
      requestCert: this.config.tlsCaFile !== undefined,
      // Whom to refuse is decided after the handshake, where the reason can be told.
      rejectUnauthorized: false,
    });
    tls.on('secureConnection', (socket) => this.secured(socket));
    tls.on('tlsClientError', (error, socket) => {
      this.log.debug('a TLS handshake failed', () => ({ listener: this.name, reason: errorText(error) }));
      socket.destroy();
    });
    return tls;
  }

  private shakeHands(socket: Socket): void {
    const key = keyOf(socket);
    if (key === undefined) return void socket.destroy();
    this.sockets.set(key, socket);
    socket.once('close', () => {
      if (this.sockets.get(key) === socket) this.sockets.delete(key);
    });
    this.tls?.emit('connection', socket);
  }

  private secured(stream: TLSSocket): void {
    const socket = this.sockets.get(keyOf(stream) ?? '');
    const refusal = this.refusal(stream);
    if (refusal !== undefined) {
      const peer = stream.remoteAddress;
      this.log.warn('a TLS client is refused', { listener: this.name, peer, reason: refusal });
    }
    if (!socket || refusal !== undefined) return void stream.destroy();
    const certificateName = stream.authorized ? commonNameOf(stream) : undefined;
    const arrival = { ...arrivalOf(stream), ...(certificateName === undefined ? {} : { certificateName }) };
    this.accept(stream, this.door.peer(socket, arrival));
  }

  /** Whoever shows a certificate must show a good one, also where none is required. */
  private refusal(stream: TLSSocket): string | undefined {
    if (this.config.tlsCaFile === undefined) return undefined;
    const shown = Object.keys(stream.getPeerCertificate()).length > 0;
    if (!shown) return this.config.requireCertificate ? 'it shows no certificate' : undefined;
    if (!stream.authorized) return `its certificate is not trusted: ${stream.authorizationError}`;
    return commonNameOf(stream) === undefined ? 'its certificate has not one common name' : undefined;
  }
}

/** Both ends of a connection; undefined when the client has gone already. */
function keyOf({ remoteAddress, remotePort, localAddress }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort} ${localAddress}`;
}

/** Node gives a list when a certificate has several, although its types do not say so. */
function commonNameOf(stream: TLSSocket): string | undefined {
  const name: unknown = stream.getPeerCertificate().subject?.CN;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

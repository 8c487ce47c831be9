import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { errorText } from '../../core/errors.ts';
import type { MetricSource } from '../../core/metrics.ts';
import { listenUnix } from '../../wire/unix-socket.ts';
import type { DmiManager, DmiManagerDeps } from './manager.ts';
import { ROW_TYPE } from './registration.ts';

export type DmiDeps = DmiManagerDeps & {
  readonly metrics: MetricSource;
  /** `modules.deviceTwin.dmiSockPath`. */
  readonly sockPath: string;
};

/** Root and its group: whoever may register can have the devices of any protocol that nobody serves. */
const MODE = 0o660;

/** The socket that mappers register at. What it takes to serve them is loaded when the first one comes. */
export class Dmi {
  readonly name = 'dmi';
  private readonly deps: DmiDeps;
  private readonly server: Server;
  private manager: DmiManager | undefined;
  private loading: Promise<DmiManager> | undefined;
  private stopped = false;

  constructor(deps: DmiDeps) {
    const { metrics } = deps;
    this.deps = { ...deps, log: deps.log.child('dmi') };
    this.server = createServer((socket) => {
      socket.on('error', () => {});
      void this.load().then(({ server }) => server.accept(socket));
    });
    for (const connected of [true, false])
      metrics.gauge(
        'edgecore_dmi_mappers',
        'Mappers in processes of their own.',
        () => this.manager?.count(connected) ?? 0,
        { state: connected ? 'connected' : 'away' },
      );
  }

  /** Boot does not depend on it: without its socket only mappers that would register are missing. */
  async start(): Promise<void> {
    const { log, store, sockPath } = this.deps;
    if (store.meta.list(ROW_TYPE).length > 0) (await this.load()).restore();
    const path = socketOf(sockPath);
    try {
      mkdirSync(dirname(path), { recursive: true });
      await listenUnix(this.server, 'DMI', path, MODE);
    } catch (error) {
      log.warn('mappers cannot register: modules.deviceTwin.dmiSockPath cannot be used', {
        path,
        reason: errorText(error),
      });
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.loading;
    const closed = new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
    this.manager?.stop();
    await closed;
  }

  /** The mapper that has registered for a protocol, and answers. */
  mapperFor(protocol: string): string | undefined {
    return this.manager?.mapperFor(protocol);
  }

  private load(): Promise<DmiManager> {
    this.loading ??= import('./manager.ts').then((module) => {
      this.manager = new module.DmiManager(this.deps);
      if (this.stopped) this.manager.stop();
      return this.manager;
    });
    return this.loading;
  }
}

/** A value that ends with `.sock` means its folder, as in KubeEdge.
 * @source KubeEdge dmiserver StartDMIServer */
export function socketOf(sockPath: string): string {
  const folder = sockPath.endsWith('.sock') ? dirname(sockPath) : sockPath;
  return join(folder || '/etc/kubeedge', 'dmi.sock');
}

import { splitHostPort } from '../core/address.ts';
import type { Logger } from '../core/log.ts';
import type { HttpHandler, HttpServer } from '../wire/http/http.ts';
import type { DeviceApiConfig } from './config.ts';
import { MapperApi, type MapperApiDeps } from './mapper-api.ts';

export type DeviceApiDeps = MapperApiDeps & {
  readonly config: DeviceApiConfig;
  readonly log: Logger;
  readonly openServer: (handler: HttpHandler) => Pick<HttpServer, 'port' | 'start' | 'stop'>;
};

/** Serves {@link MapperApi} where the configuration says. */
export class DeviceApi {
  readonly name = 'deviceapi';
  private readonly deps: DeviceApiDeps;
  private readonly server: Pick<HttpServer, 'port' | 'start' | 'stop'>;

  constructor(deps: DeviceApiDeps) {
    this.deps = deps;
    const api = new MapperApi(deps);
    this.server = deps.openServer((request) => api.answer(request));
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  async start(): Promise<void> {
    const { config, log } = this.deps;
    const address = splitHostPort(config.address);
    await this.server.start(address);
    if (!/^(127\.|::1$|localhost$)/.test(address.host))
      log.warn('devices can be read and written from the network, without a password', {
        address: config.address,
      });
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }
}

import type { Timer } from '../../../core/clock.ts';
import { EdgeError } from '../../../core/errors.ts';
import { seconds } from '../../../core/units.ts';
import type { ApiServer, ServingPair } from '../api-server.ts';
import { providePodAddress } from './pod-address.ts';
import { ServingCertificate, type ServingCertificateDeps } from './serving-certificate.ts';

export type SecureListenersDeps = Omit<ServingCertificateDeps, 'addresses'> & { readonly server: ApiServer };

/** How often the certificate's age is looked at. */
const LOOK = seconds(3600);

/** Opens the local API with TLS as soon as there is a certificate, and renews that in time. */
export class SecureListeners {
  port = 0;
  private readonly deps: SecureListenersDeps;
  private readonly certificate: ServingCertificate;
  private readonly abort = new AbortController();
  private pair: ServingPair | undefined;
  private asking: Promise<void> | undefined;
  private timer: Timer | undefined;

  constructor(deps: SecureListenersDeps) {
    const { server, dummyServer } = deps.config;
    this.deps = deps;
    this.certificate = new ServingCertificate({ ...deps, addresses: [hostOf(server), hostOf(dummyServer)] });
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  async start(): Promise<void> {
    const stored = this.certificate.load();
    if (stored) await this.open(stored);
    else this.deps.log.info('the local API waits for its certificate');
    this.timer = this.deps.clock.every(LOOK, () => this.online());
  }

  /** The link is up: a certificate can be had. */
  online(): void {
    const { pair } = this;
    if (!this.deps.link.online || (pair && !this.certificate.isOld(pair))) return;
    this.asking ??= this.renew()
      .catch((error: unknown) => this.deps.log.error('the local API could not be opened', { error }))
      .finally(() => {
        this.asking = undefined;
      });
  }

  async stop(): Promise<void> {
    this.abort.abort();
    this.timer?.cancel();
    await this.asking;
  }

  private async renew(): Promise<void> {
    const fresh = await this.certificate.obtain(this.abort.signal);
    if (!fresh || this.abort.signal.aborted) return;
    if (!this.pair) return this.open(fresh);
    this.pair = fresh;
    this.deps.server.renew(fresh);
  }

  private async open(pair: ServingPair): Promise<void> {
    const { server, config, log } = this.deps;
    this.pair = pair;
    this.port = await server.listen(config.server, pair);
    try {
      await providePodAddress(hostOf(config.dummyServer));
      await server.listen(config.dummyServer, pair);
    } catch (error) {
      // Pods do without; everybody else is served.
      if (!(error instanceof EdgeError)) throw error;
      log.error('pods cannot reach the local API', { error });
    }
  }
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

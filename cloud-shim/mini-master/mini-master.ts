import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../../runtime/core/clock.ts';
import { errorCode, errorText } from '../../runtime/core/errors.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { seconds } from '../../runtime/core/units.ts';
import { admitPod } from './admission/pods.ts';
import { Objects } from './api/objects.ts';
import { ApiServer } from './api/server.ts';
import { type Credentials, loadCredentials, writeSecret } from './auth/authority.ts';
import { adminKubeconfig } from './auth/kubeconfig.ts';
import { TokenSigner } from './auth/tokens.ts';
import { Controllers } from './controllers/controllers.ts';
import { Registry } from './kinds/registry.ts';
import { Store, type StoreContent } from './store/store.ts';

export type MiniMasterDeps = {
  /** Where keys, kubeconfig and the objects are kept. */
  readonly stateDir: string;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly clock: Clock;
  readonly log: Logger;
};

const HISTORY = 1000;
const SAVE_AFTER = seconds(1);

/** A small Kubernetes API in memory, for trying things out and for tests. Never for production: whoever has a
 * credential may do everything, and a crash loses the last second. */
export class MiniMaster {
  private readonly deps: MiniMasterDeps;
  private store = new Store({ revision: 1, objects: {} }, HISTORY);
  private server: ApiServer | undefined;
  private controllers: Controllers | undefined;
  private unwatch: (() => void) | undefined;
  private saving: Timer | undefined;
  private saved = '';

  constructor(deps: MiniMasterDeps) {
    this.deps = deps;
  }

  get kubeconfigPath(): string {
    return join(this.deps.stateDir, 'kubeconfig');
  }

  /** `https://HOST:PORT`, once started. */
  get url(): string {
    const { host } = this.deps;
    return `https://${host.includes(':') ? `[${host}]` : host}:${this.server?.port ?? 0}`;
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  async start(): Promise<void> {
    const { stateDir, host, port, clock } = this.deps;
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    const credentials = await loadCredentials(
      stateDir,
      [host, 'localhost', '127.0.0.1', 'kubernetes.default.svc'],
      clock.now(),
    );
    this.store = new Store(await this.load(), HISTORY);
    const server = this.build(credentials);
    await server.start(host, port);
    this.controllers?.start();
    this.unwatch = this.store.watch(undefined, () => {
      this.saving ??= clock.after(SAVE_AFTER, () => void this.save());
    });
    await writeSecret(this.kubeconfigPath, adminKubeconfig(this.url, credentials));
    await this.save();
  }

  async stop(): Promise<void> {
    this.controllers?.stop();
    this.unwatch?.();
    await this.server?.stop();
    if (this.server) await this.save();
  }

  private build(credentials: Credentials): ApiServer {
    const { clock, log } = this.deps;
    const { store } = this;
    const registry = new Registry(store);
    const objects = new Objects({
      store,
      registry,
      clock,
      admit: (...request) => admitPod(store, ...request),
    });
    const signer = new TokenSigner(credentials.tokenKey);
    this.controllers = new Controllers({ objects, registry, clock, log, caCert: credentials.ca.cert });
    this.server = new ApiServer({ objects, registry, signer, credentials, clock, log });
    return this.server;
  }

  private async load(): Promise<StoreContent> {
    try {
      return JSON.parse(await readFile(this.file, 'utf8')) as StoreContent;
    } catch (error) {
      if (errorCode(error) !== 'ENOENT')
        this.deps.log.warn('the kept objects cannot be read: starting empty', { reason: errorText(error) });
      return { revision: 1, objects: {} };
    }
  }

  private async save(): Promise<void> {
    this.saving?.cancel();
    this.saving = undefined;
    const text = JSON.stringify(this.store.content());
    const hash = createHash('sha256').update(text).digest('hex');
    if (hash === this.saved) return;
    this.saved = hash;
    await writeSecret(this.file, text).catch((error) => {
      this.deps.log.warn('the objects could not be kept', { reason: errorText(error) });
    });
  }

  private get file(): string {
    return join(this.deps.stateDir, 'objects.json');
  }
}

import type { Clock, Timer } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import { seconds } from '../../core/units.ts';
import type { Application, ApplicationRequest } from './application.ts';
import type { CloudApi } from './cloud-api.ts';
import { Refusal } from './refusal.ts';

/** What a watch follows. */
export type Followed = {
  readonly request: Omit<ApplicationRequest, 'node' | 'verb'>;
  /** Brings what is held up to date with the cloud, deletions included. */
  readonly refresh: () => Promise<void>;
};

type Open = {
  readonly application: Application;
  readonly followed: Followed;
  /** Rejects with the cluster's refusal. */
  readonly asked: Promise<void>;
  users: number;
};

const MOST_WATCHES = 64;
/** A watch that the cloud did not open, though there is a link, is asked for again after this long. */
const RETRY = seconds(30);

/** The watches that the cloud serves for this node; what clients watch alike is watched there once.
 * @source KubeEdge edge/pkg/metamanager/metaserver, watchapp/sync */
export class CloudWatches {
  private readonly cloud: CloudApi;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly open = new Map<string, Open>();
  /** The cloud does not know of a watch that ended. */
  private stale = false;
  private retry: Timer | undefined;
  private stopped = false;

  constructor(deps: { cloud: CloudApi; clock: Clock; log: Logger }) {
    this.cloud = deps.cloud;
    this.clock = deps.clock;
    this.log = deps.log;
  }

  /** Follows a collection until the returned function is called. Resolves when the cloud has agreed, or is away:
   * then it is asked when it is back. Throws the cluster's refusal. */
  async follow(followed: Followed): Promise<() => void> {
    const application = this.cloud.application({ ...followed.request, verb: 'watch' });
    const { ID } = application;
    const known = this.open.get(ID);
    if (known) known.users++;
    // Beyond that a watch sees what comes here anyway.
    else if (this.open.size >= MOST_WATCHES) return () => {};
    const asked = known?.asked ?? this.ask(application);
    if (!known) this.open.set(ID, { application, followed, asked, users: 1 });
    await asked;
    return this.releaser(ID);
  }

  /** The link came up: the cloud has forgotten the watches, or missed that they ended. */
  async reconnected(): Promise<void> {
    this.retry?.cancel();
    this.retry = undefined;
    if (this.open.size === 0 && !this.stale) return;
    await this.sync();
    await Promise.all([...this.open.values()].map(({ followed }) => followed.refresh()));
  }

  stop(): void {
    this.stopped = true;
    this.retry?.cancel();
    this.open.clear();
  }

  private async ask(application: Application): Promise<void> {
    const verdict = this.cloud.silent ? undefined : await this.cloud.send(application);
    if (verdict?.kind === 'rejected' && verdict.status.code < 500) {
      this.open.delete(application.ID);
      throw new Refusal(verdict.status);
    }
    if (verdict?.kind !== 'approved') this.askAgain();
  }

  private releaser(id: string): () => void {
    let held = true;
    return () => {
      const open = this.open.get(id);
      if (!held || !open) return;
      held = false;
      open.users--;
      if (open.users > 0) return;
      this.open.delete(id);
      void this.sync();
    };
  }

  private async sync(): Promise<void> {
    const failed = await this.cloud.sync(
      new Map([...this.open].map(([id, { application }]) => [id, application])),
    );
    this.stale = failed === undefined;
    for (const id of failed ?? []) {
      const open = this.open.get(id);
      if (open) this.log.warn('the cloud does not watch for this node', { resource: open.application.Key });
    }
    if (failed === undefined || failed.length > 0) this.askAgain();
  }

  /** Without a link there is nothing to wait for: it will be told when it is back. */
  private askAgain(): void {
    if (!this.cloud.online || this.stopped) return;
    this.retry ??= this.clock.after(RETRY, () => void this.reconnected());
  }
}

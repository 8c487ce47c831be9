import type { Logger } from '../../core/log.ts';
import type { Application, ApplicationRequest } from './application.ts';
import type { CloudApi } from './cloud-api.ts';

/** What a watch follows. */
export type Followed = {
  readonly request: Omit<ApplicationRequest, 'node' | 'verb'>;
  /** Brings what is held up to date with the cloud, deletions included. */
  readonly refresh: () => Promise<void>;
};

type Open = { readonly application: Application; readonly followed: Followed; users: number };

const MOST_WATCHES = 64;

/** The watches that the cloud serves for this node; what clients watch alike is watched there once.
 * @source KubeEdge edge/pkg/metamanager/metaserver, watchapp/sync */
export class CloudWatches {
  private readonly cloud: CloudApi;
  private readonly log: Logger;
  private readonly open = new Map<string, Open>();
  /** The cloud does not know of a watch that ended. */
  private stale = false;

  constructor(deps: { cloud: CloudApi; log: Logger }) {
    this.cloud = deps.cloud;
    this.log = deps.log;
  }

  /** Follows a collection until the returned function is called. Resolves when the cloud has agreed, or is away:
   * then it is asked when it is back. */
  async follow(followed: Followed): Promise<() => void> {
    const application = this.cloud.application({ ...followed.request, verb: 'watch' });
    const { ID } = application;
    const known = this.open.get(ID);
    if (known) {
      known.users++;
      return this.releaser(ID);
    }
    // Beyond that a watch sees what comes here anyway.
    if (this.open.size >= MOST_WATCHES) return () => {};
    this.open.set(ID, { application, followed, users: 1 });
    const verdict = await this.cloud.send(application);
    if (verdict.kind === 'rejected') this.rejected(ID, verdict.status.message);
    return this.releaser(ID);
  }

  /** The link came up: the cloud has forgotten the watches, or missed that they ended. */
  async reconnected(): Promise<void> {
    if (this.open.size === 0 && !this.stale) return;
    await this.sync();
    await Promise.all([...this.open.values()].map(({ followed }) => followed.refresh()));
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
    for (const id of failed ?? []) this.rejected(id, 'it could not be opened again');
  }

  private rejected(id: string, reason: string): void {
    const open = this.open.get(id);
    if (open)
      this.log.warn('the cloud does not watch for this node', { resource: open.application.Key, reason });
  }
}

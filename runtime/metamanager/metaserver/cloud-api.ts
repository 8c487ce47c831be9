import type { Clock } from '../../core/clock.ts';
import { errorCode, errorText } from '../../core/errors.ts';
import type { MessageDraft } from '../../core/message.ts';
import { seconds } from '../../core/units.ts';
import type { CloudLink } from '../remote.ts';
import {
  type Application,
  type ApplicationRequest,
  newApplication,
  parseVerdict,
  type Verdict,
} from './application.ts';

const TIMEOUT = seconds(10);
/** A cloud that left a request unanswered is not asked again for this long: reads are served from here at once. */
const SILENCE = seconds(30);

const draft = (resource: string, content: unknown): MessageDraft => ({
  source: 'metaserver',
  group: 'dynamiccontroller',
  operation: 'null',
  resource,
  content,
});

export type CloudApiDeps = { readonly link: CloudLink; readonly node: string; readonly clock: Clock };

/** The API server, asked through the cloud link.
 * @source KubeEdge edge/pkg/metamanager/metaserver/application Agent */
export class CloudApi {
  private readonly deps: CloudApiDeps;
  private silentUntil = 0;

  constructor(deps: CloudApiDeps) {
    this.deps = deps;
  }

  get online(): boolean {
    return this.deps.link.online;
  }

  /** It left a request unanswered just now. */
  get silent(): boolean {
    return this.deps.clock.monotonic() < this.silentUntil;
  }

  application(request: Omit<ApplicationRequest, 'node'>): Application {
    return newApplication({ ...request, node: this.deps.node });
  }

  /** Asks for what this node may answer itself. */
  async read(request: Omit<ApplicationRequest, 'node'>): Promise<Verdict> {
    if (this.silent) return { kind: 'away', why: 'the cloud did not answer' };
    const verdict = await this.send(this.application(request));
    // An API server that is down is as good as none.
    if (verdict.kind === 'rejected' && verdict.status.code >= 500 && verdict.status.code !== 501)
      return { kind: 'away', why: verdict.status.message };
    return verdict;
  }

  /** Asks for what only the cloud can do. */
  write(request: Omit<ApplicationRequest, 'node'>): Promise<Verdict> {
    return this.send(this.application(request));
  }

  async send(application: Application): Promise<Verdict> {
    const { link, clock } = this.deps;
    try {
      const reply = await link.request(draft('null', application), TIMEOUT);
      this.silentUntil = 0;
      return parseVerdict(reply.content);
    } catch (error) {
      if (errorCode(error) === 'LINK_TIMEOUT') this.silentUntil = clock.monotonic() + SILENCE;
      return { kind: 'away', why: errorText(error) };
    }
  }

  /** Tells which watches are live.
   * @returns the IDs of those that the cloud could not open; undefined when it did not answer */
  async sync(watches: ReadonlyMap<string, Application>): Promise<string[] | undefined> {
    const { link } = this.deps;
    try {
      const reply = await link.request(draft('watchapp/sync', Object.fromEntries(watches)), TIMEOUT);
      return typeof reply.content === 'object' ? Object.keys(reply.content ?? {}) : [];
    } catch {
      return undefined;
    }
  }

  /** The link came up: whoever was silent may answer now. */
  reconnected(): void {
    this.silentUntil = 0;
  }
}

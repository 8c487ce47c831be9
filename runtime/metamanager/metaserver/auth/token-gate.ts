import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../../core/clock.ts';
import { isRecord } from '../../../core/message.ts';
import type { MetaServerConfig } from '../../config.ts';
import { parseApiPath } from '../api-path.ts';
import type { Gate } from '../api-server.ts';
import { isTrue } from '../call.ts';
import { Documents } from '../documents.ts';
import type { KeptObjects } from '../metaserver.ts';
import { refusal } from '../refusal.ts';
import { attributesOf, isAllowed } from './rules.ts';
import { checkToken, readKeys, type TokenRules, type TokenSubject } from './token.ts';

export type TokenGateDeps = {
  readonly config: MetaServerConfig;
  /** The node's own objects. */
  readonly kept: KeptObjects;
  readonly clock: Clock;
};

/** Lets service accounts in with what the cluster allows them, decided here, with what this node was told.
 * Who has no token may read discovery.
 * @source KubeEdge edge/pkg/metamanager/metaserver/auth */
export class TokenGate implements Gate {
  private readonly deps: TokenGateDeps;
  private readonly rules: TokenRules;

  /** @throws Error when a file of keys cannot be read */
  constructor(deps: TokenGateDeps) {
    const { serviceAccountIssuers, apiAudiences, serviceAccountKeyFiles } = deps.config;
    this.deps = deps;
    this.rules = {
      issuers: serviceAccountIssuers,
      audiences: apiAudiences.length > 0 ? apiAudiences : serviceAccountIssuers,
      keys: readKeys(serviceAccountKeyFiles),
      isKnown: (token) => this.objects('serviceaccounttoken').some((kept) => kept.token === token),
    };
  }

  check(request: IncomingMessage, url: URL): void {
    const discovery = request.method === 'GET' && Documents.has(url.pathname);
    const [, token] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    if (!token && !request.headers.authorization && discovery) return;
    const subject = this.authenticate(token ?? '');
    const path = discovery ? undefined : parseApiPath(url.pathname);
    // A path that is none is refused as such.
    if (!path) return;
    const asked = attributesOf(request.method ?? '', path, isTrue(url.searchParams.get('watch')));
    if (this.access(subject).some((spec) => isAllowed(spec, asked))) return;
    const user = `system:serviceaccount:${subject.namespace}:${subject.account}`;
    const where = path.namespace ? ` in the namespace "${path.namespace}"` : ' at the cluster scope';
    const what = `resource "${path.plural}" in API group "${path.group}"${where}`;
    throw refusal(
      403,
      'Forbidden',
      `${path.plural} is forbidden: User "${user}" cannot ${asked.verb} ${what}`,
    );
  }

  private authenticate(token: string): TokenSubject {
    const subject = checkToken(token, this.rules, this.deps.clock.now());
    if ('refused' in subject)
      throw refusal(401, 'Unauthorized', `the token does not count: ${subject.refused}`);
    const { bound, namespace } = subject;
    if (!bound) return subject;
    const lives = this.objects(bound.type).some(
      ({ metadata }) =>
        isRecord(metadata) &&
        metadata.namespace === namespace &&
        metadata.name === bound.name &&
        metadata.uid === bound.uid,
    );
    if (!lives)
      throw refusal(401, 'Unauthorized', `the token is of a ${bound.type} that is not here any more`);
    return subject;
  }

  /** What the cluster has said of the account. */
  private access({ namespace, account, accountUid }: TokenSubject): unknown[] {
    return this.objects('serviceaccountaccess').flatMap(({ metadata, spec }) => {
      if (!isRecord(metadata) || metadata.namespace !== namespace || !isRecord(spec)) return [];
      const { serviceAccount, serviceAccountUid } = spec;
      const owner =
        isRecord(serviceAccount) && isRecord(serviceAccount.metadata) ? serviceAccount.metadata : {};
      const name = typeof serviceAccount === 'string' ? serviceAccount : owner.name;
      const uid = serviceAccountUid ?? owner.uid;
      return name === account && (!uid || uid === accountUid) ? [spec] : [];
    });
  }

  private objects(type: string): Record<string, unknown>[] {
    return this.deps.kept
      .list(type)
      .map(({ value }): unknown => JSON.parse(value))
      .filter(isRecord);
  }
}

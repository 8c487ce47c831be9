import type { Identity } from '../auth.ts';
import { matchesNames } from '../topics.ts';
import type { Acl, AclRule } from './acl-file.ts';
import { leastMatchedTopics, overlapOf } from './filter-overlap.ts';

/** Topic filters, by what they are for. */
type Stage = Readonly<Record<'deny' | 'read' | 'write', readonly (readonly string[])[]>>;

const nothing: Stage = { deny: [], read: [], write: [] };

/** What one client may do under an ACL file: first its own rules decide, then the patterns; within each, `deny` goes
 * first, and what none speaks of is refused.
 * @source mosquitto security_default.c mosquitto_acl_check_default @2.0.11 */
export class Rights {
  private readonly stages: readonly Stage[];
  private readonly longest: number;

  constructor(acl: Acl, identity: Identity) {
    const own = identity.username === undefined ? acl.anonymous : acl.users.get(identity.username);
    this.stages = [stageOf(own ?? []), patternsFor(acl.patterns, identity)];
    const filters = this.stages.flatMap(({ deny, read, write }) => [...deny, ...read, ...write]);
    this.longest = filters.reduce((most, { length }) => Math.max(most, length), 0);
  }

  mayPublish(topic: string): boolean {
    return this.allows('write', topic);
  }

  mayRead(topic: string): boolean {
    return this.allows('read', topic);
  }

  /** Whether there is a topic that `filter` matches and that may be read.
   * Differs: mosquitto accepts every subscription and delivers nothing. */
  mayReadSome(filter: string): boolean {
    const levels = filter.split('/');
    return this.stages.some(({ read }) =>
      read.some((granted) => {
        const both = overlapOf(levels, granted);
        return both && leastMatchedTopics(both, this.longest + 1).some((topic) => this.mayRead(topic));
      }),
    );
  }

  private allows(access: 'read' | 'write', topic: string): boolean {
    const names = topic.split('/');
    for (const stage of this.stages) {
      if (matchesOne(stage.deny, names)) return false;
      if (matchesOne(stage[access], names)) return true;
    }
    return false;
  }
}

function matchesOne(filters: readonly (readonly string[])[], names: readonly string[]): boolean {
  return filters.some((filter) => matchesNames(filter, names));
}

function stageOf(rules: readonly AclRule[]): Stage {
  const filters = (...access: AclRule['access'][]) =>
    rules.filter((rule) => access.includes(rule.access)).map(({ filter }) => filter.split('/'));
  return {
    deny: filters('deny'),
    read: filters('read', 'readwrite'),
    write: filters('write', 'readwrite'),
  };
}

/** The patterns with the client's names put in. A name with a wildcard in it would widen them (CVE-2017-7650): such a
 * client gets nothing from patterns. One with `%u` is not for clients without a name. */
function patternsFor(patterns: readonly AclRule[], { clientId, username }: Identity): Stage {
  if (/[+#\0]/.test(`${clientId}${username ?? ''}`)) return nothing;
  const rules = patterns.filter(({ filter }) => username !== undefined || !filter.includes('%u'));
  const named = rules.map(({ access, filter }) => ({
    access,
    filter: filter.replace(/%[cu]/g, (name) => (name === '%c' ? clientId : (username ?? ''))),
  }));
  return stageOf(named);
}

import type { Clock } from '../../core/clock.ts';
import { EdgeError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Action, Authority, Credentials, Identity } from '../auth.ts';
import { type AccessFiles, type AccessRules, readAccessRules } from './access-rules.ts';
import { isPassword } from './password-file.ts';
import { Rights } from './rights.ts';
import { WatchedFile } from './watched-file.ts';

export type FileAuthorityDeps = {
  /** Made by mosquitto_passwd; undefined: nobody is asked for a password. */
  readonly passwordFile: string | undefined;
  /** Rules as in mosquitto's acl_file; undefined: whoever is in may do everything. */
  readonly aclFile: string | undefined;
  /** Whether clients without a name are let in, unless their listener says otherwise; undefined: local ones are, as long
   * as there is no password file. */
  readonly allowAnonymous: boolean | undefined;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Who may do what, by mosquitto's password and ACL files, which are read again when they change. */
export class FileAuthority implements Authority {
  readonly name = 'auth';
  private readonly allowAnonymous: boolean | undefined;
  private readonly log: Logger;
  private readonly files: AccessFiles;
  private readonly listeners = new Set<() => void>();
  private rules: AccessRules;
  private rights = new WeakMap<Identity, Rights>();

  /** @throws EdgeError MQTT_AUTH_FILE_INVALID with one fault a line */
  constructor({ passwordFile, aclFile, allowAnonymous, clock, log }: FileAuthorityDeps) {
    this.allowAnonymous = allowAnonymous;
    this.log = log.child(this.name);
    this.files = {
      passwords: passwordFile === undefined ? undefined : new WatchedFile(passwordFile, clock),
      acl: aclFile === undefined ? undefined : new WatchedFile(aclFile, clock),
    };
    const read = readAccessRules(this.files);
    if ('faults' in read) {
      const lines = read.faults.map(({ place, wrong }) => `  ${place}: ${wrong}`);
      throw new EdgeError('MQTT_AUTH_FILE_INVALID', { detail: `\n${lines.join('\n')}` });
    }
    this.rules = read.rules;
    if (!this.rules.users && this.rules.acl && this.rules.acl.users.size > 0)
      this.log.warn('the ACL file names users, and without a password file nobody proves to be one');
  }

  async start(): Promise<void> {
    for (const file of [this.files.passwords, this.files.acl]) file?.start(() => this.reload());
  }

  async stop(): Promise<void> {
    for (const file of [this.files.passwords, this.files.acl]) file?.stop();
  }

  /** Reads the files again; when one of them has a fault all rules stay as they are. Whoever is connected stays. */
  reload(): void {
    const read = readAccessRules(this.files);
    if ('faults' in read) {
      for (const { place, wrong } of read.faults) {
        this.log.error('the MQTT rules stay as they were: a file has a fault', {
          resource: place,
          reason: wrong,
        });
      }
      return;
    }
    this.rules = read.rules;
    this.rights = new WeakMap();
    this.log.info('the MQTT rules were read again', { users: this.rules.users?.size });
    for (const listener of this.listeners) listener();
  }

  /** @source mosquitto security_default.c mosquitto_unpwd_check_default, security.c mosquitto_unpwd_check @2.0.11.
   * Differs: mosquitto says of a wrong password too that the client is not authorised. */
  authenticate(credentials: Credentials): ReturnType<Authority['authenticate']> {
    const { clientId, username, password, peer } = credentials;
    // A verified certificate says who it is; what the client says beside it does not count.
    if (peer.certificateName !== undefined)
      return peer.certificateName === '' ? undefined : { clientId, username: peer.certificateName };
    const { users } = this.rules;
    if (users && username !== undefined) {
      const hash = users.get(username);
      return hash && password && isPassword(password, hash) ? { clientId, username } : 'bad-credentials';
    }
    const anonymous = peer.allowAnonymous ?? this.allowAnonymous ?? (peer.local && !users);
    return anonymous ? { clientId, username } : undefined;
  }

  authorize(identity: Identity, action: Action, topic: string): boolean {
    if (!this.rules.acl) return true;
    let rights = this.rights.get(identity);
    if (!rights) {
      rights = new Rights(this.rules.acl, identity);
      this.rights.set(identity, rights);
    }
    switch (action) {
      case 'publish':
        return rights.mayPublish(topic);
      case 'deliver':
        return rights.mayRead(topic);
      case 'subscribe':
        return rights.mayReadSome(topic);
      default:
        return action satisfies never;
    }
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

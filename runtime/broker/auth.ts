import type { Peer } from './peer.ts';

/** Who wants in. */
export type Credentials = {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly peer: Peer;
};

/** Who is in. */
export type Identity = {
  readonly clientId: string;
  /** Of the password file, or the certificate's common name; undefined for an anonymous client. */
  readonly username: string | undefined;
};

export type Action =
  /** PUBLISH to a topic, and the will's. */
  | 'publish'
  /** SUBSCRIBE to a filter: refused only when no topic that it matches may be read. */
  | 'subscribe'
  /** A message on this topic, about to be sent to a subscriber whose filter is wider than what it may read. */
  | 'deliver';

/** Decides who may connect and what they may do. Its answers may be remembered until it says that they changed. */
export interface Authority {
  /** @returns who it is; `bad-credentials` when the password is not the user's; undefined when it is not let in */
  authenticate(credentials: Credentials): Identity | 'bad-credentials' | undefined;
  /** @param topic a topic, or for `subscribe` a filter without `$share/<group>/` */
  authorize(identity: Identity, action: Action, topic: string): boolean;
  /** Calls back after its rules have changed; returns how to stop that. */
  onChange(listener: () => void): () => void;
}

/** Whether a client may publish to a topic; `$SYS` is the broker's own. [MQTT-4.7.2-1] */
export function mayPublish(authority: Authority, identity: Identity, topic: string): boolean {
  return !topic.startsWith('$SYS/') && authority.authorize(identity, 'publish', topic);
}

/** The rule without configuration: whoever is on this machine, or shows a certificate that a listener has verified,
 * may do everything, nobody else anything. */
export const localOnly: Authority = {
  authenticate: ({ clientId, username, peer }) => {
    if (peer.certificateName !== undefined) return { clientId, username: peer.certificateName };
    return (peer.allowAnonymous ?? peer.local) ? { clientId, username } : undefined;
  },
  authorize: () => true,
  onChange: () => () => {},
};

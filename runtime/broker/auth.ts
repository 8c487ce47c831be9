/** Who wants in. */
export type Credentials = {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  /** True when the connection comes from this machine: loopback or a unix socket. */
  readonly local: boolean;
};

/** Decides who may connect and what they may do. */
export interface Authority {
  authenticate(credentials: Credentials): boolean;
  authorize(
    clientId: string,
    username: string | undefined,
    action: 'publish' | 'subscribe',
    topic: string,
  ): boolean;
}

/** The rule without configuration: whoever is on this machine may do everything, nobody else anything. */
export const localOnly: Authority = {
  authenticate: ({ local }) => local,
  authorize: () => true,
};

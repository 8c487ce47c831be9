/** A join token: what it says of the CA, and what opens the door. */
export type JoinToken = {
  /** SHA-256 of the CA certificate's DER, lower-case hex. */
  readonly caHash: string;
  /** The bearer token of `/edge.crt`. */
  readonly jwt: string;
};

/** Splits `<hex sha256 of the CA>.<header>.<claims>.<signature>`.
 * @returns undefined when it has not that form
 * @source KubeEdge edge/pkg/edgehub/certificate, keadm gettoken */
export function parseJoinToken(token: string): JoinToken | undefined {
  const parts = token.trim().split('.');
  const [caHash, ...jwt] = parts;
  if (parts.length !== 4 || !caHash || !/^[0-9a-f]{64}$/i.test(caHash)) return undefined;
  return { caHash: caHash.toLowerCase(), jwt: jwt.join('.') };
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Whether a broker's address is the one that this node's own listens on.
 * @param address `tcp://127.0.0.1:1883`
 * @param own the same of this node, where 0.0.0.0 stands for all */
export function isOwnAddress(address: string, own: string): boolean {
  const [theirs, ours] = [parse(address), parse(own)];
  if (!theirs || !ours || theirs.port !== ours.port) return false;
  const isAny = ours.host === '0.0.0.0' || ours.host === '[::]';
  if (LOOPBACK.test(theirs.host)) return isAny || LOOPBACK.test(ours.host);
  return theirs.host === ours.host;
}

function parse(address: string): { host: string; port: string } | undefined {
  const match = /^(?:tcp|mqtt):\/\/(.+?)(?::(\d+))?$/.exec(address);
  return match ? { host: match[1] ?? '', port: match[2] ?? '1883' } : undefined;
}

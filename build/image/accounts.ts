/** Ids of the users and groups that packages leave to the machine. Files on the state partition belong to numbers, so
 * a name keeps its number in every image that is ever made. */
const fixedIds: Readonly<Record<string, number>> = {
  'systemd-journal': 999,
  'systemd-network': 998,
  'systemd-resolve': 997,
  'systemd-timesync': 996,
  input: 995,
  sgx: 994,
  clock: 993,
  kvm: 992,
  render: 991,
  messagebus: 990,
  sshd: 989,
  edgecore: 988,
  netdev: 987,
  polkitd: 986,
};

export type Accounts = { readonly passwd: string; readonly group: string; readonly shadow: string };

type User = { uid: number; gid: number | string; comment: string; home: string; shell: string };

/** Users and groups as `sysusers.d` files ask for them. Nobody has a password.
 * @param lines of all files
 * @throws Error for a name without a number in `fixedIds`
 * @source sysusers.d(5) */
export function accountsOf(lines: readonly string[]): Accounts {
  const users = new Map<string, User>();
  const groups = new Map<string, { gid: number; members: Set<string> }>();
  const addGroup = (name: string, gid: number): void => {
    if (!groups.has(name)) groups.set(name, { gid, members: new Set() });
  };
  for (const line of lines) {
    const [kind = '', name = '', id = '-', comment, home, shell] = fieldsOf(line);
    if (kind === 'g') addGroup(name, idOf(name, id));
    if (kind === 'm') groups.get(id)?.members.add(name);
    if (kind !== 'u' && kind !== 'u!') continue;
    if (users.has(name)) continue;
    const [user = '-', group] = id.split(':');
    const uid = idOf(name, user);
    if (group === undefined) addGroup(name, uid);
    users.set(name, {
      uid,
      gid: group === undefined ? uid : /^\d+$/.test(group) ? Number(group) : group,
      comment: given(comment) ?? '',
      home: given(home) ?? '/',
      shell: given(shell) ?? '/usr/sbin/nologin',
    });
  }
  const gidOf = (user: User): number =>
    typeof user.gid === 'number' ? user.gid : (groups.get(user.gid)?.gid ?? 65_534);
  const passwd = [...users].map(
    ([name, user]) => `${name}:x:${user.uid}:${gidOf(user)}:${user.comment}:${user.home}:${user.shell}`,
  );
  const group = [...groups].map(([name, { gid, members }]) => `${name}:x:${gid}:${[...members].join(',')}`);
  // `*` is no password at all, while a key still lets in; `!` would also lock keys out.
  const shadow = [...users.keys()].map((name) => `${name}:*:20000:0:99999:7:::`);
  return { passwd: text(passwd), group: text(group), shadow: text(shadow) };
}

function idOf(name: string, id: string): number {
  if (/^\d+$/.test(id)) return Number(id);
  const fixed = fixedIds[name];
  if (fixed === undefined)
    throw new Error(`a package wants the user or group ${name}: give it a number of its own in accounts.ts`);
  return fixed;
}

function given(field: string | undefined): string | undefined {
  return field === undefined || field === '-' ? undefined : field;
}

function fieldsOf(line: string): string[] {
  if (/^\s*(#|$)/.test(line)) return [];
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
}

function text(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

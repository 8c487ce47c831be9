import type { Who } from './client.ts';

/** The ACL file that both brokers are given. */
export const ACL = `# Before the first user: clients without a name.
topic read public/#
topic read end

user observer
topic #
topic $dev/#

user alice
topic read end
topic plant/#
topic deny plant/secret/#
topic read two words
topic readwrite $dev/alice

user bob
topic read end
topic write plant/+/set
topic read plant/+/value
topic deny both

user a+b
topic read end
topic own

# For everyone, whatever section stands above.
pattern read end
pattern dev/%c/#
pattern read users/%u
pattern both
pattern deny plant/1/value
pattern write alarms/+
pattern deny alarms/%u

user alice
topic write later
`;

const PASSWORD = 'p $:ä';
export const observer: Who = { id: 'observer', username: 'observer', password: PASSWORD };
export const users = ['observer', 'alice', 'bob', 'carol', 'a+b'].map((name) => ({
  name,
  password: PASSWORD,
}));

/** Who asks; `carol` has a password and no section. */
export const askers = {
  nobody: { id: 'c1' },
  alice: { id: 'c2', username: 'alice', password: PASSWORD },
  bob: { id: 'c3', username: 'bob', password: PASSWORD },
  carol: { id: 'c4', username: 'carol', password: PASSWORD },
  'a+b': { id: 'c5', username: 'a+b', password: PASSWORD },
  'alice as c#': { id: 'c#', username: 'alice', password: PASSWORD },
} as const satisfies Record<string, Who>;

export type Asker = keyof typeof askers;
export type Answer = 'rw' | 'r' | 'w' | '';

/** What each may do on a topic, in the order of `askers`. */
export const answers: Readonly<Record<string, readonly [Answer, Answer, Answer, Answer, Answer, Answer]>> = {
  'public/x': ['r', '', '', '', '', ''],
  plant: ['', 'rw', '', '', '', 'rw'],
  'plant/1/set': ['', 'rw', 'w', '', '', 'rw'],
  'plant/1/value': ['', 'rw', 'r', '', '', 'rw'],
  'plant/secret/1': ['', '', '', '', '', ''],
  'two words': ['', 'r', '', '', '', 'r'],
  later: ['', 'w', '', '', '', 'w'],
  both: ['rw', 'rw', '', 'rw', '', ''],
  own: ['', '', '', '', 'rw', ''],
  'dev/c2/up': ['', 'rw', '', '', '', ''],
  'dev/c3': ['', '', 'rw', '', '', ''],
  'users/alice': ['', 'r', '', '', '', ''],
  'users/carol': ['', '', '', 'r', '', ''],
  'alarms/alice': ['w', '', 'w', 'w', '', ''],
  'alarms/bob': ['w', 'w', '', 'w', '', ''],
  '$dev/alice': ['', 'rw', '', '', '', 'rw'],
  '$dev/bob': ['', '', '', '', '', ''],
  elsewhere: ['', '', '', '', '', ''],
};

/** What is said to be let in, and whether it is. */
export const entries: readonly { readonly who: Who; readonly enters: boolean }[] = [
  { who: { id: 'e1' }, enters: true },
  { who: { id: 'e2', username: 'alice', password: PASSWORD }, enters: true },
  { who: { id: 'e3', username: 'carol', password: PASSWORD }, enters: true },
  { who: { id: 'e4', username: 'alice', password: `${PASSWORD} ` }, enters: false },
  { who: { id: 'e5', username: 'alice', password: '' }, enters: false },
  { who: { id: 'e6', username: 'alice' }, enters: false },
  { who: { id: 'e7', username: 'Alice', password: PASSWORD }, enters: false },
  { who: { id: 'e8', username: 'mallory', password: PASSWORD }, enters: false },
];

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Identity } from '../auth.ts';
import { matches } from '../topics.ts';
import { parseAclFile } from './acl-file.ts';
import { Rights } from './rights.ts';

function rights(text: string, identity: Partial<Identity> = {}): Rights {
  const parsed = parseAclFile(text);
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  return new Rights(parsed.value, { clientId: 'c1', username: undefined, ...identity });
}

const alice = { username: 'alice' };
/** Which of read and write; the hw-test asks mosquitto the same. */
const questions: [string, Partial<Identity>, string, 'rw' | 'r' | 'w' | ''][] = [
  ['', {}, 'a', ''],
  ['topic a', {}, 'a', 'rw'],
  ['topic a', {}, 'b', ''],
  ['topic a', alice, 'a', ''],
  ['topic read a', {}, 'a', 'r'],
  ['topic write a', {}, 'a', 'w'],
  ['topic read a\ntopic write a', {}, 'a', 'rw'],
  ['topic #\ntopic deny a/secret', {}, 'a/secret', ''],
  ['topic deny a/secret\ntopic #', {}, 'a/secret', ''],
  ['topic #\ntopic deny a/secret', {}, 'a/other', 'rw'],
  ['topic #', {}, '$dev/x', ''],
  ['topic $dev/#', {}, '$dev/x', 'rw'],
  ['topic a/#', {}, 'a', 'rw'],
  ['topic a/+', {}, 'a/b/c', ''],
  ['user alice\ntopic a', alice, 'a', 'rw'],
  ['user alice\ntopic a', {}, 'a', ''],
  ['user alice\ntopic a', { username: 'bob' }, 'a', ''],
  ['user alice\ntopic a', { username: 'Alice' }, 'a', ''],
  ['user alice\npattern a', {}, 'a', 'rw'],
  ['pattern write dev/%c/up', {}, 'dev/c1/up', 'w'],
  ['pattern write dev/%c/up', {}, 'dev/c2/up', ''],
  ['pattern dev/%u/%c', alice, 'dev/alice/c1', 'rw'],
  ['pattern x%cy%cz', {}, 'xc1yc1z', 'rw'],
  ['pattern dev/%u', {}, 'dev/', ''],
  ['pattern dev/%u', {}, 'dev/%u', ''],
  ['pattern a\npattern deny dev/%u\npattern dev/#', {}, 'dev/x', 'rw'],
  ['pattern dev/%u/#', { username: 'site/7' }, 'dev/site/7/x', 'rw'],
  ['pattern dev/%c', { clientId: '%u', username: 'alice' }, 'dev/%u', 'rw'],
  ['pattern dev/%u', { username: '+' }, 'dev/x', ''],
  ['pattern dev/%c', { clientId: '#' }, 'dev/x', ''],
  ['pattern open', { clientId: 'a+b' }, 'open', ''],
  ['user a+b\ntopic own\npattern open', { username: 'a+b' }, 'own', 'rw'],
  // A client's own rules are asked first, and what they grant or deny is not asked again of the patterns.
  ['user alice\ntopic a\npattern deny a', alice, 'a', 'rw'],
  ['user alice\ntopic deny a\npattern a', alice, 'a', ''],
  ['user alice\ntopic read a\npattern a', alice, 'a', 'rw'],
  ['user alice\ntopic read a\npattern deny a', alice, 'a', 'r'],
];

for (const [acl, identity, topic, expected] of questions) {
  test(`${JSON.stringify(acl)} lets ${JSON.stringify(identity)} '${expected}' on ${topic}`, () => {
    const mine = rights(acl, identity);
    assert.is(`${mine.mayRead(topic) ? 'r' : ''}${mine.mayPublish(topic) ? 'w' : ''}`, expected);
  });
}

const subscriptions: [string, string, boolean][] = [
  ['topic a', 'a', true],
  ['topic a', '#', true],
  ['topic a', '+', true],
  ['topic a', 'a/#', true],
  ['topic a', 'a/+', false],
  ['topic write a', 'a', false],
  ['topic a/#\ntopic deny a/b', 'a/b', false],
  ['topic a/#\ntopic deny a/b', 'a/+', true],
  ['topic a/#\ntopic deny a/+', 'a/+', false],
  ['topic a/#\ntopic deny a/+', 'a/#', true],
  ['topic a/#\ntopic deny a/#', 'a/#', false],
  ['topic a/+\ntopic deny a/#', '#', false],
  ['topic #\ntopic deny +\ntopic deny +/+/#', '#', false],
  ['topic #\ntopic deny +\ntopic deny +/+/+/#', '#', true],
  ['topic #\ntopic deny #', '$dev/x', false],
  ['topic #', '$dev/#', false],
  ['topic $dev/#', '#', false],
  ['topic $dev/#', '$dev/+', true],
  ['topic deny a\npattern a\npattern b', '+', true],
  ['topic deny a\npattern a', '+', false],
  ['pattern dev/%c/#', 'dev/+/down', true],
  ['pattern dev/%c/#', 'dev/c2/down', false],
];

for (const [acl, filter, expected] of subscriptions) {
  test(`${JSON.stringify(acl)} ${expected ? 'accepts' : 'refuses'} a subscription to ${filter}`, () => {
    assert.is(rights(acl).mayReadSome(filter), expected);
  });
}

test('a subscription is refused exactly when nothing may be read, for every three rules of a small world', () => {
  const filters = ['a', '+', '#', 'a/#', '+/b', 'a/+', '+/+', '+/+/#', 'a/+/#', '$s/#'];
  const names = ['a', 'b', 'z'];
  const topics = ['$s', '$s/a', ...names].flatMap((first) => [
    first,
    ...names.flatMap((second) => [
      `${first}/${second}`,
      ...names.map((third) => `${first}/${second}/${third}`),
    ]),
  ]);
  for (const granted of filters) {
    for (const denied of filters) {
      for (const other of filters) {
        for (const keyword of ['topic', 'pattern']) {
          const acl = `topic deny ${denied}\n${keyword} deny ${other}\n${keyword} read ${granted}`;
          const mine = rights(acl);
          const readable = topics.filter((topic) => mine.mayRead(topic));
          for (const filter of filters) {
            const some = readable.some((topic) => matches(filter.split('/'), topic));
            if (some !== mine.mayReadSome(filter)) assert.unreachable(`${acl} and ${filter}: ${readable}`);
          }
        }
      }
    }
  }
});

test.run();

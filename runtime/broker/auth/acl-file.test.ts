import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type AclRule, parseAclFile } from './acl-file.ts';

const lines: [string, AclRule][] = [
  ['topic a/b', { access: 'readwrite', filter: 'a/b' }],
  ['topic read a/+/c', { access: 'read', filter: 'a/+/c' }],
  ['topic write a/#', { access: 'write', filter: 'a/#' }],
  ['topic readwrite #', { access: 'readwrite', filter: '#' }],
  ['topic deny $SYS/#', { access: 'deny', filter: '$SYS/#' }],
  ['topic read two words', { access: 'read', filter: 'two words' }],
  ['topic   read    a  b  ', { access: 'read', filter: 'a  b' }],
  ['  topic a', { access: 'readwrite', filter: 'a' }],
  ['topic read', { access: 'readwrite', filter: 'read' }],
  ['topic /', { access: 'readwrite', filter: '/' }],
  ['topic %u\r', { access: 'readwrite', filter: '%u' }],
];

for (const [line, rule] of lines) {
  test(`reads ${JSON.stringify(line)}`, () => {
    assert.equal(parseAclFile(line), { value: { anonymous: [rule], users: new Map(), patterns: [] } });
  });
}

test('sections: anonymous first, users after it and again, patterns anywhere for everyone', () => {
  const parsed = parseAclFile(`# rules
topic read public/#

user alice
topic a
pattern read dev/%c/#
user  Bob the builder
topic b
user alice
topic deny a/secret
`);
  assert.equal(parsed, {
    value: {
      anonymous: [{ access: 'read', filter: 'public/#' }],
      users: new Map([
        [
          'alice',
          [
            { access: 'readwrite', filter: 'a' },
            { access: 'deny', filter: 'a/secret' },
          ],
        ],
        ['Bob the builder', [{ access: 'readwrite', filter: 'b' }]],
      ]),
      patterns: [{ access: 'read', filter: 'dev/%c/#' }],
    },
  });
});

test('an empty file has no rules', () => {
  assert.equal(parseAclFile(''), { value: { anonymous: [], users: new Map(), patterns: [] } });
});

const wrong: [string, string][] = [
  ['topics a', '"topics": want user, topic or pattern'],
  [' # not in the first column', '"#": want user, topic or pattern'],
  ['topic\tread a', '"topic\\tread": want user, topic or pattern'],
  ['topic read\ta', 'want spaces between the words, not tabs'],
  ['topic', 'want a topic filter'],
  ['pattern', 'want a topic filter'],
  ['topic reed a', '"reed": want read, write, readwrite or deny'],
  ['topic two words', '"two": want read, write, readwrite or deny'],
  ['topic read a#', '"a#" is not a topic filter'],
  ['topic a/#/b', '"a/#/b" is not a topic filter'],
  ['topic a+/b', '"a+/b" is not a topic filter'],
  [`topic ${'a/'.repeat(201)}`, `"${'a/'.repeat(201)}" is not a topic filter`],
  ['topic read $share/g/a', 'a rule is about topics: leave out $share/GROUP/'],
  ['user', 'want user NAME'],
];

for (const [line, text] of wrong) {
  test(`refuses ${JSON.stringify(line.slice(0, 40))} and names its line`, () => {
    assert.equal(parseAclFile(`topic a\n\n${line}\n`), { faults: [{ line: 3, wrong: text }] });
  });
}

test('names every fault', () => {
  const parsed = parseAclFile('x\ntopic a\nuser\n');
  assert.ok('faults' in parsed);
  assert.equal(
    parsed.faults.map(({ line }) => line),
    [1, 3],
  );
});

test.run();

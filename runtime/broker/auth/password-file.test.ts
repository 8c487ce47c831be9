import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isPassword, parsePasswordFile } from './password-file.ts';

/** Made by mosquitto_passwd 2.0.11. */
const alice =
  'alice:$7$101$BWRPb7+3ogINLm+D$FnpOPL5JltSejwcrRIP817dm9Y3WYTa2UTKAUKp/9XoHlf/kwfi4FrP+hlVq5rz4bgu1AMQi2BabBp5bbPATXw==';
const bob =
  'bob:$6$Aik9nF772Wh0S/xd$qOCR9GGCxPSmXL4V6NGIX71QJxMsDQlwhCTzo2nCon1K8PbYJlaSlzijyQcJlvc3JOUIL1LVm75vSUw3zWiiGw==';
const carol =
  'carol:$7$1000$L6GKriuqCTNXP1F/$HcDqv5Jt93TuigP+nD8Hfhv7udxxoVe4jHFJhOQuogY+zQXM16TjDLlw+aZnHTQ7VAzNpKW/tH/+0EJTiNp2FA==';

const passwords: [string, string, string, boolean][] = [
  ['PBKDF2', alice, 'correct horse', true],
  ['PBKDF2', alice, 'Correct horse', false],
  ['PBKDF2', alice, '', false],
  ['salted SHA-512, password in UTF-8', bob, 'bätter y', true],
  ['salted SHA-512', bob, 'batter y', false],
  ['another number of iterations', carol, 'c', true],
  ['another number of iterations', carol, 'd', false],
];

for (const [what, line, password, right] of passwords) {
  test(`${what}: ${JSON.stringify(password)} is ${right ? 'the' : 'not the'} password`, () => {
    const parsed = parsePasswordFile(line);
    assert.ok('value' in parsed);
    const [hash] = parsed.value.values();
    assert.ok(hash);
    assert.is(isPassword(Buffer.from(password), hash), right);
  });
}

test('comments, blank lines, blanks around a name and DOS line ends do not matter', () => {
  const parsed = parsePasswordFile(`# who\r\n\r\n ${alice}\r\n#bob:x\n\n${carol}`);
  assert.ok('value' in parsed);
  assert.equal([...parsed.value.keys()], ['alice', 'carol']);
});

const wanted = 'want NAME:$7$ITERATIONS$SALT$HASH or NAME:$6$SALT$HASH, as mosquitto_passwd writes it';
const wrong: [string, string, string][] = [
  ['a line without colon', 'alice', wanted],
  ['no name', `:${alice.split(':')[1]}`, wanted],
  ['a password that is not hashed', 'alice:secret', `user "alice": ${wanted}`],
  ['nothing after the colon', 'alice:', `user "alice": ${wanted}`],
  ['a hash of another kind', 'alice:$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$aGFzaA', `user "alice": ${wanted}`],
  ['no iterations', alice.replace('$101$', '$0$'), 'user "alice": want 1 to 1000000 iterations'],
  [
    'iterations that would stop the broker',
    alice.replace('$101$', '$9000000$'),
    'user "alice": want 1 to 1000000 iterations',
  ],
  [
    'a damaged salt',
    alice.replace('BWRPb7+3ogINLm+D', 'BWRP*7+3ogINLm+D'),
    'user "alice": the salt is not base64',
  ],
  ['a hash cut short', alice.slice(0, -8), 'user "alice": the hash is not 64 bytes in base64'],
  ['a third part', `${alice}:more`, 'user "alice": the hash is not 64 bytes in base64'],
];

for (const [what, line, text] of wrong) {
  test(`names the line of ${what}`, () => {
    assert.equal(parsePasswordFile(`${carol}\n${line}\n`), { faults: [{ line: 2, wrong: text }] });
  });
}

test('a user who is there twice is a fault, and every fault is named', () => {
  assert.equal(parsePasswordFile(`${alice}\n# again\n${alice}\nx`), {
    faults: [
      { line: 3, wrong: 'there is already a user "alice"' },
      { line: 4, wrong: wanted },
    ],
  });
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { accountsOf } from './accounts.ts';

test('users and groups get the numbers that packages ask for, or those that are fixed', () => {
  const { passwd, group, shadow } = accountsOf([
    '# a comment',
    'g tty 5 -',
    'u root 0 - /root /bin/bash',
    'u sync 4:65534 - /bin /bin/sync',
    'u! systemd-network - "systemd Network Management"',
    'u sshd -:nogroup "sshd user" /run/sshd',
    'g nogroup 65534 -',
    'm sshd tty',
  ]);
  assert.equal(passwd.trimEnd().split('\n'), [
    'root:x:0:0::/root:/bin/bash',
    'sync:x:4:65534::/bin:/bin/sync',
    'systemd-network:x:998:998:systemd Network Management:/:/usr/sbin/nologin',
    'sshd:x:989:65534:sshd user:/run/sshd:/usr/sbin/nologin',
  ]);
  assert.equal(group.trimEnd().split('\n'), [
    'tty:x:5:sshd',
    'root:x:0:',
    'systemd-network:x:998:',
    'nogroup:x:65534:',
  ]);
  assert.match(shadow, /^root:\*:/m);
});

test('the first who asks for a name has it', () => {
  const { passwd } = accountsOf(['u edge 50 - /srv', 'u edge 60 - /elsewhere']);
  assert.is(passwd, 'edge:x:50:50::/srv:/usr/sbin/nologin\n');
});

test('a name without a number is refused, as files on the state partition would change hands', () => {
  assert.throws(() => accountsOf(['u newcomer - - -']), /newcomer: give it a number/);
});

test.run();

import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Program, until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { type PairFiles, TestCa } from './certificates.ts';
import { carry, run } from './mosquitto.ts';
import { NodeAlone } from './node-alone.ts';
import { overTcp, overTls, type StreamClient } from './stream-client.ts';

type Context = {
  node: NodeAlone;
  edge: Program;
  ca: TestCa;
  /** The listener asks for certificates, and takes clients without one that may be anonymous. */
  asking: number;
  /** The listener takes nobody without a certificate. */
  requiring: number;
  files: PairFiles;
  client: PairFiles;
  clients: StreamClient[];
};
const test = suite<Context>('MQTT over TLS');
const mosquitto = requireProgram('mosquitto_pub', 'mosquitto-clients');

test.before(async (context) => {
  const node = await NodeAlone.prepare();
  const ca = new TestCa(node.dir);
  const { kubernetes: asking, stream: requiring } = node.ports;
  const files = { cert: join(node.dir, 'live.crt'), key: join(node.dir, 'live.key') };
  const client = ca.client('pump-7');
  Object.assign(context, { node, ca, asking, requiring, files, client, clients: [] });
  replace(context, ca.server('first'));
  const common = { type: 'tls', tlsCertFile: files.cert, tlsPrivateKeyFile: files.key, tlsCaFile: ca.file };
  context.edge = await node.start([
    { ...common, address: `127.0.0.1:${asking}`, allowAnonymous: false },
    { ...common, address: `127.0.0.1:${requiring}`, requireCertificate: true },
  ]);
});
test.after.each(({ clients }) => {
  for (const client of clients.splice(0)) client.close();
});
test.after(({ node }) => node.close());

/** Puts a server certificate where edgecore reads it. */
function replace({ files }: Context, pair: PairFiles): void {
  copyFileSync(pair.cert, files.cert);
  copyFileSync(pair.key, files.key);
}

/** Options of mosquitto's clients. */
function tlsArgs(port: number, ca: TestCa, pair?: PairFiles): string[] {
  const own = pair ? ['--cert', pair.cert, '--key', pair.key] : [];
  return ['-h', '127.0.0.1', '-p', String(port), '--cafile', ca.file, ...own];
}

/** The name in the certificate that the server shows now. */
async function shown(context: Context): Promise<string> {
  const client = open(context, context.requiring, context.client);
  await client.connect('looks');
  const name = String((client.stream as TLSSocket).getPeerCertificate().subject.CN);
  client.close();
  return name;
}

function open(context: Context, port: number, pair?: PairFiles, more: object = {}): StreamClient {
  const client = overTls(port, context.ca.file, pair, more);
  context.clients.push(client);
  return client;
}

/** A client that the server cuts, during its handshake or right after it. */
async function isCut(
  context: Context,
  port: number,
  pair?: PairFiles,
  more: object = {},
): Promise<StreamClient> {
  const client = open(context, port, pair, more);
  client.send({
    cmd: 'connect',
    clientId: 'nobody',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    keepalive: 0,
  });
  await client.endsByItself();
  assert.equal(client.received, []);
  return client;
}

if (mosquitto) {
  test('mosquitto’s clients carry a message with certificates, in TLS 1.2 and 1.3', async ({
    ca,
    asking,
    requiring,
    client,
  }) => {
    for (const version of ['tlsv1.2', 'tlsv1.3']) {
      const args = (port: number): string[] => [...tlsArgs(port, ca, client), '--tls-version', version];
      const { status, output } = await carry(args(asking), args(requiring), version);
      assert.equal([status, output.trim()], [0, version]);
    }
  });

  test('mosquitto’s client without a certificate is refused by CONNACK or cut, as the listener says', async ({
    ca,
    asking,
    requiring,
  }) => {
    const polite = await run('mosquitto_pub', [...tlsArgs(asking, ca), '-t', 't', '-m', 'x']);
    assert.match(polite.output, /not authorised/);
    const cut = await run('mosquitto_pub', [...tlsArgs(requiring, ca), '-t', 't', '-m', 'x']);
    assert.is.not(cut.status, 0);
  });

  test('mosquitto’s client does not trust a server of another CA', async ({ node, requiring, client }) => {
    const other = new TestCa(node.dir, 'other-ca');
    const { status, output } = await run('mosquitto_pub', [
      ...tlsArgs(requiring, other, client),
      '-t',
      't',
      '-m',
      'x',
    ]);
    assert.is.not(status, 0);
    assert.match(output, /TLS error/);
  });
}

test('a certificate of a CA that is not ours is cut, also where none is required', async (context) => {
  const foreign = new TestCa(context.node.dir, 'foreign').client('intruder');
  await isCut(context, context.requiring, foreign);
  await isCut(context, context.asking, foreign);
  await until('it is told', () =>
    readFileSync(context.node.log, 'utf8').includes('its certificate is not trusted'),
  );
});

test('a server’s certificate is none of a client', async (context) => {
  await isCut(context, context.requiring, context.ca.server('as-client'));
});

test('TLS 1.1 is too old', async (context) => {
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
  assert.match(
    (await isCut(context, context.requiring, context.client, old)).fault,
    /alert protocol version/,
  );
});

test('what is no TLS is cut, and the listener goes on', async (context) => {
  const client = overTcp(context.requiring);
  client.send({
    cmd: 'connect',
    clientId: 'plain',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    keepalive: 0,
  });
  await client.endsByItself();
  assert.is((await open(context, context.requiring, context.client).connect('after')).returnCode, 0);
});

test('after SIGHUP a new certificate is shown, and nobody is disconnected', async (context) => {
  assert.is(await shown(context), 'first');
  const before = open(context, context.requiring, context.client);
  await before.connect('stays');
  replace(context, context.ca.server('second'));
  context.edge.signal('SIGHUP');
  await until('the new certificate is shown', async () => (await shown(context)) === 'second');
  await before.ping();
});

test('a changed file is noticed without being told', async (context) => {
  replace(context, context.ca.server('third'));
  await until('the new certificate is shown', async () => (await shown(context)) === 'third');
});

test('files that cannot be used are named, and what was in use stays', async (context) => {
  const before = open(context, context.requiring, context.client);
  await before.connect('stays');
  writeFileSync(context.files.cert, 'no certificate');
  rmSync(context.files.key);
  context.edge.signal('SIGHUP');
  await until('both files are named', () => {
    const log = readFileSync(context.node.log, 'utf8');
    return log.includes('live.crt: holds no certificate in PEM') && /ENOENT[^;]*live\.key/.test(log);
  });
  assert.is(await shown(context), 'third');
  await before.ping();
  replace(context, context.ca.server('fourth'));
  context.edge.signal('SIGHUP');
  await until('the new certificate is shown', async () => (await shown(context)) === 'fourth');
});

test('a key of another certificate keeps edgecore from starting, and both files are named', async ({
  node,
  ca,
}) => {
  const [one, two] = [ca.server('one'), ca.server('two')];
  const other = await NodeAlone.prepare();
  const program = other.create([
    { type: 'tls', address: '127.0.0.1:0', tlsCertFile: one.cert, tlsPrivateKeyFile: two.key },
  ]);
  assert.is(await program.ended, 'status 1');
  const said = readFileSync(other.log, 'utf8');
  assert.match(said, `${join(node.dir, 'two.key')}: is not the key of ${join(node.dir, 'one.crt')}`);
  assert.match(said, 'Correct the named files');
  await other.close();
});

test.run();

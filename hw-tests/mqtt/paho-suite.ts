import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, Stack } from '../stack.ts';

/** Runs Eclipse's interoperability tests against edgecore as it is built:
 *
 *     node --import tsx hw-tests/mqtt/paho-suite.ts CHECKOUT [TEST…]
 *
 * CHECKOUT is a copy of github.com/eclipse-paho/paho.mqtt.testing; a TEST is one of its names, `Test.test_will_delay`.
 * What the configuration is for, and what came of it, is in runtime/docs/mqtt-conformance.md. */
const scripts = ['client_test.py', 'client_test5.py'];

/** The tests want a topic that may not be subscribed to, and the others free. */
const acl = 'topic deny test/nosubscribe\ntopic readwrite #\n';

/** client_test.py leaves its own options to unittest, which does not know them. */
const launcher = `
import runpy, sys, unittest
main, (script, port, *tests) = unittest.main, sys.argv[1:]
unittest.main = lambda: main(argv=[script, '-v', *tests])
sys.argv = [script, '-p', port]
sys.path.insert(0, '.')
runpy.run_path(script, run_name='__main__')
`;

async function run(checkout: string, tests: readonly string[]): Promise<boolean> {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-paho-'));
  const aclFile = join(dir, 'acl');
  writeFileSync(aclFile, acl);
  const ports = await freePorts();
  const stack = new Stack({
    dir,
    ports,
    node: 'paho',
    criEndpoint: `unix://${dir}/no-containerd.sock`,
    modules: {
      eventBus: {
        mqttServerInternal: `tcp://127.0.0.1:${ports.mqtt}`,
        aclFile,
        allowAnonymous: true,
        concealDenials: true,
        limits: { keepAlive: 60 },
      },
    },
  });
  try {
    await stack.startMaster();
    await stack.startShim();
    await stack.startEdge();
    let passed = true;
    for (const script of scripts) passed = (await python(checkout, script, ports.mqtt, tests)) && passed;
    return passed;
  } finally {
    await stack.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

function python(checkout: string, script: string, port: number, tests: readonly string[]): Promise<boolean> {
  const args = ['-W', 'ignore', '-c', launcher, script, `${port}`, ...tests];
  const child = spawn('python3', args, { cwd: join(checkout, 'interoperability'), stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status === 0));
  });
}

const [checkout, ...tests] = process.argv.slice(2);
if (checkout === undefined) {
  process.stderr.write('name the checkout of paho.mqtt.testing\n');
  process.exit(2);
}
process.exit((await run(checkout, tests)) ? 0 : 1);

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConsoleSnapshot } from '../../runtime/console/snapshot.ts';
import { kubectlPrograms } from '../kubectl.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { plcObjects, twinPath } from '../kubernetes/device-objects.ts';
import { Plc } from '../plc/plc.ts';
import { until } from '../program.ts';
import { prove, writeContract } from './contract.ts';
import { FakeTime } from './fake-time.ts';

type EdgeHub = { rejoinExpired?: boolean; token?: string };
type Context = {
  cluster: Cluster;
  plc: Plc;
  /** The node's clock, and the cloud's. */
  time: FakeTime;
  cloudTime: FakeTime;
  edgeHub: EdgeHub;
};

const test = suite<Context>('wrong clocks and lost trust');
const [kubectlProgram] = kubectlPrograms();
const HOUR = 3_600_000;

test.before(async (context) => {
  if (!kubectlProgram) return;
  context.plc = new Plc({ moves: false });
  const port = await context.plc.start('127.0.0.1', 0);
  context.time = new FakeTime();
  context.cloudTime = new FakeTime();
  context.edgeHub = {};
  context.cluster = await startCluster(kubectlProgram, {
    edgePrefix: context.time.prefix,
    shimPrefix: context.cloudTime.prefix,
    certificateDays: 1,
    modules: { edgeHub: context.edgeHub },
  });
  const { kubectl, node } = context.cluster;
  const { model, device } = plcObjects({ node, port });
  await kubectl.apply(model, device);
  await arrives(context, 1);
});

test.after(async ({ cluster, plc, time, cloudTime }) => {
  writeContract();
  await cluster?.close();
  await plc?.stop();
  time?.remove();
  cloudTime?.remove();
});

async function local({ cluster }: Context): Promise<ConsoleSnapshot> {
  const response = await fetch(`http://127.0.0.1:${cluster.stack.options.ports.console}/api/state`);
  return (await response.json()) as ConsoleSnapshot;
}

async function figure({ cluster }: Context, name: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${cluster.stack.options.ports.console}/metrics`);
  const line = (await response.text()).split('\n').find((text) => text.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

/** A new value of the PLC that the node has read. */
async function polled(context: Context, counter: number): Promise<void> {
  context.plc.memory.input.writeUInt32BE(counter, 4);
  await until(`the node has read ${counter}`, async () => {
    const { devices } = await local(context);
    return devices[0]?.properties.find(({ name }) => name === 'counter')?.value === String(counter);
  });
}

/** The same, and the cluster has it, too. */
async function arrives(context: Context, counter: number): Promise<void> {
  await polled(context, counter);
  await until(`the cluster has ${counter}`, async () => {
    return (
      (await context.cluster.kubectl.value(['devicestatus', 'plc'], twinPath('counter'))) === String(counter)
    );
  });
}

/** When the counter was read, as the cluster says. */
async function readAt({ cluster }: Context): Promise<number> {
  const path = '{.status.twins[?(@.propertyName=="counter")].reported.metadata.timestamp}';
  return Number(await cluster.kubectl.value(['devicestatus', 'plc'], path));
}

const near = (a: number, b: number): boolean => Math.abs(a - b) < 60_000;

async function link(context: Context, what: string, is: (link: ConsoleSnapshot['link']) => boolean) {
  await until(what, async () => is((await local(context)).link), 90_000);
}

async function freshToken({ cluster }: Context): Promise<string> {
  const data = await until('a token', () =>
    cluster.kubectl
      .run(['get', 'secret', 'tokensecret', '-n', 'kubeedge', '-o', 'jsonpath={.data.tokendata}'])
      .catch(() => ''),
  );
  return Buffer.from(data, 'base64').toString();
}

if (kubectlProgram) {
  test('the clock jumps by hours both ways', async (context) => {
    context.time.set('+5h');
    await until('the jump is seen', async () => near((await local(context)).now, Date.now() + 5 * HOUR));
    await arrives(context, 2);
    context.time.set('-5h');
    await arrives(context, 3);
    context.time.set('+0');
    await arrives(context, 4);
    await until('the time is the true one', async () => near((await local(context)).now, Date.now()));
    await until(
      'it is believed',
      async () => (await figure(context, 'edgecore_clock_trusted')) === 1,
      30_000,
    );
    assert.is((await local(context)).link.state, 'online');
    prove('clock-jumps', '5 h forward, 10 h back, 5 h forward: values arrived after each');
  });

  test('a boot in 1970, without the cloud', async (context) => {
    const { stack } = context.cluster;
    await stack.program('cloud-shim').stop();
    await stack.program('edgecore').kill();
    context.time.set('@1970-01-01 00:00:10');
    await stack.startEdge();
    await polled(context, 5);
    assert.is(await figure(context, 'edgecore_clock_trusted'), 0);
    await stack.startShim();
    await link(context, 'the link comes up although the clock is wrong', ({ state }) => state === 'online');
    await arrives(context, 5);
    const before = await readAt(context);
    const read = Date.now();
    context.time.set('+0');
    await until('the time arrives', async () => (await figure(context, 'edgecore_clock_trusted')) === 1);
    await until('the value has its true time', async () => near(await readAt(context), read));
    await arrives(context, 6);
    prove(
      'clock-1970',
      `polled and linked in 1970; a value of ${new Date(before).toISOString()} became one of ${new Date(await readAt(context)).toISOString()}`,
    );
  });

  test('a certificate that has expired', async (context) => {
    const { stack } = context.cluster;
    const { edgeHub, time, cloudTime } = context;
    await stack.program('edgecore').stop();
    await stack.program('cloud-shim').stop();
    for (const clock of [time, cloudTime]) clock.set('+2d');
    await stack.startShim();
    await stack.startEdge();
    await polled(context, 7);
    await link(context, 'the node says that its certificate has expired', ({ reason = '' }) =>
      /certificate of this node has expired/.test(reason),
    );
    edgeHub.rejoinExpired = true;
    edgeHub.token = await freshToken(context);
    await stack.program('edgecore').stop();
    await stack.startEdge();
    await arrives(context, 8);
    prove('certificate-expired', 'polls on and says so; joins anew with a token when it may');
  });

  test('the CA of the cloud is replaced', async (context) => {
    const { stack, kubectl } = context.cluster;
    const { edgeHub } = context;
    delete edgeHub.token;
    await stack.program('edgecore').stop();
    await stack.startEdge();
    await arrives(context, 9);
    await stack.program('cloud-shim').stop();
    await kubectl.run(['delete', 'secret', '-n', 'kubeedge', 'casecret', 'tokensecret']);
    await stack.startShim();
    await polled(context, 10);
    await link(context, 'the node says that the cloud is another one', ({ reason = '' }) =>
      /not of the CA that this node has joined/.test(reason),
    );
    assert.ok(stack.program('edgecore').isRunning);
    edgeHub.token = await freshToken(context);
    await stack.program('edgecore').stop();
    await stack.startEdge();
    await arrives(context, 11);
    prove('ca-replaced', 'refuses it, polls on and says so; joins anew with a token of the new one');
  });
}

if (kubectlProgram) test.run();

import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError } from '../../runtime/core/errors.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { FakeApi } from '../kube/fake-api.ts';
import { kinds } from '../kube/resource-kind.ts';
import { installCrds } from './install.ts';

type Context = { api: FakeApi; clock: FakeClock; install: () => Promise<EdgeError | undefined> };
const test = suite<Context>('CRDs');

const folder = fileURLToPath(new URL('.', import.meta.url));
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
const established = { status: { conditions: [{ type: 'Established', status: 'True' }] } };

test.before.each((context) => {
  const api = new FakeApi();
  const clock = new FakeClock();
  context.api = api;
  context.clock = clock;
  context.install = () =>
    installCrds({ api, folder, clock, log: silentLogger }).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof EdgeError) return error;
        throw error;
      },
    );
});

async function all(api: FakeApi): Promise<readonly KubeObject[]> {
  const answer = await api.list(kinds.crd);
  return 'object' in answer ? answer.object.items : [];
}
/** What an API server does with a new definition. */
async function establish(api: FakeApi): Promise<void> {
  for (const { metadata } of await all(api))
    await api.patch(kinds.crd, metadata, 'application/merge-patch+json', established);
}

test('what the cluster lacks is made, and waited for', async ({ api, clock, install }) => {
  let done = false;
  const work = install().then((error) => {
    done = true;
    return error;
  });
  await clock.advance(400);
  const made = await all(api);
  assert.is(made.length, files.length);
  assert.ok(made.some(({ metadata }) => metadata.name === 'devices.devices.kubeedge.io'));
  assert.not(done, 'they are not served yet');
  await establish(api);
  await clock.advance(200);
  assert.is(await work, undefined);
  assert.is(clock.pending, 0);
});

test('what is there stays as it is', async ({ api, clock, install }) => {
  const first = install();
  await clock.advance(0);
  await establish(api);
  await clock.advance(200);
  await first;
  const before = await all(api);
  assert.is(await install(), undefined);
  assert.equal(await all(api), before);
});

test('a definition that a shim of another version made is brought up to date, one of somebody else is not', async ({
  api,
  clock,
  install,
}) => {
  const first = install();
  await clock.advance(0);
  await establish(api);
  await clock.advance(200);
  await first;
  const old = { additionalPrinterColumns: [], name: 'v1beta1', served: true };
  const spec = { versions: [old] };
  const [ours, foreign] = ['devices.devices.kubeedge.io', 'devicemodels.devices.kubeedge.io'];
  const set = (name: string, change: object): Promise<unknown> =>
    api.patch(kinds.crd, { name }, 'application/merge-patch+json', change);
  await set(ours, { spec, metadata: { annotations: { 'edgecore.io/definition-digest': 'older' } } });
  await set(foreign, { spec, metadata: { annotations: { 'edgecore.io/definition-digest': null } } });
  assert.is(await install(), undefined);
  const versionsOf = async (name: string): Promise<unknown> => {
    const found = (await all(api)).find(({ metadata }) => metadata.name === name);
    return (found as unknown as { spec: typeof spec }).spec.versions;
  };
  assert.not.equal(await versionsOf(ours), [old]);
  assert.equal(await versionsOf(foreign), [old]);
});

test('a definition that lacks the version in use is named after 30 s', async ({ api, clock, install }) => {
  const name = 'devices.devices.kubeedge.io';
  const spec = {
    versions: [
      { name: 'v1alpha2', served: true },
      { name: 'v1beta1', served: false },
    ],
  };
  await api.create(kinds.crd, { name: '' }, { metadata: { name }, spec, ...established });
  const work = install();
  await clock.advance(0);
  for (const { metadata } of await all(api))
    if (metadata.name !== name)
      await api.patch(kinds.crd, { name: metadata.name }, 'application/merge-patch+json', established);
  await clock.advance(31_000);
  const error = await work;
  assert.is(error?.code, 'CLOUD_REFUSED');
  assert.match(error?.message ?? '', /CRD devices\.devices\.kubeedge\.io does not serve v1beta1/);
});

test('without the right to make them the start ends at once', async ({ api, install }) => {
  api.refusals.push({ call: /^POST/, code: 403, reason: 'Forbidden' });
  const error = await install();
  assert.is(error?.code, 'CLOUD_REFUSED');
  assert.match(error?.message ?? '', /CRD .* was refused/);
});

test.run();

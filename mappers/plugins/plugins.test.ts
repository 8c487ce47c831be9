import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { deviceId } from '../../runtime/core/units.ts';
import { answering, manifestOf, TestPlugins } from './test-plugins.ts';

type Context = { plugins: TestPlugins };
const test = suite<Context>('mapper plugins');

test.before.each(async (context) => {
  context.plugins = await TestPlugins.open();
});
test.after.each(({ plugins }) => plugins.close());

/** Waits until the device's value is this. */
function reads(plugins: TestPlugins, name: string, value: string): Promise<true> {
  return plugins.until(`${name} reads ${value}`, () => plugins.values.get(`default/${name} value`) === value);
}

test('one that is dropped in, file by file, serves the devices that were there', async ({ plugins }) => {
  plugins.apply('oven', 'probe');
  plugins.drop('probe', { 'mapper.json': manifestOf('probe') });
  const { reason } = await plugins.status('probe', ({ state }) => state === 'refused');
  assert.is(reason, 'main.mjs: is missing');
  plugins.drop('probe', { 'main.mjs': answering("'hot'") });
  await reads(plugins, 'oven', 'hot');
  assert.equal(plugins.states.get('default/oven'), { state: 'online', reason: '' });
  assert.equal(plugins.statusOf('probe'), {
    judged: plugins.statusOf('probe')?.judged,
    name: 'probe',
    version: '1.0.0',
    protocols: ['probe'],
    state: 'running',
    reason: '',
    devices: 1,
  });
});

test('a new version takes over; one that is removed leaves its devices unknown', async ({ plugins }) => {
  plugins.apply('oven', 'probe');
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': answering("'one'") });
  await reads(plugins, 'oven', 'one');
  plugins.drop('probe', {
    'mapper.json': manifestOf('probe', { version: '2.0.0' }),
    'main.mjs': answering("'two'"),
  });
  await reads(plugins, 'oven', 'two');
  assert.is(plugins.statusOf('probe')?.version, '2.0.0');
  plugins.remove('probe');
  await plugins.until('unknown', () => plugins.states.get('default/oven')?.state === 'unknown');
  assert.is(plugins.states.get('default/oven')?.reason, 'mapper probe was removed');
  assert.equal(plugins.plugins.list(), []);
});

test('what a plugin reads is pushed in its report cycle, though it does not change', async ({ plugins }) => {
  plugins.apply('oven', 'probe', {}, { reportCycle: 100, pushMethod: { http: {} } });
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': answering("'one'") });
  await plugins.until('three pushes', () => plugins.pushed.length >= 3);
  assert.equal([...new Set(plugins.pushed)], ['default/oven value one']);
});

test('what is said of anomalies reaches a plugin as it is', async ({ plugins }) => {
  const pushMethod = { anomalyDetection: { model: { limits: [1, 2] } } };
  plugins.apply('oven', 'probe', {}, { pushMethod });
  const code = answering('said').replace(
    'configure(device, model) {',
    `configure(device, model) {
        const said = JSON.stringify(device.spec.properties[0].pushMethod);`,
  );
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': code });
  await reads(plugins, 'oven', JSON.stringify(pushMethod));
  assert.equal(plugins.pushed, []);
});

test('a disabled one stops, and runs again when it is enabled', async ({ plugins }) => {
  plugins.apply('oven', 'probe');
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': answering("'one'"), disabled: '' });
  await plugins.status('probe', ({ state }) => state === 'disabled');
  assert.is(plugins.states.get('default/oven'), undefined);
  plugins.remove('probe');
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': answering("'one'") });
  await reads(plugins, 'oven', 'one');
  plugins.drop('probe', { disabled: '' });
  await plugins.status('probe', ({ state }) => state === 'disabled');
  assert.equal(plugins.states.get('default/oven'), { state: 'unknown', reason: 'mapper probe is disabled' });
});

for (const [what, files, wanted] of [
  ['no manifest', { 'mapper.json': '{' }, /mapper.json: not JSON/],
  ['another contract', { 'mapper.json': manifestOf('probe', { contract: 2 }) }, /contract = 2/],
  ['a syntax error', { 'main.mjs': 'export default (' }, /Unexpected end of input: `node --check/],
  ['no default export', { 'main.mjs': 'export const a = 1;' }, /no default export/],
  ['something else than a driver', { 'main.mjs': 'export default () => 5;' }, /makes no driver/],
  [
    'a throw at start',
    { 'main.mjs': "export default () => { throw new Error('no luck'); };" },
    /no luck \(main.mjs:1\)/,
  ],
  ['an exit at start', { 'main.mjs': 'process.exit(3);' }, /process.exit\(3\)/],
  ['a package that is not bundled', { 'main.mjs': "import 'left-pad';" }, /one file; bundle/],
  ['a file beside it', { 'main.mjs': "import './other.mjs';" }, /one file; bundle/],
  [
    'a protocol of another mapper',
    { 'mapper.json': manifestOf('probe', { protocols: ['modbus'] }) },
    /modbus is served by mapper modbus/,
  ],
  [
    'other protocols in driver and manifest',
    { 'main.mjs': "export default { protocols: ['x'], configure() {} };" },
    /serves x, but mapper.json says probe/,
  ],
  ['another name than its folder', { 'mapper.json': manifestOf('other') }, /the folder is called probe/],
] as const) {
  test(`a change to ${what} is refused with the reason, and the old version runs on`, async ({ plugins }) => {
    plugins.apply('oven', 'probe');
    plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': answering('process.uptime()') });
    await plugins.status('probe', ({ state }) => state === 'running');
    plugins.drop('probe', files);
    const { state, reason } = await plugins.status('probe', ({ reason }) => reason !== '');
    assert.is(state, 'running');
    assert.match(reason, wanted);
    const before = plugins.values.get('default/oven value');
    await plugins.until('it reads on', () => plugins.values.get('default/oven value') !== before);
  });
}

test('the old version also runs after a restart of edgecore, until the new one is right', async ({
  plugins,
}) => {
  plugins.apply('oven', 'probe');
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': answering("'old'") });
  await reads(plugins, 'oven', 'old');
  plugins.drop('probe', { 'main.mjs': 'throw new Error();' });
  await plugins.status('probe', ({ reason }) => reason !== '');
  plugins.values.clear();
  await plugins.restart();
  await reads(plugins, 'oven', 'old');
  assert.match(plugins.statusOf('probe')?.reason ?? '', /what lies in the folder is refused/);
  plugins.drop('probe', { 'main.mjs': answering("'new'") });
  await reads(plugins, 'oven', 'new');
  assert.is(plugins.statusOf('probe')?.reason, '');
});

test('of one that was removed while edgecore did not run nothing is left for the next of its name', async ({
  plugins,
}) => {
  plugins.apply('oven', 'probe');
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': answering("'old'") });
  await reads(plugins, 'oven', 'old');
  await plugins.restart(() => plugins.remove('probe'));
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': 'throw new Error();' });
  await plugins.status('probe', ({ state }) => state === 'refused');
});

test('who was refused for a protocol of another plugin runs when that one goes', async ({ plugins }) => {
  plugins.drop('first', {
    'mapper.json': manifestOf('first', { protocols: ['probe'] }),
    'main.mjs': answering('1'),
  });
  await plugins.status('first', ({ state }) => state === 'running');
  plugins.drop('second', {
    'mapper.json': manifestOf('second', { protocols: ['probe'] }),
    'main.mjs': answering('2'),
  });
  const { reason } = await plugins.status('second', ({ state }) => state === 'refused');
  assert.match(reason, /probe is served by mapper first/);
  plugins.remove('first');
  await plugins.status('second', ({ state }) => state === 'running');
});

test('what configure refuses or throws is the device’s state', async ({ plugins }) => {
  plugins.apply('oven', 'probe');
  plugins.apply('fridge', 'probe', { bad: true });
  const code = `export default { configure(device) {
    if (device.spec.protocol.configData.bad) throw new Error('bad is bad');
    return { faults: ['spec.protocol.configData.host: missing'] };
  } };`;
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': code });
  await plugins.until('both are told', () => plugins.states.size === 2);
  assert.is(plugins.states.get('default/oven')?.reason, 'spec.protocol.configData.host: missing');
  assert.is(plugins.states.get('default/fridge')?.reason, "the plugin's configure failed: bad is bad");
});

test('one that ends is started again; one that ends again and again is set aside, with its devices', async ({
  plugins,
}) => {
  plugins.apply('oven', 'probe');
  const code = answering(
    "(() => { throw new Error('x'); })()",
    'setTimeout(() => { throw new Error("no luck"); }, 300);',
  );
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': code });
  await plugins.status('probe', ({ state }) => state === 'restarting');
  const { reason } = await plugins.status('probe', ({ state }) => state === 'quarantined');
  assert.match(reason, /mapper probe ended: no luck \(main.mjs:1\)/);
  assert.equal(plugins.states.get('default/oven'), { state: 'unhealthy', reason });
  assert.match(plugins.metrics.render(), /edgecore_mapper_plugin_restarts_total 3/);
  plugins.drop('probe', { 'main.mjs': code });
  await plugins.status('probe', ({ state }) => state === 'running'); // put there again, it is tried at once
  plugins.drop('probe', { 'main.mjs': answering("'healed'") });
  await reads(plugins, 'oven', 'healed');
  assert.is(plugins.statusOf('probe')?.state, 'running');
});

for (const [what, code, wanted] of [
  ['blocks its loop for good', 'setTimeout(() => { for (;;); }, 200);', /loop is blocked/],
  [
    'leaks objects',
    'const all = []; setInterval(() => { for (let i = 0; i < 2000; i++) all.push({ i, text: String(i) }); }, 1);',
    /more than the 32 MB/,
  ],
  [
    'leaks buffers',
    'const all = []; setInterval(() => all.push(Buffer.alloc(1e6, 1)), 20);',
    /MB of buffers/,
  ],
  ['exits', 'setTimeout(() => process.exit(0), 200);', /process.exit\(0\)/],
  ['leaves a promise rejected', "setTimeout(() => Promise.reject(new Error('lost')), 200);", /lost/],
] as const) {
  test(`one that ${what} is ended, with the reason`, async ({ plugins }) => {
    plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': answering('1', code) });
    const { reason } = await plugins.status('probe', ({ state }) => state === 'restarting');
    assert.match(reason, wanted);
  });
}

test('nothing is believed of devices that are not its own', async ({ plugins }) => {
  plugins.apply('oven', 'probe');
  plugins.drop('probe', {
    'mapper.json': manifestOf('probe'),
    'main.mjs': answering(
      "'x'",
      "import { parentPort } from 'node:worker_threads'; parentPort.postMessage({ kind: 'report' });",
    ),
  });
  await reads(plugins, 'oven', 'x');
  assert.equal([...plugins.values.keys()], ['default/oven value']);
});

test('a value is written through its worker at once, and its refusal or end is the answer', async ({
  plugins,
}) => {
  plugins.apply('oven', 'probe');
  const driver = answering("globalThis.last ?? 'none'").replace(
    'write: async () => {}',
    `write: async (_, point, value) => {
      if (value === 'end') process.exit(7);
      if (value === 'bad') throw new kit.WireError('refused', 'it is too much');
      globalThis.last = value;
    }`,
  );
  plugins.drop('probe', { 'mapper.json': manifestOf('probe'), 'main.mjs': driver });
  await reads(plugins, 'oven', 'none');
  const write = (property: string, value: string): Promise<string | undefined> | undefined =>
    [...plugins.mappers][0]?.write?.(deviceId('default', 'oven'), property, value);
  assert.is(await write('value', 'hot'), undefined);
  await reads(plugins, 'oven', 'hot');
  assert.is(await write('value', 'bad'), 'it is too much');
  assert.match(String(await write('ghost', '1')), /not served/);
  assert.match(String(await write('value', 'end')), /its mapper ended: .*exit\(7\)/);
});

test.run();

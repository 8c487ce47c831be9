import * as assert from 'uvu/assert';
import { until } from '../program.ts';
import { configMap, node, on, pod } from './core-objects.ts';
import { plcObjects } from './device-objects.ts';
import { everyKubectl, type Version } from './versions.ts';

const test = everyKubectl('kubectl and the built-in kinds');

/** Does something with a node of one's own, and takes it away. */
async function withNode(
  { kubectl, own }: Version,
  name: string,
  use: (name: string) => Promise<void>,
): Promise<void> {
  await kubectl.create(node(own(name)));
  try {
    await use(own(name));
  } finally {
    await kubectl.run(['delete', 'node', own(name)]);
  }
}

/** No kubelet lets the pods of these suites go. */
function drop({ kubectl }: Version, name: string): Promise<string> {
  return kubectl.run(['delete', 'pod', name, '--grace-period=0', '--force']);
}

function condition({ kubectl }: Version, name: string, field: string): Promise<string> {
  return kubectl.value(['pod', name], `{.status.conditions[?(@.type=="PodScheduled")].${field}}`);
}

test('a namespace has an account and the CA, and is gone once it is empty', async ({ kubectl, own }) => {
  const name = own('passing');
  await kubectl.run(['create', 'namespace', name]);
  const inside = ['--namespace', name];
  for (const expected of ['serviceaccount/default', 'configmap/kube-root-ca.crt'])
    await until(expected, async () => (await kubectl.try(['get', expected, ...inside])).status === 0);
  assert.match(
    await kubectl.run(['get', 'ns', name, '--no-headers']),
    new RegExp(`^${name} +Active +\\w+\n$`),
  );
  await kubectl.create(configMap('held', {}, { finalizers: ['edgecore.test/hold'] }), ...inside);
  await kubectl.run(['create', 'secret', 'generic', 'free', ...inside]);
  await kubectl.run(['delete', 'ns', name, '--wait=false']);
  await until(
    'it is emptied',
    async () => (await kubectl.try(['get', 'secret', 'free', ...inside])).status === 1,
  );
  assert.is(await kubectl.value(['ns', name], '{.status.phase}'), 'Terminating');
  assert.match(
    await kubectl.refusal(['create', 'configmap', 'late', ...inside]),
    /\(?[Ff]orbidden.*because it is being terminated/,
  );
  const release = '[{"op":"remove","path":"/metadata/finalizers"}]';
  await kubectl.run(['patch', 'cm', 'held', '--type=json', '-p', release, ...inside]);
  await kubectl.run(['wait', `ns/${name}`, '--for=delete', '--timeout=30s']);
});

test('configmaps and secrets are made of literals, checked, and immutable when they say so', async ({
  kubectl,
}) => {
  await kubectl.run(['create', 'configmap', 'literal', '--from-literal=a=b', '--from-literal=c=d e']);
  assert.is(await kubectl.value(['cm', 'literal'], '{.data}'), '{"a":"b","c":"d e"}');
  await kubectl.create({ ...configMap('fixed', { a: 'b' }), immutable: true });
  assert.match(
    await kubectl.refusal(['patch', 'cm', 'fixed', '-p', '{"data":{"a":"c"}}']),
    /data: Forbidden: field is immutable when `immutable` is set/,
  );
  const secret = (fields: object) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'text' },
    ...fields,
  });
  await kubectl.create(secret({ stringData: { word: 'open' } }));
  assert.is(
    await kubectl.value(['secret', 'text'], '{.data.word} {.type} {.stringData}'),
    'b3Blbg== Opaque ',
  );
  assert.match(await kubectl.run(['get', 'secret', 'text', '--no-headers']), /^text +Opaque +1 +\w+\n$/);
  assert.match(
    await kubectl.refusal(['create', '-f', '-'], secret({ type: 'kubernetes.io/tls', data: {} })),
    /data\[tls\.crt\]: Required value/,
  );
  assert.match(
    await kubectl.refusal(['patch', 'secret', 'text', '-p', '{"type":"other"}']),
    /type: Invalid value.*immutable/,
  );
});

test('an account gets tokens that are good until it is gone', async (version) => {
  const { kubectl, namespace } = version;
  await kubectl.run(['create', 'serviceaccount', 'robot']);
  const claims = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const options = ['--audience=edgecore.test', '--duration=20m'];
  const {
    sub,
    aud,
    exp,
    iat,
    'kubernetes.io': own,
  } = claims(await kubectl.run(['create', 'token', 'robot', ...options]));
  assert.is(sub, `system:serviceaccount:${namespace}:robot`);
  assert.equal(aud, ['edgecore.test']);
  assert.is(exp - iat, 1200);
  assert.is(own.serviceaccount.uid, await kubectl.value(['sa', 'robot'], '{.metadata.uid}'));
  await kubectl.create(pod('bound', { serviceAccountName: 'robot' }));
  const to = ['--bound-object-kind=Pod', '--bound-object-name=bound'];
  const bound = claims(await kubectl.run(['create', 'token', 'robot', ...to]));
  assert.is(bound['kubernetes.io'].pod.name, 'bound');
  await drop(version, 'bound');
  assert.match(await kubectl.refusal(['create', 'token', 'robot', '--duration=1m']), /less than 10 minutes/);
  assert.match(await kubectl.refusal(['create', 'token', 'nobody']), /serviceaccounts "nobody" not found/);

  const token = (await kubectl.run(['create', 'token', 'robot'])).trim();
  const question = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
  const review = async () =>
    JSON.parse(await kubectl.create(question, '--validate=false', '-o', 'json')).status;
  const { authenticated, user } = await review();
  assert.is(authenticated, true);
  assert.is(user.username, `system:serviceaccount:${namespace}:robot`);
  await kubectl.run(['delete', 'serviceaccount', 'robot']);
  await until('it is good no more', async () => (await review()).authenticated !== true);
});

test('a lease has a holder, and lasts', async ({ kubectl }) => {
  const lease = (leaseDurationSeconds: number) => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'held' },
    spec: { holderIdentity: 'me', leaseDurationSeconds, renewTime: '2026-01-02T03:04:05.678901Z' },
  });
  assert.match(
    await kubectl.refusal(['create', '-f', '-'], lease(0)),
    /spec\.leaseDurationSeconds: Invalid value: 0: must be greater than 0/,
  );
  await kubectl.create(lease(40));
  assert.match(await kubectl.run(['get', 'lease', 'held']), /^NAME +HOLDER +AGE\nheld +me +\w+\n$/);
  const patch = ['patch', 'lease', 'held', '-p', '{"spec":{"holderIdentity":"you"}}'];
  assert.is(
    await kubectl.run([...patch, '-o', 'jsonpath={.spec.holderIdentity} {.spec.renewTime}']),
    'you 2026-01-02T03:04:05.678901Z',
  );
});

test('events are found by what they are about, under both of their names', async ({ kubectl, namespace }) => {
  await kubectl.create(configMap('eventful'));
  const uid = await kubectl.value(['cm', 'eventful'], '{.metadata.uid}');
  const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'eventful.1' },
    involvedObject: { apiVersion: 'v1', kind: 'ConfigMap', name: 'eventful', namespace, uid },
    type: 'Warning',
    reason: 'Spilt',
    message: 'all of it',
    source: { component: 'suite' },
    count: 3,
    firstTimestamp: time,
    lastTimestamp: time,
  };
  const elsewhere = { ...event, involvedObject: { ...event.involvedObject, namespace: 'default' } };
  assert.match(
    await kubectl.refusal(['create', '-f', '-'], elsewhere),
    /involvedObject\.namespace: Invalid value/,
  );
  await kubectl.create(event);
  const about = ['--field-selector', 'involvedObject.name=eventful,type=Warning', '--no-headers'];
  const row = /^\w+ +Warning +Spilt +configmap\/eventful +all of it\n$/;
  assert.match(await kubectl.run(['get', 'events', ...about]), row);
  assert.match(
    await kubectl.run(['events', '--for', 'configmap/eventful', '--no-headers']),
    /Warning +Spilt .*all of it/,
  );
  assert.is(
    await kubectl.value(['events.events.k8s.io', 'eventful.1'], '{.note} {.regarding.name}'),
    'all of it eventful',
  );
  assert.match(
    await kubectl.run(['describe', 'cm', 'eventful']),
    /Warning +Spilt +\w+ \(x3 over \w+\) +suite +all of it/,
  );
});

test('a node is labelled, tainted, cordoned and described', async (version) => {
  const { kubectl } = version;
  await withNode(version, 'n', async (name) => {
    const row = () => kubectl.run(['get', 'node', name, '--no-headers']);
    assert.match(await row(), new RegExp(`^${name} +Ready +<none> `));
    assert.match(await kubectl.run(['get', 'node', name, '-o', 'wide']), /INTERNAL-IP.*\n.* 192\.0\.2\.7 /);
    await kubectl.run(['label', 'node', name, 'node-role.kubernetes.io/edge=']);
    await kubectl.run(['cordon', name]);
    assert.match(await row(), /Ready,SchedulingDisabled +edge /);
    await kubectl.run(['uncordon', name]);
    assert.match(await row(), / Ready +edge /);
    await kubectl.run(['taint', 'node', name, 'a=b:NoSchedule']);
    assert.match(
      await kubectl.refusal(['taint', 'node', name, 'a=c:NoSchedule']),
      /already has a taint|--overwrite is false/,
    );
    await kubectl.run(['taint', 'node', name, 'a=c:NoSchedule', '--overwrite']);
    const taint = '{.spec.taints[?(@.key=="a")].value}';
    assert.is(await kubectl.value(['node', name], taint), 'c');
    await kubectl.run(['taint', 'node', name, 'a-']);
    assert.is(await kubectl.value(['node', name], taint), '');
    const text = await kubectl.run(['describe', 'node', name]);
    assert.match(text, /Taints: .*edgecore\.test\/kept=free:NoSchedule/);
    assert.match(text, /Ready +True .* KubeletReady +it is ready/);
    assert.match(text, /Allocatable:\n +cpu: +2\n/);
  });
});

test('a pod is bound to the node that fits, and its status is a part of its own', async (version) => {
  const { kubectl, namespace } = version;
  await withNode(version, 'fits', async (name) => {
    await kubectl.create(pod('placed', on(name)));
    await until(
      'it is bound',
      async () => (await kubectl.value(['pod', 'placed'], '{.spec.nodeName}')) === name,
    );
    assert.is(await condition(version, 'placed', 'status'), 'True');
    await until('the event', () =>
      kubectl.value(
        ['events', '--field-selector', 'involvedObject.name=placed,reason=Scheduled'],
        `{.items[?(@.type=="Normal")].message}`,
      ),
    );
    const wide = await kubectl.run(['get', 'pod', 'placed', '-o', 'wide', '--no-headers']);
    assert.match(wide, new RegExp(`^placed +0/1 +Pending +0 +\\w+ +<none> +${name} `));
    assert.is(
      await kubectl.run(['get', 'pods', '--field-selector', `spec.nodeName=${name}`, '-o', 'name']),
      'pod/placed\n',
    );
    const status = { phase: 'Running', podIP: '192.0.2.8', containerStatuses: [running()] };
    const patch = JSON.stringify({ status });
    const phase = ['-o', 'jsonpath={.status.phase}'];
    assert.is(await kubectl.run(['patch', 'pod', 'placed', '-p', patch, ...phase]), 'Pending');
    await kubectl.run(['patch', 'pod', 'placed', '--subresource=status', '-p', patch]);
    assert.match(await kubectl.run(['get', 'pod', 'placed', '--no-headers']), /^placed +1\/1 +Running +2 /);
    const pods = new RegExp(`Non-terminated Pods:[^]* ${namespace} +placed `);
    assert.match(await kubectl.run(['describe', 'node', name]), pods);
    assert.match(
      await kubectl.refusal(['patch', 'pod', 'placed', '-p', '{"spec":{"restartPolicy":"Never"}}']),
      /spec: Forbidden: pod updates may not change fields other than/,
    );
    await goes(version, 'placed');
  });
});

function running() {
  const startedAt = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    name: 'main',
    ready: true,
    started: true,
    restartCount: 2,
    image: 'edgecore.test/none:1',
    imageID: '',
    state: { running: { startedAt } },
  };
}

/** A pod on a node is given time to end, less when told so, and none when forced. */
async function goes(version: Version, name: string): Promise<void> {
  const { kubectl } = version;
  const grace = () => kubectl.value(['pod', name], '{.metadata.deletionGracePeriodSeconds}');
  await kubectl.run(['delete', 'pod', name, '--wait=false']);
  assert.is(await grace(), '30');
  assert.match(await kubectl.run(['get', 'pod', name, '--no-headers']), / Terminating /);
  await kubectl.run(['delete', 'pod', name, '--wait=false', '--grace-period=5']);
  assert.is(await grace(), '5');
  await drop(version, name);
  assert.match(await kubectl.refusal(['get', 'pod', name]), /NotFound/);
}

test('a pod that fits nowhere waits with the reason until it does', async (version) => {
  const { kubectl, own } = version;
  await withNode(version, 'small', async (name) => {
    const resources = { requests: { cpu: '64' } };
    const containers = [{ name: 'main', image: 'edgecore.test/none:1', resources }];
    await kubectl.apply(pod('large', { ...on(name), containers }), pod('astray', on(own('later'))));
    await until('why not', async () => /Insufficient cpu/.test(await condition(version, 'large', 'message')));
    assert.is(await condition(version, 'large', 'reason'), 'Unschedulable');
    const failed = ['events', '--field-selector', 'involvedObject.name=astray,reason=FailedScheduling'];
    const why = await until('the event', () => kubectl.value(failed, '{.items[0].message}'));
    assert.match(why, /^0\/\d+ nodes are available: .*didn't match Pod's node affinity\/selector/);
    await kubectl.run(['label', 'node', name, `edgecore.test/node=${own('later')}`, '--overwrite']);
    await until('it fits', async () => (await kubectl.value(['pod', 'astray'], '{.spec.nodeName}')) === name);
    await drop(version, 'astray');
    await drop(version, 'large');
  });
});

test('a pod of another scheduler is bound by whoever binds it, once', async (version) => {
  const { kubectl, namespace } = version;
  await withNode(version, 'chosen', async (name) => {
    await kubectl.create(pod('unplanned', { schedulerName: 'nobody' }));
    const binding = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'unplanned' },
      target: { apiVersion: 'v1', kind: 'Node', name },
    });
    const path = `/api/v1/namespaces/${namespace}/pods/unplanned/binding`;
    const bind = ['create', '--raw', path, '-f', '-'];
    await kubectl.run(bind, binding);
    assert.is(await kubectl.value(['pod', 'unplanned'], '{.spec.nodeName}'), name);
    const { stdout, stderr } = await kubectl.try(bind, binding);
    assert.match(stdout + stderr, /already assigned to node/);
    await drop(version, 'unplanned');
  });
});

test('devices and their models are kept, shown, changed and checked', async (version) => {
  const { kubectl, own } = version;
  const { model, device } = plcObjects({ node: own('nowhere'), port: 502 });
  const out = await kubectl.apply(model, device);
  assert.match(
    out,
    /devicemodel\.devices\.kubeedge\.io\/plc-model created\ndevice\.devices\.kubeedge\.io\/plc created/,
  );
  assert.match(await kubectl.apply(model, device), /plc-model unchanged\n.*plc unchanged/);
  assert.match(await kubectl.run(['get', 'devices']), new RegExp(`^NAME .*\nplc +${own('nowhere')} `));
  const patch = '[{"op":"replace","path":"/spec/properties/2/desired/value","value":"true"}]';
  await kubectl.run(['patch', 'device', 'plc', '--type=json', '-p', patch]);
  assert.is(await kubectl.value(['device', 'plc'], '{.spec.properties[2].desired.value}'), 'true');
  const wrong = { ...device, metadata: { name: 'wrong' }, spec: { ...device.spec, nodeName: 7 } };
  assert.match(
    await kubectl.refusal(['create', '-f', '-'], wrong),
    /spec\.nodeName: Invalid value: "integer": .*must be of type string/,
  );
  assert.match(await kubectl.run(['describe', 'devicemodel', 'plc-model']), /Access Mode: +ReadWrite/);
  await kubectl.run(['delete', 'device/plc', 'devicemodel/plc-model']);
});

test.run();

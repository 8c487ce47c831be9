import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LoadClient } from '../../build/bench/load-client.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { twinPath } from '../kubernetes/device-objects.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { oven, ovenModel, setpointPatch } from './oven.ts';
import { TestMapper } from './test-mapper.ts';

type Context = { cluster: Cluster; mapper: TestMapper; id: string };
const test = suite<Context>('a mapper of its own over DMI');
const kubectl = requireProgram('kubectl', 'kubernetes-client');
const PROTOCOL = 'oven';

test.before(async (context) => {
  if (!kubectl) return;
  context.cluster = await startCluster(kubectl);
  context.id = `${context.cluster.namespace}/oven`;
  context.mapper = newMapper(context);
});
test.after(async ({ cluster, mapper }) => {
  mapper?.stop();
  await cluster?.close();
});

function newMapper({ cluster }: Context, name = 'oven-mapper', protocol = PROTOCOL): TestMapper {
  const { dir } = cluster.stack.options;
  return new TestMapper({
    name,
    protocol,
    dmi: join(dir, 'edgecore', 'dmi.sock'),
    socket: join(dir, `${name}.sock`),
  });
}

/** Waits until a jsonpath of a DeviceStatus matches. */
function status({ cluster }: Context, path: string, wanted: RegExp, name = 'oven'): Promise<string> {
  return until(`${name} ${path} is ${wanted}`, async () => {
    const value = await cluster.kubectl.value(['devicestatus', name], path);
    return wanted.test(value) ? value : undefined;
  });
}

function served({ mapper, id }: Context, property: string, wanted: string): Promise<unknown> {
  return until(
    `the mapper has ${property} ${wanted}`,
    () => mapper.devices.get(id)?.desired[property] === wanted,
  );
}

/** Reports until edgecore takes it: a device may be on its way. */
async function reported({ mapper, id }: Context, values: Readonly<Record<string, string>>): Promise<void> {
  const answer = await mapper.report(id, values);
  assert.equal([answer.code, answer.text], [0, '']);
}

if (kubectl) {
  test('comes later than its devices, and gets them with their models when it registers', async (context) => {
    const { cluster, mapper, id } = context;
    const { node } = cluster;
    await cluster.kubectl.apply(ovenModel(PROTOCOL), oven({ node, protocol: PROTOCOL }));
    await status(context, twinPath('setpoint', 'observedDesired'), /^180$/);
    await mapper.start();
    assert.equal(mapper.devices.get(id), {
      settings: { host: 'kitchen', port: 4001 },
      desired: { temperature: '', setpoint: '180' },
      visitors: { temperature: { register: 1 }, setpoint: { register: 2 } },
    });
  });

  test('what it reports is on MQTT and in DeviceStatus', async (context) => {
    const { cluster, mapper, id } = context;
    const { port, heard } = { port: cluster.stack.options.ports.mqtt, heard: [] as string[] };
    const client = await LoadClient.connect({ port, clientId: 'dmi' });
    client.onPublish = (packet) => heard.push(packet.toString());
    await client.subscribe(`$hw/events/device/${id}/twin/update/document`, 0);
    await reported(context, { temperature: '178.5', setpoint: '180' });
    await mapper.reportState(id, 'ONLINE');
    await until('it is on MQTT', () =>
      heard.some((text) => text.includes('"temperature"') && text.includes('"178.5"')),
    );
    client.close();
    await status(context, twinPath('temperature'), /^178\.5$/);
    await status(context, twinPath('setpoint'), /^180$/);
    await status(context, '{.status.state}', /^online$/);
  });

  test('a desired value set with kubectl reaches it, and what it says of it comes back', async (context) => {
    await context.cluster.kubectl.run(setpointPatch('200'));
    await served(context, 'setpoint', '200');
    await reported(context, { setpoint: '200' });
    await status(context, twinPath('setpoint'), /^200$/);
    const { namespace } = context.cluster;
    assert.equal(context.mapper.calls, [
      `CreateDeviceModel ${namespace}/oven-model`,
      `UpdateDevice ${context.id}`,
    ]);
  });

  test('models and devices that come and go are told to it, models first', async (context) => {
    const { cluster, mapper } = context;
    const { node, namespace, kubectl: k } = cluster;
    mapper.calls.length = 0;
    await k.apply(
      ovenModel(PROTOCOL, 'second-model'),
      oven({ node, protocol: PROTOCOL, name: 'second', model: 'second-model' }),
    );
    await until('the second is there', () => mapper.devices.has(`${namespace}/second`));
    await k.apply(ovenModel(PROTOCOL, 'second-model', 'F'));
    await until('its model is new', () => {
      const model = mapper.models.get(`${namespace}/second-model`);
      return model?.spec.properties[0]?.unit === 'F';
    });
    await k.run(['delete', 'device', 'second']);
    await until('it went with its model', () => !mapper.models.has(`${namespace}/second-model`));
    assert.equal(mapper.calls, [
      `CreateDeviceModel ${namespace}/second-model`,
      `RegisterDevice ${namespace}/second`,
      `UpdateDeviceModel ${namespace}/second-model`,
      `RemoveDevice ${namespace}/second`,
      `RemoveDeviceModel ${namespace}/second-model`,
    ]);
  });

  test('a device that it cannot be given, or refuses, says why', async (context) => {
    const { cluster, mapper } = context;
    const { node, kubectl: k } = cluster;
    const odd = oven({ node, protocol: PROTOCOL, name: 'odd', settings: { hosts: ['a', 'b'] } });
    await k.apply(odd);
    await status(context, '{.status.extensions.reason}', /configData\.hosts: DMI carries texts/, 'odd');
    mapper.refusal = 'there is no such oven';
    await k.apply(oven({ node, protocol: PROTOCOL, name: 'odd' }));
    await status(
      context,
      '{.status.extensions.reason}',
      /^mapper oven-mapper refused it: there is no such oven$/,
      'odd',
    );
    await status(context, '{.status.state}', /^unhealthy$/, 'odd');
    mapper.refusal = '';
    await status(context, '{.status.state}', /^unknown$/, 'odd');
    await k.run(['delete', 'device', 'odd']);
  });

  test('what is wrong in a report is named, with its code', async (context) => {
    const { mapper, id } = context;
    const { namespace } = context.cluster;
    const wrong = async (work: Promise<{ code: number; text: string }>, code: number, text: RegExp) => {
      const answer = await work;
      assert.is(answer.code, code, answer.text);
      assert.match(answer.text, text);
    };
    await wrong(mapper.report(`${namespace}/none`, { temperature: '1' }), 5, /none is not on this node/);
    await wrong(mapper.reportState(`${namespace}/none`, 'online'), 5, /none is not on this node/);
    await wrong(
      mapper.report(id, { humidity: '1' }),
      3,
      /no property "humidity", only temperature, setpoint/,
    );
    await wrong(mapper.report(id, { setpoint: 'warm' }), 3, /setpoint.*"warm" is no int/);
    await wrong(mapper.report(id, { temperature: 'x'.repeat(100_000) }), 3, /longer than 512/);
    await wrong(mapper.report(id, { temperature: 'x'.repeat(1_000_000) }), 8, /more than 524288 bytes/);
    await wrong(mapper.report(id, {}), 3, /nothing is reported/);
    await wrong(mapper.reportState(id, 'fine'), 3, /"fine".*online, offline/);
    const path = '/v1beta1.DeviceManagerService/ReportDeviceStatus';
    await wrong(mapper.send(path, Buffer.from('0aff01', 'hex')), 13, /ends within a field/);
    await wrong(mapper.send('/v1beta1.DeviceManagerService/GetDevice', Buffer.alloc(0)), 12, /GetDevice/);
    await wrong(newMapper(context, 'no path', '').register(), 3, /mapper\.name/);
    await status(context, twinPath('temperature'), /^178\.5$/);
  });

  test('another mapper for a protocol that is served is refused with the name of the one that serves it', async (context) => {
    const modbus = await newMapper(context, 'own-modbus', 'modbus').register();
    assert.equal([modbus.code, /served by mapper modbus/.test(modbus.text)], [6, true], modbus.text);
    const second = await newMapper(context, 'second-mapper').register();
    assert.equal([second.code, /served by mapper oven-mapper/.test(second.text)], [6, true], second.text);
  });

  test('its devices are unknown, with the reason, when it has gone, and it gets what it missed', async (context) => {
    const { cluster, mapper, id } = context;
    mapper.stop();
    await status(context, '{.status.state}', /^unknown$/);
    await status(
      context,
      '{.status.extensions.reason}',
      /^mapper oven-mapper does not answer at .*oven-mapper\.sock/,
    );
    await cluster.kubectl.run(setpointPatch('210'));
    await status(context, twinPath('setpoint', 'observedDesired'), /^210$/);
    // The process lives on and only listens again: it does not register, and what it has is old.
    await mapper.listen();
    await served(context, 'setpoint', '210');
    await status(context, '{.status.extensions.reason}', /^$/);
    await mapper.reportState(id, 'online');
    await status(context, '{.status.state}', /^online$/);
  });

  test('a new run of it registers in its own place', async (context) => {
    context.mapper.stop();
    await context.cluster.kubectl.run(setpointPatch('220'));
    await status(context, twinPath('setpoint', 'observedDesired'), /^220$/);
    context.mapper = newMapper(context);
    await context.mapper.start({ withData: false });
    await served(context, 'setpoint', '220');
    assert.equal(context.mapper.calls, [
      `CreateDeviceModel ${context.cluster.namespace}/oven-model`,
      `RegisterDevice ${context.id}`,
    ]);
  });

  test('its registration survives edgecore, killed, and what it missed meanwhile', async (context) => {
    const { cluster, mapper, id } = context;
    const { namespace, kubectl: k, node, stack } = cluster;
    await k.apply(oven({ node, protocol: PROTOCOL, name: 'brief' }));
    await until('the brief one is there', () => mapper.devices.has(`${namespace}/brief`));
    await stack.program('edgecore').kill();
    mapper.calls.length = 0;
    await k.run(setpointPatch('230'));
    await k.run(['delete', 'device', 'brief']);
    await stack.startEdge();
    await served(context, 'setpoint', '230');
    await reported(context, { setpoint: '230', temperature: '99' });
    await status(context, twinPath('temperature'), /^99$/);
    await mapper.reportState(id, 'online');
    await status(context, '{.status.state}', /^online$/);
    await until('a device that went meanwhile goes when it is reported', async () => {
      await mapper.reportState(`${namespace}/brief`, 'online');
      return !mapper.devices.has(`${namespace}/brief`);
    });
  });

  test('edgecore goes on without it, and a mapper of another name may follow it', async (context) => {
    context.mapper.stop();
    const heir = newMapper(context, 'heir');
    await until('it is taken', async () => (await heir.register()).code === 0);
    await heir.listen();
    context.mapper = heir;
    await context.cluster.kubectl.run(setpointPatch('240'));
    await served(context, 'setpoint', '240');
  });
}

test.run();

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { kit } from './kit.mjs';
import plugin from './main.mjs';

/** A probe behind a serial server. */
const values = new Map([
  ['T', '21.5'],
  ['S', '20'],
]);
const probe = createServer((socket) => {
  socket.on('data', (request) => {
    const [, letter, value] = /^([A-Z])[?=](.*)\r\n$/.exec(String(request)) ?? [];
    if (!values.has(letter)) return socket.write('ERR what is that\r\n');
    if (value) values.set(letter, value);
    socket.write(`${value ? 'OK' : values.get(letter)}\r\n`);
  });
});
before(() => new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve)));
after(() => probe.close());

const model = {
  metadata: { name: 'probe' },
  spec: {
    properties: [
      { name: 'temperature', type: 'FLOAT', accessMode: 'ReadOnly' },
      { name: 'setpoint', type: 'FLOAT', accessMode: 'ReadWrite' },
    ],
  },
};

/** A device as the cluster describes it: each property with the letter that asks for it. */
function deviceWith(letters, configData = { host: '127.0.0.1', port: probe.address().port }) {
  const properties = Object.entries(letters).map(([name, letter]) => ({
    name,
    visitors: { configData: { letter } },
  }));
  return {
    metadata: { name: 'oven' },
    spec: { protocol: { protocolName: 'example-probe', configData }, properties },
  };
}

/** What the kit does: asks for every point once. */
async function readAll(device, line) {
  const values = [];
  for (const { run } of device.plan(device.points)) values.push(...(await run(line)));
  return values;
}

test('properties are read and written', async () => {
  const { device, faults } = plugin(kit).configure(deviceWith({ temperature: 'T', setpoint: 'S' }), model);
  assert.deepEqual(faults, []);
  const line = await device.connect();
  await device.write(line, device.points[1], '25');
  assert.deepEqual(await readAll(device, line), [
    { property: 'temperature', value: '21.5' },
    { property: 'setpoint', value: '25' },
  ]);
  line.close();
});

test('what the probe refuses is an exception, so that the device stays online', async () => {
  const { device } = plugin(kit).configure(deviceWith({ temperature: 'X' }), model);
  const line = await device.connect();
  await assert.rejects(readAll(device, line), { kind: 'exception', message: 'what is that' });
  line.close();
});

test('a device that says too little is told what is missing', () => {
  assert.match(plugin(kit).configure(deviceWith({}, {}), model).faults[0], /serialPort: missing/);
  assert.match(
    plugin(kit).configure(deviceWith({ temperature: undefined }), model).faults[0],
    /letter: missing/,
  );
});

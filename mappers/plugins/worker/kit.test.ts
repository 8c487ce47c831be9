import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Configured, type Connection, DRIVER_CONTRACT } from '../../kit/driver.ts';
import type { Kit, Driver as TemplateDriver } from '../../template/kit.d.mts';
import { newKit, type PluginDriver } from './kit.ts';

const test = suite('the kit of plugins');

const model = {
  metadata: { name: 'probe' },
  spec: {
    properties: [
      {
        name: 't',
        type: 'FLOAT',
        accessMode: 'ReadOnly',
        visitors: { configData: { letter: 'T', scale: 1 } },
      },
      { name: 's', type: 'INT', accessMode: 'ReadWrite' },
    ],
  },
} as const;

test('is what kit.d.mts tells editors', () => {
  // What counts is that these assignments compile.
  const kit: Kit = newKit();
  const driver: PluginDriver = {
    configure: (device, model) => template.configure(device, model) as Configured<Connection>,
  };
  const template: TemplateDriver = { configure: () => ({ faults: ['none'] }) };
  assert.is(kit.contract, DRIVER_CONTRACT);
  assert.equal(driver.configure(model as never, model as never).faults, ['none']);
});

test('points have their cycles, their access and what their visitors say', () => {
  const device = {
    metadata: { name: 'oven' },
    spec: {
      properties: [
        { name: 't', collectCycle: 5, reportCycle: 2000, visitors: { configData: { letter: 'U' } } },
        { name: 's' },
        { name: 'x' },
      ],
    },
  };
  const { points, faults } = newKit().points(device, model as never);
  assert.equal(
    points.map(({ property, writable, cycle, reportCycle, visitor }) => ({
      property,
      writable,
      cycle,
      reportCycle,
      visitor,
    })),
    [
      { property: 't', writable: false, cycle: 50, reportCycle: 2000, visitor: { letter: 'U', scale: 1 } },
      { property: 's', writable: true, cycle: 1000, reportCycle: 0, visitor: {} },
    ],
  );
  assert.equal(faults, ['spec.properties[2].name: x is not in model probe']);
});

test('outside of edgecore there is nobody who opens serial lines, and it says so', async () => {
  const why = await newKit()
    .openSerial({ path: '/dev/ttyUSB0' })
    .then(String, (error) => `${error.kind}: ${error.message}`);
  assert.is(why, 'unreachable: serial lines are opened by edgecore: test over TCP');
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../core/devices.ts';
import { Models } from './models.ts';

const deviceOf = (name: string, address: number, model = 'meter'): Device => ({
  metadata: { name, namespace: 'default' },
  spec: {
    deviceModelRef: { name: model },
    properties: [
      { name: 'power', visitors: { configData: { register: 'input', address: 1 } } },
      { name: 'energy', visitors: { configData: { register: 'input', address } } },
    ],
  },
});

test('devices of a model share the properties in which they are alike, and no others', () => {
  const models = new Models();
  const first = models.sharing(deviceOf('a', 2));
  const given = deviceOf('b', 3);
  const second = models.sharing(given);
  assert.equal(second, given);
  assert.is(second.spec.properties?.[0], first.spec.properties?.[0]);
  assert.is(second.spec.properties?.[1], given.spec.properties?.[1]);
  const third = models.sharing(deviceOf('c', 3));
  assert.is(third.spec.properties?.[1], second.spec.properties?.[1]);
});

test('devices of other models share nothing, and one without properties stays as it is', () => {
  const models = new Models();
  const first = models.sharing(deviceOf('a', 2));
  const other = models.sharing(deviceOf('b', 2, 'valve'));
  assert.is.not(other.spec.properties?.[0], first.spec.properties?.[0]);
  const bare: Device = { metadata: { name: 'c' }, spec: { deviceModelRef: { name: 'meter' } } };
  assert.equal(models.sharing(bare), bare);
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceMapper } from '../../runtime/core/dmi.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { trustedTime } from '../../runtime/core/time-trust.ts';
import { deviceId } from '../../runtime/core/units.ts';
import { MemoryPushStore } from './memory-push-store.ts';
import { Pusher } from './pusher.ts';

const test = suite('a mapper whose values are pushed');

function known(mapper: DeviceMapper): DeviceMapper | undefined {
  let added: DeviceMapper | undefined;
  const pusher = newPusher();
  const registry = pusher.before({
    addMapper: (one) => {
      added = one;
    },
    removeMapper: () => {},
  });
  registry.addMapper(mapper);
  return added;
}

function newPusher(): Pusher {
  return new Pusher({
    ...{ clock: new FakeClock(), time: trustedTime, log: silentLogger, metrics: new Metrics() },
    ...{ random: () => 0.5, store: new MemoryPushStore(), report: () => {}, environment: { variables: {} } },
  } as unknown as ConstructorParameters<typeof Pusher>[0]);
}

const plain: DeviceMapper = { protocols: ['p'], applyDevice: () => undefined, removeDevice: () => {} };

test('commands reach it as before', async () => {
  const written: string[] = [];
  const mapper = {
    ...plain,
    write: async (id: string, property: string, value: string) => {
      written.push(`${id}/${property}=${value}`);
      return undefined;
    },
  };
  assert.is(await known(mapper)?.write?.(deviceId('default', 'd'), 't', '1'), undefined);
  assert.equal(written, ['default/d/t=1']);
});

test('one that takes no commands is known as such', () => {
  assert.is(known(plain)?.write, undefined);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { splitHostPort } from './address.ts';
import { kubeMicroTime, kubeTime } from './k8s.ts';
import { deviceId, kibibytes, mebibytes, minutes, seconds, splitDeviceId } from './units.ts';

test('durations are milliseconds, sizes are bytes', () => {
  assert.equal([seconds(1.5), minutes(2), kibibytes(2), mebibytes(1)], [1500, 120_000, 2048, 1_048_576]);
});

test('a device id is namespace and name, both ways', () => {
  const id = deviceId('shop', 'plc.4');
  assert.is(id, 'shop/plc.4');
  assert.equal(splitDeviceId(id), { namespace: 'shop', name: 'plc.4' });
});

const addresses: [string, { host: string; port: number }][] = [
  ['127.0.0.1:10350', { host: '127.0.0.1', port: 10_350 }],
  ['cloud.example:10000', { host: 'cloud.example', port: 10_000 }],
  ['[::1]:1883', { host: '::1', port: 1883 }],
];
for (const [text, wanted] of addresses) {
  test(`${text} is host ${wanted.host}, port ${wanted.port}`, () =>
    assert.equal(splitHostPort(text), wanted));
}

test('Kubernetes’ times have whole seconds, its micro times six decimals', () => {
  const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  assert.equal([kubeTime(at), kubeMicroTime(at)], ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.678000Z']);
});

test.run();

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { memoryOf } from '../../build/bench/process-meter.ts';
import { seconds } from '../../runtime/core/units.ts';
import { managerMethods } from '../../runtime/wire/dmi-messages.ts';
import { GrpcClient } from '../../runtime/wire/grpc-client.ts';
import { encode } from '../../runtime/wire/protobuf.ts';
import { LoneEdge } from '../lone-edge.ts';

type Context = { dir: string; edge: LoneEdge };
const test = suite<Context>('mappers that connect for every report');
const WARM = 2000;
const CALLS = 8000;
const MOST_GROWTH_MB = 10;

test.before(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-dmi-'));
  context.edge = await LoneEdge.make({ dir: context.dir, node: 'dmi', eventBus: {} });
  await context.edge.start();
});
test.after(async ({ edge, dir }) => {
  await edge.stop();
  rmSync(dir, { recursive: true, force: true });
});

test('leave nothing behind', async ({ edge, dir }) => {
  const { ReportDeviceStates } = managerMethods;
  const request = encode(ReportDeviceStates.request, { deviceName: 'none', state: 'online' });
  const report = async (): Promise<unknown> => {
    const client = new GrpcClient(join(dir, 'edgecore', 'dmi.sock'));
    const call = client.call('/v1beta1.DeviceManagerService/ReportDeviceStates', request, seconds(5));
    const status = await call.then(
      () => 0,
      (error) => error.status,
    );
    client.close();
    return status;
  };
  for (let n = 0; n < WARM; n++) assert.is(await report(), 5);
  const before = memoryOf(edge.pid).rssMb;
  for (let n = 0; n < CALLS; n++) assert.is(await report(), 5);
  const growth = memoryOf(edge.pid).rssMb - before;
  process.stdout.write(`\nRSS after ${CALLS} connections: ${growth.toFixed(1)} MB more\n`);
  assert.ok(growth < MOST_GROWTH_MB, `${growth} MB`);
});

test.run();

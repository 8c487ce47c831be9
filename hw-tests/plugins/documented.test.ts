import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { twinPath } from '../kubernetes/device-objects.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { Line } from '../serial/line.ts';
import { SerialProbe } from './serial-probe.ts';
import { Site } from './site.ts';

type Context = { site: Site; line: Line; probe: SerialProbe };
const test = suite<Context>('the mapper of mappers/docs/plugin.md');
const hasSocat = requireProgram('socat', 'socat') !== undefined;
const kubectl = requireProgram('kubectl', 'kubernetes-client');
const page = readFileSync('mappers/docs/plugin.md', 'utf8');

test.before(async (context) => {
  context.line = new Line();
  context.probe = new SerialProbe();
  if (!hasSocat || !kubectl) return;
  await context.line.connect();
  await context.probe.open(context.line.slaves);
  context.site = await Site.open(kubectl);
});
test.after(async ({ site, line, probe }) => {
  await site?.close();
  await probe.close();
  await line.remove();
});

/** The code blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    (match) => match[1] ?? '',
  );
}

if (hasSocat && kubectl) {
  test('is what a new user gets from the commands of the page', async ({ site, line, probe }) => {
    const [make, install, apply] = blocks('sh');
    const [code] = blocks('js');
    const [manifest] = blocks('json');
    const [device] = blocks('yaml');
    assert.match(await site.must(make ?? ''), /# pass 3/);
    const made = (file: string): string => readFileSync(join(site.home, 'oven-probe', file), 'utf8');
    assert.is(made('main.mjs'), code, 'the page shows what is made');
    assert.is(made('mapper.json'), manifest);
    assert.is(made('device.yaml'), device);
    assert.ok((code?.split('\n').length ?? 0) <= 61, 'sixty lines');

    const installed = await site.must(install ?? '');
    assert.match(installed, /mapper oven-probe 1\.0\.0 is installed and runs, with 0 devices/);
    assert.match(installed, /oven-probe +1\.0\.0 +oven-probe +running +0/);

    const own = (device ?? '').replace('gateway-1', site.cluster.node).replace('/dev/ttyUSB0', line.master);
    writeFileSync(join(site.home, 'oven-probe', 'device.yaml'), own);
    await site.must((apply ?? '').split('\n')[0] ?? '');
    await site.deviceStatus('oven', '{.status.state}', /^online$/);
    await site.deviceStatus('oven', twinPath('temperature'), /^21\.5$/);
    await site.deviceStatus('oven', twinPath('setpoint'), /^20$/);
    assert.is(probe.values.get('S'), '20', 'the desired value is in the probe');
    probe.values.set('T', '-3');
    await site.deviceStatus('oven', twinPath('temperature'), /^-3$/);
  });

  test('goes offline with its line and comes back with it', async ({ site, line, probe }) => {
    await probe.close();
    await line.cut();
    await site.deviceStatus('oven', '{.status.state}', /^offline$/);
    await line.connect();
    await probe.open(line.slaves);
    await site.deviceStatus('oven', '{.status.state}', /^online$/);
  });

  test('lets go of its line for the next version, and for good when it is removed', async ({
    site,
    line,
    probe,
  }) => {
    const next = join(site.home, 'next');
    mkdirSync(next);
    await site.must(
      'cp oven-probe/* next/ && sed -i s/1.0.0/1.1.0/ next/mapper.json && tar -czf next.tgz -C next .',
    );
    assert.match(
      await site.must('edgecore mapper install next.tgz'),
      /oven-probe 1\.1\.0 is installed and runs, with 1 device$/m,
    );
    probe.values.set('T', '7');
    await site.deviceStatus('oven', twinPath('temperature'), /^7$/);
    assert.match(await site.must('edgecore mapper disable oven-probe'), /is disabled/);
    await site.deviceStatus('oven', '{.status.extensions.reason}', /^mapper oven-probe is disabled$/);
    await site.must('edgecore mapper enable oven-probe');
    await site.deviceStatus('oven', '{.status.state}', /^online$/);
    await site.must('edgecore mapper remove oven-probe');
    await site.deviceStatus('oven', '{.status.state}', /^unknown$/);
    await site.deviceStatus('oven', '{.status.extensions.reason}', /^mapper oven-probe was removed$/);
    await probe.close();
    // The line is exclusive: only when edgecore has let go it can be opened at its end.
    const free = new SerialProbe();
    await until('the line is free', async () => {
      await free.open(line.master);
      return true;
    });
    await free.close();
  });
}

test.run();

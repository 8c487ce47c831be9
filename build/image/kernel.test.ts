import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { faultOfKernel } from './kernel.ts';

function kernel(parts: Readonly<Record<number, string>>): Buffer {
  const image = Buffer.alloc(256);
  for (const [at, text] of Object.entries(parts)) image.write(text, Number(at), 'latin1');
  return image;
}

test('the firmware takes a plain kernel, also one with an entry for EFI, and a packed one', () => {
  assert.is(faultOfKernel(kernel({ 56: 'ARMd' })), undefined);
  assert.is(faultOfKernel(kernel({ 0: 'MZ', 56: 'ARMd' })), undefined);
  assert.is(faultOfKernel(gzipSync(kernel({ 56: 'ARMd' }))), undefined);
});

test('it takes neither one that unpacks itself nor one for another processor', () => {
  assert.match(faultOfKernel(kernel({ 0: 'MZ', 4: 'zimg', 56: 'ARMd' })) ?? '', /UEFI/);
  assert.match(faultOfKernel(kernel({ 0: 'MZ' })) ?? '', /arm64/);
});

test.run();

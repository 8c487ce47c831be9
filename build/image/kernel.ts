/** Why the firmware of the Raspberry Pi would not start a kernel: it wants the plain image of one for arm64, or that
 * packed with gzip, and knows nothing of EFI's self-unpacking ones ("zboot").
 * @returns undefined when it would
 * @source Linux Documentation/arch/arm64/booting.rst; drivers/firmware/efi/libstub/zboot-header.S */
export function faultOfKernel(image: Buffer): string | undefined {
  if (image.toString('latin1', 4, 8) === 'zimg') return 'it unpacks itself, which takes UEFI';
  const isGzip = image.readUInt16BE(0) === 0x1f8b;
  return isGzip || image.toString('latin1', 0x38, 0x3c) === 'ARMd' ? undefined : 'it is no kernel for arm64';
}

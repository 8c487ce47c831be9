export type BoardName = 'rpi3' | 'rpi4' | 'rpi5' | 'zero2' | 'virt';

/** What one kind of machine needs beside the common root. */
export type Board = {
  readonly title: string;
  /** How the first partition starts the kernel: systemd-boot from UEFI, or the firmware of the Raspberry Pi. */
  readonly loader: 'uefi' | 'raspberry';
  readonly packages: readonly string[];
  /** Where the kernel comes from: Debian 13, or its backports for a board that is newer than that. */
  readonly kernel: 'trixie' | 'trixie-backports';
  /** Where the kernel's messages go. */
  readonly console: readonly string[];
  /** Drivers, or folders of drivers, that the machine needs before its root is there. */
  readonly drivers: readonly string[];
  /** Folders of drivers that it can have no use for. */
  readonly needless: readonly string[];
  /** Device trees that go beside the kernel, as they lie in Debian's kernel package. */
  readonly deviceTrees: readonly string[];
  /** Sources of overlays, `overlays/NAME.dts`, which the firmware applies by itself when it finds them. */
  readonly overlays: readonly string[];
  /** MiB of the boot partition. */
  readonly bootMiB: number;
  /** What an operator should know before this image is relied on. */
  readonly warnings: readonly string[];
};

const untested =
  'this image was never started on a real board, only built; the virt image is tested in an emulator';

/** Enough for cards, USB disks and what stands before them: clocks, power, pins. */
const raspberryDrivers = [
  'drivers/mmc',
  'drivers/clk',
  'drivers/regulator',
  'drivers/gpio',
  'drivers/pinctrl',
  'drivers/reset',
  'drivers/phy',
  'drivers/dma',
  'drivers/mailbox',
  'drivers/firmware',
  'drivers/usb/host',
  'drivers/usb/dwc2',
  'drivers/usb/storage',
  'drivers/scsi/sd_mod',
  'drivers/pci/controller',
  'drivers/soc',
] as const;

const raspberry = {
  loader: 'raspberry',
  kernel: 'trixie',
  overlays: [],
  packages: ['raspi-firmware', 'firmware-brcm80211', 'wireless-regdb', 'wpasupplicant'],
  console: ['tty0', 'ttyS1,115200'],
  drivers: raspberryDrivers,
  needless: [],
  bootMiB: 256,
} as const;

export const boards: Readonly<Record<BoardName, Board>> = {
  virt: {
    title: 'a virtual machine (qemu -M virt) or a server with UEFI',
    loader: 'uefi',
    packages: ['systemd-boot-efi'],
    kernel: 'trixie',
    console: ['ttyAMA0'],
    drivers: ['drivers/block/virtio_blk', 'drivers/net/virtio_net', 'drivers/char/hw_random/virtio-rng'],
    needless: [
      'net/wireless',
      'net/mac80211',
      'net/bluetooth',
      'drivers/net/wireless',
      'drivers/bluetooth',
      'arch/arm64/crypto',
    ],
    deviceTrees: [],
    overlays: [],
    bootMiB: 128,
    warnings: [],
  },
  rpi3: {
    ...raspberry,
    title: 'Raspberry Pi 3A+, 3B, 3B+, CM3',
    deviceTrees: [
      'bcm2837-rpi-3-a-plus.dtb',
      'bcm2837-rpi-3-b.dtb',
      'bcm2837-rpi-3-b-plus.dtb',
      'bcm2837-rpi-cm3-io3.dtb',
    ],
    warnings: [untested],
  },
  zero2: {
    ...raspberry,
    title: 'Raspberry Pi Zero 2 W',
    deviceTrees: ['bcm2837-rpi-zero-2-w.dtb'],
    warnings: [
      untested,
      'Debian has the Wi-Fi firmware of one of the two chips that these boards come with (BCM43430), not that of the ' +
        'other (BCM43436, brcmfmac43430b0-sdio.bin): such a board needs a USB adapter for its network',
    ],
  },
  rpi4: {
    ...raspberry,
    title: 'Raspberry Pi 4B, 400, CM4',
    deviceTrees: ['bcm2711-rpi-4-b.dtb', 'bcm2711-rpi-400.dtb', 'bcm2711-rpi-cm4-io.dtb'],
    warnings: [untested],
  },
  rpi5: {
    ...raspberry,
    title: 'Raspberry Pi 5',
    // Ethernet and USB hang on a chip, RP1, that Linux 6.12 has no driver for.
    kernel: 'trixie-backports',
    console: ['tty0', 'ttyAMA10,115200'],
    drivers: [...raspberryDrivers, 'drivers/irqchip/irq-bcm2712-mip', 'drivers/misc/rp1', 'drivers/usb/dwc3'],
    deviceTrees: ['bcm2712-rpi-5-b.dtb', 'bcm2712-d-rpi-5-b.dtb'],
    overlays: ['bcm2712d0'],
    warnings: [untested],
  },
};

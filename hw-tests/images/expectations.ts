import type { BoardName } from '../../build/image/boards.ts';

export type Expectation = {
  /** Device trees by the name that the firmware looks for, each with what the board calls itself in it. */
  readonly trees: Readonly<Record<string, string>>;
  /** What the firmware loads before the kernel. */
  readonly firmware: readonly string[];
  /** Devices that must be driven before the root is there, as a device tree calls them, each with its driver. */
  readonly early: Readonly<Record<string, string>>;
  /** Devices that the root drives. */
  readonly late: Readonly<Record<string, string>>;
  /** Drivers of what makes itself known by other means than a device tree: on USB, PCI, SDIO. */
  readonly modules: readonly string[];
  /** Files that the Wi-Fi of each board asks for, in `firmware/brcm`. */
  readonly wifi: readonly string[];
};

const first3 = ['bootcode.bin', 'start.elf', 'fixup.dat'];
const early3 = {
  'brcm,bcm2835-sdhost': 'bcm2835',
  'brcm,bcm2835-usb': 'dwc2',
  'brcm,bcm2835-dma': 'bcm2835-dma',
  'brcm,bcm2835-gpio': 'pinctrl-bcm2835',
};
const late3 = { 'brcm,bcm2835-aux-uart': '8250_bcm2835aux', 'brcm,bcm2835-sdhci': 'sdhci-iproc' };

/** What every board of the Raspberry Pi has to find in its image. */
export const expectations: Readonly<Record<Exclude<BoardName, 'virt'>, Expectation>> = {
  rpi3: {
    trees: {
      'bcm2837-rpi-3-a-plus.dtb': 'raspberrypi,3-model-a-plus',
      'bcm2837-rpi-3-b.dtb': 'raspberrypi,3-model-b',
      'bcm2837-rpi-3-b-plus.dtb': 'raspberrypi,3-model-b-plus',
      'bcm2837-rpi-cm3-io3.dtb': 'raspberrypi,3-compute-module',
    },
    firmware: first3,
    early: early3,
    late: late3,
    modules: ['smsc95xx', 'lan78xx'],
    wifi: [
      'brcmfmac43430-sdio.bin',
      'brcmfmac43430-sdio.raspberrypi,3-model-b.txt',
      'brcmfmac43455-sdio.bin',
      'brcmfmac43455-sdio.clm_blob',
      'brcmfmac43455-sdio.raspberrypi,3-model-a-plus.txt',
      'brcmfmac43455-sdio.raspberrypi,3-model-b-plus.txt',
    ],
  },
  zero2: {
    trees: { 'bcm2837-rpi-zero-2-w.dtb': 'raspberrypi,model-zero-2-w' },
    firmware: first3,
    early: early3,
    late: late3,
    modules: [],
    wifi: ['brcmfmac43430-sdio.bin', 'brcmfmac43430-sdio.raspberrypi,model-zero-2-w.txt'],
  },
  rpi4: {
    trees: {
      'bcm2711-rpi-4-b.dtb': 'raspberrypi,4-model-b',
      'bcm2711-rpi-400.dtb': 'raspberrypi,400',
      'bcm2711-rpi-cm4-io.dtb': 'raspberrypi,4-compute-module',
    },
    firmware: ['start4.elf', 'fixup4.dat'],
    early: {
      'brcm,bcm2711-emmc2': 'sdhci-iproc',
      'brcm,bcm2711-pcie': 'pcie-brcmstb',
      'brcm,bcm2711-gpio': 'pinctrl-bcm2835',
      'raspberrypi,firmware-reset': 'reset-raspberrypi',
    },
    late: { ...late3, 'brcm,bcm2711-genet-v5': 'genet' },
    modules: ['xhci-pci'],
    wifi: [
      'brcmfmac43455-sdio.bin',
      'brcmfmac43455-sdio.clm_blob',
      'brcmfmac43455-sdio.raspberrypi,4-model-b.txt',
      'brcmfmac43455-sdio.raspberrypi,4-compute-module.txt',
    ],
  },
  rpi5: {
    trees: {
      'bcm2712-rpi-5-b.dtb': 'raspberrypi,5-model-b',
      'bcm2712-d-rpi-5-b.dtb': 'raspberrypi,5-model-b',
    },
    firmware: [], // it has its own in a chip
    early: {
      'brcm,bcm2712-sdhci': 'sdhci-brcmstb',
      'brcm,bcm2712-pcie': 'pcie-brcmstb',
      'brcm,bcm2712-mip': 'irq-bcm2712-mip',
      'brcm,bcm2712c0-pinctrl': 'pinctrl-brcmstb-bcm2712',
      'brcm,bcm2712d0-pinctrl': 'pinctrl-brcmstb-bcm2712',
      'brcm,brcmstb-gpio': 'gpio-brcmstb',
      'raspberrypi,rp1-clocks': 'clk-rp1',
      'raspberrypi,rp1-gpio': 'pinctrl-rp1',
      'snps,dwc3': 'dwc3',
    },
    late: { 'raspberrypi,rp1-gem': 'macb' },
    modules: ['rp1_pci', 'xhci-plat-hcd', 'nvme'],
    wifi: [
      'brcmfmac43455-sdio.bin',
      'brcmfmac43455-sdio.clm_blob',
      'brcmfmac43455-sdio.raspberrypi,5-model-b.txt',
    ],
  },
};

import { desiredFault } from '../../../runtime/core/devices.ts';
import { decodeValue, encodeValue } from '../../kit/convert.ts';
import { DRIVER_CONTRACT, type Driver } from '../../kit/driver.ts';
import { WireError } from '../../kit/wire-error.ts';
import { noSerial, type serialOpener } from './open-serial.ts';
import { openTcp } from './open-tcp.ts';
import { pointsOf } from './points.ts';

/** What a plugin's factory is handed: all that it needs beside Node's own modules. `mappers/template/kit.d.mts` describes
 * it to editors. */
export type PluginKit = {
  readonly contract: typeof DRIVER_CONTRACT;
  readonly WireError: typeof WireError;
  readonly openTcp: typeof openTcp;
  readonly openSerial: ReturnType<typeof serialOpener>;
  readonly points: typeof pointsOf;
  readonly decodeValue: typeof decodeValue;
  readonly encodeValue: typeof encodeValue;
  readonly modelFault: typeof desiredFault;
  /** Lines for edgecore's log; of too many some are left out. */
  readonly log: { info(text: string): void; warn(text: string): void };
};

/** The default export of a plugin. Its name and protocols are the manifest's; it may say them, too. */
export type PluginDriver = Pick<Driver, 'configure'> & Partial<Pick<Driver, 'protocols'>>;
export type PluginFactory = (kit: PluginKit) => PluginDriver | Promise<PluginDriver>;

/** @param outside what edgecore does for it; without, the kit is one for a plugin's own tests */
export function newKit(outside: Partial<Pick<PluginKit, 'openSerial' | 'log'>> = {}): PluginKit {
  return {
    contract: DRIVER_CONTRACT,
    WireError,
    openTcp,
    openSerial: noSerial,
    points: pointsOf,
    decodeValue,
    encodeValue,
    modelFault: desiredFault,
    log: { info: () => {}, warn: () => {} },
    ...outside,
  };
}

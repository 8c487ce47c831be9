import type { SerialPort } from 'serialport';
import { errorText } from '../../runtime/core/errors.ts';
import { openSerialPort } from '../kit/serial-port.ts';
import type { SerialSettings } from './config-endpoint.ts';
import type { Wire } from './wire.ts';

/** Opens a serial device, for this process alone.
 * @throws Error: it is not there, it is taken, it knows no such baud rate */
export async function openSerialWire(settings: SerialSettings): Promise<Wire> {
  const port = await openSerialPort(settings.path, settings);
  return serialWire(port, settings.rts);
}

/** What a serial wire needs of its port. */
export type SerialLike = Pick<SerialPort, 'isOpen' | 'on' | 'write' | 'drain' | 'set' | 'close'>;

/** @param rts the level of RTS that switches the driver to sending; it listens at the other one */
export function serialWire(port: SerialLike, rts: SerialSettings['rts']): Wire {
  let reason = 'the serial device is gone';
  const drive = (sending: boolean, then: () => void): void => {
    if (rts === 'none') return then();
    port.set({ rts: sending === (rts === 'high') }, (error) => {
      if (error) reason = `RTS cannot be set: ${errorText(error)}`;
      then();
    });
  };
  const wire: Wire = {
    onData: () => {},
    lost: new Promise((resolve) => {
      port.on('error', (error: Error) => {
        reason = errorText(error);
      });
      port.on('close', () => resolve(reason));
    }),
    send: (bytes) =>
      drive(true, () => {
        port.write(bytes);
        // The driver must listen again before the answer begins: when the last bit has left, and not before.
        if (rts !== 'none') port.drain(() => drive(false, () => {}));
      }),
    close: () => (port.isOpen ? new Promise((resolve) => port.close(() => resolve())) : Promise.resolve()),
  };
  port.on('data', (chunk: Buffer) => wire.onData(chunk));
  drive(false, () => {});
  return wire;
}

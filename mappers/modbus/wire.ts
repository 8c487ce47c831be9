import type { Endpoint } from './config-endpoint.ts';
import { openSerialWire } from './serial-wire.ts';
import { openTcpWire, openUdpWire } from './socket-wire.ts';

/** Bytes to and from whatever answers Modbus, without any meaning. */
export interface Wire {
  /** Resolves with the reason when it is gone by itself. */
  readonly lost: Promise<string>;
  /** Takes what comes; set once. */
  onData: (chunk: Buffer) => void;
  send(bytes: Buffer): void;
  /** Lets go; resolves when another may have it. */
  close(): Promise<void>;
}

/** @throws Error with the reason why it cannot be opened */
export function openWire({ wire }: Endpoint): Promise<Wire> {
  switch (wire.kind) {
    case 'serial':
      return openSerialWire(wire);
    case 'tcp':
      return openTcpWire(wire);
    case 'udp':
      return openUdpWire(wire);
    default:
      return wire satisfies never;
  }
}

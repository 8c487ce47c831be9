import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { Millis } from '../../runtime/core/units.ts';

/** The version of this contract. A plugin names the one that it was written for and is refused with any other. */
export const DRIVER_CONTRACT = 1;

/** What a protocol adds to the kit, and all that a plugin has to write. The rest is the kit's: cycles, turns on a shared
 * bus, back-off, quarantine, desired values and their read-back, reports. */
export interface Driver<C extends Connection = Connection> {
  /** For logs: `modbus`. */
  readonly name: string;
  /** The `spec.protocol.protocolName`s that it serves. */
  readonly protocols: readonly string[];
  /** Reads a device and its model into the protocol's own terms; touches no device. */
  configure(device: Device, model: DeviceModel): Configured<C>;
}

/** What is right of a device, and what is wrong with the rest, each `spec.path: fault`. */
export type Configured<C extends Connection> = {
  /** Absent when nothing of it can be served. */
  readonly device?: DriverDevice<C>;
  readonly faults: readonly string[];
};

/** One device as its driver sees it. It may learn from answers: a device whose configuration changes is made anew. */
export interface DriverDevice<C extends Connection = Connection> {
  /** Names the connection, for people too: `plc.local:502`, `/dev/ttyUSB0`. Devices that name the same share it. */
  readonly bus: string;
  /** How the bus is opened, for people too: `19200 8N1`. A device that shares a bus and wants another is refused. */
  readonly busSettings?: string;
  /** All that makes it differ: equal text means that it is polled as before. */
  readonly shape: string;
  readonly points: readonly DriverPoint[];
  /** Opens the bus; rejects with a WireError `unreachable`. Called for one device of those that share it. */
  connect(): Promise<C>;
  /** Cuts the points that are due into exchanges, few as can be; each is one turn on the bus. The kit hands in the same
   * array for the same points, so that a plan can be kept. */
  plan(due: readonly DriverPoint[]): readonly Exchange<C>[];
  /** Brings a value, checked against the model, to the device.
   * @throws WireError `refused` for a value that the point cannot hold, `exception` when the device refuses it; others
   *   when it cannot be reached */
  write(connection: C, point: DriverPoint, value: string): Promise<void>;
  /** The cheapest question that tells whether it is there again; without it the first exchange of a plan is asked. */
  probe?(connection: C): Promise<void>;
  /** Hears a device that speaks unasked; called with every new connection. Its points need no plan, and it is online
   * while the bus is open. */
  listen?(connection: C, heard: (values: readonly Value[]) => void): void;
}

/** A property as the kit has to know it; drivers add where it lies. */
export type DriverPoint = {
  readonly property: string;
  readonly writable: boolean;
  /** The wait between two readings. */
  readonly cycle: Millis;
  /** Least time between two reports; 0 = with every change. */
  readonly reportCycle: Millis;
};

export type Exchange<C extends Connection = Connection> = {
  readonly points: readonly DriverPoint[];
  /** @throws WireError; `exception` and `refused` make a fault of its points, and so does `noise` while other exchanges of
   *   the turn succeed; others mean that the device is away */
  run(connection: C): Promise<readonly Value[]>;
};

/** A property's value in KubeEdge's text form, or why there is none. */
export type Value = { readonly property: string } & ({ readonly value: string } | { readonly fault: string });

/** An open bus. */
export interface Connection {
  /** Resolves with the reason when the bus is gone without having been closed; never rejects. */
  readonly lost?: Promise<string>;
  /** Lets go; safe at any time. The bus is opened again only when what this returns has resolved. */
  close(): void | Promise<void>;
}

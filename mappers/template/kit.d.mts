/** What a plugin is handed and what it gives: contract 1. Only for editors; the kit itself is edgecore's. */

/** What a plugin's factory makes. Its name and protocols are those of mapper.json. */
export type Driver = {
  /** Reads a device and its model into the protocol's own terms; touches no device. */
  configure(device: Device, model: DeviceModel): Configured | { faults: readonly string[] };
};

export type Configured = {
  device: DriverDevice;
  /** What is wrong with the rest, each `spec.path: fault`; the device is served without it. */
  faults: readonly string[];
};

export type DriverDevice = {
  /** Names the connection, for people too: `plc.local:502`, `/dev/ttyUSB0`. Devices that name the same share it. */
  bus: string;
  /** How it is opened, for people too: `9600 baud`. A device that shares a bus and wants another is refused. */
  busSettings?: string;
  /** All that makes the device differ: equal text means that it is polled as before. */
  shape: string;
  points: readonly Point[];
  /** Opens the bus; rejects with a WireError `unreachable`. */
  connect(): Promise<Line>;
  /** Cuts the points that are due into exchanges; each is one turn on the bus. Throws a WireError: `exception` and
   * `refused` are faults of its points, with the others the device is away. */
  plan(
    due: readonly Point[],
  ): readonly { points: readonly Point[]; run(line: Line): Promise<readonly Value[]> }[];
  /** Brings a value, checked against the model, to the device. */
  write(line: Line, point: Point, value: string): Promise<void>;
  /** The cheapest question that tells whether the device is there again. */
  probe?(line: Line): Promise<void>;
  /** Hears a device that speaks unasked; called with every new connection. */
  listen?(line: Line, heard: (values: readonly Value[]) => void): void;
};

export type Value = { property: string; value: string } | { property: string; fault: string };

/** A property: what the kit has to know, what the model says, and the visitor's `configData`. */
export type Point = {
  readonly property: string;
  readonly writable: boolean;
  /** ms between two readings, and the least between two reports. */
  readonly cycle: number;
  readonly reportCycle: number;
  readonly model: { name: string; type: string; unit?: string };
  readonly visitor: Readonly<Record<string, any>>;
};

export type Kit = {
  readonly contract: number;
  /** What went wrong on the wire: the device's refusal (`exception`), a value that it cannot hold (`refused`), no answer
   * (`timeout`), nonsense that spoils one exchange (`noise`) or the connection (`garbled`), no connection. */
  readonly WireError: new (
    kind: 'exception' | 'refused' | 'timeout' | 'noise' | 'garbled' | 'unreachable',
    message: string,
    code?: number,
  ) => Error;
  openTcp(options: { host: string; port: number; timeout?: number }): Promise<Line>;
  /** 8 data bits, no parity, 1 stop bit, 9600 baud unless said otherwise. */
  openSerial(options: {
    path: string;
    baudRate?: number;
    dataBits?: 7 | 8;
    parity?: 'none' | 'even' | 'odd';
    stopBits?: 1 | 2;
    flowControl?: 'none' | 'rtscts' | 'xonxoff';
  }): Promise<Line>;
  /** The properties of a device that are in its model, and a fault for each that is not. */
  points(device: Device, model: DeviceModel): { points: Point[]; faults: string[] };
  /** Reads a value from 16-bit registers, as Modbus has them. */
  decodeValue(raw: Buffer, encoding: Encoding): string | { readonly fault: string };
  encodeValue(text: string, encoding: Encoding, registers: number): Buffer | { readonly fault: string };
  /** Checks a desired value against the model: what is wrong, or undefined. The kit has done so before `write`. */
  modelFault(text: string, property: Point['model']): string | undefined;
  /** Lines for edgecore's log; of too many some are left out. */
  readonly log: { info(text: string): void; warn(text: string): void };
};

/** An open line: text is latin1. One question at a time; the kit's bus sees to that. */
export type Line = {
  readonly name: string;
  write(data: string | Uint8Array): Promise<void>;
  /** Drops what came before, sends, and waits for one line. `end` is `\n` by default; a `\r` before it is cut off. */
  ask(
    request: string | Uint8Array,
    options?: { end?: string; timeout?: number | undefined },
  ): Promise<string>;
  readLine(options?: { end?: string; timeout?: number | undefined }): Promise<string>;
  readBytes(count: number, options?: { timeout?: number | undefined }): Promise<Buffer>;
  /** Hears every line from now on. */
  onLine(heard: (line: string) => void, options?: { end?: string }): void;
  discard(): void;
  close(): void;
};

export type Encoding = {
  readonly format: string;
  readonly order: 'ABCD' | 'BADC' | 'CDAB' | 'DCBA';
  readonly scale: number;
  readonly add: number;
  readonly bit: number;
};

/** The cluster's objects, `devices.kubeedge.io/v1beta1`. */
export type Device = {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: {
    readonly protocol?: {
      readonly protocolName?: string;
      readonly configData?: Readonly<Record<string, any>>;
    };
    readonly properties?: readonly {
      readonly name: string;
      readonly collectCycle?: number;
      /** edgecore pushes the values. `anomalyDetection` is for the plugin. */
      readonly pushMethod?: Readonly<Record<string, any>>;
    }[];
  };
};

export type DeviceModel = {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly properties?: readonly { readonly name: string; readonly type: string }[] };
};

/** For tests: all of it is real but `openSerial`, as edgecore opens serial lines. */
export declare const kit: Kit;

import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import { type Millis, millis } from '../../runtime/core/units.ts';
import { ConfigReader } from '../kit/config-reader.ts';
import { type Endpoint, isSerial, parseEndpoint } from './config-endpoint.ts';
import { type Point, parsePoints } from './config-points.ts';

/** Which functions write: what the device was found to take, one register at a time (5, 6), several (15, 16), or several
 * in the same request that reads them back (23). */
export type WriteMode = 'auto' | 'single' | 'multiple' | 'readWrite';

export type ModbusConfig = {
  readonly endpoint: Endpoint;
  readonly unit: number;
  /** How long the device may take until its answer begins. */
  readonly timeout: Millis;
  /** Silence before each request, for devices that need to turn around. */
  readonly delay: Millis;
  /** How often a request without a good answer is repeated. */
  readonly retries: number;
  /** The most that one request may ask for. */
  readonly maxRegisters: number;
  readonly maxCoils: number;
  /** Registers that nobody wants and that are read along between two that are wanted; undefined = by what is cheaper. */
  readonly maxGap: number | undefined;
  readonly write: WriteMode;
  /** Bits within a register: read, change and write it, or function 22. */
  readonly bitWrite: 'read' | 'mask';
  readonly points: readonly Point[];
};

/** What is right of a device, and what is wrong with the rest: `spec.path: fault`. */
export type ParsedDevice = { readonly device: ModbusConfig | undefined; readonly faults: readonly string[] };

/** @source MODBUS Application Protocol V1.1b3 §6.1, §6.3 */
const PROTOCOL_LIMITS = { registers: 125, coils: 2000 };

/** Reads a Device with protocol Modbus: KubeEdge's keys (`ip`, `slaveID`, `register: HoldingRegister`, `offset`, `limit`,
 * `isSwap` …) and a clearer form of our own (`host`, `unitId`, `register: holding`, `address`, `type`, `order` …).
 * @source KubeEdge docs, Modbus mapper; mappers/README.md lists every key */
export function parseModbusDevice(device: Device, model: DeviceModel): ParsedDevice {
  const faults: string[] = [];
  const reader = new ConfigReader('spec.protocol.configData', faults, device.spec.protocol?.configData);
  const endpoint = parseEndpoint(reader);
  const settings = parseSettings(reader, endpoint !== undefined && isSerial(endpoint));
  const points = parsePoints(device, model, faults);
  return { device: endpoint && settings && { endpoint, ...settings, points }, faults };
}

function parseSettings(
  reader: ConfigReader,
  isLine: boolean,
): Omit<ModbusConfig, 'endpoint' | 'points'> | undefined {
  // On a line 0 speaks to all, who do not answer; TCP devices take 0 or 255 for themselves.
  const unit = reader.whole(['unitId', 'slaveID'], isLine ? [1, 247] : [0, 255], 1);
  const timeout = reader.whole(['timeout'], [10, 60_000], isLine ? 500 : 1000);
  const delay = reader.whole(['delay'], [0, 10_000], 0);
  const retries = reader.whole(['retries'], [0, 10], isLine ? 1 : 0);
  const maxRegisters = reader.whole(
    ['maxRegisters'],
    [1, PROTOCOL_LIMITS.registers],
    PROTOCOL_LIMITS.registers,
  );
  const maxCoils = reader.whole(['maxCoils'], [1, PROTOCOL_LIMITS.coils], PROTOCOL_LIMITS.coils);
  const gap = reader.has('maxGap') ? reader.whole(['maxGap'], [0, PROTOCOL_LIMITS.registers]) : undefined;
  const write = reader.choice('write', ['auto', 'single', 'multiple', 'readWrite'], 'auto');
  const bitWrite = reader.choice('bitWrite', ['read', 'mask'], 'read');
  if (unit === undefined || timeout === undefined || delay === undefined || retries === undefined)
    return undefined;
  if (maxRegisters === undefined || maxCoils === undefined || !write || !bitWrite) return undefined;
  const times = { timeout: millis(timeout), delay: millis(delay) };
  return { unit, ...times, retries, maxRegisters, maxCoils, maxGap: gap, write, bitWrite };
}

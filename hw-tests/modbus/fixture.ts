import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { DriverMapper } from '../../mappers/kit/mapper.ts';
import { modbusDriver } from '../../mappers/modbus/modbus.ts';
import { systemClock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel, DeviceState } from '../../runtime/core/devices.ts';
import type { DeviceManager, Reading, WriteResult } from '../../runtime/core/dmi.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import type { DeviceId } from '../../runtime/core/units.ts';

const WAIT = 20_000;

/** The example objects of the simulated PLC. */
export function plcObjects(port: number, name = 'plc', unitId = 1): { model: DeviceModel; device: Device } {
  return plcObjectsAt({ host: '127.0.0.1', port, unitId, timeout: 300 }, name);
}

/** The same for a PLC that is reached in any way.
 * @param configData the Device's `spec.protocol.configData` */
export function plcObjectsAt(
  configData: Readonly<Record<string, unknown>>,
  name: string,
): { model: DeviceModel; device: Device } {
  const text = readFileSync(new URL('../plc/device.yaml', import.meta.url), 'utf8');
  const [model, device] = parseAllDocuments(text).map((d) => d.toJS());
  device.metadata.name = name;
  device.spec.protocol.configData = configData;
  return { model, device };
}

/** Takes what a mapper reports, and lets a test wait for it. */
export class RecordingManager implements DeviceManager {
  readonly values = new Map<string, string>();
  readonly states = new Map<string, { state: DeviceState; reason: string | undefined }>();
  readonly writes: WriteResult[] = [];
  /** Every reading that was reported, in order. */
  readonly history: Reading[] = [];
  reports = 0;
  private readonly waiters = new Set<() => void>();

  reportDeviceStatus(id: DeviceId, readings: readonly Reading[]): void {
    this.reports++;
    this.history.push(...readings);
    for (const { property, value } of readings) this.values.set(`${id}/${property}`, value);
    this.wake();
  }

  reportDeviceState(id: DeviceId, state: DeviceState, reason?: string): void {
    this.states.set(id, { state, reason });
    this.wake();
  }

  reportWrites(_id: DeviceId, writes: readonly WriteResult[]): void {
    this.writes.push(...writes);
    this.wake();
  }

  /** Resolves with the time in ms that it took until `holds`; rejects after twenty seconds. */
  until(what: string, holds: () => boolean): Promise<number> {
    const start = performance.now();
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        this.waiters.delete(check);
        settle();
      };
      const check = (): void => {
        if (holds()) finish(() => resolve(performance.now() - start));
      };
      const timer = setTimeout(() => {
        const seen = JSON.stringify([[...this.values], [...this.states], this.writes]);
        finish(() => reject(new Error(`not within ${WAIT} ms: ${what}; seen: ${seen}`)));
      }, WAIT);
      this.waiters.add(check);
      check();
    });
  }

  private wake(): void {
    for (const check of [...this.waiters]) check();
  }
}

/** The Modbus mapper as edgecore builds it. */
export function newMapper(manager: DeviceManager): DriverMapper {
  return new DriverMapper({
    driver: modbusDriver,
    manager,
    clock: systemClock,
    log: silentLogger,
    metrics: new Metrics(),
    random: Math.random,
  });
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { systemClock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel, DeviceState } from '../../runtime/core/devices.ts';
import type { DeviceManager, DeviceMapper, Reading, WriteResult } from '../../runtime/core/dmi.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { type DeviceId, deviceId, millis } from '../../runtime/core/units.ts';
import { Plugins } from './plugins.ts';
import type { PluginStatus } from './status.ts';

/** Plugins in real workers, and what they tell, for tests. */
export class TestPlugins implements DeviceManager {
  readonly dir = mkdtempSync(join(tmpdir(), 'edgecore-plugins-'));
  readonly values = new Map<string, string>();
  readonly states = new Map<string, { state: DeviceState; reason: string }>();
  readonly pushed: string[] = [];
  readonly writes: WriteResult[] = [];
  readonly metrics = new Metrics();
  readonly mappers = new Set<DeviceMapper>();
  plugins: Plugins;
  private readonly program: string;
  private readonly devices: { device: Device; model: DeviceModel }[] = [];

  private constructor(program: string) {
    this.program = program;
    this.plugins = this.make();
  }

  static async open(): Promise<TestPlugins> {
    const program = join(mkdtempSync(join(tmpdir(), 'edgecore-worker-')), 'worker.mjs');
    await build({
      entryPoints: ['mappers/plugins/worker/main.ts'],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
    });
    const plugins = new TestPlugins(program);
    await plugins.plugins.start();
    return plugins;
  }

  async close(): Promise<void> {
    await this.plugins.stop();
    rmSync(this.dir, { recursive: true, force: true });
    rmSync(join(this.program, '..'), { recursive: true, force: true });
  }

  /** As after a restart of edgecore. */
  async restart(meanwhile: () => void = () => {}): Promise<void> {
    await this.plugins.stop();
    meanwhile();
    this.mappers.clear();
    this.plugins = this.make();
    await this.plugins.start();
  }

  /** Drops files into a plugin's folder. */
  drop(name: string, files: Readonly<Record<string, string>>): void {
    mkdirSync(join(this.dir, name), { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(this.dir, name, file), text);
  }

  remove(name: string): void {
    rmSync(join(this.dir, name), { recursive: true });
  }

  /** A device of a protocol, with one property `value`. */
  apply(
    name: string,
    protocolName: string,
    configData: Readonly<Record<string, unknown>> = {},
    more: Readonly<Record<string, unknown>> = {},
  ): void {
    const property = { name: 'value', collectCycle: 50, ...more };
    const device = {
      metadata: { name, namespace: 'default' },
      spec: { protocol: { protocolName, configData }, properties: [property] },
    };
    const model: DeviceModel = {
      metadata: { name: 'model' },
      spec: { properties: [{ name: 'value', type: 'STRING', accessMode: 'ReadWrite' }] },
    };
    this.devices.push({ device, model });
    for (const mapper of this.mappers) this.hand(mapper);
  }

  statusOf(name: string): PluginStatus | undefined {
    return this.plugins.list().find((status) => status.name === name);
  }

  /** Waits until a plugin is as wanted. */
  status(name: string, wanted: (status: PluginStatus) => boolean): Promise<PluginStatus> {
    return this.until(`plugin ${name}`, () => {
      const status = this.statusOf(name);
      return status && wanted(status) ? status : undefined;
    });
  }

  async until<T>(what: string, check: () => T | undefined | false): Promise<T> {
    for (const end = performance.now() + 20_000; performance.now() < end; ) {
      const found = check();
      if (found !== undefined && found !== false) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const seen = JSON.stringify([this.plugins.list(), [...this.states], [...this.values]]);
    throw new Error(`not within 20 s: ${what}; ${seen}`);
  }

  // --- what devicetwin is

  addMapper(mapper: DeviceMapper): void {
    this.mappers.add(mapper);
    this.hand(mapper);
  }

  removeMapper(mapper: DeviceMapper, reason: string): void {
    this.mappers.delete(mapper);
    for (const { device } of this.devices) {
      if (!mapper.protocols.includes(device.spec.protocol?.protocolName ?? '')) continue;
      const id = deviceId('default', device.metadata.name);
      mapper.removeDevice(id);
      this.states.set(id, { state: 'unknown', reason });
    }
  }

  reportDeviceStatus(id: DeviceId, readings: readonly Reading[]): void {
    for (const { property, value } of readings) this.values.set(`${id} ${property}`, value);
  }

  reportDeviceState(id: DeviceId, state: DeviceState, reason = ''): void {
    this.states.set(id, { state, reason });
  }

  reportWrites(_: DeviceId, writes: readonly WriteResult[]): void {
    this.writes.push(...writes);
  }

  push(id: DeviceId, readings: readonly Reading[]): void {
    for (const { property, value } of readings) this.pushed.push(`${id} ${property} ${value}`);
  }

  private hand(mapper: DeviceMapper): void {
    for (const { device, model } of this.devices)
      if (mapper.protocols.includes(device.spec.protocol?.protocolName ?? ''))
        mapper.applyDevice(device, model);
  }

  private make(): Plugins {
    return new Plugins({
      directory: this.dir,
      every: millis(100),
      program: this.program,
      clock: systemClock,
      log: silentLogger,
      metrics: this.metrics,
      random: () => 0.5,
      rss: () => process.memoryUsage.rss(),
      others: new Map([['modbus', 'modbus']]),
      manager: this,
      sink: this,
      registry: this,
    });
  }
}

/** A manifest of one protocol, called as the plugin. */
export function manifestOf(name: string, more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ name, version: '1.0.0', contract: 1, protocols: [name], ...more });
}

/** A plugin whose devices answer with `value`, an expression. @param before runs when it is loaded */
export function answering(value: string, before = ''): string {
  return `${before}
    export default (kit) => ({
      configure(device, model) {
        const { points, faults } = kit.points(device, model);
        return { faults, device: {
          bus: device.metadata.name, shape: '', points,
          connect: async () => ({ close() {} }),
          plan: (due) => [{ points: due, run: async () => due.map(({ property }) => ({ property, value: String(${value}) })) }],
          write: async () => {},
        } };
      },
    });`;
}

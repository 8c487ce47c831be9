import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DriverMapper } from '../mappers/kit/mapper.ts';
import { modbusDriver } from '../mappers/modbus/modbus.ts';
import { Plugins } from '../mappers/plugins/plugins.ts';
import type { PushEnvironment } from '../mappers/push/config.ts';
import type { PushDeps } from '../mappers/push/engine.ts';
import { isOwnAddress } from '../mappers/push/own-address.ts';
import { Pusher } from '../mappers/push/pusher.ts';
import { SerialDriver } from '../mappers/serial/serial.ts';
import type { Broker } from './broker/broker.ts';
import { pluginsDirectory } from './config/config.ts';
import type { Config } from './config/schema.ts';
import type { DeviceTwin } from './devicetwin/devicetwin.ts';
import { Dmi, type DmiDeps } from './devicetwin/dmi/dmi.ts';

type Shared = Pick<PushDeps, 'clock' | 'time' | 'log' | 'metrics' | 'random'> & {
  readonly store: PushDeps['store'] & DmiDeps['store'];
  readonly twins: DeviceTwin;
  readonly broker: Broker;
};

type Site = {
  readonly config: Config;
  readonly assets: readonly string[];
  readonly environment: PushEnvironment;
};

/** What speaks to devices, as modules. A protocol has one mapper. */
export type DeviceMappers = {
  /** These start before the twins and end after them. */
  readonly pusher: Pusher;
  readonly builtIn: readonly DriverMapper[];
  /** These come and go: plugins in workers, others in processes of their own. */
  readonly plugins: Plugins;
  readonly dmi: Dmi;
};

export function deviceMappers(shared: Shared, site: Site): DeviceMappers {
  const { twins } = shared;
  const { config, assets } = site;
  const pusher = newPusher(shared, site);
  const registry = pusher.before(twins);
  const served = { ...shared, manager: twins, sink: pusher, registry };
  const drivers = [modbusDriver, new SerialDriver(shared)];
  const builtIn = drivers.map((driver) => new DriverMapper({ ...served, driver }));
  for (const mapper of builtIn) registry.addMapper(mapper);
  const builtInFor = (protocol: string): string | undefined =>
    builtIn.find(({ protocols }) => protocols.includes(protocol))?.name;
  const plugins: Plugins = new Plugins({
    ...served,
    directory: pluginsDirectory(config),
    program: assets.map((folder) => join(folder, 'mapper-worker.mjs')).find((path) => existsSync(path)),
    rss: () => process.memoryUsage.rss(),
    others: { get: (protocol) => builtInFor(protocol) ?? dmi.mapperFor(protocol) },
  });
  const dmi = new Dmi({
    ...shared,
    sockPath: config.modules.deviceTwin.dmiSockPath,
    taken: (protocol) => builtInFor(protocol) ?? plugins.servedBy(protocol),
  });
  return { pusher, builtIn, plugins, dmi };
}

/** Brings values to where `pushMethod`s say; the broker of this process is reached without a socket. */
function newPusher({ twins, broker, ...shared }: Shared, { config, environment }: Site): Pusher {
  const { mqttMode, mqttServerInternal } = config.modules.eventBus;
  return new Pusher({
    ...shared,
    config: config.modules.push,
    environment,
    report: (id, faults) => twins.reportPushFaults(id, faults),
    broker: {
      isAt: (address) => mqttMode !== 2 && isOwnAddress(address, mqttServerInternal),
      publish: (message) => broker.publishSafely(message),
    },
  });
}

import { socketPath } from './config/config.ts';
import type { Config } from './config/schema.ts';
import { Console } from './console/console.ts';
import type { Clock } from './core/clock.ts';
import type { Logger } from './core/log.ts';
import type { Metrics } from './core/metrics.ts';
import type { Module } from './core/module.ts';
import type { Desires } from './desires.ts';
import { DeviceControl } from './device-control.ts';
import { DeviceApi } from './deviceapi/device-api.ts';
import type { DeviceTwin } from './devicetwin/devicetwin.ts';
import type { Edged } from './edged/edged.ts';
import type { Rules } from './rules/rules.ts';
import { type SnapshotParts, snapshotOf } from './snapshot.ts';
import type { Store } from './store/store.ts';
import { NodeHttpServer } from './wire/http/node-server.ts';
import type { UpgradeRoute } from './wire/http/upgrade.ts';
import { loadUws, UwsHttpServer } from './wire/http/uws-server.ts';

export type LocalPagesDeps = {
  readonly config: Config;
  readonly version: string;
  /** Folders where native files lie. */
  readonly assets: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
};

/** What is shown, and what is asked to act. */
export type LocalPagesParts = Pick<SnapshotParts, 'hub' | 'plugins'> & {
  readonly metrics: Metrics;
  readonly twins: DeviceTwin;
  readonly desires: Desires;
  readonly broker: SnapshotParts['broker'] & { readonly routes: readonly UpgradeRoute[] };
  readonly agent: Edged;
  readonly store: Store;
  readonly rules: Rules;
};

/** What people and programs on the gateway see of it: the console, `edgecore device`, the devices over HTTP. */
export function localPages(deps: LocalPagesDeps, parts: LocalPagesParts): Module[] {
  const { config, clock, log } = deps;
  const devices = new DeviceControl({ ...parts, clock });
  const { deviceApi } = config.modules;
  const api = { config: deviceApi, devices, log, now: () => clock.now() };
  return [
    newConsole(deps, parts, devices),
    ...(deviceApi.enable
      ? [new DeviceApi({ ...api, openServer: (handler) => new NodeHttpServer(handler) })]
      : []),
  ];
}

function newConsole(deps: LocalPagesDeps, parts: LocalPagesParts, devices: DeviceControl): Console {
  const { config, version, clock, log, assets } = deps;
  const uws = config.modules.console.enable ? loadUws(assets) : undefined;
  if (!uws) log.info('uWebSockets.js does not load here: the console is served by node:http');
  const startedAt = clock.now();
  const node = config.modules.edged.hostnameOverride;
  const { writes } = config.modules.console;
  return new Console({
    config: config.modules.console,
    clock,
    log,
    devices,
    snapshot: () => snapshotOf({ ...parts, node, version, startedAt, now: clock.now(), writes }),
    metrics: () => parts.metrics.render(),
    onChange: (listener) => {
      const stops = [parts.twins, parts.agent, parts.store, parts.rules].map((part) =>
        part.onChange(listener),
      );
      return () => {
        for (const stop of stops) stop();
      };
    },
    openServer: (handler) => {
      const server = uws ? new UwsHttpServer(uws, handler) : new NodeHttpServer(handler);
      for (const route of parts.broker.routes) server.upgrade(route);
      return server;
    },
    openSocket: (handler) => {
      const server = new NodeHttpServer(handler);
      return {
        start: () => server.startUnix('edgecore device', socketPath(config)),
        stop: () => server.stop(),
      };
    },
  });
}

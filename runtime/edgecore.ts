import { ModbusServer } from '../mappers/modbus/server.ts';
import type { PushEnvironment } from '../mappers/push/config.ts';
import { FileAuthority } from './broker/auth/file-authority.ts';
import { bridgeOptions } from './broker/bridge/config.ts';
import { Broker, type BrokerDeps } from './broker/broker.ts';
import type { BrokerLimits } from './broker/config.ts';
import { tcpListener } from './broker/listeners/config.ts';
import type { BrokerStore } from './broker/persistence.ts';
import type { Config } from './config/schema.ts';
import type { Clock } from './core/clock.ts';
import { errorText } from './core/errors.ts';
import type { Logger } from './core/log.ts';
import { Metrics } from './core/metrics.ts';
import { type Module, stopInOrder } from './core/module.ts';
import type { TimeTrust } from './core/time-trust.ts';
import { Desires } from './desires.ts';
import { type DeviceMappers, deviceMappers } from './device-mappers.ts';
import { DeviceTwin } from './devicetwin/devicetwin.ts';
import { Edged } from './edged/edged.ts';
import { type CloudHandlers, EdgeHub } from './edgehub/edgehub.ts';
import { EdgeStream } from './edgestream/edgestream.ts';
import type { EventBusConfig } from './eventbus/config.ts';
import { type BusBroker, EventBus } from './eventbus/eventbus.ts';
import { externalBroker, externalLinks } from './eventbus/external.ts';
import type { HostCare } from './host/care.ts';
import { HostClock, type HostClockDeps } from './host/host-clock.ts';
import type { ServiceManager } from './host/service-manager.ts';
import type { TimeSync } from './host/time-sync.ts';
import { hostCare, timeSyncOf } from './host-care.ts';
import { localPages } from './local-pages.ts';
import { localRules } from './local-rules.ts';
import { MetaManager } from './metamanager/metamanager.ts';
import { MetaServer } from './metamanager/metaserver/metaserver.ts';
import type { TopicSource } from './rules/engine.ts';
import type { Rules } from './rules/rules.ts';
import { Store } from './store/store.ts';
import type { TaskManager } from './taskmanager/taskmanager.ts';
import { taskManager } from './tasks-of.ts';
import { type TwinRegisterDeps, twinRegisters } from './twin-registers.ts';
import type { SlotPlaces, Upgrade } from './upgrade/upgrade.ts';
import { newUpgrade, vitalsOf } from './vitals.ts';
import { watchdogOf } from './watchdog-of.ts';
import { connectCri } from './wire/cri.ts';

export type EdgeCoreDeps = {
  readonly config: Config;
  readonly version: string;
  /** Folders where native files lie. */
  readonly assets: readonly string[];
  /** The machine's own. */
  readonly clock: Clock;
  /** What the machine knows of its time. */
  readonly host: Pick<HostClockDeps, 'boot' | 'uptime' | 'builtAt'>;
  /** Who has started this process. */
  readonly manager: ServiceManager;
  readonly log: Logger;
  /** [0, 1) */
  readonly random: () => number;
  /** Secrets that KubeEdge's mappers read there. */
  readonly environment: PushEnvironment;
  /** The join token was used. */
  readonly joined: () => void;
  /** Where other versions of the program lie, if it was started by its launcher. */
  readonly slots: SlotPlaces | undefined;
  /** Ends the process, to be started anew. */
  readonly restart: (reason: string) => void;
};

/** The whole node: every module is built here, once, and started in this order. */
export class EdgeCore {
  private readonly deps: EdgeCoreDeps;
  private readonly store: Store;
  private readonly authority: FileAuthority;
  private readonly modules: readonly Module[];
  private readonly broker: Broker;
  private readonly upgrade: Upgrade;
  private tasks: TaskManager | undefined;
  /** What is built after the link. */
  private readonly later: Pick<CloudHandlers, 'renewed' | 'task'> = {
    renewed: () => this.stream?.renewed(),
    task: (job) => this.tasks?.handle(job),
  };
  private started: Module[] = [];
  private stream: EdgeStream | undefined;

  /** @throws EdgeError MQTT_AUTH_FILE_INVALID, STORE_LOCKED, STORE_WRITE_FAILED, STORE_NEWER */
  constructor(deps: EdgeCoreDeps) {
    const { config, log } = deps;
    const { deviceTwin, edged, edgeHub, eventBus, metaManager } = config.modules;
    const node = edged.hostnameOverride;
    const metrics = new Metrics();
    this.deps = deps;
    this.authority = mqttAuthority(deps);
    this.store = new Store({ clock: deps.clock, log, metrics, path: config.database.dataSource });
    const { store } = this;
    const timeSync = timeSyncOf(deps.clock);
    const isSynchronised = (): boolean => timeSync.isSynchronised === true;
    const clock = new HostClock({ ...deps.host, isSynchronised, system: deps.clock, store, log, metrics });
    const shared = { clock, time: clock, log, metrics, node, random: deps.random };

    const parts = (): CloudParts => ({ meta, twins, bus, agent, local });
    const hub = new EdgeHub({
      ...shared,
      config: edgeHub,
      store,
      joined: deps.joined,
      handlers: cloudHandlers(parts, this.later),
    });
    const meta = new MetaManager({
      ...shared,
      config: metaManager,
      reportEvent: edged.reportEvent,
      store,
      link: hub,
      outbox: hub.outbox,
    });
    const rules = localRules({ ...shared, store, parts, hub, all: config, brokers: () => brokers });
    const twins = new DeviceTwin({
      ...shared,
      config: deviceTwin,
      store,
      link: hub,
      publish: (topic, payload) => bus.publish(topic, payload),
      hears: (topic) => bus.hears(topic),
      observer: rules,
      objects: meta,
    });
    const broker = newBroker({ ...shared, authority: this.authority }, deps, store);
    const mappers = deviceMappers({ ...shared, twins, broker, store }, deps);
    const { mqttQOS: qos, mqttRetain: retain } = eventBus;
    const brokers = busBrokers(eventBus.mqttMode, broker);
    const bus = new EventBus({ ...shared, brokers, qos, retain, store, twins, outbox: hub.outbox });
    const care = hostCare({ ...shared, timeSync, all: config }, deps.slots);
    const agent = new Edged({
      ...shared,
      config: edged,
      version: deps.version,
      variables: apiVariables(config),
      condition: () => this.upgrade.condition,
      cluster: meta,
      cri: connectCri(edged.tailoredKubeletConfig.containerRuntimeEndpoint),
      store,
      problems: () => care.problems,
    });
    meta.connect({ pods: agent, devices: twins, rules });
    const local = localApi(deps, { store, link: hub, pods: agent, own: meta });
    if (local) meta.mirrorTo(local);

    this.broker = broker;
    this.upgrade = newUpgrade(deps, { hub, agent, store });
    this.modules = this.inOrder(
      { ...deps, ...shared },
      { meta, twins, bus, agent, local, hub, broker, mappers, rules, care, timeSync },
    );
  }

  /** What only listens and shows is built here. @returns every module, in the order in which they start */
  private inOrder(shared: EdgeCoreDeps & Ordered, parts: CloudParts & OtherParts): Module[] {
    const { clock, metrics, manager } = shared;
    const { meta, twins, bus, agent, local, hub, broker, rules, care, timeSync } = parts;
    const { store } = this;
    const { pusher, builtIn, plugins, dmi } = parts.mappers;
    const desires = new Desires({ twins, objects: meta });
    // The page's port also carries MQTT over WebSocket: it opens first and closes after the broker has said goodbye.
    const pages = localPages(shared, { metrics, twins, desires, plugins, broker, hub, agent, store, rules });
    const scada = modbusServer(shared, { twins, desires, metrics });
    const devices = [pusher, ...builtIn, twins, plugins, dmi, ...scada, rules, ...(local ? [local] : [])];
    const watchdog = watchdogOf({ ...shared, manager, twins, hub, agent, store, mappers: builtIn });
    const tasks = taskManager(shared, {
      store,
      outbox: hub.outbox,
      upgrade: this.upgrade,
      vitals: () => vitalsOf({ hub, agent, store }),
      pull: (image, secret) => agent.pullImage(image, secret),
    });
    this.tasks = tasks;
    const last = [agent, tasks, hub, ...this.tunnel(shared, hub, agent), watchdog];
    return [this.upgrade, timeSync, clock, care, ...pages, this.authority, broker, bus, ...devices, ...last];
  }

  /** Starts every module in order; when one cannot, those before it are stopped again.
   * @throws EdgeError of the module that could not start */
  async start(signal: AbortSignal): Promise<void> {
    try {
      for (const module of this.modules) {
        this.started.push(module);
        await module.start(signal);
      }
    } catch (error) {
      await this.upgrade.failed(errorText(error));
      throw error;
    }
  }

  /** Stops in the reverse order and closes the store last. */
  async stop(): Promise<void> {
    await stopInOrder(this.started.reverse(), this.deps);
    this.started = [];
    await this.store.close();
  }

  /** Reads again what may change while it runs: who may do what on MQTT, and the certificates of its listeners. */
  reload(): void {
    this.authority.reload();
    void this.broker.reload();
  }

  private tunnel(deps: EdgeCoreDeps & { readonly time: TimeTrust }, hub: EdgeHub, agent: Edged): Module[] {
    const { edged, edgeStream } = deps.config.modules;
    if (!edgeStream.enable) return [];
    this.stream = new EdgeStream({
      config: edgeStream,
      node: edged.hostnameOverride,
      nodeIp: () => agent.nodeIp,
      kubeletPort: () => agent.kubeletPort,
      credentials: () => hub.credentials,
      clock: deps.clock,
      time: deps.time,
      log: deps.log,
      random: deps.random,
    });
    return [this.stream];
  }
}

type CloudParts = {
  readonly meta: MetaManager;
  readonly twins: DeviceTwin;
  readonly bus: EventBus;
  readonly agent: Edged;
  readonly local: MetaServer | undefined;
};

type OtherParts = {
  readonly hub: EdgeHub;
  readonly broker: Broker;
  readonly mappers: DeviceMappers;
  readonly rules: Rules;
  readonly care: HostCare;
  readonly timeSync: TimeSync;
};
type Ordered = { readonly clock: HostClock; readonly time: TimeTrust; readonly metrics: Metrics };

/** Where what the cloud says goes. @param parts asked once they all exist */
function cloudHandlers(
  parts: () => CloudParts,
  later: Pick<CloudHandlers, 'renewed' | 'task'>,
): CloudHandlers {
  return {
    object: (change) => {
      const { meta, local } = parts();
      // What a client of the local API watches concerns nobody else, pods of this node included.
      if (change.message.route.source !== 'dynamiccontroller') return meta.keep(change);
      local?.watched(change);
      return Promise.resolve();
    },
    membership: (added, removed) => parts().twins.membership(added, removed),
    publish: (topic, payload) => parts().bus.deliver(topic, payload),
    subscribe: (topic) => parts().bus.subscribe(topic),
    unsubscribe: (topic) => parts().bus.unsubscribe(topic),
    authInfo: (payload) => parts().bus.authInfo(payload),
    ...later,
    link: (up) => {
      const { twins, agent, local } = parts();
      twins.link(up);
      agent.online(up);
      local?.online(up);
    },
  };
}

/** Offers twins to a SCADA, when that is switched on. */
function modbusServer(
  { config: { modules }, log, version }: EdgeCoreDeps,
  parts: TwinRegisterDeps & { metrics: Metrics },
): ModbusServer[] {
  const config = modules.modbusServer;
  return config.enable
    ? [new ModbusServer({ config, log, version, metrics: parts.metrics, twins: twinRegisters(parts) })]
    : [];
}

function localApi(
  { config, clock, log }: EdgeCoreDeps,
  parts: { store: Store; link: EdgeHub; pods: Edged; own: MetaManager },
): MetaServer | undefined {
  const { edged, metaManager } = config.modules;
  if (!metaManager.metaServer.enable) return undefined;
  return new MetaServer({
    ...parts,
    config: metaManager.metaServer,
    node: edged.hostnameOverride,
    authorization: isGuarded(config),
    clock,
    log,
  });
}

function isGuarded({ featureGates }: Config): boolean {
  return featureGates.requireAuthorization === true;
}

/** Where pods find the API: on this node, when that lets only those in whom the cluster allows it.
 * @source KubeEdge edge/pkg/edged, KUBERNETES_SERVICE_HOST */
function apiVariables(config: Config): Record<string, string> {
  const { enable, dummyServer } = config.modules.metaManager.metaServer;
  if (!enable || !isGuarded(config)) return {};
  const colon = dummyServer.lastIndexOf(':');
  return {
    KUBERNETES_SERVICE_HOST: dummyServer.slice(0, colon),
    KUBERNETES_SERVICE_PORT: dummyServer.slice(colon + 1),
    KUBERNETES_SERVICE_PORT_HTTPS: dummyServer.slice(colon + 1),
  };
}

function mqttAuthority({ config, clock, log }: EdgeCoreDeps): FileAuthority {
  const { passwordFile, aclFile, allowAnonymous } = config.modules.eventBus;
  return new FileAuthority({
    passwordFile: passwordFile || undefined,
    aclFile: aclFile || undefined,
    allowAnonymous,
    clock,
    log,
  });
}

function newBroker(
  shared: Pick<BrokerDeps, 'clock' | 'log' | 'metrics' | 'authority'> & { readonly random: () => number },
  { config, version }: EdgeCoreDeps,
  store: Store,
): Broker {
  const { eventBus, edged } = config.modules;
  const address = eventBus.mqttServerInternal.replace('tcp://', '');
  const internal = eventBus.mqttMode === 2 ? [] : [tcpListener(address, eventBus.limits.clients)];
  return new Broker({
    ...shared,
    store: brokerStore(store),
    limits: eventBus.limits as Partial<BrokerLimits>,
    concealDenials: eventBus.concealDenials,
    version: `edgecore ${version}`,
    listeners: [...internal, ...eventBus.listeners],
    bridges: [
      ...eventBus.bridges.map((bridge) => bridgeOptions(bridge, `${edged.hostnameOverride}.${bridge.name}`)),
      ...externalLinks(eventBus, shared.random),
    ],
  });
}

/** The brokers that the bus speaks to: 0 the one in this process, 1 both, 2 the external one. */
function busBrokers(mode: EventBusConfig['mqttMode'], broker: Broker): readonly (BusBroker & TopicSource)[] {
  const external = externalBroker((name) => broker.bridge(name));
  switch (mode) {
    case 0:
      return [broker];
    case 1:
      return [broker, external];
    case 2:
      return [external];
    default:
      return mode satisfies never;
  }
}

/** The store as the broker sees it. */
function brokerStore(store: Store): BrokerStore {
  return {
    // What fails at once is refused like what fails on its way.
    durable: async (work) => store.durable(work),
    lazy: (work) => store.lazy(work),
    patience: 25,
    atCommit: (prepare) => store.atCommit(prepare),
    arrived: (bytes) => store.arrived(bytes),
    withCommit: (work) => store.withCommit(work),
    rows: store.mqtt,
  };
}

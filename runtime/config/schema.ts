import * as v from 'valibot';
import { modbusServerConfig } from '../../mappers/modbus/server-config.ts';
import { mappersConfig } from '../../mappers/plugins/config.ts';
import { pushConfig } from '../../mappers/push/config.ts';
import { type ConsoleConfig, consoleConfig } from '../console/config.ts';
import { pathOf } from '../core/config-fields.ts';
import { deviceApiConfig } from '../deviceapi/config.ts';
import { deviceTwinConfig } from '../devicetwin/config.ts';
import { edgedConfig } from '../edged/config.ts';
import { edgeHubConfig } from '../edgehub/config.ts';
import { edgeStreamConfig } from '../edgestream/config.ts';
import { type EventBusConfig, eventBusConfig } from '../eventbus/config.ts';
import { hostConfig } from '../host/config.ts';
import { metaManagerConfig } from '../metamanager/config.ts';
import { rulesConfig } from '../rules/config.ts';
import { taskManagerConfig } from '../taskmanager/config.ts';

/** A module of KubeEdge's that is not offered: it may stand in the file, switched off. */
const notOffered = (name: string) =>
  v.optional(
    v.looseObject({
      enable: v.optional(v.literal(false, `${name} is not offered: set enable: false`), false),
    }),
    {},
  );

/** The whole file, each module's part declared by the module.
 * @source KubeEdge edgecore.config.kubeedge.io/v1alpha2 EdgeCore */
export const edgeCoreConfig = v.strictObject({
  apiVersion: v.literal('edgecore.config.kubeedge.io/v1alpha2'),
  kind: v.literal('EdgeCore'),
  edgecoreVersion: v.optional(v.string()),
  database: v.optional(
    v.strictObject({
      driverName: v.optional(v.literal('sqlite3'), 'sqlite3'),
      aliasName: v.optional(v.string(), 'default'),
      dataSource: v.optional(v.string(), '/var/lib/kubeedge/edgecore.db'),
    }),
    {},
  ),
  logLevel: v.optional(v.picklist(['debug', 'info', 'warn', 'error']), 'info'),
  modules: v.pipe(
    v.strictObject({
      edged: v.optional(edgedConfig, {}),
      edgeHub: edgeHubConfig,
      eventBus: v.optional(eventBusConfig, {}),
      metaManager: v.optional(metaManagerConfig, {}),
      deviceTwin: v.optional(deviceTwinConfig, {}),
      mappers: v.optional(mappersConfig, {}),
      rules: v.optional(rulesConfig, {}),
      push: v.optional(pushConfig, {}),
      console: v.optional(consoleConfig, {}),
      deviceApi: v.optional(deviceApiConfig, {}),
      modbusServer: v.optional(modbusServerConfig, {}),
      serviceBus: notOffered('serviceBus'),
      edgeStream: v.optional(edgeStreamConfig, {}),
      taskManager: v.optional(taskManagerConfig, {}),
      host: v.optional(hostConfig, {}),
      dbTest: notOffered('dbTest'),
    }),
    // WebSockets come in by the console's port.
    v.rawCheck(({ dataset, addIssue }) => {
      const { console, eventBus } = (dataset.value ?? {}) as Partial<{
        console: ConsoleConfig;
        eventBus: EventBusConfig;
      }>;
      const wanted = eventBus?.listeners?.some?.((listener) => listener?.type === 'websocket');
      if (!wanted || console?.enable !== false) return;
      const message = 'want true, as a listener of type websocket uses its port';
      addIssue({ message, input: false, path: pathOf('console', 'enable') });
    }),
  ),
  featureGates: v.optional(v.record(v.string(), v.boolean()), {}),
});

export type Config = Readonly<v.InferOutput<typeof edgeCoreConfig>>;

/** The least that a configuration must say. */
export const minimalConfig = {
  apiVersion: 'edgecore.config.kubeedge.io/v1alpha2',
  kind: 'EdgeCore',
  modules: {
    edgeHub: {
      httpServer: 'https://cloud.example:10002',
      token: 'the token of secret kubeedge/tokensecret',
      websocket: { server: 'cloud.example:10000' },
    },
  },
} as const;

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Program } from '../program.ts';
import { freePorts } from '../stack.ts';

/** Files that say who may do what. */
export type AccessFiles = { readonly passwordFile: string; readonly aclFile: string };

export type RunningBroker = { readonly port: number; readonly program: Program; readonly log: string };

/** Debian's mosquitto with these files, and clients without a name. */
export async function startMosquitto(dir: string, files: AccessFiles): Promise<RunningBroker> {
  const { mqtt: port } = await freePorts();
  const [config, log] = [join(dir, 'mosquitto.conf'), join(dir, 'mosquitto.log')];
  const lines = [
    `listener ${port} 127.0.0.1`,
    'user root', // else it gives up root before it reads the files
    'allow_anonymous true',
    `password_file ${files.passwordFile}`,
    `acl_file ${files.aclFile}`,
    'log_type all',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const isReady = (line: string): boolean => line.includes('running');
  const program = new Program({
    name: 'mosquitto',
    command: 'mosquitto',
    args: ['-c', config],
    log,
    isReady,
  });
  await program.ready();
  return { port, program, log };
}

/** edgecore as it is built, with these files, and clients without a name; there is no cloud. */
export async function startEdgecore(dir: string, files: AccessFiles): Promise<RunningBroker> {
  const { program, port, log } = await edgecore(dir, files);
  await program.ready();
  return { port, program, log };
}

/** The same, not waited for. */
export async function edgecore(dir: string, files: AccessFiles): Promise<RunningBroker> {
  const { mqtt, kubelet, enrolment, cloudhub } = await freePorts();
  const [config, log, data] = [join(dir, 'edgecore.yaml'), join(dir, 'edgecore.log'), join(dir, 'edgecore')];
  mkdirSync(data, { recursive: true });
  const certificates = {
    tlsCaFile: join(data, 'rootCA.crt'),
    tlsCertFile: join(data, 'server.crt'),
    tlsPrivateKeyFile: join(data, 'server.key'),
  };
  const file = {
    apiVersion: 'edgecore.config.kubeedge.io/v1alpha2',
    kind: 'EdgeCore',
    database: { dataSource: join(data, 'edgecore.db') },
    modules: {
      edged: {
        hostnameOverride: 'mqtt-auth',
        rootDirectory: join(data, 'kubelet'),
        tailoredKubeletConfig: {
          readOnlyPort: kubelet,
          podLogsDir: join(data, 'pod-logs'),
          containerRuntimeEndpoint: `unix://${data}/no-containerd.sock`,
        },
      },
      edgeHub: {
        httpServer: `https://127.0.0.1:${enrolment}`,
        token: 'of no cloud',
        websocket: { server: `127.0.0.1:${cloudhub}` },
        ...certificates,
      },
      eventBus: { mqttServerInternal: `tcp://127.0.0.1:${mqtt}`, allowAnonymous: true, ...files },
      deviceTwin: { dmiSockPath: data },
      console: { enable: false },
    },
  };
  writeFileSync(config, stringify(file), { mode: 0o600 });
  const program = new Program({
    name: 'edgecore',
    command: 'dist/edgecore/edgecore',
    args: ['--config', config],
    log,
    isReady: (line) => line.includes('"message":"started"'),
  });
  return { port: mqtt, program, log };
}

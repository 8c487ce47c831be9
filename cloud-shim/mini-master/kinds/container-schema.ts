import {
  atomicList,
  flag,
  integer,
  intOrString,
  keyedList,
  mapOf,
  open,
  record,
  type Schema,
  text,
} from '../schema/schema.ts';

/** Containers of a pod. @source Kubernetes API reference v1.32, Container v1 core */

const selectorKey = (): Schema => record({ name: text(), key: text(), optional: flag() }, ['key']);

const env = record(
  {
    name: text('Name of the variable.'),
    value: text('Its value; $(NAME) is expanded.'),
    valueFrom: record({
      fieldRef: record({ apiVersion: text(), fieldPath: text() }, ['fieldPath']),
      resourceFieldRef: record({ containerName: text(), resource: text(), divisor: intOrString() }, [
        'resource',
      ]),
      configMapKeyRef: selectorKey(),
      secretKeyRef: selectorKey(),
      fileKeyRef: open(),
    }),
  },
  ['name'],
);

const envFrom = record({
  prefix: text(),
  configMapRef: record({ name: text(), optional: flag() }),
  secretRef: record({ name: text(), optional: flag() }),
});

const port = record(
  {
    name: text(),
    hostPort: integer(),
    containerPort: integer('Port that the container listens on.'),
    protocol: text('TCP, UDP or SCTP.', { default: 'TCP' }),
    hostIP: text(),
  },
  ['containerPort'],
);

const header = record({ name: text(), value: text() }, ['name', 'value']);

const action: Record<string, Schema> = {
  exec: record({ command: atomicList(text()) }),
  httpGet: record(
    { path: text(), port: intOrString(), host: text(), scheme: text(), httpHeaders: atomicList(header) },
    ['port'],
  ),
  tcpSocket: record({ port: intOrString(), host: text() }, ['port']),
};

const probe = (description: string): Schema => ({
  description,
  ...record({
    ...action,
    grpc: record({ port: integer(), service: text(undefined, { nullable: true }) }, ['port']),
    initialDelaySeconds: integer(),
    timeoutSeconds: integer(),
    periodSeconds: integer(),
    successThreshold: integer(),
    failureThreshold: integer(),
    terminationGracePeriodSeconds: integer(),
  }),
});

const hook = record({ ...action, sleep: record({ seconds: integer() }, ['seconds']) });

const mount = record(
  {
    name: text('Name of a volume of the pod.'),
    mountPath: text('Where the container sees it.'),
    subPath: text(),
    subPathExpr: text(),
    readOnly: flag(),
    recursiveReadOnly: text(),
    mountPropagation: text(),
  },
  ['name', 'mountPath'],
);

/** Requests and limits of a container or a pod. */
export const resourcesSchema: Schema = record({
  limits: mapOf(intOrString(), 'What it may use at most.'),
  requests: mapOf(intOrString(), 'What the scheduler sets aside for it.'),
  claims: keyedList(record({ name: text(), request: text() }, ['name']), 'name'),
});

const containerFields: Record<string, Schema> = {
  name: text('Name, unique within the pod.'),
  image: text('Image reference.'),
  command: atomicList(text(), 'Entry point; replaces that of the image.'),
  args: atomicList(text(), 'Arguments of the entry point.'),
  workingDir: text(),
  ports: keyedList(port, 'containerPort', { mapKeys: ['containerPort', 'protocol'] }),
  envFrom: atomicList(envFrom, 'ConfigMaps and Secrets whose keys become variables.'),
  env: keyedList(env, 'name', { description: 'Environment variables.' }),
  resources: resourcesSchema,
  resizePolicy: atomicList(record({ resourceName: text(), restartPolicy: text() })),
  restartPolicy: text(),
  restartPolicyRules: atomicList(open()),
  volumeMounts: keyedList(mount, 'mountPath', { description: 'Volumes that the container sees.' }),
  volumeDevices: keyedList(
    record({ name: text(), devicePath: text() }, ['name', 'devicePath']),
    'devicePath',
  ),
  livenessProbe: probe('Restarts the container when it fails.'),
  readinessProbe: probe('Decides whether the pod is Ready.'),
  startupProbe: probe('Holds back the other probes until it succeeds.'),
  lifecycle: record({ postStart: hook, preStop: hook, stopSignal: text() }),
  terminationMessagePath: text(),
  terminationMessagePolicy: text(),
  imagePullPolicy: text('Always, IfNotPresent or Never.'),
  securityContext: open('User, capabilities and privileges.'),
  stdin: flag(),
  stdinOnce: flag(),
  tty: flag(),
};

export const containerSchema: Schema = {
  description: 'One container of a pod.',
  ...record(containerFields, ['name']),
};

export const ephemeralContainerSchema: Schema = record({ ...containerFields, targetContainerName: text() }, [
  'name',
]);

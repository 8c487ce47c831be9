/** One row of the error table: what an operator sees, whether trying again helps, and what to do. */
type ErrorRow = { readonly message: string; readonly retry: 'never' | 'backoff'; readonly hint: string };

/** Every error of the project, MODULE_CAUSE. `runtime/docs/errors.md` is generated from this table. */
export const errorTable = {
  CONFIG_INVALID: {
    message: 'the configuration has faults',
    retry: 'never',
    hint: 'Correct the named keys; `edgecore --defaultconfig` prints every key with its default.',
  },
  CONFIG_UNREADABLE: {
    message: 'the configuration file cannot be read',
    retry: 'never',
    hint: 'Check the path given with --config and its permissions; `edgecore --minconfig` prints one to start from.',
  },
  CLI_USAGE: {
    message: 'the command is not understood',
    retry: 'never',
    hint: '`edgecore --help` lists the commands, `edgecore COMMAND --help` explains one.',
  },
  EDGECORE_UNREACHABLE: {
    message: 'the edgecore of this machine cannot be asked',
    retry: 'never',
    hint: 'Start edgecore, run the command as the user that edgecore runs as (sudo), or name its configuration with --config.',
  },
  DEVICE_UNKNOWN: {
    message: 'there is no device of this name',
    retry: 'never',
    hint: '`edgecore device list` names those that are here; NAMESPACE/NAME names one that is not in default.',
  },
  MAPPER_UNKNOWN: {
    message: 'no mapper of this name is installed',
    retry: 'never',
    hint: '`edgecore mapper list` names those that are.',
  },
  MAPPER_REFUSED: {
    message: 'the mapper cannot be installed',
    retry: 'never',
    hint: 'Correct what is named and install it again; what is installed already was left as it is.',
  },
  MAPPER_NOT_LOADED: {
    message: 'the mapper is installed, but edgecore does not run it',
    retry: 'never',
    hint: 'Correct what is named and install it again; a version that ran before runs on.',
  },
  MAPPER_FOLDER_EXISTS: {
    message: 'the folder for the new mapper is there already',
    retry: 'never',
    hint: 'Choose another name, or another place with --in DIR.',
  },
  MAPPER_FOLDER_UNUSABLE: {
    message: 'the folder of mapper plugins cannot be used',
    retry: 'never',
    hint: 'Run the command as the user that edgecore runs as (sudo), or name another folder with --directory.',
  },
  JOIN_REFUSED: {
    message: 'the node cannot be joined',
    retry: 'never',
    hint: 'Correct what is named and run `edgecore join` again; nothing was changed.',
  },
  RESET_REFUSED: {
    message: 'the state of this node cannot be removed',
    retry: 'never',
    hint: 'Correct what is named and run `edgecore reset` again: it goes on where it stopped.',
  },
  SERVICE_REFUSED: {
    message: 'systemd does not do what it was asked to',
    retry: 'never',
    hint: 'Run the command as root (sudo); `journalctl -u edgecore -n 50` shows why a service does not start.',
  },
  NODE_NOT_RUNNING: {
    message: 'the edgecore of this machine cannot be asked',
    retry: 'backoff',
    hint: 'Start it (systemctl start edgecore), or name its configuration with --config; `edgecore check` shows what is amiss.',
  },
  NOT_ON_NODE: {
    message: 'this node has no such thing',
    retry: 'never',
    hint: '`edgecore get pods` and `edgecore get devices` list what there is, with namespaces.',
  },
  RUNTIME_REFUSED: {
    message: 'the container runtime does not do what it was asked to',
    retry: 'backoff',
    hint: 'Run the command as root (sudo); `edgecore check runtime` shows whether the runtime answers.',
  },
  EXEC_REFUSED: {
    message: 'the command cannot be run in the container',
    retry: 'never',
    hint: 'The program has to be in the image, as a path or as a name that its PATH finds.',
  },
  BACKUP_REFUSED: {
    message: 'the backup cannot be made or restored',
    retry: 'never',
    hint: 'Correct what is named; what is in use was left as it is.',
  },
  COLLECT_REFUSED: {
    message: 'the archive cannot be written',
    retry: 'never',
    hint: 'Name another place with --output-path, and run the command as root to have the log in it.',
  },
  UPGRADE_UNTRUSTED: {
    message: 'the upgrade is not signed by anybody who is trusted here',
    retry: 'never',
    hint: 'Get the bundle from whoever makes yours, or put their public key into the folder that is named. Nothing was changed.',
  },
  UPGRADE_WRONG_MACHINE: {
    message: 'the upgrade is for another kind of machine',
    retry: 'never',
    hint: 'Take the bundle of this platform. Nothing was changed.',
  },
  UPGRADE_NO_TRIAL: {
    message: 'this machine cannot start a new system for a trial',
    retry: 'never',
    hint: 'Only the kernel of Raspberry Pi OS tells the firmware to try a system. Upgrade edgecore alone, or write a new image. Nothing was changed.',
  },
  UPGRADE_OLDER: {
    message: 'the upgrade is not newer than what is in use',
    retry: 'never',
    hint: 'Add --force if it is wanted all the same, or `edgecore rollback` to go back. Nothing was changed.',
  },
  UPGRADE_DAMAGED: {
    message: 'the upgrade is damaged, or no bundle of edgecore',
    retry: 'never',
    hint: 'Fetch it again and compare its length with the original. Nothing was changed.',
  },
  UPGRADE_NO_ROOM: {
    message: 'there is no room for the upgrade',
    retry: 'never',
    hint: 'Make room on the disk of the folder that is named, then try again. Nothing was changed.',
  },
  UPGRADE_NO_ACCESS: {
    message: 'the folder of upgrades cannot be written',
    retry: 'never',
    hint: 'Run the command as root (sudo); on a read-only root file system put the state on a disk that can be written.',
  },
  UPGRADE_UNREACHABLE: {
    message: 'the upgrade cannot be read',
    retry: 'backoff',
    hint: 'Check the path or URL and try again. Nothing was changed.',
  },
  UPGRADE_BUSY: {
    message: 'another upgrade is on trial',
    retry: 'backoff',
    hint: '`edgecore upgrade --status` shows it; wait, or end it with `edgecore confirm` or `edgecore rollback`.',
  },
  UPGRADE_NOTHING: {
    message: 'there is nothing to confirm or to go back to',
    retry: 'never',
    hint: '`edgecore upgrade --status` shows which versions are here.',
  },
  UPGRADE_NO_LAUNCHER: {
    message: 'this edgecore was not started by its launcher, which upgrades need',
    retry: 'never',
    hint: 'Start the program `edgecore` of the bundle or package, not its script with node.',
  },
  UPGRADE_NOT_KEPT: {
    message: 'the upgrade was not kept',
    retry: 'never',
    hint: 'The version before is in use again. `edgecore collect` gathers what whoever made the bundle needs to know.',
  },
  PORT_TAKEN: {
    message: 'the address is in use by another program',
    retry: 'never',
    hint: 'Stop the program that holds it (`ss -ltnp` names it) or set another address in the configuration.',
  },
  PORT_UNUSABLE: {
    message: 'the address cannot be listened on',
    retry: 'never',
    hint: 'Set an address of this machine, and a port of 1024 or more unless edgecore runs as root.',
  },
  MQTT_CERT_UNUSABLE: {
    message: 'the certificate files of an MQTT listener cannot be used',
    retry: 'never',
    hint: 'Correct the named files. A running edgecore keeps what it had, and looks again after the next change or SIGHUP.',
  },
  MQTT_TOPIC_INVALID: {
    message: 'not a valid MQTT topic',
    retry: 'never',
    hint: 'A topic has no empty name and no wildcard; in a filter + and # stand alone in their level, # at the end.',
  },
  MQTT_AUTH_FILE_INVALID: {
    message: 'the files that say who may do what on MQTT cannot be used',
    retry: 'never',
    hint: 'Correct the named lines: passwords are made with mosquitto_passwd, rules are written as in mosquitto.conf(5), acl_file.',
  },
  STORE_LOCKED: {
    message: 'another edgecore owns this data directory',
    retry: 'never',
    hint: 'Only one edgecore may run on a data directory; stop the other one or set another database.dataSource.',
  },
  STORE_CORRUPT: {
    message: 'the database is damaged',
    retry: 'never',
    hint: 'It was set aside beside the original; what could be read goes on, the rest comes from the cloud.',
  },
  STORE_NEWER: {
    message: 'the database was written by a newer edgecore',
    retry: 'never',
    hint: 'Install that version again, or restore the backup that lies beside the database.',
  },
  STORE_WRITE_FAILED: {
    message: 'the database cannot be written',
    retry: 'backoff',
    hint: 'Make room, or find out why the file system is read-only; edgecore goes on and notices by itself.',
  },
  MESSAGE_MALFORMED: {
    message: 'a message from the other side could not be understood',
    retry: 'never',
    hint: 'Check that both sides speak KubeEdge 1.2x; the message was refused and the link stays up.',
  },
  LINK_OFFLINE: {
    message: 'there is no connection to the cloud',
    retry: 'backoff',
    hint: 'Nothing to do on the gateway: it goes on alone and catches up when the link returns.',
  },
  LINK_TIMEOUT: {
    message: 'the cloud did not answer in time',
    retry: 'backoff',
    hint: 'Check the link quality and the load of the cloud side.',
  },
  EDGEHUB_CA_UNREACHABLE: {
    message: 'the cloud cannot be reached to join it',
    retry: 'backoff',
    hint: 'Check modules.edgeHub.httpServer and that its port (10002) is open from here.',
  },
  EDGEHUB_TOKEN_REJECTED: {
    message: 'the join token was rejected',
    retry: 'never',
    hint: 'Get a new token from the cloud (secret kubeedge/tokensecret) and set modules.edgeHub.token.',
  },
  EDGEHUB_CA_MISMATCH: {
    message: 'the cloud presents another CA than the token names',
    retry: 'never',
    hint: 'The address is wrong, the token is of another cluster, or somebody stands in between. Nothing was trusted.',
  },
  EDGEHUB_CERT_REFUSED: {
    message: 'the cloud refused to sign a certificate',
    retry: 'backoff',
    hint: 'Look at the log of the cloud side for the reason.',
  },
  METASERVER_ADDRESS_MISSING: {
    message: 'the address at which pods find the local API cannot be made',
    retry: 'never',
    hint: 'It needs root and the program ip: add the address by hand, or let edgecore run as root. The address metaServer.server is served all the same.',
  },
  EDGEHUB_CERT_EXPIRED: {
    message: 'the certificate of this node has expired',
    retry: 'never',
    hint: 'Set modules.edgeHub.rejoinExpired: true and a fresh join token in modules.edgeHub.token, then restart edgecore. Pods and devices go on meanwhile.',
  },
  EDGEHUB_CA_CHANGED: {
    message: 'the cloud is not of the CA that this node has joined',
    retry: 'never',
    hint: 'If the CA was replaced on purpose, set a join token of the new one in modules.edgeHub.token and restart edgecore: it joins anew. Else the address is wrong, or somebody stands in between.',
  },
  CLOUD_REFUSED: {
    message: 'the API server refused a request of this node',
    retry: 'backoff',
    hint: "The text is the API server's; check the rights of the cloud side and the object that it names.",
  },
  OBJECT_NOT_FOUND: {
    message: 'the object is not here and the cloud does not have it',
    retry: 'backoff',
    hint: 'Create the object in the cluster, or correct the name that refers to it.',
  },
  OBJECT_INVALID: {
    message: 'the object cannot be understood',
    retry: 'never',
    hint: 'Correct the named field of the object in the cluster.',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

export type ErrorContext = {
  /** The particulars: which address, path, device; appended to the table's message. */
  readonly detail?: string;
  readonly cause?: unknown;
};

/** The one error class. Callers switch on `code`, never on the class or the text. */
export class EdgeError extends Error {
  readonly code: ErrorCode;
  readonly retry: 'never' | 'backoff';
  /** What the operator does about it. */
  readonly hint: string;

  constructor(code: ErrorCode, context: ErrorContext = {}) {
    const row = errorTable[code];
    super(context.detail ? `${row.message}: ${context.detail}` : row.message, { cause: context.cause });
    this.name = 'EdgeError';
    this.code = code;
    this.retry = row.retry;
    this.hint = row.hint;
  }
}

/** The code of an error of ours, of Node (`ENOENT`), or undefined. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The text of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

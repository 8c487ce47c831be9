import type { IConnackPacket, IConnectPacket } from 'mqtt-packet';
import type { BrokerLimits } from '../config.ts';
import type { QoS } from '../message.ts';
import type { Dialect, RemoteOptions } from './options.ts';

/** What the remote broker has agreed to. */
export type Terms = {
  /** It remembers the bridge from before. */
  readonly present: boolean;
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  readonly maximumQos: QoS;
  readonly keepsRetained: boolean;
  /** Seconds. */
  readonly keepAlive: number;
};

export type Refusal = { readonly refused: string; readonly isVersion: boolean };

/** Bad version, as 3.1.1 and as 5 say it. @source MQTT 3.1.1 table 3.1, MQTT 5 table 3-1 */
const UNSUPPORTED = [0x01, 0x84];
const refusals: Readonly<Record<number, string>> = {
  1: 'the protocol version is not spoken there',
  2: 'the client id is refused',
  3: 'the remote broker is not available',
  4: 'wrong user name or password',
  5: 'not authorised',
  132: 'the protocol version is not spoken there',
  133: 'the client id is refused',
  134: 'wrong user name or password',
  135: 'not authorised',
  136: 'the remote broker is not available',
  137: 'the remote broker is busy',
  138: 'banned',
};

/** CONNECT of a bridge. */
export function connectPacket(
  remote: RemoteOptions,
  dialect: Dialect,
  limits: BrokerLimits,
): IConnectPacket & { bridgeMode?: boolean } {
  const { clientId, username, password, cleanSession, keepAlive } = remote;
  const isFive = dialect === 'mqttv5';
  const sessionExpiryInterval = cleanSession ? 0 : Math.floor(limits.sessionExpiry / 1000);
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: isFive ? 5 : 4,
    ...(dialect === 'mqttv311-bridge' ? { bridgeMode: true } : {}),
    clientId,
    clean: cleanSession,
    keepalive: keepAlive,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: Buffer.from(password) }),
    ...(isFive
      ? {
          properties: {
            sessionExpiryInterval,
            receiveMaximum: limits.inflight,
            maximumPacketSize: limits.packetBytes,
          },
        }
      : {}),
  };
}

/** Reads the answer to it. */
export function readConnack(
  { sessionPresent, returnCode, reasonCode, properties = {} }: IConnackPacket,
  dialect: Dialect,
  wanted: { readonly keepAlive: number; readonly inflight: number },
): Terms | Refusal {
  // A broker that does not know MQTT 5 refuses it in its own format, whose code the decoder may give under either name.
  const code = (dialect === 'mqttv5' ? (reasonCode ?? returnCode) : returnCode) ?? 0;
  if (code !== 0) {
    const reason = properties.reasonString ?? refusals[code] ?? 'no reason that is known here';
    return { refused: `${reason} (CONNACK ${code})`, isVersion: UNSUPPORTED.includes(code) };
  }
  return {
    present: sessionPresent,
    receiveMaximum: Math.min(properties.receiveMaximum ?? wanted.inflight, wanted.inflight),
    maximumPacketSize: properties.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    maximumQos: Math.min(properties.maximumQoS ?? 2, 2) as QoS,
    keepsRetained: properties.retainAvailable !== false,
    keepAlive: properties.serverKeepAlive ?? wanted.keepAlive,
  };
}

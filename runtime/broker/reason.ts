/** Reason codes of MQTT 5 that this broker sends. @source MQTT 5 §2.4 */
export const reason = {
  success: 0x00,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  unspecified: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationError: 0x83,
  unsupportedProtocol: 0x84,
  clientIdInvalid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  serverShuttingDown: 0x8b,
  badAuthMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  filterInvalid: 0x8f,
  topicInvalid: 0x90,
  packetIdNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
} as const;

export type ReasonCode = (typeof reason)[keyof typeof reason];

/** CONNACK return codes of MQTT 3.1 and 3.1.1. @source MQTT 3.1.1 table 3.1 */
export function connackReturnCode(code: ReasonCode): number {
  switch (code) {
    case reason.success:
      return 0;
    case reason.unsupportedProtocol:
      return 1;
    case reason.clientIdInvalid:
      return 2;
    case reason.badUserNameOrPassword:
      return 4;
    case reason.notAuthorized:
      return 5;
    default:
      return 3;
  }
}

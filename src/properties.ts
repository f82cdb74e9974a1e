/**
 * The properties of MQTT 5.0 (§2.2.2) as one object; which of them a packet may carry is said at each.
 * On MQTT 3.1.1 there are none.
 */
export interface Properties {
  /** 0: the payload is bytes, 1: it is UTF-8. PUBLISH, will. */
  payloadFormatIndicator?: 0 | 1;
  /** Seconds, 0…4,294,967,295. PUBLISH, will. */
  messageExpiryInterval?: number;
  /** The kind of content, a MIME type for instance. PUBLISH, will. */
  contentType?: string;
  /** The topic to answer to. PUBLISH, will. */
  responseTopic?: string;
  /** What ties an answer to its request. PUBLISH, will. */
  correlationData?: Uint8Array;
  /** 1…268,435,455. SUBSCRIBE. */
  subscriptionIdentifier?: number;
  /** The identifiers of the subscriptions that a received message matches, each 1…268,435,455. PUBLISH. */
  subscriptionIdentifiers?: number[];
  /** Seconds, 0…4,294,967,295; 0: the session ends with the connection, 4,294,967,295: it never does. CONNECT, CONNACK, DISCONNECT. */
  sessionExpiryInterval?: number;
  /** The client identifier that the broker chose. CONNACK. */
  assignedClientIdentifier?: string;
  /** Seconds, 0…65,535: the Keep Alive that the broker demands. CONNACK. */
  serverKeepAlive?: number;
  /** The name of the authentication method. CONNECT, CONNACK, AUTH. */
  authenticationMethod?: string;
  /** What the authentication method exchanges. CONNECT, CONNACK, AUTH. */
  authenticationData?: Uint8Array;
  /** 0 or 1: whether the broker may put a reason into its answers. CONNECT. */
  requestProblemInformation?: 0 | 1;
  /** Seconds, 0…4,294,967,295: from the loss of the connection to the publication of the will. Will. */
  willDelayInterval?: number;
  /** 0 or 1: whether the broker is asked for response information. CONNECT. */
  requestResponseInformation?: 0 | 1;
  /** The start of response topics, as the broker suggests it. CONNACK. */
  responseInformation?: string;
  /** Another broker to use. CONNACK, DISCONNECT. */
  serverReference?: string;
  /** What happened, in words. All answers and DISCONNECT. */
  reasonString?: string;
  /** How many QoS 1 and 2 messages the sender of this property takes at a time, 1…65,535. CONNECT, CONNACK. */
  receiveMaximum?: number;
  /** The highest topic alias that the sender of this property accepts, 0…65,535; 0: none. CONNECT, CONNACK. */
  topicAliasMaximum?: number;
  /** A number that stands for the topic, 1…65,535. PUBLISH. */
  topicAlias?: number;
  /** The highest QoS that the broker supports. CONNACK. */
  maximumQos?: 0 | 1;
  /** 0 or 1: whether the broker supports retained messages. CONNACK. */
  retainAvailable?: 0 | 1;
  /** Pairs of name and value, in order, names may repeat. Every packet that has properties. */
  userProperties?: [string, string][];
  /** The largest packet that the sender of this property accepts, in bytes, 1…4,294,967,295. CONNECT, CONNACK. */
  maximumPacketSize?: number;
  /** 0 or 1: whether the broker supports wildcards in filters. CONNACK. */
  wildcardSubscriptionAvailable?: 0 | 1;
  /** 0 or 1: whether the broker supports subscription identifiers. CONNACK. */
  subscriptionIdentifiersAvailable?: 0 | 1;
  /** 0 or 1: whether the broker supports shared subscriptions. CONNACK. */
  sharedSubscriptionAvailable?: 0 | 1;
}

/** The properties of a packet that has none. */
export const NO_PROPERTIES: Properties = Object.freeze({});

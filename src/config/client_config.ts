import type { QoS } from "../packets.ts";

/**
 * The configuration of a client, in code as in a file. Durations are in seconds, sizes in bytes. Every key is optional; one whose
 * value is `undefined` counts as absent.
 */
export interface ClientConfig {
  /**
   * The broker, `mqtt://[user[:password]@]host[:port]` for instance, or several that are tried in order; the schemes
   * are `mqtt`, `mqtts`, `ws`, `wss` and `unix`.
   */
  uri?: string | string[] | undefined;
  /** The file of the certificate authorities to trust, one or more of them in PEM format. */
  cafile?: string | undefined;
  /** The folder of the files of the certificate authorities to trust, each in PEM format. */
  capath?: string | undefined;
  /** The certificate authorities to trust, one or more of them in PEM format. */
  cadata?: string | undefined;
  /** hbmqtt's place for the keys of the same names; where both are given, the top level wins. */
  broker?: BrokerConfig | undefined;
  /** The Client Identifier; when empty the broker chooses one, when absent it is `hbmqtt/` and 16 random characters. */
  client_id?: string | undefined;
  /** The user name; one in the URI wins. */
  username?: string | undefined;
  /** The password; one in the URI wins. It is not sent for another user than `username`. At most 65535 bytes. */
  password?: string | Uint8Array | undefined;
  /**
   * The version of the protocol: 4 is MQTT 3.1.1, 5 is MQTT 5.0, "auto" is 5.0 where the broker knows it and 3.1.1
   * where not.
   *
   * @default {4}
   */
  protocol_version?: 4 | 5 | "auto" | undefined;
  /**
   * Whether `connect()` begins a new session instead of resuming the one that the broker keeps.
   *
   * @default {true}
   */
  cleansession?: boolean | undefined;
  /**
   * The Keep Alive: the longest time without a packet from this client that the broker is asked to tolerate. A whole
   * number of seconds, 0 to 65535; 0 turns it off.
   *
   * @default {10}
   */
  keep_alive?: number | undefined;
  /**
   * How long before the end of the Keep Alive the client pings if it has sent nothing; where that leaves no time, after
   * half of the Keep Alive. A number of seconds, 0 or more; 0 turns automatic pings off.
   *
   * @default {1}
   */
  ping_delay?: number | undefined;
  /**
   * How long the answer to a ping may take before the connection is given up as dead. A number of seconds, above 0 and
   * up to 2147483.
   *
   * @default {10}
   */
  ping_timeout?: number | undefined;
  /**
   * How long one attempt to connect may take, from the look-up of the host's name to the broker's CONNACK. A number of
   * seconds, above 0 and up to 2147483.
   *
   * @default {30}
   */
  connect_timeout?: number | undefined;
  /**
   * Whether a failed first attempt is retried and a lost connection restored.
   *
   * @default {true}
   */
  auto_reconnect?: boolean | undefined;
  /**
   * The limit of the delay between two attempts, which doubles from 1 second. A number of seconds, above 0 and up to
   * 2147483.
   *
   * @default {10}
   */
  reconnect_max_interval?: number | undefined;
  /**
   * How many retries follow a failed attempt to connect or to reconnect; a negative number sets no end. A whole number;
   * 0 allows none.
   *
   * @default {2}
   */
  reconnect_retries?: number | undefined;
  /**
   * How many times in a row the client goes where a broker sends it (MQTT 5.0). A whole number, 0 or more; 0 follows
   * none.
   *
   * @default {0}
   */
  follow_redirects?: number | undefined;
  /**
   * The Quality of Service of a publish that names none.
   *
   * @default {0}
   */
  default_qos?: QoS | undefined;
  /**
   * The retain flag of a publish that names none.
   *
   * @default {false}
   */
  default_retain?: boolean | undefined;
  /** Defaults for the publishes to single topics, found by the exact topic name; they win over the general defaults. */
  topics?: Record<string, TopicConfig> | undefined;
  /** The message that the broker publishes when it loses this client. */
  will?: WillConfig | undefined;
  /**
   * How many QoS 1 and 2 publishes may be unacknowledged at a time; the broker's Receive Maximum lowers it. A whole
   * number, 1 to 65535.
   *
   * @default {65535}
   */
  max_inflight?: number | undefined;
  /**
   * How many times a publish is sent, with nothing acknowledged in between, before it is rejected. A whole number, 1 or
   * more.
   *
   * @default {10}
   */
  max_publish_attempts?: number | undefined;
  /**
   * How many publishes may wait for the connection to come back. A whole number, 0 or more; 0 queues none.
   *
   * @default {10000}
   */
  max_queued_publishes?: number | undefined;
  /**
   * How much the publishes that wait for the connection to come back may hold together. A whole number of bytes, 0 or
   * more; 0 queues none.
   *
   * @default {67108864}
   */
  max_queued_bytes?: number | undefined;
  /**
   * What a publish meets that finds the queue full: it is rejected, it waits, or the oldest one is rejected in its
   * place. In a transaction `drop_oldest` rejects it.
   *
   * @default {"reject"}
   */
  queue_full?: "reject" | "wait" | "drop_oldest" | undefined;
  /**
   * Whether QoS 0 publishes wait for the connection to come back, too; otherwise they are rejected.
   *
   * @default {true}
   */
  queue_qos_0?: boolean | undefined;
  /**
   * How many received messages may wait to be taken; at this number the client stops reading from the broker. A whole
   * number, 1 or more.
   *
   * @default {1000}
   */
  max_queued_messages?: number | undefined;
  /**
   * The largest packet that is accepted from the broker; absent: the protocol's own limit. A whole number of bytes, 1
   * to 4294967295.
   */
  maximum_packet_size?: number | undefined;
  /**
   * Whether received messages are acknowledged by `message.ack()` instead of by the client.
   *
   * @default {false}
   */
  manual_ack?: boolean | undefined;
  /**
   * Whether subscriptions are restored after a reconnection for which the broker had no session.
   *
   * @default {true}
   */
  resubscribe?: boolean | undefined;
  /** The database file that keeps the session over restarts; absent: in memory. */
  store?: string | undefined;
  /** The file of the client's certificate and the chain above it, in PEM format. */
  certfile?: string | undefined;
  /** The file of the private key of `certfile`, in PEM format, not encrypted. */
  keyfile?: string | undefined;
  /**
   * Whether the broker's certificate must be for the host of the URI.
   *
   * @default {true}
   */
  check_hostname?: boolean | undefined;
  /** The protocols to offer when TLS begins (ALPN), the preferred one first. */
  alpn_protocols?: string[] | undefined;
  /**
   * How long the broker keeps the session after the connection; 4294967295: for ever (MQTT 5.0). A whole number of
   * seconds, 0 to 4294967295; 0 ends it with the connection.
   */
  session_expiry_interval?: number | undefined;
  /**
   * How many QoS 1 and 2 messages the broker may have unacknowledged at a time (MQTT 5.0). A whole number, 1 to 65535.
   */
  receive_maximum?: number | undefined;
  /** How many topic aliases are accepted from the broker (MQTT 5.0). A whole number, 0 to 65535; 0 accepts none. */
  topic_alias_maximum?: number | undefined;
  /**
   * Whether outgoing topics are shortened by aliases as far as the broker allows (MQTT 5.0).
   *
   * @default {true}
   */
  topic_aliases?: boolean | undefined;
  /**
   * Whether a received payload that is said to be UTF-8 must be, or else the connection is ended (MQTT 5.0).
   *
   * @default {false}
   */
  check_payload_format?: boolean | undefined;
  /**
   * Whether the broker is asked for Response Information, which the response topics of requests then begin with (MQTT 5.0).
   *
   * @default {false}
   */
  request_response_information?: boolean | undefined;
  /** Names and values for the broker, in order; a list may repeat names (MQTT 5.0). */
  user_properties?: UserProperties | undefined;
  /** The name of the method of enhanced authentication (MQTT 5.0). */
  authentication_method?: string | undefined;
  /** What the authentication method sends first (MQTT 5.0). At most 65535 bytes. */
  authentication_data?: string | Uint8Array | undefined;
}

/** The part of a configuration that hbmqtt keeps under `broker`. */
export interface BrokerConfig {
  /**
   * The broker, `mqtt://[user[:password]@]host[:port]` for instance, or several that are tried in order; the schemes
   * are `mqtt`, `mqtts`, `ws`, `wss` and `unix`.
   */
  uri?: string | string[] | undefined;
  /** The file of the certificate authorities to trust, one or more of them in PEM format. */
  cafile?: string | undefined;
  /** The folder of the files of the certificate authorities to trust, each in PEM format. */
  capath?: string | undefined;
  /** The certificate authorities to trust, one or more of them in PEM format. */
  cadata?: string | undefined;
}

/** What is configured for the publishes to one topic. */
export interface TopicConfig {
  /** The Quality of Service of a publish to this topic that names none. */
  qos?: QoS | undefined;
  /** The retain flag of a publish to this topic that names none. */
  retain?: boolean | undefined;
}

/** The message that the broker publishes when it loses the client. */
export interface WillConfig {
  /** The topic that the will is published to. */
  topic: string;
  /** The content of the will, which may be empty. At most 65535 bytes. */
  message: string | Uint8Array;
  /**
   * The Quality of Service that the will is published with.
   *
   * @default {0}
   */
  qos?: QoS | undefined;
  /**
   * Whether the will is published as a retained message.
   *
   * @default {false}
   */
  retain?: boolean | undefined;
  /** The properties of the will (MQTT 5.0). */
  properties?: WillProperties | undefined;
}

/** The properties that a will may carry (MQTT 5.0, §3.1.3.2), under the names of the specification. */
export interface WillProperties {
  /**
   * How long after the loss of the connection the will is published. A whole number of seconds, 0 to 4294967295; 0 is
   * no delay.
   */
  willDelayInterval?: number | undefined;
  /** What the content is: 0 is bytes, 1 is UTF-8. */
  payloadFormatIndicator?: 0 | 1 | undefined;
  /**
   * How long the published will is worth delivering; absent: for ever. A whole number of seconds, 0 to 4294967295; 0
   * lets it expire at once.
   */
  messageExpiryInterval?: number | undefined;
  /** The kind of the content, a MIME type for instance. */
  contentType?: string | undefined;
  /** The topic to answer to. */
  responseTopic?: string | undefined;
  /** What ties an answer to the will. At most 65535 bytes. */
  correlationData?: Uint8Array | undefined;
  /** Names and values for the receivers of the will, in order; a list may repeat names. */
  userProperties?: UserProperties | undefined;
}

/** Names and values (MQTT 5.0, §3.1.2.11.8): as pairs, whose names may repeat, or as a mapping. */
export type UserProperties = [name: string, value: string][] | Record<string, string>;

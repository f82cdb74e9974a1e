import type { Dialect } from "./codec/dialect.ts";
import { MQTT_3_1_1 } from "./codec/mqtt_3_1_1.ts";
import { MQTT_5_0 } from "./codec/mqtt_5_0.ts";
import { generateClientId } from "./client_id.ts";
import type { ClientConfig } from "./config/client_config.ts";
import { checkConfig, resolveConfig, type ResolvedConfig, summarizeConfig } from "./config/config.ts";
import { loadConfig } from "./config/config_file.ts";
import { type Endpoint, parseEndpoint } from "./endpoint.ts";
import { ClientError } from "./errors.ts";
import type { ApplicationMessage } from "./message.ts";
import { withoutSecrets } from "./observe/packet_log.ts";
import type { Stats } from "./observe/stats.ts";
import type { ConnackPacket, Packet, PublishPacket, QoS, SubscriptionRequest, WillPacket } from "./packets.ts";
import { NO_PROPERTIES, type Properties, propertiesFault, type PropertiesOwner } from "./properties.ts";
import { CLIENT_DISCONNECTS, rejection } from "./reason_codes.ts";
import type { ConnectPlan, Credentials } from "./shell/connect_plan.ts";
import { type AuthHandler, Driver } from "./shell/driver.ts";
import type { MessageHandler } from "./shell/inbox.ts";
import { type RequestHandler, type Responder, RouteResponder } from "./shell/responder.ts";
import type { SessionStore } from "./store/session_store.ts";
import { SqliteSessionStore } from "./store/sqlite_session_store.ts";
import { filterOfShare, stringFault, topicFault, topicFilterFault, utf8Length } from "./topic.ts";
import { type ExtraHeaders, transportOpener } from "./transport/open.ts";
import type { OpenTransport } from "./transport/transport.ts";

/** What a client is made with. */
export interface MQTTClientOptions {
  /**
   * The Client Identifier, 23 characters of 0-9, a-z, A-Z for every broker to accept it; the empty string asks the broker to assign one.
   *
   * @default {"hbmqtt/" and 16 random letters and digits}
   */
  clientId?: string | undefined;
  /** The configuration: the documented keys. */
  config?: ClientConfig | undefined;
  /**
   * Asked for user name and password before every attempt, and for `authenticationData` before every re-authentication too, so that a token can
   * be fresh; it beats the URI and the configuration.
   */
  credentials?: (() => Credentials | Promise<Credentials>) | undefined;
  /** Opens connections in the place of this package's own transports: through a proxy, a tunnel, or a pipe in a test. */
  transport?: OpenTransport | undefined;
  /**
   * Where the session is kept: publishes that are not settled, QoS 2 messages that were received, and subscriptions, so that they survive
   * the process. It is that of the Client Identifier that is given here or in the configuration, so give one: a generated one is another each
   * time, and leaves a session behind in the store. It beats `store` in the configuration.
   * By default the session is kept in memory.
   */
  store?: SessionStore | undefined;
  /**
   * Answers what the broker asks in the course of an enhanced authentication (MQTT 5.0), by the `authentication_method` of the configuration.
   * What it throws ends the attempt to connect.
   */
  onAuth?: AuthHandler | undefined;
}

/** How to connect; each option wins over the key of the configuration that means the same. */
export interface ConnectOptions {
  /**
   * Whether the broker starts a new session rather than go on with the one it has for this client identifier.
   *
   * @default {cleansession of the configuration, which is true by default}
   */
  cleanSession?: boolean | undefined;
  /** A file of certificates of authorities to trust beside those that Deno trusts, in PEM; for `mqtts` and `wss`. */
  caFile?: string | undefined;
  /** A folder of such files. */
  caPath?: string | undefined;
  /** Such certificates as text. */
  caData?: string | undefined;
  /** Headers for the request that opens a WebSocket; a function is asked before every attempt. */
  extraHeaders?: ExtraHeaders | undefined;
  /** Gives up connecting, with the signal's reason. Once the connection is up the signal does nothing. */
  signal?: AbortSignal | undefined;
}

/** How to reconnect. */
export interface ReconnectOptions {
  /** Whether the broker starts a new session, from now on. By default as `connect()` was told. */
  cleanSession?: boolean | undefined;
  /** Gives up reconnecting, with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** How to disconnect. */
export interface DisconnectOptions {
  /**
   * How long to wait for publishes under way to be acknowledged, in seconds, 0 or more; 0: not at all.
   *
   * @default {5}
   */
  drain?: number | undefined;
  /**
   * The reason code that the broker is told (MQTT 5.0): 0, 4 to have the will published, or another that a client may give.
   *
   * @default {0}
   */
  reasonCode?: number | undefined;
  /** Properties of DISCONNECT (MQTT 5.0). `sessionExpiryInterval` takes the place of `session_expiry_interval`, unless that is 0 or absent. */
  properties?: Properties | undefined;
}

/** A signal to cease waiting with. */
export interface SignalOptions {
  /** Ceases to wait: the promise rejects with the signal's reason. What was sent by then stays sent. */
  signal?: AbortSignal | undefined;
}

/** How to publish. */
export interface PublishOptions extends SignalOptions {
  /** The Quality of Service. By default that of the topic in the configuration (`topics`), else `default_qos`. */
  qos?: QoS | undefined;
  /** Whether the broker keeps the message for future subscribers. By default that of the topic in the configuration, else `default_retain`. */
  retain?: boolean | undefined;
  /** Properties of the message (MQTT 5.0). */
  properties?: Properties | undefined;
}

/** How to subscribe or unsubscribe. */
export interface SubscribeOptions extends SignalOptions {
  /** Properties of the packet (MQTT 5.0). */
  properties?: Properties | undefined;
}

/** A subscription to ask for; the short form is `[filter, qos]`. */
export interface Subscription {
  /** The topic filter. */
  filter: string;
  /**
   * The highest QoS to receive messages with.
   *
   * @default {0}
   */
  qos?: QoS | undefined;
  /**
   * Not to receive what this client publishes (MQTT 5.0).
   *
   * @default {false}
   */
  noLocal?: boolean | undefined;
  /**
   * To receive the retain flag as it was published (MQTT 5.0).
   *
   * @default {false}
   */
  retainAsPublished?: boolean | undefined;
  /**
   * Retained messages: 0 sent at each subscribe, 1 only for a new subscription, 2 never (MQTT 5.0).
   *
   * @default {0}
   */
  retainHandling?: 0 | 1 | 2 | undefined;
}

/** How to receive by an iterator of its own. */
export interface MessagesOptions {
  /**
   * How many messages may wait in the iterator's queue, 1 or more; at the limit the connection is not read.
   *
   * @default {max_queued_messages of the configuration}
   */
  limit?: number | undefined;
  /** Ends the iterator, which throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** How to request. */
export interface RequestOptions extends SignalOptions {
  /**
   * How long to wait for the response, in seconds, 0 or more; by default without end. It counts from the call, whatever the request has to
   * wait for.
   */
  timeout?: number | undefined;
  /** The Quality of Service of the request. By default that of the topic in the configuration (`topics`), else `default_qos`. */
  qos?: QoS | undefined;
  /**
   * Properties of the request (MQTT 5.0). `responseTopic` is where the response is to come, by default a topic of the client's own, and
   * has to be given in MQTT 3.1.1; `correlationData` is what tells it apart, 16 random bytes by default.
   */
  properties?: Properties | undefined;
}

/** How to respond. */
export interface RespondOptions extends SignalOptions {
  /**
   * The highest QoS to receive requests with; a response has the QoS that its request was received with.
   *
   * @default {2}
   */
  qos?: QoS | undefined;
  /**
   * How many requests are handled at a time, 1 or more.
   *
   * @default {1}
   */
  concurrency?: number | undefined;
  /** Where to respond to a request that does not say it, as none does in MQTT 3.1.1. By default there is no response to such a one. */
  responseTopic?: (string | ((request: ApplicationMessage) => string | undefined)) | undefined;
  /** Properties of SUBSCRIBE (MQTT 5.0). */
  properties?: Properties | undefined;
}

/** What the broker answered to the last CONNECT. */
export interface ConnackInfo {
  /** The return code (3.1.1) or reason code (5.0), 0: accepted. */
  readonly returnCode: number;
  /** Whether the broker had a session for the client. */
  readonly sessionPresent: boolean;
  /** The broker's properties (MQTT 5.0). */
  readonly properties: Properties;
}

/** `detail` of the event `connect`. */
export interface ConnectEventDetail {
  /** The return code, 0. */
  returnCode: number;
  /** Whether the broker had a session for the client. */
  sessionPresent: boolean;
  /** The broker's URI, without user name and password. */
  uri: string;
}

/** `detail` of the event `disconnect`. */
export interface DisconnectEventDetail {
  /** What broke the link; `undefined` after `disconnect()`, and after `reconnect()` on a link that was up. */
  error: unknown;
  /** The reason code of the broker's DISCONNECT, of its breach of the protocol or of its refusal to restore the connection, if that was it. */
  reasonCode: number | undefined;
  /** Whether the client is about to reconnect. */
  willReconnect: boolean;
}

/** `detail` of the event `reconnecting`. */
export interface ReconnectingEventDetail {
  /** Counts the attempts that wait, from 1. */
  attempt: number;
  /** How long it waits, in seconds, above 0. */
  delay: number;
}

/** `detail` of the event `packet`. */
export interface PacketEventDetail {
  /** `"in"`: received, `"out"`: sent. */
  direction: "in" | "out";
  /** The packet, its secrets replaced by `***`. */
  packet: Packet;
}

/** A publish that was restored from a session store. */
export interface PendingPublish {
  /** The topic name. */
  readonly topic: string;
  /** The content. */
  readonly payload: Uint8Array;
  /** The Quality of Service. */
  readonly qos: QoS;
}

/** The events of a client. */
export interface MQTTClientEventMap {
  /** The broker has accepted a connection, the first or a later one. */
  connect: CustomEvent<ConnectEventDetail>;
  /** A connection is gone; or the client has given up to restore it. */
  disconnect: CustomEvent<DisconnectEventDetail>;
  /** An attempt is about to be made, after a delay. */
  reconnecting: CustomEvent<ReconnectingEventDetail>;
  /** A packet was sent or received. Costs nothing while nobody listens. */
  packet: CustomEvent<PacketEventDetail>;
}

const encoder = new TextEncoder();

/** The dialects that each `protocol_version` stands for, the one to be tried first in front. */
const DIALECTS: Readonly<Record<ResolvedConfig["protocol_version"], readonly Dialect[]>> = {
  4: [MQTT_3_1_1],
  5: [MQTT_5_0],
  auto: [MQTT_5_0, MQTT_3_1_1],
};

/** The longest packet, by its Remaining Length (§2.2.3), in bytes. */
const LARGEST_REMAINING_LENGTH = 268_435_455;

/**
 * An MQTT client.
 *
 * Connects to one broker (or the first of several that answers), publishes, subscribes, and hands out what it receives by
 * {@linkcode deliverMessage}, by iteration, or to {@linkcode onmessage}. When the link breaks it reconnects, resumes
 * what was under way and restores its subscriptions; calls made meanwhile wait.
 *
 * ```ts
 * import { MQTTClient, QOS_1 } from "@hbmqtt/client";
 *
 * await using client = new MQTTClient();
 * await client.connect("mqtt://localhost:1883");
 * await client.subscribe("home/#", QOS_1);
 * await client.publish("home/kitchen/light", "on", { qos: QOS_1 });
 * for await (const message of client) {
 *   console.log(message.topic, message.text());
 *   break;
 * }
 * ```
 */
export class MQTTClient extends EventTarget implements AsyncDisposable, AsyncIterable<ApplicationMessage> {
  readonly #config: ResolvedConfig;
  readonly #driver: Driver;
  readonly #credentials: MQTTClientOptions["credentials"];
  readonly #transport: MQTTClientOptions["transport"];
  #clientId: string;
  #connack: ConnackPacket | undefined;
  /** Where it is connected to, or was last, without user name and password. */
  #uri: string | undefined;
  /** A topic name that is known to be one: the last one published to. */
  #checkedTopic = "-";
  /** The listeners of the event `packet` that were added and not removed. */
  readonly #packetListeners = new Set<unknown>();

  /**
   * Makes a client; it connects when it is told to.
   *
   * @throws {ConfigError} If the configuration is faulty, naming all its faults.
   * @throws {TypeError} If the client identifier cannot be sent, `credentials`, `transport` or `onAuth` is no function, or `store` no session store.
   */
  constructor(options: MQTTClientOptions = {}) {
    super();
    const config = this.#config = resolveConfig(checkConfig(options.config ?? {}));
    this.#clientId = options.clientId ?? config.client_id ?? generateClientId();
    const fault = typeof this.#clientId === "string" ? stringFault(this.#clientId) : "it must be a string";
    if (fault !== undefined) throw new TypeError(`Cannot use the client identifier: ${fault}`);
    checkType("credentials", options.credentials, "function");
    checkType("transport", options.transport, "function");
    checkType("onAuth", options.onAuth, "function");
    this.#credentials = options.credentials;
    this.#transport = options.transport;
    if (options.store !== undefined && typeof options.store?.open !== "function") {
      throw new TypeError(`store must be a session store, as SqliteSessionStore is, not ${typeName(options.store)}`);
    }
    this.#driver = new Driver({
      dialects: DIALECTS[config.protocol_version],
      maximumPacketSize: config.maximum_packet_size ?? Infinity,
      checkPayloadFormat: config.check_payload_format,
      followRedirects: config.follow_redirects,
      onAuth: options.onAuth,
      store: options.store ?? (config.store === undefined ? undefined : new SqliteSessionStore(config.store)),
      clientId: this.#clientId,
      maxQueuedMessages: config.max_queued_messages,
      connectTimeout: config.connect_timeout,
      autoReconnect: config.auto_reconnect,
      reconnectRetries: config.reconnect_retries,
      reconnectMaxInterval: config.reconnect_max_interval,
      pingDelay: config.ping_delay,
      pingTimeout: config.ping_timeout,
      maxInflight: config.max_inflight,
      maxQueuedPublishes: config.max_queued_publishes,
      maxQueuedBytes: config.max_queued_bytes,
      queueFull: config.queue_full,
      queueQos0: config.queue_qos_0,
      maxPublishAttempts: config.max_publish_attempts,
      topicAliases: config.topic_aliases,
      manualAck: config.manual_ack,
      resubscribe: config.resubscribe,
    }, {
      answered: (connack) => this.#connack = connack,
      connected: (connack, endpoint) => this.#connected(connack, endpoint),
      disconnected: (error, willReconnect) => this.#disconnected(error, willReconnect),
      reconnecting: (attempt, delay) => this.#dispatch("reconnecting", { attempt, delay }),
    });
  }

  /**
   * Makes a client with the configuration in a YAML file, as {@linkcode loadConfig} reads it; of a subclass when called on that.
   *
   * @param path the file; a URL must be a `file:` URL
   * @param options what else the client is made with
   * @throws {ConfigError} If the file cannot be read or is not a valid configuration; the message names all its faults.
   * @throws {TypeError} If the path is none, or the client identifier cannot be sent.
   */
  static async fromConfigFile<Client extends MQTTClient>(
    this: new (options: MQTTClientOptions) => Client,
    path: string | URL,
    options: Omit<MQTTClientOptions, "config"> = {},
  ): Promise<Client> {
    return new this({ ...options, config: await loadConfig(path) });
  }

  /** The Client Identifier: the one given or generated, or the one that the broker has assigned. */
  get clientId(): string {
    return this.#clientId;
  }

  /** Whether the link is up. */
  get connected(): boolean {
    return this.#driver.state === "connected";
  }

  /** What the broker answered to the last CONNECT, `undefined` before the first answer. */
  get connack(): ConnackInfo | undefined {
    if (this.#connack === undefined) return undefined;
    const { returnCode, sessionPresent, properties } = this.#connack;
    return { returnCode, sessionPresent, properties };
  }

  /** What the client has done since it was made, and what is under way. */
  get stats(): Stats {
    return this.#driver.stats;
  }

  /**
   * Connects to a broker, and keeps connected until {@linkcode disconnect}.
   *
   * With `auto_reconnect` a failed attempt is retried up to `reconnect_retries` times, unless a retry cannot help.
   *
   * @param uri `mqtt://`, `mqtts://`, `ws://`, `wss://` with `[user:password@]host[:port]`, or `unix:/path`; by default that of the
   * configuration, which may name several brokers to try in turn
   * @returns the return code of CONNACK, 0
   * @throws {ConnectError} If no attempt succeeds: `returnCode` is the broker's, `cause` what went wrong; a `TimeoutError` there
   * when it took longer than `connect_timeout`, or the session store to open.
   * @throws {ConfigError} If a file of certificates or a key cannot be used, or the scheme cannot do what the configuration asks for
   * (`check_hostname: false` with `wss`).
   * @throws {ClientError} If the client is connected or connecting, which it stays; or if there is no URI.
   * @throws {TypeError} If the URI is malformed, or `cleanSession` neither true nor false.
   * @throws The signal's reason, if it aborts.
   * @see MQTT 3.1.1, §3.1
   */
  connect(uri?: string, options: ConnectOptions = {}): Promise<number> {
    return guard(async () => {
      checkType("cleanSession", options.cleanSession, "boolean");
      const uris = uri === undefined ? this.#config.uri : [uri];
      if (uris.length === 0) {
        throw new ClientError("Cannot connect: give a URI to connect() or as `uri` in the configuration");
      }
      const connack = await this.#driver.connect(this.#plan(uris, options), options.signal);
      return connack.returnCode;
    });
  }

  #plan(uris: readonly string[], options: ConnectOptions): ConnectPlan {
    const config = this.#config;
    return {
      endpoints: uris.map(parseEndpoint),
      clientId: this.#clientId,
      cleanStart: options.cleanSession ?? config.cleansession,
      keepAlive: config.keep_alive,
      will: willPacket(config),
      properties: connectProperties(config),
      open: this.#transport ?? transportOpener({
        caFile: options.caFile ?? config.cafile,
        caPath: options.caPath ?? config.capath,
        caData: options.caData ?? config.cadata,
        certFile: config.certfile,
        keyFile: config.keyfile,
        checkHostname: config.check_hostname,
        alpnProtocols: config.alpn_protocols ?? [],
        extraHeaders: options.extraHeaders,
      }),
      credentials: (endpoint) => this.#credentialsFor(endpoint),
    };
  }

  #credentialsFor(endpoint: Endpoint): Credentials | Promise<Credentials> {
    if (this.#credentials !== undefined) return this.#credentials();
    const { username, password } = this.#config;
    const user = endpoint.username ?? username;
    const isOfOther = username !== undefined && username !== user;
    return { username: user, password: endpoint.password ?? (isOfOther ? undefined : password) };
  }

  /**
   * Connects again as {@linkcode connect} did, at once; a connection that is up is closed first. What is under way goes on.
   *
   * @returns the return code of CONNACK, 0
   * @throws {ClientError} If `connect()` was never called, or `disconnect()` is under way.
   * @throws {ConnectError} If no attempt succeeds.
   * @throws {ConfigError} As {@linkcode connect} does.
   * @throws {TypeError} If `cleanSession` is neither true nor false.
   * @throws The signal's reason, if it aborts; the client has ended then.
   */
  reconnect(options: ReconnectOptions = {}): Promise<number> {
    return guard(async () => {
      checkType("cleanSession", options.cleanSession, "boolean");
      return (await this.#driver.reconnect(options.cleanSession, options.signal)).returnCode;
    });
  }

  /**
   * Ends the connection in good order, and with it everything that waits: `deliverMessage()` and publishes not acknowledged reject with
   * `ClientError`, iterators are done. Messages received by then can still be taken. Stops a reconnection. Does nothing when there is nothing to end.
   * A session store keeps the publishes that reject so; the next {@linkcode connect} goes on with them. A broker or a store that does not
   * answer is waited for no longer than a second each, beside what is left of `drain`.
   *
   * @throws {RangeError} If `drain` is negative, the reason code not one that a client may give, or `sessionExpiryInterval` one that it may not.
   * @throws {TypeError} If `drain` is no number, or a property cannot be sent.
   * @see MQTT 3.1.1, §3.14; MQTT 5.0, §3.14
   */
  disconnect(options: DisconnectOptions = {}): Promise<void> {
    return guard(async () => {
      const { drain = 5, reasonCode = 0, properties = NO_PROPERTIES } = options;
      checkSeconds("drain", drain);
      if (!CLIENT_DISCONNECTS.has(reasonCode)) {
        throw new RangeError(`Cannot disconnect: ${show(reasonCode)} is no reason code that a client may give`);
      }
      checkProperties("disconnect", "DISCONNECT", properties);
      if (properties.sessionExpiryInterval && !this.#config.session_expiry_interval) { // [MQTT5-3.14.2-2]
        throw new RangeError("Cannot disconnect: sessionExpiryInterval must be 0 without a session_expiry_interval");
      }
      await this.#driver.disconnect(drain, reasonCode, properties);
    });
  }

  /** Disconnects. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
  }

  /**
   * Asks the broker for a sign of life; while the link is down it waits for the next one.
   *
   * @returns a promise that resolves on PINGRESP
   * @throws {ClientError} If the client is not connected or ends.
   * @throws The signal's reason, if it aborts.
   * @see MQTT 3.1.1, §3.12
   */
  ping(options: SignalOptions = {}): Promise<void> {
    return this.#driver.ping(options.signal);
  }

  /**
   * Has the broker authenticate the client once more by the method that it connected with (MQTT 5.0), without an interruption of the
   * connection. It begins with what `credentials()` gives as `authenticationData`, else with the `authentication_data` of the configuration. While
   * the link is down it waits for the next one, which is authenticated anyway.
   *
   * @returns a promise that resolves when the broker is content, by this connection or by the next
   * @throws {RejectedError} If the broker is not; it ends the connection then.
   * @throws {ClientError} If the configuration has no `authentication_method` or the connection none, as in MQTT 3.1.1; if the client is being
   * authenticated again already, `credentials()` fails, or the client is not connected or ends.
   * @throws The signal's reason, if it aborts.
   * @see MQTT 5.0, §4.12.1
   */
  reauthenticate(options: SignalOptions = {}): Promise<void> {
    return guard(() => this.#driver.reauthenticate(options.signal));
  }

  /**
   * What a former process has published and not seen settled, as the session store has kept it: in the order of its publishing, and as long
   * as it is not settled by this one. It is read from the store on {@linkcode connect}, or now if the store gives it at once; the session stays
   * open there until {@linkcode disconnect}.
   *
   * @throws {ClientError} If the store cannot be opened.
   */
  get pending(): PendingPublish[] {
    const flows = this.#driver.pending();
    return flows.map(({ packet: { topic, payload, qos } }) => ({ topic, payload, qos }));
  }

  /**
   * Waits until all that is {@linkcode pending} is settled; while the client is not connected, it waits for a {@linkcode connect} to come.
   *
   * @returns a promise that resolves when nothing is pending, at once if nothing is
   * @throws {ClientError} If the client ends first, and the store keeps what is not settled; or if the store cannot be opened.
   */
  drained(): Promise<void> {
    return guard(() => this.#driver.drained());
  }

  /**
   * Publishes a message.
   *
   * While the link is up and the window (`max_inflight`) or the write buffer is full, it waits its turn; while the link is being restored it
   * waits in the offline queue (`max_queued_publishes`, `max_queued_bytes`, `queue_full`). A QoS 1 or 2 publish that is cut off is completed on the next connection.
   * In a transaction of the session store (`transaction()`) a publish that is refused throws rather than rejects, so that nothing is committed
   * without it.
   *
   * @param topic 1…65,535 bytes, no wildcards
   * @param message bytes, which are not copied and must not change before the promise settles, or a string, sent as UTF-8
   * @returns the message with the packets of its flow: for QoS 0 once it is handed to the transport, for QoS 1 on PUBACK, for QoS 2 on PUBCOMP
   * @throws {TypeError} If the topic is no topic name, the message neither bytes nor a string, or a property cannot be sent.
   * @throws {RangeError} If the QoS is not 0, 1 or 2, or the message is longer than a packet can be, 256 MiB.
   * @throws {ClientError} If the client is not connected or ends first, the broker cannot take the message (MQTT 5.0), the message expires
   * before it is sent (MQTT 5.0), the offline queue is full, the session store cannot store it, or the connection breaks
   * `max_publish_attempts` times on it.
   * @throws {RejectedError} If the broker rejects it (MQTT 5.0).
   * @throws The signal's reason, if it aborts.
   * @see MQTT 3.1.1, §3.3, §4.3; MQTT 5.0, §3.3, §4.3
   */
  publish(topic: string, message: Uint8Array | string, options: PublishOptions = {}): Promise<ApplicationMessage> {
    let packet;
    try {
      packet = this.#publishPacket(topic, message, options);
    } catch (error) {
      return this.#driver.refusePublish(error);
    }
    return this.#driver.publish(packet, options.signal);
  }

  /** Checks a topic name and remembers it, since most publishes are to the topic of the one before. */
  #checkTopic(topic: string): void {
    const fault = typeof topic === "string"
      ? topicFault(topic)
      : `a topic name must be a string, not ${typeName(topic)}`;
    if (fault !== undefined) throw new TypeError(`Cannot publish to ${show(topic)}: ${fault}`);
    this.#checkedTopic = topic;
  }

  #publishPacket(topic: string, message: Uint8Array | string, options: PublishOptions): PublishPacket {
    if (topic !== this.#checkedTopic) this.#checkTopic(topic);
    const payload = typeof message === "string" ? encoder.encode(message) : message;
    if (!(payload instanceof Uint8Array)) {
      throw new TypeError(
        `Cannot publish to ${show(topic)}: a message must be a Uint8Array or a string, not ${typeName(message)}`,
      );
    }
    const room = LARGEST_REMAINING_LENGTH - 4 - payload.length;
    // A UTF-16 unit takes 3 bytes at the most, and to count them is seldom needed.
    if (room < 3 * topic.length && room < utf8Length(topic)) {
      throw new RangeError(`Cannot publish to ${show(topic)}: ${payload.length} bytes are more than a packet can hold`);
    }
    const ofTopic = this.#config.topics.get(topic);
    const qos = options.qos ?? ofTopic?.qos ?? this.#config.default_qos;
    const retain = options.retain ?? ofTopic?.retain ?? this.#config.default_retain;
    if (qos !== 0 && qos !== 1 && qos !== 2) throw qosError(`Cannot publish to ${show(topic)}`, qos);
    if (typeof retain !== "boolean") {
      throw new TypeError(`Cannot publish to ${show(topic)}: retain must be true or false, not ${typeName(retain)}`);
    }
    const properties = options.properties ?? NO_PROPERTIES;
    if (properties !== NO_PROPERTIES) checkPublishProperties(topic, properties);
    return { type: "PUBLISH", dup: false, qos, retain, topic, packetId: 0, properties, payload };
  }

  /**
   * Subscribes to one topic filter.
   *
   * @param filter the topic filter; `+` stands for one level, `#` for the rest
   * @param qos the highest QoS to receive messages with, 0 by default
   * @returns the code of SUBACK: the granted QoS, or 0x80 and above for a refusal
   * @throws {TypeError} If the filter is malformed, or a property cannot be sent.
   * @throws {RangeError} If the QoS is not 0, 1 or 2.
   * @throws {ClientError} If the client is not connected or ends first, or the broker cannot grant it (MQTT 5.0).
   * @throws The signal's reason, if it aborts.
   * @see MQTT 3.1.1, §3.8; MQTT 5.0, §3.8
   */
  subscribe(filter: string, qos?: QoS, options?: SubscribeOptions): Promise<number[]>;
  /**
   * Subscribes to topic filters. What is granted is restored when the broker loses it (`resubscribe`).
   *
   * @param topics pairs of topic filter and QoS, or objects with further options; at least one
   * @returns the codes of SUBACK in the same order: the granted QoS, or 0x80 and above for a refusal
   * @throws {TypeError} If a filter is malformed or a property cannot be sent, before anything is sent.
   * @throws {RangeError} If a QoS is not 0, 1 or 2.
   * @throws {ClientError} If the client is not connected or ends first, or the broker cannot grant it (MQTT 5.0).
   * @throws The signal's reason, if it aborts.
   * @see MQTT 3.1.1, §3.8; MQTT 5.0, §3.8
   */
  subscribe(
    topics: readonly (readonly [filter: string, qos: QoS] | Subscription)[],
    options?: SubscribeOptions,
  ): Promise<number[]>;
  subscribe(
    topics: string | readonly (readonly [filter: string, qos: QoS] | Subscription)[],
    second?: QoS | SubscribeOptions,
    third?: SubscribeOptions,
  ): Promise<number[]> {
    return guard(async () => {
      const isOne = typeof topics === "string";
      const qos = typeof second === "object" ? undefined : second;
      const { properties = NO_PROPERTIES, signal } = (typeof second === "object" ? second : third) ?? {};
      const entries = isOne ? [{ filter: topics, qos }] : topics;
      if (!Array.isArray(entries) || entries.length === 0) {
        throw new TypeError("Cannot subscribe: give a topic filter, or a list of at least one [filter, qos]");
      }
      const subscriptions = entries.map(subscriptionRequest);
      checkProperties("subscribe", "SUBSCRIBE", properties);
      return await this.#driver.subscribe({ type: "SUBSCRIBE", packetId: 0, subscriptions, properties }, signal);
    });
  }

  /**
   * Ends subscriptions.
   *
   * @param filters the topic filters as they were subscribed to, one or a list of at least one
   * @returns the codes of UNSUBACK in the same order, zeros on 3.1.1
   * @throws {TypeError} If a filter is malformed or a property cannot be sent, before anything is sent.
   * @throws {ClientError} If the client is not connected or ends first, or the packet is too large for the broker (MQTT 5.0).
   * @throws The signal's reason, if it aborts.
   * @see MQTT 3.1.1, §3.10; MQTT 5.0, §3.10
   */
  unsubscribe(filters: string | readonly string[], options: SubscribeOptions = {}): Promise<number[]> {
    return guard(async () => {
      const topicFilters = typeof filters === "string" ? [filters] : Array.isArray(filters) ? [...filters] : [];
      if (topicFilters.length === 0) {
        throw new TypeError("Cannot unsubscribe: give a topic filter, or a list of at least one");
      }
      for (const topicFilter of topicFilters) checkFilter("unsubscribe from", topicFilter);
      const { properties = NO_PROPERTIES, signal } = options;
      checkProperties("unsubscribe", "UNSUBSCRIBE", properties);
      return await this.#driver.unsubscribe({ type: "UNSUBSCRIBE", packetId: 0, topicFilters, properties }, signal);
    });
  }

  /**
   * Gives the next message that no iterator of {@linkcode messages} and no {@linkcode onmessage} takes. Callers are served in the order of
   * their calls; one that ceases to wait loses no message.
   *
   * @param timeout how long to wait, in seconds, 0 or more; 0: not at all; by default without end
   * @throws {DOMException} `TimeoutError` If no message comes in time.
   * @throws {ClientError} If the client is not connected, or has ended, and no message is left.
   * @throws {TypeError} If `timeout` is no number.
   * @throws {RangeError} If `timeout` is negative.
   * @throws The signal's reason, if it aborts.
   */
  deliverMessage(timeout?: number, options: SignalOptions = {}): Promise<ApplicationMessage> {
    const { inbox, state } = this.#driver;
    try {
      if (timeout !== undefined) checkSeconds("timeout", timeout);
    } catch (error) {
      return guard(() => Promise.reject(error));
    }
    if (state === "idle" && inbox.queue.length === 0) return this.#driver.refuse();
    return inbox.queue.take(timeout, options.signal);
  }

  /** Iterates over the messages that {@linkcode deliverMessage} would give; done after {@linkcode disconnect}. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ApplicationMessage> {
    return this.#driver.inbox.queue.iterator(() => {});
  }

  /**
   * Iterates over the messages that match a topic filter, in a queue of its own, from now on; it does not subscribe. A message goes to every
   * such iterator that it matches, and then neither to {@linkcode onmessage} nor to {@linkcode deliverMessage}.
   *
   * Where subscriptions overlap, a broker may send a message once for each. In MQTT 5.0 an iterator whose filter is one of them gets its own copy
   * alone, unless several have one `subscriptionIdentifier` of the application's; in MQTT 3.1.1 it gets them all.
   *
   * @param filter a topic filter
   * @throws {TypeError} If the filter is malformed, or the limit no number.
   * @throws {RangeError} If the limit is less than 1.
   */
  messages(filter: string, options: MessagesOptions = {}): AsyncIterableIterator<ApplicationMessage> {
    checkFilter("receive messages of", filter);
    const { limit, signal } = options;
    checkType("limit", limit, "number");
    if (limit !== undefined && !(limit >= 1)) throw new RangeError(`limit must be at least 1, not ${limit}`);
    return this.#driver.inbox.route(filter, limit, signal);
  }

  /**
   * Sends a request, and gives its response (MQTT 5.0): the message that comes on the response topic with the correlation data of the
   * request.
   *
   * The response topic is subscribed to before the first request and stays so, over reconnections too. It is one of the client's own (below
   * the broker's Response Information, where there is one) unless `properties.responseTopic` names another. From then on all messages that come on
   * a response topic are responses, which the client acknowledges itself: they go neither to {@linkcode onmessage}, {@linkcode deliverMessage} nor
   * {@linkcode messages}, and those that no request waits for are dropped.
   *
   * In MQTT 3.1.1, where neither response topic nor correlation data are sent, the application names a topic that the responder knows to respond
   * on, and the next message on it is the response to the oldest request for it: give each kind of request a response topic of its own, and another
   * one to requests after one that got no response in time.
   *
   * ```ts ignore
   * const response = await client.request("kitchen/thermostat/get", "target", { timeout: 5 });
   * console.log(response.text());
   * ```
   *
   * @param topic where the responder listens, as for {@linkcode publish}
   * @param message bytes, which are not copied and must not change before the promise settles, or a string, sent as UTF-8
   * @throws {DOMException} `TimeoutError` If no response comes in time.
   * @throws {TypeError} If the topic or the response topic is no topic name, the message neither bytes nor a string, `timeout` no number, or a
   * property cannot be sent.
   * @throws {RangeError} If the QoS is not 0, 1 or 2, `timeout` is negative, or the message is longer than a packet can be.
   * @throws {ClientError} If the client is not connected or ends first, no response topic is named in MQTT 3.1.1, or the request cannot be published.
   * @throws {RejectedError} If the broker rejects the request or the subscription to the response topic.
   * @throws The signal's reason, if it aborts.
   * @see MQTT 5.0, §4.10
   */
  request(topic: string, message: Uint8Array | string, options: RequestOptions = {}): Promise<ApplicationMessage> {
    return guard(async () => {
      const { timeout, signal, qos, properties } = options;
      if (timeout !== undefined) checkSeconds("timeout", timeout);
      const packet = this.#publishPacket(topic, message, { qos, retain: false, properties });
      if (properties?.responseTopic !== undefined) checkResponseTopic(properties.responseTopic);
      if (this.#driver.state === "idle") return await this.#driver.refuse();
      return await this.#driver.requester.request(packet, timeout, signal);
    });
  }

  /**
   * Subscribes to a topic filter, and answers the requests that come there (MQTT 5.0): what the handler gives for each is published to its
   * response topic, with its correlation data and its QoS. It goes on over reconnections, until the responder is stopped or the client ends.
   *
   * Requests are handled one at a time and in order, each when the one before is answered and the response acknowledged, or `concurrency` at a
   * time. Like those of {@linkcode messages}, they go neither to {@linkcode onmessage} nor to {@linkcode deliverMessage}. With
   * `manual_ack` a request is acknowledged when the response was published, so that another responder gets it where this one is
   * killed. `$share/group/filter` shares the requests between responders.
   *
   * What the handler throws is reported as an uncaught error, as that of {@linkcode onmessage} is, and there is no response; a response that the
   * broker does not take is dropped. A request without a response topic is handled, too.
   *
   * ```ts ignore
   * await using responder = await client.respond("kitchen/thermostat/get", (request) => settings.get(request.text()));
   * ```
   *
   * @param filter a topic filter
   * @param handler gives the response: its content, that and properties, or nothing for an empty response
   * @returns what stops it, once the broker has granted the subscription
   * @throws {TypeError} If the filter is malformed, the handler no function, or the response topic no topic name.
   * @throws {RangeError} If the QoS is not 0, 1 or 2, or `concurrency` not a whole number of at least 1.
   * @throws {ClientError} If the client is not connected or ends first.
   * @throws {RejectedError} If the broker refuses the subscription.
   * @throws The signal's reason, if it aborts before the subscription is granted; afterwards the signal does nothing.
   * @see MQTT 5.0, §4.10
   */
  respond(filter: string, handler: RequestHandler, options: RespondOptions = {}): Promise<Responder> {
    return guard(async () => {
      const { qos = 2, concurrency = 1, responseTopic, properties, signal } = options;
      if (typeof handler !== "function") throw new TypeError(`handler must be a function, not ${typeName(handler)}`);
      if (!(Number.isInteger(concurrency) && concurrency >= 1)) {
        throw new RangeError(`concurrency must be a whole number of at least 1, not ${show(concurrency)}`);
      }
      if (typeof responseTopic === "string") this.#checkTopic(responseTopic);
      checkFilter("respond to", filter);
      const requests = this.#driver.inbox.route(filter);
      try {
        const [reasonCode] = await this.subscribe(filter, qos, { properties, signal });
        if (reasonCode >= 0x80) throw rejection(`The broker refused the subscription to ${show(filter)}`, reasonCode);
      } catch (error) {
        await requests.return?.();
        throw error;
      }
      return new RouteResponder(requests, {
        handler,
        concurrency,
        responseTopic: (request) =>
          request.properties.responseTopic ??
            (typeof responseTopic === "function" ? responseTopic(request) : responseTopic),
        publish: (topic, payload, options) => this.publish(topic, payload, options),
        unsubscribe: () => this.unsubscribe(filter),
      });
    });
  }

  /**
   * Takes messages as they come, one at a time and in order; a promise that it returns is waited for. What it throws is reported as an
   * uncaught error, as that of an event listener is. While it is `null` messages are queued.
   */
  get onmessage(): MessageHandler | null {
    return this.#driver.inbox.handler;
  }

  set onmessage(handler: MessageHandler | null) {
    if (handler !== null && typeof handler !== "function") throw new TypeError("onmessage must be a function or null");
    this.#driver.inbox.handler = handler;
  }

  /** Listens to an event of the client. */
  override addEventListener<Type extends keyof MQTTClientEventMap>(
    type: Type,
    listener: ((event: MQTTClientEventMap[Type]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** Listens to any event. */
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener, options);
    if (type !== "packet" || listener === null) return;
    this.#packetListeners.add(listener);
    this.#driver.packetObserver = (direction, packet) =>
      this.#dispatch("packet", { direction, packet: withoutSecrets(packet) });
  }

  /** Ceases to listen to an event of the client. */
  override removeEventListener<Type extends keyof MQTTClientEventMap>(
    type: Type,
    listener: ((event: MQTTClientEventMap[Type]) => void) | null,
    options?: boolean | EventListenerOptions,
  ): void;
  /** Ceases to listen to any event. */
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void {
    super.removeEventListener(type, listener, options);
    if (type !== "packet") return;
    this.#packetListeners.delete(listener);
    if (this.#packetListeners.size === 0) this.#driver.packetObserver = undefined;
  }

  /** Shows the client when it is inspected or printed: its state, and its configuration without the defaults and with `***` for secrets. */
  [Symbol.for("Deno.customInspect")](inspect: (value: unknown, options: unknown) => string, options: unknown): string {
    return `${this.constructor.name} ${inspect(this.#summary(), options)}`;
  }

  /** The same for `node:util`. */
  [Symbol.for("nodejs.util.inspect.custom")](
    _depth: number,
    options: unknown,
    inspect: (value: unknown, options: unknown) => string,
  ): string {
    return `${this.constructor.name} ${inspect(this.#summary(), options)}`;
  }

  #summary(): Record<string, unknown> {
    const config = summarizeConfig(this.#config);
    return { clientId: this.#clientId, state: this.#driver.state, ...this.#uri && { uri: this.#uri }, config };
  }

  #connected(connack: ConnackPacket, endpoint: Endpoint): void {
    this.#clientId = connack.properties.assignedClientIdentifier ?? this.#clientId;
    this.#uri = endpoint.uri;
    const { returnCode, sessionPresent } = connack;
    this.#dispatch("connect", { returnCode, sessionPresent, uri: endpoint.uri });
  }

  #disconnected(error: unknown, willReconnect: boolean): void {
    const reasonCode = hasReasonCode(error) ? error.reasonCode : undefined;
    this.#dispatch("disconnect", { error, reasonCode, willReconnect });
  }

  #dispatch<Type extends keyof MQTTClientEventMap>(type: Type, detail: MQTTClientEventMap[Type]["detail"]): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Runs an asynchronous call so that whoever drops its promise gets no unhandled rejection. */
function guard<Result>(call: () => Promise<Result>): Promise<Result> {
  const promise = call();
  promise.catch(() => {});
  return promise;
}

function hasReasonCode(error: unknown): error is { reasonCode: number | undefined } {
  return error instanceof Error && "reasonCode" in error;
}

function subscriptionRequest(entry: unknown): SubscriptionRequest {
  if (Array.isArray(entry)) return subscriptionRequest({ filter: entry[0], qos: entry[1] });
  if (typeof entry !== "object" || entry === null) {
    throw new TypeError(`Cannot subscribe: an entry must be [filter, qos] or { filter, qos }, not ${show(entry)}`);
  }
  const { filter, qos = 0, noLocal = false, retainAsPublished = false, retainHandling = 0 } = entry as Subscription;
  checkFilter("subscribe to", filter);
  checkType("noLocal", noLocal, "boolean");
  checkType("retainAsPublished", retainAsPublished, "boolean");
  if (qos !== 0 && qos !== 1 && qos !== 2) throw qosError(`Cannot subscribe to ${show(filter)}`, qos);
  if (retainHandling !== 0 && retainHandling !== 1 && retainHandling !== 2) {
    throw new RangeError(
      `Cannot subscribe to ${show(filter)}: retainHandling must be 0, 1 or 2, not ${show(retainHandling)}`,
    );
  }
  if (noLocal && filterOfShare(filter) !== filter) { // [MQTT5-3.8.3-4]
    throw new TypeError(`Cannot subscribe to ${show(filter)}: a shared subscription cannot have noLocal`);
  }
  return { topicFilter: filter, qos, noLocal, retainAsPublished, retainHandling };
}

function checkFilter(what: string, filter: unknown): void {
  const fault = typeof filter === "string"
    ? topicFilterFault(filter)
    : `a topic filter must be a string, not ${typeName(filter)}`;
  if (fault !== undefined) throw new TypeError(`Cannot ${what} ${show(filter)}: ${fault}`);
}

function checkResponseTopic(topic: string): void {
  const fault = filterOfShare(topic) === topic ? topicFilterFault(topic) : "it stands for a shared subscription";
  if (fault !== undefined) throw new TypeError(`Cannot receive responses on ${show(topic)}: ${fault}`);
}

function checkProperties(what: string, owner: PropertiesOwner, properties: unknown): void {
  const fault = properties === NO_PROPERTIES ? undefined : propertiesFault(owner, properties);
  if (fault !== undefined) throw new fault.error(`Cannot ${what}: ${fault.what}`);
}

function checkPublishProperties(topic: string, properties: Properties): void {
  checkProperties(`publish to ${show(topic)}`, "PUBLISH", properties);
  if (properties.topicAlias !== undefined) {
    throw new TypeError(`Cannot publish to ${show(topic)}: topic aliases are the client's to assign (topic_aliases)`);
  }
}

function checkSeconds(name: string, seconds: unknown): void {
  if (typeof seconds !== "number") throw new TypeError(`${name} must be a number of seconds, not ${typeName(seconds)}`);
  if (!(seconds >= 0)) throw new RangeError(`${name} must be 0 or more seconds, not ${seconds}`);
}

/** Checks an option, which may be left out. */
function checkType(name: string, value: unknown, type: "boolean" | "function" | "number"): void {
  if (value === undefined || typeof value === type) return;
  throw new TypeError(`${name} must be a ${type}, not ${typeName(value)}`);
}

function qosError(what: string, qos: unknown): Error {
  const message = `${what}: the QoS must be 0, 1 or 2, not ${show(qos)}`;
  return typeof qos === "number" ? new RangeError(message) : new TypeError(message);
}

function show(value: unknown): string {
  if (typeof value !== "string") return typeof value === "number" ? String(value) : typeName(value);
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  return typeof value === "object" ? value.constructor?.name ?? "object" : typeof value;
}

/** Gives the properties of CONNECT: those that are configured. */
function connectProperties(config: ResolvedConfig): Properties {
  const { authentication_data: data } = config;
  const properties: Properties = {
    sessionExpiryInterval: config.session_expiry_interval,
    receiveMaximum: config.receive_maximum,
    maximumPacketSize: config.maximum_packet_size,
    topicAliasMaximum: config.topic_alias_maximum,
    requestResponseInformation: config.request_response_information ? 1 : undefined,
    userProperties: config.user_properties,
    authenticationMethod: config.authentication_method,
    authenticationData: typeof data === "string" ? encoder.encode(data) : data,
  };
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
}

function willPacket({ will }: ResolvedConfig): WillPacket | undefined {
  if (will === undefined) return undefined;
  const { topic, message, qos, retain, properties } = will;
  return { topic, payload: typeof message === "string" ? encoder.encode(message) : message, qos, retain, properties };
}

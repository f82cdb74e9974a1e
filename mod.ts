/**
 * An MQTT client for Deno: hbmqtt's documented `MQTTClient`, for MQTT 3.1.1 and 5.0 over Deno's own sockets.
 *
 * {@linkcode MQTTClient} is where to begin. Durations are in seconds, sizes in bytes.
 *
 * ```ts
 * import { MQTTClient, QOS_1 } from "@hbmqtt/client";
 *
 * await using client = new MQTTClient();
 * await client.connect("mqtt://localhost:1883");
 * await client.subscribe("home/#", QOS_1);
 * await client.publish("home/kitchen/light", "on", { qos: QOS_1 });
 * const message = await client.deliverMessage(5);
 * console.log(message.topic, message.text());
 * ```
 *
 * @module
 */

export {
  type ConnackInfo,
  type ConnectEventDetail,
  type ConnectOptions,
  type DisconnectEventDetail,
  type DisconnectOptions,
  type MessagesOptions,
  MQTTClient,
  type MQTTClientEventMap,
  type MQTTClientOptions,
  type PacketEventDetail,
  type PendingPublish,
  type PublishOptions,
  type ReconnectingEventDetail,
  type ReconnectOptions,
  type RequestOptions,
  type RespondOptions,
  type SignalOptions,
  type SubscribeOptions,
  type Subscription,
} from "./src/client.ts";
export {
  type BrokerConfig,
  type ClientConfig,
  type TopicConfig,
  type UserProperties,
  type WillConfig,
  type WillProperties,
} from "./src/config/client_config.ts";
export { loadConfig, parseConfig } from "./src/config/config_file.ts";
export {
  ClientError,
  ConfigError,
  ConnectError,
  type ConnectErrorOptions,
  ConnectionLostError,
  type ConnectionLostErrorOptions,
  MQTTError,
  ProtocolError,
  RejectedError,
} from "./src/errors.ts";
export { type Acknowledger, ApplicationMessage } from "./src/message.ts";
export { formatPacket } from "./src/observe/packet_log.ts";
export type { Stats } from "./src/observe/stats.ts";
export {
  type AcknowledgementFields,
  type AcknowledgementPacket,
  type AuthPacket,
  type ConnackPacket,
  type ConnectPacket,
  type DisconnectPacket,
  type Packet,
  type PacketType,
  type PingreqPacket,
  type PingrespPacket,
  type PubackPacket,
  type PubcompPacket,
  type PublishPacket,
  type PubrecPacket,
  type PubrelPacket,
  type QoS,
  QOS_0,
  QOS_1,
  QOS_2,
  type SubackPacket,
  type SubscribePacket,
  type SubscriptionRequest,
  type UnsubackPacket,
  type UnsubscribePacket,
  type WillPacket,
} from "./src/packets.ts";
export type { Properties } from "./src/properties.ts";
export type { Credentials } from "./src/shell/connect_plan.ts";
export type { AuthChallenge, AuthHandler } from "./src/shell/driver.ts";
export type { MessageHandler } from "./src/shell/inbox.ts";
export type { Answer, AnswerLike, RequestHandler, Responder } from "./src/shell/responder.ts";
export { MemorySessionStore } from "./src/store/memory_session_store.ts";
export type {
  OpenedSession,
  SessionChanges,
  SessionParticipant,
  SessionStore,
  StoredPart,
} from "./src/store/session_store.ts";
export { SqliteSessionStore, type SqliteSessionStoreOptions } from "./src/store/sqlite_session_store.ts";
export type {
  StoredPublish,
  StoredPublishProgress,
  StoredPublishState,
  StoredSession,
  StoredSubscription,
} from "./src/stored_session.ts";
export { matchTopic } from "./src/topic.ts";
export type { Endpoint, Scheme } from "./src/endpoint.ts";
export type { ExtraHeaders } from "./src/transport/open.ts";
export type { OpenOptions, OpenTransport, Transport } from "./src/transport/transport.ts";

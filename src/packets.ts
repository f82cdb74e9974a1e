import type { Properties } from "./properties.ts";

/** Quality of Service: at most once (0), at least once (1), exactly once (2). */
export type QoS = 0 | 1 | 2;

/** At most once: sent once, never acknowledged. */
export const QOS_0 = 0 as const;
/** At least once: sent until it is acknowledged. */
export const QOS_1 = 1 as const;
/** Exactly once: sent until it is acknowledged, and passed on only once. */
export const QOS_2 = 2 as const;

/** The first packet of a connection, from the client (§3.1). */
export interface ConnectPacket {
  /** What tells it from the other packets. */
  type: "CONNECT";
  /** 4 is MQTT 3.1.1, 5 is MQTT 5.0. */
  protocolVersion: 4 | 5;
  /** The Client Identifier; empty: the broker assigns one. */
  clientId: string;
  /** Clean Session of 3.1.1. */
  cleanStart: boolean;
  /** Seconds, 0…65,535; 0 turns it off. */
  keepAlive: number;
  /** The User Name, `undefined` when there is none. */
  username: string | undefined;
  /** The Password, `undefined` when there is none. */
  password: Uint8Array | undefined;
  /** The Will Message, `undefined` when there is none. */
  will: WillPacket | undefined;
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
}

/** The part of CONNECT that describes the Will Message. */
export interface WillPacket {
  /** The topic name. */
  topic: string;
  /** The Application Message itself. */
  payload: Uint8Array;
  /** The Quality of Service. */
  qos: QoS;
  /** Whether the broker is to keep the message, or has kept it. */
  retain: boolean;
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
}

/** The broker's answer to CONNECT (§3.2). */
export interface ConnackPacket {
  /** What tells it from the other packets. */
  type: "CONNACK";
  /** Whether the broker had a session for the client. */
  sessionPresent: boolean;
  /** The byte as it was read: the return code of 3.1.1, the reason code of 5.0. */
  returnCode: number;
  /** The reason code; for 3.1.1 the one that means the same as the return code. */
  reasonCode: number;
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
}

/** An application message on its way (§3.3). */
export interface PublishPacket {
  /** What tells it from the other packets. */
  type: "PUBLISH";
  /** Whether it may have been sent before. */
  dup: boolean;
  /** The Quality of Service. */
  qos: QoS;
  /** Whether the broker is to keep the message, or has kept it. */
  retain: boolean;
  /** The topic name. */
  topic: string;
  /** 1…65,535; 0 with QoS 0. */
  packetId: number;
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
  /** The Application Message itself. */
  payload: Uint8Array;
}

/** The fields that PUBACK, PUBREC, PUBREL and PUBCOMP share. */
export interface AcknowledgementFields {
  /** 1…65,535. */
  packetId: number;
  /** 0 on 3.1.1. */
  reasonCode: number;
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
}

/** Answers a PUBLISH with QoS 1 (§3.4). */
export interface PubackPacket extends AcknowledgementFields {
  /** What tells it from the other packets. */
  type: "PUBACK";
}

/** Answers a PUBLISH with QoS 2 (§3.5). */
export interface PubrecPacket extends AcknowledgementFields {
  /** What tells it from the other packets. */
  type: "PUBREC";
}

/** Answers PUBREC (§3.6). */
export interface PubrelPacket extends AcknowledgementFields {
  /** What tells it from the other packets. */
  type: "PUBREL";
}

/** Answers PUBREL and ends a QoS 2 flow (§3.7). */
export interface PubcompPacket extends AcknowledgementFields {
  /** What tells it from the other packets. */
  type: "PUBCOMP";
}

/** One entry of a SUBSCRIBE packet (§3.8.3). */
export interface SubscriptionRequest {
  /** The topic filter. */
  topicFilter: string;
  /** The highest QoS that the subscriber wants to receive. */
  qos: QoS;
  /** Not to receive what this client itself publishes (MQTT 5.0). */
  noLocal: boolean;
  /** To receive the retain flag as it was published (MQTT 5.0). */
  retainAsPublished: boolean;
  /** Retained messages: 0 sent at each subscribe, 1 only for a new subscription, 2 never (MQTT 5.0). */
  retainHandling: 0 | 1 | 2;
}

/** Asks for subscriptions (§3.8). */
export interface SubscribePacket {
  /** What tells it from the other packets. */
  type: "SUBSCRIBE";
  /** The Packet Identifier, 1…65,535. */
  packetId: number;
  /** What is asked for, at least one. */
  subscriptions: SubscriptionRequest[];
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
}

/** Answers SUBSCRIBE, one code for each entry (§3.9). */
export interface SubackPacket {
  /** What tells it from the other packets. */
  type: "SUBACK";
  /** The Packet Identifier, 1…65,535. */
  packetId: number;
  /** One code for each entry, in order. */
  reasonCodes: number[];
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
}

/** Ends subscriptions (§3.10). */
export interface UnsubscribePacket {
  /** What tells it from the other packets. */
  type: "UNSUBSCRIBE";
  /** The Packet Identifier, 1…65,535. */
  packetId: number;
  /** The topic filters, at least one. */
  topicFilters: string[];
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
}

/** Answers UNSUBSCRIBE; the codes are zeros on 3.1.1, which sends none (§3.11). */
export interface UnsubackPacket {
  /** What tells it from the other packets. */
  type: "UNSUBACK";
  /** The Packet Identifier, 1…65,535. */
  packetId: number;
  /** Empty as decoded from 3.1.1. */
  reasonCodes: number[];
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
}

/** Asks whether the broker is there (§3.12). */
export interface PingreqPacket {
  /** What tells it from the other packets. */
  type: "PINGREQ";
}

/** Answers PINGREQ (§3.13). */
export interface PingrespPacket {
  /** What tells it from the other packets. */
  type: "PINGRESP";
}

/** The last packet of a connection (§3.14). */
export interface DisconnectPacket {
  /** What tells it from the other packets. */
  type: "DISCONNECT";
  /** 0 on 3.1.1. */
  reasonCode: number;
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
}

/** A step of an enhanced authentication (MQTT 5.0, §3.15). */
export interface AuthPacket {
  /** What tells it from the other packets. */
  type: "AUTH";
  /** What is meant; 0 on 3.1.1. */
  reasonCode: number;
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP. */
export type AcknowledgementPacket = PubackPacket | PubrecPacket | PubrelPacket | PubcompPacket;

/** Any MQTT Control Packet, told apart by `type`. The fields are those of MQTT 5.0; on 3.1.1 what it lacks has its default. */
export type Packet =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | AcknowledgementPacket
  | SubscribePacket
  | SubackPacket
  | UnsubscribePacket
  | UnsubackPacket
  | PingreqPacket
  | PingrespPacket
  | DisconnectPacket
  | AuthPacket;

/** The name of a packet. */
export type PacketType = Packet["type"];

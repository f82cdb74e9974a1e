import type { QoS, SubscriptionRequest } from "./packets.ts";
import type { Properties } from "./properties.ts";

/** How far a publish has come: never sent, sent and waiting for PUBACK or PUBREC, or waiting for PUBCOMP. */
export type StoredPublishState = "queued" | "published" | "released";

/** What changes of a stored publish while it is under way. */
export interface StoredPublishProgress {
  /** Tells the publishes of a client apart, and is their order: 1 or more, every next publish has a higher one. */
  id: number;
  /** The Packet Identifier, 1…65,535; 0 if it was never sent, and for QoS 0. */
  packetId: number;
  /** How far it has come. */
  state: StoredPublishState;
  /** The order of the packet that waits for its answer, PUBLISH or PUBREL; 0 if none was sent. */
  sequence: number;
}

/** A publish that is not settled. */
export interface StoredPublish extends StoredPublishProgress {
  /** The topic name. */
  topic: string;
  /** The Application Message itself; shared with whoever published it until it is written. */
  payload: Uint8Array;
  /** The Quality of Service. */
  qos: QoS;
  /** Whether the broker is to keep the message. */
  retain: boolean;
  /** Its properties; empty on 3.1.1. */
  properties: Properties;
  /** When it is no longer of use, in milliseconds since 1970-01-01 UTC; `undefined`: never. */
  expiresAt?: number | undefined;
}

/** A subscription that the broker has granted. */
export interface StoredSubscription {
  /** What was asked for. A client has one subscription for a topic filter; a later one replaces it. */
  request: SubscriptionRequest;
  /** The properties of the SUBSCRIBE that asked for it; empty on 3.1.1. */
  properties: Properties;
  /** The same for all that were asked for in one SUBSCRIBE, and are to be in the future; higher for a later one. */
  group: number;
}

/** What a store holds of the session of one client. */
export interface StoredSession {
  /** The publishes that are not settled, by ascending `id`. */
  publishes: StoredPublish[];
  /** The Packet Identifiers of received QoS 2 messages whose PUBREL has not come; in no order. */
  received: number[];
  /** The subscriptions, by ascending `group`, and those of one group in the order in which they were written. */
  subscriptions: StoredSubscription[];
  /** The Packet Identifier that was given out last; 0: none. */
  lastPacketId: number;
}

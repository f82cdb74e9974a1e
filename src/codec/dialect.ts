import type { PacketType, SubscriptionRequest } from "../packets.ts";
import { NO_PROPERTIES, type Properties, type PropertiesOwner } from "../properties.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** What the tail of an acknowledgement, DISCONNECT or AUTH holds. */
export interface Reason {
  reasonCode: number;
  properties: Properties;
}

/** What the short form says. */
export const NO_REASON: Reason = Object.freeze({ reasonCode: 0, properties: NO_PROPERTIES });

/** What differs on the wire from one version of the protocol to the other; all the rest is the same for both. */
export interface Dialect {
  readonly protocolVersion: 4 | 5;
  /** Whether packets may hold properties. */
  readonly hasProperties: boolean;
  /** Whether either side may say why it ends the connection, and ask for authentication; otherwise type 15 is reserved. */
  readonly hasReasons: boolean;
  /** Whether SUBSCRIBE may hold an identifier, which the messages carry. */
  readonly hasSubscriptionIdentifiers: boolean;
  /** Whether PUBLISH may hold a response topic and correlation data. */
  readonly hasResponseTopics: boolean;
  /** Whether UNSUBACK holds a code for each topic filter. */
  readonly hasUnsubackCodes: boolean;
  /** Whether Remaining Length may take more bytes than it need. */
  readonly allowsLongLength: boolean;
  /** Whether CONNECT may hold a password without a user name. */
  readonly allowsPasswordAlone: boolean;
  /** Whether an empty topic name may arrive, since an alias stands for it. */
  readonly hasTopicAliases: boolean;

  writeProperties(writer: Writer, owner: PropertiesOwner, properties: Properties): void;
  readProperties(reader: Reader, owner: PropertiesOwner): Properties;
  /** Whether the tail has to be written, or the short form says the same. */
  needsReason(reason: Reason): boolean;
  writeReason(writer: Writer, type: PacketType, reason: Reason): void;
  readReason(reader: Reader, type: PacketType): Reason;
  subscriptionOptions(request: SubscriptionRequest): number;
  readSubscriptionOptions(reader: Reader, topicFilter: string): SubscriptionRequest;
  /** Gives what a code of SUBACK, UNSUBACK or CONNACK that was just read means, and throws if it may not stand there. */
  reasonCode(reader: Reader, type: PacketType, code: number): number;
}

import { ClientError, ProtocolError } from "../errors.ts";
import { type Acknowledger, ApplicationMessage } from "../message.ts";
import type { PublishPacket, PubrelPacket } from "../packets.ts";
import { NO_PROPERTIES } from "../properties.ts";
import { PACKET_IDENTIFIER_NOT_FOUND, RECEIVE_MAXIMUM_EXCEEDED, SUCCESS } from "../reason_codes.ts";
import type { Effects } from "./effects.ts";
import type { SubscriptionIdentifiers } from "./subscription_identifiers.ts";
import { InboundTopicAliases } from "./topic_aliases.ts";

/** The messages that are received: delivered once, acknowledged in order (§4.3, §4.6). */
export class Inbound implements Acknowledger {
  readonly #effects: Effects;
  readonly #manual: boolean;
  readonly #identifiers: Pick<SubscriptionIdentifiers, "hide">;
  /** QoS 2 messages from their first PUBLISH to PUBREL, by Packet Identifier; `undefined` is one that a former process received. */
  readonly #received = new Map<number, ApplicationMessage | undefined>();
  /** Messages of the present connection that the application has not acknowledged, or must wait for an earlier one; in order. */
  readonly #pending: Record<1 | 2, Map<ApplicationMessage, boolean>> = { 1: new Map(), 2: new Map() };
  /** QoS 2 messages that are not acknowledged but must not be delivered again. */
  readonly #processed = new Set<ApplicationMessage>();
  /** QoS 2 messages of connections that are gone, not acknowledged, which are to come again; and those that have. */
  readonly #interrupted = new Map<number, ApplicationMessage>();
  readonly #repeated = new WeakSet<ApplicationMessage>();
  /** How many messages of the present connection the broker may have unacknowledged, and which it has. */
  #receiveMaximum = Infinity;
  readonly #unacknowledged = new Set<ApplicationMessage>();
  #aliases = new InboundTopicAliases(0);

  /** With `manual`, a message is acknowledged when the application says so. */
  constructor(effects: Effects, manual: boolean, identifiers: Pick<SubscriptionIdentifiers, "hide">) {
    this.#effects = effects;
    this.#manual = manual;
    this.#identifiers = identifiers;
  }

  /** Begins on a new connection, on which the broker may use so many topic aliases and have so many messages unacknowledged. */
  connected(topicAliasMaximum: number, receiveMaximum: number): void {
    this.#aliases = new InboundTopicAliases(topicAliasMaximum);
    this.#receiveMaximum = receiveMaximum;
  }

  publish(packet: PublishPacket): void {
    const { qos, packetId, properties: { topicAlias, subscriptionIdentifiers } } = packet;
    if (topicAlias !== undefined) this.#aliases.resolve(packet, topicAlias);
    if (subscriptionIdentifiers !== undefined) this.#identifiers.hide(packet, subscriptionIdentifiers);
    if (qos === 0) return this.#effects.deliver(new ApplicationMessage(packet), subscriptionIdentifiers);
    if (qos === 2 && this.#received.has(packetId)) {
      return this.#repeat(this.#received.get(packetId) ?? new ApplicationMessage(packet));
    }
    const message = new ApplicationMessage(packet, this.#manual ? this : undefined);
    if (this.#receiveMaximum < Infinity) this.#count(message);
    if (qos === 2) this.#receive(message);
    if (this.#manual) this.#pending[qos].set(message, false);
    // Before the application can disconnect.
    if (!this.#manual) this.#acknowledge(message);
    this.#effects.deliver(message, subscriptionIdentifiers);
  }

  /** Acknowledges again in its turn what is never delivered again, unless the first acknowledgement is still to come. */
  #repeat(message: ApplicationMessage): void {
    if (this.#pending[2].has(message) && !this.#processed.has(message)) return;
    this.#received.set(message.packetId, message);
    this.#processed.add(message);
    this.#pending[2].set(message, true);
    this.#acknowledgeInOrder(2);
  }

  #receive(message: ApplicationMessage): void {
    const { packetId } = message;
    this.#received.set(packetId, message);
    const interrupted = this.#interrupted.get(packetId);
    if (interrupted === undefined) return;
    this.#interrupted.delete(packetId);
    this.#repeated.add(interrupted);
  }

  /** Counts a message as unacknowledged, which the broker may not have too many of. */
  #count(message: ApplicationMessage): void {
    this.#unacknowledged.add(message);
    if (this.#unacknowledged.size <= this.#receiveMaximum) return;
    throw new ProtocolError( // [MQTT5-3.3.4-9]
      `The broker sent more than ${this.#receiveMaximum} messages that are not acknowledged (receive_maximum)`,
      RECEIVE_MAXIMUM_EXCEEDED,
    );
  }

  release(packet: PubrelPacket): void {
    const { packetId } = packet;
    const message = this.#received.get(packetId);
    const isKnown = this.#received.delete(packetId);
    if (isKnown) this.#effects.completed(packetId);
    const reasonCode = isKnown ? SUCCESS : PACKET_IDENTIFIER_NOT_FOUND;
    const pubcomp = { type: "PUBCOMP", packetId, reasonCode, properties: NO_PROPERTIES } as const;
    this.#effects.send(pubcomp); // [MQTT-4.3.3-2]
    if (message === undefined) return;
    this.#unacknowledged.delete(message);
    message.pubrelPacket = packet;
    message.pubcompPacket = pubcomp;
  }

  /**
   * Takes the application's acknowledgement; it goes out when those of the messages before it have [MQTT-4.6.0-2], [MQTT-4.6.0-3].
   *
   * @throws {ClientError} If what a transaction makes of the message would be made once more, since it has come again.
   */
  acknowledge(message: ApplicationMessage): void {
    const { qos, packetId, topic } = message;
    if (qos === 0) return;
    const isPending = this.#pending[qos].has(message);
    if (this.#effects.inTransaction) {
      if (this.#processed.has(message)) return; // by an earlier transaction
      if (this.#repeated.has(message)) {
        throw new ClientError(
          `Cannot acknowledge the message to "${topic}" in a transaction: its connection was lost, and it has come again`,
        );
      }
      const isInterrupted = qos === 2 && this.#interrupted.get(packetId) === message;
      if (isPending || isInterrupted) this.#effects.holdAcknowledgement(message);
    } else if (isPending) {
      this.#pending[qos].set(message, true);
      this.#acknowledgeInOrder(qos);
    }
  }

  /** Takes an acknowledgement that is stored together with what the application has made of the message, so that a repeat is not delivered. */
  acknowledgeProcessed(message: ApplicationMessage): void {
    const { qos, packetId } = message;
    const isInterrupted = this.#interrupted.get(packetId) === message;
    if (isInterrupted || qos === 2 && this.#pending[2].has(message)) this.#processed.add(message);
    if (!isInterrupted) return this.acknowledge(message);
    this.#interrupted.delete(packetId);
    this.#received.set(packetId, message);
  }

  #acknowledgeInOrder(qos: 1 | 2): void {
    const pending = this.#pending[qos];
    for (const [first, acknowledged] of pending) {
      if (!acknowledged) return;
      pending.delete(first);
      this.#acknowledge(first);
    }
  }

  #acknowledge(message: ApplicationMessage): void {
    const { packetId } = message;
    if (message.qos === 1) {
      this.#unacknowledged.delete(message);
      message.pubackPacket = { type: "PUBACK", packetId, reasonCode: SUCCESS, properties: NO_PROPERTIES };
      this.#effects.send(message.pubackPacket);
    } else {
      this.#effects.received(packetId);
      this.#processed.delete(message);
      message.pubrecPacket = { type: "PUBREC", packetId, reasonCode: SUCCESS, properties: NO_PROPERTIES };
      this.#effects.send(message.pubrecPacket);
    }
  }

  /** Forgets what was not acknowledged on a connection that is gone: the broker sends it again. */
  linkLost(): void {
    for (const message of this.#pending[2].keys()) {
      if (this.#processed.has(message)) continue;
      this.#received.delete(message.packetId);
      this.#interrupted.set(message.packetId, message);
    }
    this.#pending[1].clear();
    this.#pending[2].clear();
    this.#unacknowledged.clear();
  }

  /** Goes on after a former process, which received these and has not completed them. */
  restore(packetIds: readonly number[]): void {
    for (const packetId of packetIds) this.#received.set(packetId, undefined);
  }

  /** Forgets everything: the session is new. */
  reset(): void {
    this.linkLost();
    this.#received.clear();
    this.#processed.clear();
    this.#interrupted.clear();
    this.#effects.receivedForgotten();
  }
}

import { ProtocolError } from "../errors.ts";
import type { PublishPacket } from "../packets.ts";
import { PROTOCOL_ERROR, TOPIC_ALIAS_INVALID } from "../reason_codes.ts";

/** The numbers that stand for the topics of sent messages on one connection (MQTT 5.0, §3.3.2.3.4). */
export class OutboundTopicAliases {
  readonly #maximum: number;
  /** In the order of their use: the topic used least recently is the first. */
  readonly #aliases = new Map<string, number>();

  /** Takes the highest alias that the broker accepts, 1 or more. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Gives the packet as it is to be sent: with an alias, and without the topic where the broker knows what the alias stands for. */
  shorten(packet: PublishPacket): PublishPacket {
    const { topic } = packet;
    const known = this.#aliases.get(topic);
    if (known !== undefined) this.#aliases.delete(topic);
    const topicAlias = known ?? this.#free();
    this.#aliases.set(topic, topicAlias);
    return { ...packet, topic: known === undefined ? topic : "", properties: { ...packet.properties, topicAlias } };
  }

  #free(): number {
    if (this.#aliases.size < this.#maximum) return this.#aliases.size + 1;
    const [[oldest, alias]] = this.#aliases;
    this.#aliases.delete(oldest);
    return alias;
  }
}

/** The numbers that stand for the topics of received messages on one connection. */
export class InboundTopicAliases {
  readonly #maximum: number;
  readonly #topics: string[] = [];

  /** Takes the highest alias that the broker was allowed. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /**
   * Puts the topic in its place in a packet that has an alias.
   *
   * @throws {ProtocolError} If the alias is beyond what was allowed or stands for nothing.
   */
  resolve(packet: PublishPacket, topicAlias: number): void {
    if (topicAlias > this.#maximum) { // [MQTT5-3.3.2-9]
      throw new ProtocolError(
        `The broker used the topic alias ${topicAlias}, ${this.#maximum} are allowed`,
        TOPIC_ALIAS_INVALID,
      );
    }
    if (packet.topic !== "") this.#topics[topicAlias] = packet.topic;
    const topic = this.#topics[topicAlias];
    if (topic === undefined) {
      throw new ProtocolError(
        `The broker used the topic alias ${topicAlias}, which stands for nothing`,
        PROTOCOL_ERROR,
      );
    }
    packet.topic = topic;
  }
}

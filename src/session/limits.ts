import type { PublishPacket, SubscribePacket, UnsubscribePacket } from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import type { Effects } from "./effects.ts";

/** What a broker can do, as its CONNACK says (MQTT 5.0, §3.2.2.3); what it says nothing of it can. */
export class Limits {
  readonly #properties: Properties;
  readonly #effects: Effects;
  /** Whether there are publishes that the broker does not take; most know no such limits. */
  readonly #onPublishes: boolean;

  constructor(effects: Effects, properties: Properties = NO_PROPERTIES) {
    this.#effects = effects;
    this.#properties = properties;
    const { maximumQos, retainAvailable, maximumPacketSize } = properties;
    this.#onPublishes = maximumQos !== undefined || retainAvailable === 0 || maximumPacketSize !== undefined;
  }

  /** How many QoS 1 and 2 publishes the broker takes at a time. */
  get receiveMaximum(): number {
    return this.#properties.receiveMaximum ?? 65_535;
  }

  /** The highest topic alias that the broker takes; 0: none. */
  get topicAliasMaximum(): number {
    return this.#properties.topicAliasMaximum ?? 0;
  }

  /** Whether a SUBSCRIBE may carry an identifier. */
  get subscriptionIdentifiersAvailable(): boolean {
    return this.#properties.subscriptionIdentifiersAvailable !== 0;
  }

  /** How many bytes more a packet may be; negative where it is too large. */
  roomFor(packet: PublishPacket | SubscribePacket | UnsubscribePacket): number {
    const { maximumPacketSize } = this.#properties;
    return maximumPacketSize === undefined ? Infinity : maximumPacketSize - this.#effects.sizeOf(packet);
  }

  /** Says why the broker cannot take a publish, `undefined` when it can. */
  publishFault(packet: PublishPacket): string | undefined {
    if (!this.#onPublishes) return undefined;
    const { maximumQos = 2, retainAvailable } = this.#properties;
    if (packet.qos > maximumQos) return `the broker takes QoS ${maximumQos} at the most (Maximum QoS)`; // [MQTT5-3.2.2-11]
    if (packet.retain && retainAvailable === 0) return "the broker keeps no retained messages (Retain Available)"; // [MQTT5-3.2.2-14]
    return this.#sizeFault(packet);
  }

  /** Says why the broker cannot grant a subscription, `undefined` when it can. */
  subscribeFault(packet: SubscribePacket): string | undefined {
    const { wildcardSubscriptionAvailable, sharedSubscriptionAvailable } = this.#properties;
    for (const { topicFilter } of packet.subscriptions) {
      if (sharedSubscriptionAvailable === 0 && topicFilter.startsWith("$share/")) {
        return "the broker knows no shared subscriptions (Shared Subscription Available)";
      }
      if (wildcardSubscriptionAvailable === 0 && /[+#]/.test(topicFilter)) {
        return "the broker knows no wildcards (Wildcard Subscription Available)";
      }
    }
    if (packet.properties.subscriptionIdentifier !== undefined && !this.subscriptionIdentifiersAvailable) {
      return "the broker knows no subscription identifiers (Subscription Identifiers Available)";
    }
    return this.#sizeFault(packet);
  }

  /** Says why the broker cannot take an UNSUBSCRIBE, `undefined` when it can. */
  unsubscribeFault(packet: UnsubscribePacket): string | undefined {
    return this.#sizeFault(packet);
  }

  #sizeFault(packet: PublishPacket | SubscribePacket | UnsubscribePacket): string | undefined { // [MQTT5-3.2.2-15]
    const excess = -this.roomFor(packet);
    if (excess <= 0) return undefined;
    const { maximumPacketSize = 0 } = this.#properties;
    return `the packet takes ${
      maximumPacketSize + excess
    } bytes, and the broker takes ${maximumPacketSize} at the most (Maximum Packet Size)`;
  }
}

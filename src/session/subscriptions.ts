import type { ApplicationMessage } from "../message.ts";
import type { SubscribePacket, SubscriptionRequest } from "../packets.ts";
import type { StoredSubscription } from "../stored_session.ts";
import { matchTopic } from "../topic.ts";

/** A granted subscription, and the SUBSCRIBE that asked for it. */
export interface Granted {
  request: SubscriptionRequest;
  packet: SubscribePacket;
}

/** The largest Subscription Identifier (MQTT 5.0, §3.8.2.1.2). */
const LARGEST_IDENTIFIER = 268_435_455;

/** The subscriptions that the broker has granted, to ask for again when it has lost them, and to tell whose message one is. */
export class Subscriptions {
  readonly #granted = new Map<string, Granted>();
  /** The topic filters of each Subscription Identifier that was sent, and the identifier of each of them that was sent last. */
  readonly #filtersOf = new Map<number, Set<string>>();
  readonly #identifierOf = new Map<string, number>();
  #nextIdentifier = 1;
  #version = 0;

  /** Changes whenever {@linkcode concerns} may answer otherwise than before. */
  get version(): number {
    return this.#version;
  }

  /** Gives the packet with a Subscription Identifier: its own if it has one, the one that all its filters have already, or a new one. */
  identify(packet: SubscribePacket): SubscribePacket {
    const identifiers = new Set(packet.subscriptions.map(({ topicFilter }) => this.#identifierOf.get(topicFilter)));
    const [present] = identifiers.size === 1 ? identifiers : [];
    const subscriptionIdentifier = packet.properties.subscriptionIdentifier ?? present ?? this.#newIdentifier();
    return { ...packet, properties: { ...packet.properties, subscriptionIdentifier } };
  }

  /** Notes what the identifier of a packet that is sent stands for. */
  requested({ subscriptions, properties: { subscriptionIdentifier } }: SubscribePacket): void {
    if (subscriptionIdentifier === undefined) return;
    this.#version++;
    for (const { topicFilter } of subscriptions) {
      this.#forgetIdentifier(topicFilter);
      this.#identifierOf.set(topicFilter, subscriptionIdentifier);
    }
    const filters = this.#filtersOf.get(subscriptionIdentifier) ?? new Set();
    for (const { topicFilter } of subscriptions) filters.add(topicFilter);
    this.#filtersOf.set(subscriptionIdentifier, filters);
    // Messages of a subscription that has ended may still come: its identifier is not used again at once.
    if (subscriptionIdentifier === this.#nextIdentifier) this.#nextIdentifier = following(subscriptionIdentifier);
  }

  #newIdentifier(): number {
    while (this.#filtersOf.has(this.#nextIdentifier)) {
      this.#nextIdentifier = following(this.#nextIdentifier);
    }
    return this.#nextIdentifier;
  }

  #forgetIdentifier(filter: string): void {
    const identifier = this.#identifierOf.get(filter);
    if (identifier === undefined) return;
    this.#version++;
    this.#identifierOf.delete(filter);
    const filters = this.#filtersOf.get(identifier);
    filters?.delete(filter);
    if (filters?.size === 0) this.#filtersOf.delete(identifier);
  }

  /**
   * Tells whether a message is for whoever subscribed to a topic filter: by the identifiers that the broker has put on it where they are
   * those of filters that match, otherwise by its topic.
   */
  concerns(message: ApplicationMessage, filter: string): boolean {
    const { topic, properties: { subscriptionIdentifiers } } = message;
    if (!matchTopic(filter, topic)) return false;
    const identifier = this.#identifierOf.get(filter);
    if (subscriptionIdentifiers === undefined || identifier === undefined) return true;
    return subscriptionIdentifiers.includes(identifier) ||
      !subscriptionIdentifiers.every((other) => this.#explains(other, topic));
  }

  /** Whether a filter that has this identifier matches; none does while messages come that were sent under an earlier one. */
  #explains(identifier: number, topic: string): boolean {
    const filters = this.#filtersOf.get(identifier) ?? [];
    return [...filters].some((filter) => matchTopic(filter, topic));
  }

  /** Whether a topic filter is subscribed to. */
  has(topicFilter: string): boolean {
    return this.#granted.has(topicFilter);
  }

  /** Notes what the broker answered to a SUBSCRIBE. */
  granted(packet: SubscribePacket, reasonCodes: number[]): void {
    for (const [i, request] of packet.subscriptions.entries()) {
      if (reasonCodes[i] < 0x80) this.#granted.set(request.topicFilter, { request, packet });
      else if (!this.#granted.has(request.topicFilter)) this.#forgetIdentifier(request.topicFilter);
    }
  }

  /** Gives a granted subscription, `undefined` when there is none. */
  get(topicFilter: string): Granted | undefined {
    return this.#granted.get(topicFilter);
  }

  /** Goes on after a former process, to which these were granted. */
  restore(subscriptions: readonly StoredSubscription[]): void {
    const packets = new Map<number, SubscribePacket>();
    for (const { request, properties, group } of subscriptions) {
      const packet = packets.get(group) ?? { type: "SUBSCRIBE", packetId: 0, subscriptions: [], properties };
      packets.set(group, packet);
      packet.subscriptions.push(request);
      this.#granted.set(request.topicFilter, { request, packet });
    }
    for (const packet of packets.values()) this.requested(packet);
  }

  removed(topicFilters: string[]): void {
    for (const topicFilter of topicFilters) {
      this.#granted.delete(topicFilter);
      this.#forgetIdentifier(topicFilter);
    }
  }

  clear(): void {
    this.#version++;
    this.#granted.clear();
    this.#filtersOf.clear();
    this.#identifierOf.clear();
  }

  /** Gives the packets that ask for all of them, grouped as they were asked for at first: some brokers limit the entries of a packet. */
  packets(): SubscribePacket[] {
    const groups = new Map<SubscribePacket, SubscriptionRequest[]>();
    for (const { request, packet } of this.#granted.values()) {
      const group = groups.get(packet);
      if (group === undefined) groups.set(packet, [request]);
      else group.push(request);
    }
    return [...groups].map(([packet, subscriptions]) => ({ ...packet, packetId: 0, subscriptions }));
  }
}

function following(identifier: number): number {
  return identifier % LARGEST_IDENTIFIER + 1;
}

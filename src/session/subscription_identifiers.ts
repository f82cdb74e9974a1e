import type { PublishPacket, SubscribePacket } from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import { matchTopic } from "../topic.ts";

/** The largest Subscription Identifier (MQTT 5.0, §3.8.2.1.2). */
const LARGEST_IDENTIFIER = 268_435_455;

/**
 * The numbers by which the broker says for which subscriptions a message is (MQTT 5.0, §3.8.2.1.2): those that the application has chosen,
 * and automatic ones for what it has asked for without.
 */
export class SubscriptionIdentifiers {
  /** Of each topic filter: the one that it was granted under, if it was, and those that were asked for since; in order. */
  readonly #identifiersOf = new Map<string, readonly number[]>();
  readonly #filtersOf = new Map<number, Set<string>>();
  /** The topic filters that were granted under an identifier. */
  readonly #granted = new Set<string>();
  /** Those in use that the application has chosen. */
  readonly #chosen = new Set<number>();
  /** The first automatic one in the broker's session, and the next; 0 before the first session. */
  #first = 0;
  #next = 0;
  #version = 0;

  /** Changes whenever {@linkcode concerns} may answer otherwise than before. */
  get version(): number {
    return this.#version;
  }

  /**
   * Begins on a new connection. The automatic ones of a new session begin at 1. A session that was there before the client may have others
   * from a former process, which began at 1 too: there they begin at random in the upper half. `random` gives 0 or more and less than 1.
   */
  connected(sessionPresent: boolean, random: () => number): void {
    if (!sessionPresent) {
      this.clear();
      this.#first = this.#next = 1;
    } else if (this.#first === 0) {
      this.#first = this.#next = LARGEST_IDENTIFIER - Math.floor(random() * (LARGEST_IDENTIFIER / 2));
    }
  }

  /** Gives the one that a packet is to be sent with: its own if it has one, the one that all its filters have already, or a new one. */
  for({ subscriptions, properties: { subscriptionIdentifier } }: SubscribePacket): number {
    const identifiers = new Set(subscriptions.map(({ topicFilter }) => this.#identifiersOf.get(topicFilter)?.at(-1)));
    const [present] = identifiers.size === 1 ? identifiers : [];
    return subscriptionIdentifier ?? present ?? this.#newIdentifier();
  }

  #newIdentifier(): number {
    while (this.#filtersOf.has(this.#next)) this.#next = following(this.#next);
    return this.#next;
  }

  /** Notes what the one stands for that a packet is sent with. */
  requested({ subscriptions, properties: { subscriptionIdentifier } }: SubscribePacket, identifier: number): void {
    for (const { topicFilter } of subscriptions) {
      const identifiers = this.#identifiersOf.get(topicFilter) ?? [];
      if (identifiers.at(-1) !== identifier) this.#set(topicFilter, [...identifiers, identifier]);
    }
    if (subscriptionIdentifier !== undefined) this.#chosen.add(identifier);
    // Messages of a subscription that has ended may still come: its identifier is not used again.
    if (identifier === this.#next) this.#next = following(identifier);
  }

  /** Notes that the broker has granted a topic filter under an identifier, `undefined`: under none. */
  granted(topicFilter: string, identifier: number | undefined): void {
    if (identifier === undefined) return this.forget(topicFilter);
    const identifiers = this.#identifiersOf.get(topicFilter) ?? [];
    this.#granted.add(topicFilter);
    this.#set(topicFilter, [identifier, ...identifiers.slice(identifiers.indexOf(identifier) + 1)]);
  }

  /** Notes that the broker has refused a topic filter, which keeps the identifier that it was granted under before. */
  refused(topicFilter: string, identifier: number | undefined): void {
    const identifiers = this.#identifiersOf.get(topicFilter) ?? [];
    const at = identifier === undefined ? -1 : identifiers.lastIndexOf(identifier);
    if (at > 0 || at === 0 && !this.#granted.has(topicFilter)) this.#set(topicFilter, identifiers.toSpliced(at, 1));
  }

  /** Forgets those of a topic filter. */
  forget(topicFilter: string): void {
    this.#granted.delete(topicFilter);
    this.#set(topicFilter, []);
  }

  /** Forgets what they stand for. Those that were given out are not given out again in this session. */
  clear(): void {
    this.#version++;
    this.#identifiersOf.clear();
    this.#filtersOf.clear();
    this.#granted.clear();
    this.#chosen.clear();
  }

  #set(topicFilter: string, identifiers: readonly number[]): void {
    this.#version++;
    for (const identifier of this.#identifiersOf.get(topicFilter) ?? []) {
      if (!identifiers.includes(identifier)) this.#separate(identifier, topicFilter);
    }
    if (identifiers.length === 0) this.#identifiersOf.delete(topicFilter);
    else this.#identifiersOf.set(topicFilter, identifiers);
    for (const identifier of identifiers) {
      const filters = this.#filtersOf.get(identifier);
      if (filters === undefined) this.#filtersOf.set(identifier, new Set([topicFilter]));
      else filters.add(topicFilter);
    }
  }

  #separate(identifier: number, topicFilter: string): void {
    const filters = this.#filtersOf.get(identifier);
    filters?.delete(topicFilter);
    if (filters?.size !== 0) return;
    this.#filtersOf.delete(identifier);
    this.#chosen.delete(identifier);
  }

  /**
   * Tells whether a message is for whoever subscribed to a topic filter. If the topic matches it is, unless it is certain that the broker
   * sends a copy of its own for the filter: that was granted under an identifier that is not among those of the message, and each of these
   * stands for another filter that matches.
   */
  concerns(topic: string, identifiers: readonly number[], filter: string): boolean {
    if (!matchTopic(filter, topic)) return false;
    if (!this.#granted.has(filter)) return true;
    const own = this.#identifiersOf.get(filter) ?? [];
    return own.some((identifier) => identifiers.includes(identifier)) ||
      !identifiers.every((identifier) => this.#explains(identifier, topic));
  }

  /** Whether a filter that has this identifier matches; none does while messages come that were sent under an earlier one. */
  #explains(identifier: number, topic: string): boolean {
    const filters = this.#filtersOf.get(identifier) ?? [];
    return [...filters].some((filter) => matchTopic(filter, topic));
  }

  /** Takes the automatic ones off a received message, whose application knows nothing of them. */
  hide(packet: PublishPacket, identifiers: readonly number[]): void {
    let hidden = 0;
    for (const identifier of identifiers) if (this.#isAutomatic(identifier)) hidden++;
    if (hidden === 0) return;
    if (hidden === identifiers.length) packet.properties = withoutIdentifiers(packet.properties);
    else {
      const subscriptionIdentifiers = identifiers.filter((identifier) => !this.#isAutomatic(identifier));
      packet.properties = { ...packet.properties, subscriptionIdentifiers };
    }
  }

  #isAutomatic(identifier: number): boolean {
    const isAfterFirst = identifier >= this.#first, isBeforeNext = identifier < this.#next;
    const wasGiven = this.#first <= this.#next ? isAfterFirst && isBeforeNext : isAfterFirst || isBeforeNext;
    return wasGiven && !this.#chosen.has(identifier);
  }
}

function following(identifier: number): number {
  return identifier % LARGEST_IDENTIFIER + 1;
}

function withoutIdentifiers(properties: Properties): Properties {
  for (const name in properties) {
    if (name === "subscriptionIdentifiers") continue;
    const { subscriptionIdentifiers: _, ...others } = properties;
    return others;
  }
  return NO_PROPERTIES;
}

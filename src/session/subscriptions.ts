import type { SubscribePacket, SubscriptionRequest } from "../packets.ts";
import type { StoredSubscription } from "../stored_session.ts";
import { SubscriptionIdentifiers } from "./subscription_identifiers.ts";

/** A granted subscription, and the SUBSCRIBE that asked for it. */
export interface Granted {
  request: SubscriptionRequest;
  packet: SubscribePacket;
}

/** The subscriptions that the broker has granted, to ask for again when it has lost them. */
export class Subscriptions {
  readonly #granted = new Map<string, Granted>();
  /** What tells whose message one is. */
  readonly identifiers = new SubscriptionIdentifiers();

  /** Whether a topic filter is subscribed to. */
  has(topicFilter: string): boolean {
    return this.#granted.has(topicFilter);
  }

  /** Notes what the broker answered to a SUBSCRIBE that was sent with this identifier. What it refuses stays as it was. */
  answered(packet: SubscribePacket, identifier: number | undefined, reasonCodes: number[]): void {
    for (const [i, request] of packet.subscriptions.entries()) {
      const { topicFilter } = request;
      if (reasonCodes[i] >= 0x80) this.identifiers.refused(topicFilter, identifier);
      else {
        this.#granted.set(topicFilter, { request, packet });
        this.identifiers.granted(topicFilter, identifier);
      }
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
    for (const packet of packets.values()) this.#identified(packet);
  }

  #identified(packet: SubscribePacket): void {
    const { subscriptionIdentifier } = packet.properties;
    if (subscriptionIdentifier === undefined) return;
    this.identifiers.requested(packet, subscriptionIdentifier);
    for (const { topicFilter } of packet.subscriptions) this.identifiers.granted(topicFilter, subscriptionIdentifier);
  }

  removed(topicFilters: string[]): void {
    for (const topicFilter of topicFilters) {
      this.#granted.delete(topicFilter);
      this.identifiers.forget(topicFilter);
    }
  }

  clear(): void {
    this.#granted.clear();
    this.identifiers.clear();
  }

  topicFilters(): string[] {
    return [...this.#granted.keys()];
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

import type { SubscribePacket, SubscriptionRequest } from "../packets.ts";

/** A granted subscription, and the SUBSCRIBE that asked for it. */
interface Granted {
  request: SubscriptionRequest;
  packet: SubscribePacket;
}

/** The subscriptions that the broker has granted, to ask for again when it has lost them. */
export class Subscriptions {
  readonly #granted = new Map<string, Granted>();

  /** Notes what the broker answered to a SUBSCRIBE. */
  granted(packet: SubscribePacket, reasonCodes: number[]): void {
    for (const [i, request] of packet.subscriptions.entries()) {
      if (reasonCodes[i] < 0x80) this.#granted.set(request.topicFilter, { request, packet });
    }
  }

  removed(topicFilters: string[]): void {
    for (const topicFilter of topicFilters) this.#granted.delete(topicFilter);
  }

  clear(): void {
    this.#granted.clear();
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

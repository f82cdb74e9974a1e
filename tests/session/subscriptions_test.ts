import { assertEquals } from "@std/assert";
import type { SubscribePacket } from "../../src/packets.ts";
import { Subscriptions } from "../../src/session/subscriptions.ts";

function subscribePacket(topicFilters: string[], subscriptionIdentifier?: number): SubscribePacket {
  const subscriptions = topicFilters.map((topicFilter) => (
    { topicFilter, qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const
  ));
  const properties = subscriptionIdentifier === undefined ? {} : { subscriptionIdentifier };
  return { type: "SUBSCRIBE", packetId: 1, subscriptions, properties };
}

Deno.test("Subscriptions.packets() gives what was granted, without the identifiers that were given to it", () => {
  const subscriptions = new Subscriptions();
  const [ab, c, own] = [subscribePacket(["a", "b"]), subscribePacket(["c"]), subscribePacket(["d"], 7)];
  for (const [identifier, packet] of [[1, ab], [2, c], [7, own]] as const) {
    subscriptions.answered(packet, identifier, packet.subscriptions.map(() => 0));
  }
  assertEquals(subscriptions.packets(), [ab, c, own].map((packet) => ({ ...packet, packetId: 0 })));
});

Deno.test("Subscriptions.answered() leaves what is refused as it was", () => {
  const subscriptions = new Subscriptions();
  const first = subscribePacket(["a", "b"]), second = subscribePacket(["a", "b", "c"]);
  subscriptions.answered(first, 1, [0x80, 0]);
  subscriptions.answered(second, 2, [0, 0x80, 0x80]);
  assertEquals(["a", "b", "c"].map((filter) => subscriptions.get(filter)?.packet), [second, first, undefined]);
});

Deno.test("Subscriptions.restore() knows the identifiers that an application chose in a former process", () => {
  const subscriptions = new Subscriptions();
  const [all, one, plain] = [subscribePacket(["a/#"], 7), subscribePacket(["a/b"], 8), subscribePacket(["+/b"])];
  subscriptions.restore([all, one, plain].map(({ subscriptions: [request], properties }, group) => (
    { request, properties, group }
  )));
  const { identifiers } = subscriptions;
  identifiers.connected(true, () => 0.5);
  assertEquals(["a/#", "a/b", "+/b"].filter((filter) => identifiers.concerns("a/b", [8], filter)), ["a/b", "+/b"]);
});

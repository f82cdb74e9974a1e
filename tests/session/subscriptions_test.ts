import { assertEquals } from "@std/assert";
import { ApplicationMessage } from "../../src/message.ts";
import type { SubscribePacket } from "../../src/packets.ts";
import { Subscriptions } from "../../src/session/subscriptions.ts";
import { publishPacket } from "./recorder.ts";

function subscribePacket(topicFilters: string[], subscriptionIdentifier?: number): SubscribePacket {
  const subscriptions = topicFilters.map((topicFilter) => (
    { topicFilter, qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const
  ));
  const properties = subscriptionIdentifier === undefined ? {} : { subscriptionIdentifier };
  return { type: "SUBSCRIBE", packetId: 1, subscriptions, properties };
}

/** Asks for topic filters with one SUBSCRIBE, which the broker grants unless `reasonCodes` say otherwise. Gives its identifier. */
function subscribe(subscriptions: Subscriptions, topicFilters: string[], reasonCodes?: number[]): number | undefined {
  const packet = subscriptions.identify(subscribePacket(topicFilters));
  subscriptions.requested(packet);
  subscriptions.granted(packet, reasonCodes ?? topicFilters.map(() => 0));
  return packet.properties.subscriptionIdentifier;
}

function message(topic: string, ...subscriptionIdentifiers: number[]): ApplicationMessage {
  const properties = subscriptionIdentifiers.length === 0 ? {} : { subscriptionIdentifiers };
  return new ApplicationMessage({ ...publishPacket(topic), properties });
}

// The identifiers.

Deno.test("Subscriptions.identify() gives each SUBSCRIBE an identifier of its own, 1 first", () => {
  const subscriptions = new Subscriptions();
  assertEquals([["a"], ["b", "c"], ["d"]].map((filters) => subscribe(subscriptions, filters)), [1, 2, 3]);
});

Deno.test("Subscriptions.identify() changes nothing, neither the packet nor what it gives the next time", () => {
  const subscriptions = new Subscriptions();
  const { version } = subscriptions;
  const packet = subscribePacket(["a"]);
  const identified = [subscriptions.identify(packet), subscriptions.identify(packet)];
  assertEquals(identified.map(({ properties }) => properties.subscriptionIdentifier), [1, 1]);
  assertEquals([packet.properties, subscriptions.version], [{}, version]);
});

Deno.test("Subscriptions.identify() leaves an application its own identifier", () => {
  const subscriptions = new Subscriptions();
  const own = subscriptions.identify(subscribePacket(["a"], 2));
  assertEquals(own, subscribePacket(["a"], 2));
});

Deno.test("Subscriptions.identify() gives filters that have an identifier in common the same again", () => {
  const subscriptions = new Subscriptions();
  subscribe(subscriptions, ["a", "b"]);
  assertEquals([["a", "b"], ["b"], ["a"]].map((filters) => subscribe(subscriptions, filters)), [1, 1, 1]);
  assertEquals(subscribe(subscriptions, ["a", "c"]), 2);
  assertEquals([["b"], ["a"], ["c"]].map((filters) => subscribe(subscriptions, filters)), [1, 2, 2]);
  assertEquals(subscribe(subscriptions, ["a", "b"]), 3);
});

Deno.test("Subscriptions.identify() does not give an identifier again at once that has become free", () => {
  const subscriptions = new Subscriptions();
  subscribe(subscriptions, ["a"]);
  subscriptions.removed(["a"]);
  assertEquals(subscribe(subscriptions, ["a"]), 2);
  subscriptions.clear();
  assertEquals(subscribe(subscriptions, ["a"]), 3);
});

Deno.test("Subscriptions.identify() skips what an application uses itself", () => {
  const subscriptions = new Subscriptions();
  subscriptions.requested(subscribePacket(["a"], 2));
  assertEquals([["b"], ["c"]].map((filters) => subscribe(subscriptions, filters)), [1, 3]);
  subscriptions.requested(subscribePacket(["d"], 4));
  subscriptions.requested(subscribePacket(["e"], 268_435_455));
  assertEquals(subscribe(subscriptions, ["f"]), 5);
});

Deno.test("Subscriptions.packets() gives what was granted, without the identifiers that were given to it", () => {
  const subscriptions = new Subscriptions();
  const [ab, c, own] = [subscribePacket(["a", "b"]), subscribePacket(["c"]), subscribePacket(["d"], 7)];
  for (const packet of [ab, c, own]) {
    subscriptions.requested(subscriptions.identify(packet));
    subscriptions.granted(packet, packet.subscriptions.map(() => 0));
  }
  assertEquals(subscriptions.packets(), [ab, c, own].map((packet) => ({ ...packet, packetId: 0 })));
});

// Whose a message is.

Deno.test("Subscriptions.concerns() goes by the topic where the message has no identifier, or the filter none", () => {
  const subscriptions = new Subscriptions();
  const identifier = subscribe(subscriptions, ["a/#"]) ?? 0;
  assertEquals(subscriptions.concerns(message("a/b"), "a/#"), true);
  assertEquals(subscriptions.concerns(message("b"), "a/#"), false);
  assertEquals(subscriptions.concerns(message("a/b", identifier), "a/+"), true, "a/+ is not subscribed to");
  assertEquals(subscriptions.concerns(message("b", identifier), "a/#"), false);
});

Deno.test("Subscriptions.concerns() tells overlapping filters apart by the identifiers", () => {
  const subscriptions = new Subscriptions();
  const [all, one] = [["a/#"], ["a/b"]].map((filters) => subscribe(subscriptions, filters) ?? 0);
  const whose = (...identifiers: number[]) =>
    ["a/#", "a/b"].filter((filter) => subscriptions.concerns(message("a/b", ...identifiers), filter));
  assertEquals([whose(all), whose(one), whose(all, one), whose(one, all)], [
    ["a/#"],
    ["a/b"],
    ["a/#", "a/b"],
    ["a/#", "a/b"],
  ]);
});

Deno.test("Subscriptions.concerns() tells the filters of one SUBSCRIBE apart by the topic", () => {
  const subscriptions = new Subscriptions();
  const identifier = subscribe(subscriptions, ["a/+", "b/+", "+/c"]) ?? 0;
  const whose = (topic: string) =>
    ["a/+", "b/+", "+/c"].filter((filter) => subscriptions.concerns(message(topic, identifier), filter));
  assertEquals([whose("a/b"), whose("b/b"), whose("a/c")], [["a/+"], ["b/+"], ["a/+", "+/c"]]);
});

Deno.test("Subscriptions.concerns() goes by the topic where the broker has put on an identifier that is not known", () => {
  const subscriptions = new Subscriptions();
  const identifier = subscribe(subscriptions, ["a"]) ?? 0;
  assertEquals(subscriptions.concerns(message("a", 99), "a"), true);
  assertEquals(subscriptions.concerns(message("a", 99, identifier), "a"), true);
  assertEquals(subscriptions.concerns(message("b", 99), "a"), false);
});

Deno.test("Subscriptions.concerns() goes by the topic where messages still come under an earlier identifier", () => {
  const subscriptions = new Subscriptions();
  const [first] = [subscribe(subscriptions, ["a", "b"]) ?? 0, subscribe(subscriptions, ["a", "c"])];
  assertEquals(subscriptions.concerns(message("a", first), "a"), true, "b alone has the identifier now");
  assertEquals(subscriptions.concerns(message("b", first), "b"), true);
  subscriptions.removed(["a", "b"]);
  assertEquals(subscriptions.concerns(message("a", first), "a"), true, "whoever iterates gets what is on its way");
});

Deno.test("Subscriptions.concerns() knows a shared subscription by its whole filter", () => {
  const subscriptions = new Subscriptions();
  const [shared, plain] = [["$share/g/a/#"], ["a/#"]].map((filters) => subscribe(subscriptions, filters) ?? 0);
  const whose = (...identifiers: number[]) =>
    ["$share/g/a/#", "a/#"].filter((filter) => subscriptions.concerns(message("a/b", ...identifiers), filter));
  assertEquals([whose(shared), whose(plain), whose(shared, plain)], [
    ["$share/g/a/#"],
    ["a/#"],
    ["$share/g/a/#", "a/#"],
  ]);
});

Deno.test("Subscriptions.granted() forgets the identifier of what the broker refuses, unless it had granted it before", () => {
  const subscriptions = new Subscriptions();
  const refused = subscribe(subscriptions, ["a", "b"], [0x87, 0]) ?? 0;
  const other = subscribe(subscriptions, ["+"]) ?? 0;
  assertEquals(subscriptions.concerns(message("a", other), "a"), true, "a is not subscribed to");
  assertEquals(subscriptions.concerns(message("b", other), "b"), false);
  subscribe(subscriptions, ["b"], [0x97]);
  assertEquals(subscriptions.concerns(message("b", other), "b"), false, "b is granted still");
  assertEquals(subscriptions.concerns(message("b", refused), "b"), true);
});

Deno.test("Subscriptions.version changes with all that concerns() depends on", () => {
  const subscriptions = new Subscriptions();
  const versions = [subscriptions.version];
  const packet = subscriptions.identify(subscribePacket(["a", "b"]));
  subscriptions.requested(packet);
  versions.push(subscriptions.version);
  subscriptions.granted(packet, [0, 0x80]);
  versions.push(subscriptions.version);
  subscriptions.removed(["a"]);
  versions.push(subscriptions.version);
  subscriptions.clear();
  versions.push(subscriptions.version);
  assertEquals(new Set(versions).size, 5);
});

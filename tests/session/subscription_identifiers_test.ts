import { assertEquals, assertStrictEquals } from "@std/assert";
import type { SubscribePacket } from "../../src/packets.ts";
import { NO_PROPERTIES, type Properties } from "../../src/properties.ts";
import { SubscriptionIdentifiers } from "../../src/session/subscription_identifiers.ts";
import { publishPacket } from "./recorder.ts";

const HALF = 134_217_727.5, LARGEST = 268_435_455;

/** Gives those of a new session, or of one that was there before the client. */
function connected(sessionPresent = false): SubscriptionIdentifiers {
  const identifiers = new SubscriptionIdentifiers();
  identifiers.connected(sessionPresent, () => 0.5);
  return identifiers;
}

function subscribePacket(topicFilters: string[], subscriptionIdentifier?: number): SubscribePacket {
  const subscriptions = topicFilters.map((topicFilter) => (
    { topicFilter, qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const
  ));
  const properties = subscriptionIdentifier === undefined ? {} : { subscriptionIdentifier };
  return { type: "SUBSCRIBE", packetId: 1, subscriptions, properties };
}

/** Notes a SUBSCRIBE. Gives the identifier that it is sent with. */
function request(identifiers: SubscriptionIdentifiers, topicFilters: string[], chosen?: number): number {
  const packet = subscribePacket(topicFilters, chosen);
  const identifier = identifiers.for(packet);
  identifiers.requested(packet, identifier);
  return identifier;
}

/** Notes a SUBSCRIBE that the broker grants. */
function subscribe(identifiers: SubscriptionIdentifiers, topicFilters: string[], chosen?: number): number {
  const identifier = request(identifiers, topicFilters, chosen);
  for (const topicFilter of topicFilters) identifiers.granted(topicFilter, identifier);
  return identifier;
}

/** Gives those of the topic filters that a message is for. */
function whose(
  identifiers: SubscriptionIdentifiers,
  filters: string[],
  topic: string,
  ...carried: number[]
): string[] {
  return filters.filter((filter) => identifiers.concerns(topic, carried, filter));
}

/** Gives the properties that the application sees of a received message. */
function shown(identifiers: SubscriptionIdentifiers, properties: Properties): Properties {
  const packet = { ...publishPacket("t"), properties };
  identifiers.hide(packet, properties.subscriptionIdentifiers ?? []);
  return packet.properties;
}

// Which are given.

Deno.test("SubscriptionIdentifiers.for() gives each SUBSCRIBE one of its own, 1 first in a new session", () => {
  const identifiers = connected();
  assertEquals([["a"], ["b", "c"], ["d"]].map((filters) => subscribe(identifiers, filters)), [1, 2, 3]);
});

Deno.test("SubscriptionIdentifiers.for() changes nothing", () => {
  const identifiers = connected();
  const { version } = identifiers;
  const packet = subscribePacket(["a"]);
  assertEquals([identifiers.for(packet), identifiers.for(packet)], [1, 1]);
  assertEquals([packet.properties, identifiers.version], [{}, version]);
});

Deno.test("SubscriptionIdentifiers.for() leaves an application its own", () => {
  assertEquals(connected().for(subscribePacket(["a"], 2)), 2);
});

Deno.test("SubscriptionIdentifiers.for() gives filters that have one in common the same again", () => {
  const identifiers = connected();
  subscribe(identifiers, ["a", "b"]);
  assertEquals([["a", "b"], ["b"], ["a"]].map((filters) => subscribe(identifiers, filters)), [1, 1, 1]);
  assertEquals(subscribe(identifiers, ["a", "c"]), 2);
  assertEquals([["b"], ["a"], ["c"]].map((filters) => subscribe(identifiers, filters)), [1, 2, 2]);
  assertEquals(subscribe(identifiers, ["a", "b"]), 3);
});

Deno.test("SubscriptionIdentifiers.for() gives none again that has become free, but in a new session", () => {
  const identifiers = connected();
  subscribe(identifiers, ["a"]);
  identifiers.forget("a");
  assertEquals(subscribe(identifiers, ["a"]), 2);
  identifiers.clear(); // disconnect(), connect()
  identifiers.connected(true, () => 0.5);
  assertEquals(subscribe(identifiers, ["a"]), 3);
  identifiers.connected(true, () => 0.5);
  assertEquals([["a"], ["b"]].map((filters) => subscribe(identifiers, filters)), [3, 4]);
  identifiers.connected(false, () => 0.5);
  assertEquals([["b"], ["a"]].map((filters) => subscribe(identifiers, filters)), [1, 2]);
});

Deno.test("SubscriptionIdentifiers.for() begins at random in the upper half in a session that was there before the client", () => {
  for (const random of [0, 0.25, 0.5, 1 - 2 ** -53]) {
    const identifiers = new SubscriptionIdentifiers();
    identifiers.connected(true, () => random);
    const first = subscribe(identifiers, ["a"]);
    assertEquals(first, LARGEST - Math.floor(random * HALF));
    assertEquals([first > HALF, first <= LARGEST], [true, true]);
    assertEquals(subscribe(identifiers, ["b"]), first === LARGEST ? 1 : first + 1);
    identifiers.connected(true, () => 0.125);
    assertEquals(identifiers.for(subscribePacket(["a"])), first);
  }
});

Deno.test("SubscriptionIdentifiers.for() skips what an application uses itself", () => {
  const identifiers = connected();
  subscribe(identifiers, ["a"], 2);
  assertEquals([["b"], ["c"]].map((filters) => subscribe(identifiers, filters)), [1, 3]);
  subscribe(identifiers, ["d"], 4);
  subscribe(identifiers, ["e"], LARGEST);
  assertEquals(subscribe(identifiers, ["f"]), 5);
});

// Whose a message is.

Deno.test("SubscriptionIdentifiers.concerns() goes by the topic where the filter has none", () => {
  const identifiers = connected();
  const identifier = subscribe(identifiers, ["a/#"]);
  assertEquals(whose(identifiers, ["a/#", "a/+", "b"], "a/b", identifier), ["a/#", "a/+"]);
  assertEquals(whose(identifiers, ["a/#", "b"], "b", identifier), ["b"]);
});

Deno.test("SubscriptionIdentifiers.concerns() tells overlapping filters apart", () => {
  const identifiers = connected();
  const [all, one] = [["a/#"], ["a/b"]].map((filters) => subscribe(identifiers, filters));
  const filters = ["a/#", "a/b"];
  assertEquals(whose(identifiers, filters, "a/b", all), ["a/#"]);
  assertEquals(whose(identifiers, filters, "a/b", one), ["a/b"]);
  assertEquals(whose(identifiers, filters, "a/b", all, one), filters);
  assertEquals(whose(identifiers, filters, "a/b", one, all), filters);
});

Deno.test("SubscriptionIdentifiers.concerns() tells the filters of one SUBSCRIBE apart by the topic", () => {
  const identifiers = connected();
  const filters = ["a/+", "b/+", "+/c"];
  const identifier = subscribe(identifiers, filters);
  assertEquals(["a/b", "b/b", "a/c"].map((topic) => whose(identifiers, filters, topic, identifier)), [
    ["a/+"],
    ["b/+"],
    ["a/+", "+/c"],
  ]);
});

Deno.test("SubscriptionIdentifiers.concerns() goes by the topic where the broker has put on one that is not known", () => {
  const identifiers = connected();
  const identifier = subscribe(identifiers, ["a"]);
  assertEquals(whose(identifiers, ["a"], "a", 99), ["a"]);
  assertEquals(whose(identifiers, ["a"], "a", 99, identifier), ["a"]);
  assertEquals(whose(identifiers, ["a"], "b", 99), []);
});

Deno.test("SubscriptionIdentifiers.concerns() goes by the topic where messages still come under an earlier one", () => {
  const identifiers = connected();
  const first = subscribe(identifiers, ["a", "b"]);
  subscribe(identifiers, ["a", "c"]);
  assertEquals(whose(identifiers, ["a"], "a", first), ["a"], "b alone has the identifier now");
  assertEquals(whose(identifiers, ["b"], "b", first), ["b"]);
  for (const filter of ["a", "b"]) identifiers.forget(filter);
  assertEquals(whose(identifiers, ["a"], "a", first), ["a"], "whoever iterates gets what is on its way");
});

Deno.test("SubscriptionIdentifiers.concerns() knows a shared subscription by its whole filter", () => {
  const identifiers = connected();
  const filters = ["$share/g/a/#", "a/#"];
  const [shared, plain] = filters.map((filter) => subscribe(identifiers, [filter]));
  assertEquals(whose(identifiers, filters, "a/b", shared), ["$share/g/a/#"]);
  assertEquals(whose(identifiers, filters, "a/b", plain), ["a/#"]);
  assertEquals(whose(identifiers, filters, "a/b", shared, plain), filters);
});

Deno.test("SubscriptionIdentifiers.concerns() takes no message from a filter before the broker has granted it", () => {
  const identifiers = connected();
  const all = subscribe(identifiers, ["a/#"]);
  const one = request(identifiers, ["a/b"]);
  assertEquals(whose(identifiers, ["a/#", "a/b"], "a/b", all), ["a/#", "a/b"]);
  assertEquals(whose(identifiers, ["a/#", "a/b"], "a/b", one), ["a/b"], "what it stands for is known");
  identifiers.granted("a/b", one);
  assertEquals(whose(identifiers, ["a/#", "a/b"], "a/b", all), ["a/#"]);
});

Deno.test("SubscriptionIdentifiers.refused() leaves nothing of what was not granted before", () => {
  const identifiers = connected();
  const refused = request(identifiers, ["a/b"]);
  identifiers.refused("a/b", refused);
  const all = subscribe(identifiers, ["a/#"]);
  assertEquals(whose(identifiers, ["a/#", "a/b"], "a/b", all), ["a/#", "a/b"]);
  assertEquals(whose(identifiers, ["a/#", "a/b"], "a/b", refused), ["a/#", "a/b"]);
});

Deno.test("SubscriptionIdentifiers.refused() leaves a filter the identifier that it was granted under", () => {
  const identifiers = connected();
  const one = subscribe(identifiers, ["a/b"]), all = subscribe(identifiers, ["a/#"]);
  identifiers.refused("a/b", request(identifiers, ["a/b"]));
  const other = request(identifiers, ["a/b"], 77);
  identifiers.refused("a/b", other);
  const filters = ["a/#", "a/b"];
  assertEquals(whose(identifiers, filters, "a/b", one), ["a/b"]);
  assertEquals(whose(identifiers, filters, "a/b", all), ["a/#"]);
  assertEquals(whose(identifiers, filters, "a/b", other), filters);
});

Deno.test("SubscriptionIdentifiers.concerns() knows a filter by both between a SUBSCRIBE with another one and its SUBACK", () => {
  const identifiers = connected();
  const [all, former] = [["a/#"], ["a/b"]].map((filters) => subscribe(identifiers, filters));
  const filters = ["a/#", "a/b"];
  const [first, second] = [["a/b", "c"], ["a/b", "d"]].map((filters) => request(identifiers, filters));
  for (const identifier of [former, first, second]) {
    assertEquals(whose(identifiers, filters, "a/b", identifier), ["a/b"]);
  }
  identifiers.granted("a/b", first);
  assertEquals(whose(identifiers, filters, "a/b", former), filters, "it stands for nothing any more");
  for (const identifier of [first, second]) {
    assertEquals(whose(identifiers, filters, "a/b", identifier), ["a/b"]);
  }
  assertEquals(whose(identifiers, filters, "a/b", all), ["a/#"]);
  identifiers.granted("a/b", second);
  assertEquals(whose(identifiers, filters, "a/b", first), filters);
});

Deno.test("SubscriptionIdentifiers.granted() under none has the filter go by the topic", () => {
  const identifiers = connected();
  subscribe(identifiers, ["a/b"]);
  const all = subscribe(identifiers, ["a/#"]);
  identifiers.granted("a/b", undefined);
  assertEquals(whose(identifiers, ["a/#", "a/b"], "a/b", all), ["a/#", "a/b"]);
});

Deno.test("SubscriptionIdentifiers.granted() counts for a filter that UNSUBACK has ended after it was asked for again", () => {
  const identifiers = connected();
  const all = subscribe(identifiers, ["a/#"]), one = subscribe(identifiers, ["a/b"]);
  request(identifiers, ["a/b"]);
  identifiers.forget("a/b");
  identifiers.granted("a/b", one);
  assertEquals(whose(identifiers, ["a/#", "a/b"], "a/b", one), ["a/b"]);
  assertEquals(whose(identifiers, ["a/#", "a/b"], "a/b", all), ["a/#"]);
});

Deno.test("SubscriptionIdentifiers.connected() in a new session takes no message from a filter that was granted in the last", () => {
  const identifiers = connected();
  for (const filter of ["a/#", "a/b"]) subscribe(identifiers, [filter]);
  identifiers.connected(false, () => 0.5);
  const all = subscribe(identifiers, ["a/#"]);
  assertEquals(whose(identifiers, ["a/#", "a/b"], "a/b", all), ["a/#", "a/b"], "a/b is not restored yet");
});

Deno.test("SubscriptionIdentifiers.concerns() loses nothing where an application chooses one that is automatically another's", () => {
  const identifiers = connected();
  const filters = ["a/#", "a/b", "+/b", "c"];
  const [all, , plus] = [["a/#"], ["c"], ["+/b"]].map((filters) => subscribe(identifiers, filters));
  subscribe(identifiers, ["a/b"], all);
  assertEquals(whose(identifiers, filters, "a/b", all), ["a/#", "a/b"]);
  assertEquals(whose(identifiers, filters, "a/b", plus), ["+/b"]);
  assertEquals(whose(identifiers, filters, "a/c", all), ["a/#"]);
  identifiers.forget("a/#");
  assertEquals(whose(identifiers, filters, "a/b", all), ["a/#", "a/b"]);
});

// What the application sees.

Deno.test("SubscriptionIdentifiers.hide() takes the automatic ones off, also those that have become free", () => {
  const identifiers = connected();
  const [a] = [["a"], ["b"]].map((filters) => subscribe(identifiers, filters));
  subscribe(identifiers, ["c"], 7);
  identifiers.forget("b");
  assertStrictEquals(shown(identifiers, { subscriptionIdentifiers: [a] }), NO_PROPERTIES);
  assertStrictEquals(shown(identifiers, { subscriptionIdentifiers: [1, 2] }), NO_PROPERTIES);
  assertEquals(shown(identifiers, { contentType: "t", subscriptionIdentifiers: [1] }), { contentType: "t" });
  assertEquals(shown(identifiers, { contentType: "t", subscriptionIdentifiers: [1, 7, 2, 9] }), {
    contentType: "t",
    subscriptionIdentifiers: [7, 9],
  });
});

Deno.test("SubscriptionIdentifiers.hide() leaves what the application has chosen, and what is not known", () => {
  const identifiers = connected(true);
  const [first, second] = [["a"], ["b"]].map((filters) => subscribe(identifiers, filters));
  for (const [filter, chosen] of [["c", 7], ["d", second]] as const) subscribe(identifiers, [filter], chosen);
  for (const subscriptionIdentifiers of [[7], [first - 1], [second + 1], [1], [LARGEST], [second]]) {
    const properties = { subscriptionIdentifiers };
    assertStrictEquals(shown(identifiers, properties), properties);
  }
  assertStrictEquals(shown(identifiers, { subscriptionIdentifiers: [first] }), NO_PROPERTIES);
});

Deno.test("SubscriptionIdentifiers.hide() knows the automatic ones beyond the largest", () => {
  const identifiers = new SubscriptionIdentifiers();
  identifiers.connected(true, () => 0);
  assertEquals([["a"], ["b"]].map((filters) => subscribe(identifiers, filters)), [LARGEST, 1]);
  assertStrictEquals(shown(identifiers, { subscriptionIdentifiers: [1, LARGEST] }), NO_PROPERTIES);
  assertEquals(shown(identifiers, { subscriptionIdentifiers: [1, 2] }), { subscriptionIdentifiers: [2] });
});

Deno.test("SubscriptionIdentifiers.version changes with all that concerns() depends on", () => {
  const identifiers = connected();
  const versions = new Set([identifiers.version]);
  const steps = [
    () => request(identifiers, ["a", "b"]),
    () => identifiers.granted("a", 1),
    () => identifiers.refused("b", 1),
    () => identifiers.forget("a"),
    () => identifiers.connected(false, () => 0.5),
    () => identifiers.clear(),
  ];
  for (const step of steps) {
    step();
    versions.add(identifiers.version);
  }
  assertEquals(versions.size, steps.length + 1);
});

import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { Encoder } from "../../src/codec/encoder.ts";
import { MQTT_5_0 } from "../../src/codec/mqtt_5_0.ts";
import { ClientError } from "../../src/errors.ts";
import type { Packet, PublishPacket, QoS } from "../../src/packets.ts";
import { NO_PROPERTIES, type Properties } from "../../src/properties.ts";
import { acknowledgement, publishPacket, Recorder, suback } from "./recorder.ts";

/** Gives the size that a packet really has on the wire. */
function sizeOf(packet: Packet): number {
  const encoder = new Encoder(MQTT_5_0);
  encoder.encode(packet);
  return encoder.take().reduce((size, bytes) => size + bytes.length, 0);
}

function subscribePacket(subscriptionIdentifier: number, ...topicFilters: string[]): Packet {
  const subscriptions = topicFilters.map((topicFilter) => (
    { topicFilter, qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const
  ));
  return { type: "SUBSCRIBE", packetId: 1, subscriptions, properties: { subscriptionIdentifier } };
}

// Publishing.

Deno.test("Session.publish() refuses a QoS above Maximum QoS, naming the limit [MQTT5-3.2.2-11]", () => {
  for (const maximumQos of [0, 1] as const) {
    using it = new Recorder();
    it.connect5({ maximumQos });
    for (const qos of [0, 1, 2] as const) {
      if (qos <= maximumQos) it.publish("a", qos);
      else {
        const message = `Cannot publish to "a": the broker takes QoS ${maximumQos} at the most (Maximum QoS)`;
        assertThrows(() => it.publish("a", qos), ClientError, message);
      }
    }
    assertEquals(it.take(), ["PUBLISH a", "PUBLISH(1) a QoS 1"].slice(0, maximumQos + 1));
    assertEquals([it.session.inFlight, it.session.queuedPublishes], [maximumQos, 0]);
  }
});

Deno.test("Session.publish() refuses a retained message without Retain Available, naming the limit [MQTT5-3.2.2-14]", () => {
  const retained = { ...publishPacket("a"), retain: true };
  using it = new Recorder();
  it.connect5({ retainAvailable: 0 });
  const message = `Cannot publish to "a": the broker keeps no retained messages (Retain Available)`;
  assertThrows(() => it.publishUntil(Infinity, retained), ClientError, message);
  it.publish("a");
  assertEquals(it.take(), ["PUBLISH a"]);
  it.lose();
  it.connect5({ retainAvailable: 1 });
  it.publishUntil(Infinity, retained);
  assertEquals(it.takePackets(), [retained]);
});

Deno.test("Session.publish() refuses a packet of one byte more than Maximum Packet Size, and names both sizes [MQTT5-3.2.2-15]", () => {
  for (const qos of [0, 1, 2] satisfies QoS[]) {
    for (const length of [0, 10, 122, 127, 128, 200, 16_400]) {
      const packet = publishPacket("a/b", qos, "x".repeat(length));
      const size = sizeOf(packet);
      for (const topicAliasMaximum of [0, 10]) {
        using it = new Recorder();
        it.connect5({ maximumPacketSize: size - 1, topicAliasMaximum });
        const message = `the packet takes ${size} bytes, and the broker takes ${
          size - 1
        } at the most (Maximum Packet Size)`;
        assertThrows(() => it.publishUntil(Infinity, { ...packet }), ClientError, message);
        assertEquals(it.take(), []);
        it.lose();
        it.connect5({ maximumPacketSize: size, topicAliasMaximum });
        it.publishUntil(Infinity, { ...packet });
        assertEquals(it.takePackets().map(sizeOf), [size]);
      }
    }
  }
});

Deno.test("Session.publish() assigns no topic alias where that would make the packet too large, and then the whole topic is sent", () => {
  for (let length = 100; length < 140; length++) {
    for (let room = 0; room < 10; room++) {
      const packet = publishPacket("a/b", 1, "x".repeat(length));
      const maximumPacketSize = sizeOf(packet) + room;
      using it = new Recorder();
      it.connect5({ maximumPacketSize, topicAliasMaximum: 10 });
      it.publishUntil(Infinity, packet);
      it.publishUntil(Infinity, { ...packet, packetId: 0 });
      const sent = it.takePackets() as PublishPacket[];
      for (const one of sent) assertEquals([sizeOf(one) <= maximumPacketSize, sent.length], [true, 2]);
      const aliased = room >= 5;
      assertEquals(sent.map(({ topic }) => topic), ["a/b", aliased ? "" : "a/b"], `${length} bytes, room for ${room}`);
    }
  }
});

Deno.test("Session refuses what was queued when the broker has lower limits, and sends the rest in order", () => {
  using it = new Recorder();
  const retained = { ...publishPacket("retained", 1), retain: true };
  const outcomes = [
    it.publish("a", 1),
    it.publish("b", 2),
    it.publishUntil(Infinity, retained),
    it.publish("large", 0, "x".repeat(100)),
    it.publish("c", 0),
  ].map(({ outcome }) => outcome);
  it.connect5({ maximumQos: 1, retainAvailable: 0, maximumPacketSize: 50 });
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1", "PUBLISH c"]);
  assertEquals(outcomes.map(({ state }) => state), ["pending", "failed", "failed", "failed", "settled"]);
  const limits = [
    /^Cannot publish to "b": .*Maximum QoS/,
    /"retained": .*Retain Available/,
    /"large": .*Maximum Packet/,
  ];
  for (const [i, limit] of limits.entries()) {
    assertInstanceOf(outcomes[i + 1].error, ClientError);
    assertEquals(limit.test(outcomes[i + 1].message), true, outcomes[i + 1].message);
  }
  it.receive(acknowledgement("PUBACK", 1));
  assertEquals([it.session.inFlight, it.session.queuedPublishes, it.session.publishesSettled], [0, 0, true]);
});

Deno.test("Session keeps to lower limits in what it sends again too, but for PUBREL", () => {
  for (const sessionPresent of [true, false]) {
    using it = new Recorder();
    it.connect5();
    const [a, b, c] = [it.publish("a", 2), it.publish("b", 2), it.publish("c", 1)].map(({ outcome }) => outcome);
    it.receive(acknowledgement("PUBREC", 1));
    it.take();
    it.lose();
    it.connect5({ maximumQos: 1 }, { sessionPresent });
    const sent = sessionPresent ? ["PUBREL(1)", "PUBLISH(3) c QoS 1 dup"] : ["PUBLISH(1) c QoS 1"];
    assertEquals(it.take(), sent);
    const states = [a, b, c].map(({ state }) => state);
    assertEquals(states, [sessionPresent ? "pending" : "failed", "failed", "pending"]);
    if (sessionPresent) it.receive(acknowledgement("PUBCOMP", 1));
    it.receive(acknowledgement("PUBACK", sessionPresent ? 3 : 1));
    assertEquals([c.state, it.session.publishesSettled], ["settled", true]);
    it.lose();
    it.connect5({}, { sessionPresent: true });
    assertEquals([it.take(), b.state], [[], "failed"]);
  }
});

Deno.test("Session.publish() knows no limits where CONNACK says nothing of them", () => {
  using it = new Recorder();
  it.connect5();
  it.publishUntil(Infinity, { ...publishPacket("a", 2, "x".repeat(100_000)), retain: true });
  it.subscribe("$share/g/+/#");
  assertEquals(it.take(), ["PUBLISH(1) a QoS 2", "SUBSCRIBE(2) $share/g/+/#:0 #1"]);
});

// Subscribing.

const REFUSED_FILTERS: [properties: Properties, refused: string[], granted: string[], limit: string][] = [
  [
    { wildcardSubscriptionAvailable: 0 },
    ["#", "a/+", "+/a", "$share/g/a/#"],
    ["a", "$share/g/a", "$SYS/a"],
    "the broker knows no wildcards (Wildcard Subscription Available)",
  ],
  [
    { sharedSubscriptionAvailable: 0 },
    ["$share/g/a", "$share/g/#"],
    ["a/#", "$shared/g/a", "$share"],
    "the broker knows no shared subscriptions (Shared Subscription Available)",
  ],
];

Deno.test("Session.subscribe() refuses at once what the broker says is not available, naming the limit", () => {
  for (const [properties, refused, granted, limit] of REFUSED_FILTERS) {
    using it = new Recorder();
    it.connect5(properties);
    for (const filter of refused) {
      assertThrows(() => it.subscribe(filter), ClientError, `Cannot subscribe to "${filter}": ${limit}`);
      assertThrows(() => it.subscribe("ok", filter), ClientError, `Cannot subscribe to "ok", "${filter}": ${limit}`);
    }
    assertEquals(it.take(), []);
    for (const filter of granted) it.subscribe(filter);
    assertEquals(it.take().length, granted.length);
  }
});

Deno.test("Session.subscribe() refuses an application's identifier without Subscription Identifiers Available, and gives none", () => {
  using it = new Recorder();
  it.connect5({ subscriptionIdentifiersAvailable: 0 });
  const packet = subscribePacket(7, "a");
  assertThrows(
    () => packet.type === "SUBSCRIBE" && it.session.subscribe(packet),
    ClientError,
    `Cannot subscribe to "a": the broker knows no subscription identifiers (Subscription Identifiers Available)`,
  );
  it.subscribe("a");
  assertEquals(it.take(), ["SUBSCRIBE(1) a:0"]);
});

Deno.test("Session.subscribe() and unsubscribe() refuse a packet of one byte more than Maximum Packet Size [MQTT5-3.2.2-15]", () => {
  const filters = ["a/b", "c".repeat(120)];
  const subscribe = sizeOf(subscribePacket(1, ...filters));
  const unsubscribe = sizeOf({ type: "UNSUBSCRIBE", packetId: 1, topicFilters: filters, properties: NO_PROPERTIES });
  using it = new Recorder();
  it.connect5({ maximumPacketSize: subscribe - 1 });
  assertThrows(() => it.subscribe(...filters), ClientError, `the packet takes ${subscribe} bytes`);
  it.lose();
  it.connect5({ maximumPacketSize: unsubscribe - 1 });
  const message = `Cannot unsubscribe from "a/b", "${filters[1]}": the packet takes ${unsubscribe} bytes`;
  assertThrows(() => it.unsubscribe(...filters), ClientError, message);
  it.lose();
  it.connect5({ maximumPacketSize: subscribe });
  it.subscribe(...filters);
  it.lose();
  it.connect5({ maximumPacketSize: unsubscribe });
  it.unsubscribe(...filters);
  assertEquals(it.takePackets().map(sizeOf), [subscribe, unsubscribe]);
});

Deno.test("Session fails a call that waited for the connection when the broker cannot serve it, and goes on", () => {
  using it = new Recorder();
  const [a, b, c] = [it.subscribe("a/#"), it.unsubscribe("b".repeat(100)), it.subscribe("c")];
  it.connect5({ wildcardSubscriptionAvailable: 0, maximumPacketSize: 50 });
  assertEquals(it.take(), ["SUBSCRIBE(1) c:0 #1"]);
  assertEquals([a.state, b.state, c.state], ["failed", "failed", "pending"]);
  assertEquals(a.message.includes("Wildcard Subscription Available"), true);
  assertEquals(b.message.includes("Maximum Packet Size"), true);
  it.receive(suback(1, 0));
  assertEquals([c.state, it.session.awaitsAnswers], ["settled", false]);
});

import { assertEquals, assertNotStrictEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/errors.ts";
import type { QoS } from "../../src/packets.ts";
import { acknowledgement, publishPacket, Recorder } from "./recorder.ts";

/** Lets the broker send a message by an alias. */
function arrive(it: Recorder, topic: string, topicAlias: number, qos: QoS = 0, packetId = 0): void {
  it.receive({ ...publishPacket(topic, qos, "", { packetId }), properties: { topicAlias } });
}

function topics(it: Recorder): string[] {
  return it.delivered.splice(0).map(({ topic }) => topic);
}

// Sent messages.

Deno.test("Session.publish() gives topics aliases as the broker allows, and sends a topic with its alias once", () => {
  using it = new Recorder();
  it.connect5({ topicAliasMaximum: 2 });
  for (const topic of ["a", "b", "a", "a", "b"]) it.publish(topic);
  assertEquals(it.take(), ["PUBLISH a=1", "PUBLISH b=2", "PUBLISH =1", "PUBLISH =1", "PUBLISH =2"]);
});

Deno.test("Session.publish() takes the alias of the topic used least recently, and none above the maximum [MQTT5-3.3.2-8]", () => {
  using it = new Recorder();
  it.connect5({ topicAliasMaximum: 2 });
  for (const topic of ["a", "b", "a", "c", "a", "b", "c", "b"]) it.publish(topic);
  assertEquals(it.take(), [
    "PUBLISH a=1",
    "PUBLISH b=2",
    "PUBLISH =1",
    "PUBLISH c=2", // b was used least recently
    "PUBLISH =1",
    "PUBLISH b=2", // c was
    "PUBLISH c=1", // a was
    "PUBLISH =2",
  ]);
});

Deno.test("Session.publish() manages with one alias", () => {
  using it = new Recorder();
  it.connect5({ topicAliasMaximum: 1 });
  for (const topic of ["a", "a", "b", "a", "a"]) it.publish(topic);
  assertEquals(it.take(), ["PUBLISH a=1", "PUBLISH =1", "PUBLISH b=1", "PUBLISH a=1", "PUBLISH =1"]);
});

Deno.test("Session.publish() gives no aliases where the broker takes none, or topic_aliases is off [MQTT5-3.2.2-18]", () => {
  for (const [topicAliases, topicAliasMaximum] of [[true, undefined], [true, 0], [false, 10]] as const) {
    using it = new Recorder({ topicAliases });
    it.connect5({ topicAliasMaximum });
    const packet = publishPacket("a");
    it.publishUntil(Infinity, packet);
    it.publish("a", 1);
    const [first, second] = it.takePackets();
    assertEquals([first, second], [packet, publishPacket("a", 1, "a", { packetId: 1 })]);
  }
});

Deno.test("Session.publish() begins with new aliases on each connection, and sends again with the whole topic [MQTT5-3.3.2-7]", () => {
  for (const sessionPresent of [true, false]) {
    using it = new Recorder();
    it.connect5({ topicAliasMaximum: 5 });
    for (const topic of ["a", "b", "b"]) it.publish(topic, 1);
    assertEquals(it.take(), ["PUBLISH(1) a=1 QoS 1", "PUBLISH(2) b=2 QoS 1", "PUBLISH(3) =2 QoS 1"]);
    it.lose();
    it.connect5({ topicAliasMaximum: 1 }, { sessionPresent });
    const dup = sessionPresent ? " dup" : "";
    assertEquals(it.take(), [`PUBLISH(1) a=1 QoS 1${dup}`, `PUBLISH(2) b=1 QoS 1${dup}`, `PUBLISH(3) =1 QoS 1${dup}`]);
    it.lose();
    it.connect5({}, { sessionPresent });
    assertEquals(it.take(), [`PUBLISH(1) a QoS 1${dup}`, `PUBLISH(2) b QoS 1${dup}`, `PUBLISH(3) b QoS 1${dup}`]);
  }
});

Deno.test("Session.publish() leaves the topic in the packets that the application gets, and keeps the other properties", () => {
  using it = new Recorder();
  it.connect5({ topicAliasMaximum: 5 });
  for (let i = 1; i <= 2; i++) {
    const packet = { ...publishPacket("a", 1), properties: { contentType: "text/plain" } };
    const { flow, outcome } = it.publishUntil(Infinity, packet);
    const [sent] = it.takePackets();
    assertNotStrictEquals(sent, flow.packet);
    const properties = { contentType: "text/plain", topicAlias: 1 };
    assertEquals(sent, { ...packet, topic: i === 1 ? "a" : "", packetId: i, properties });
    it.receive(acknowledgement("PUBACK", i));
    assertEquals(outcome.result?.publishPacket, packet);
    assertEquals([packet.topic, packet.properties], ["a", { contentType: "text/plain" }]);
  }
});

// Received messages.

Deno.test("Session.receive() puts in the topic that an alias stands for, at each QoS, and of the latest one", () => {
  using it = new Recorder();
  it.connect5({}, { connect: { topicAliasMaximum: 3 } });
  arrive(it, "a", 1);
  arrive(it, "b", 3, 1, 1);
  arrive(it, "", 1, 2, 1);
  arrive(it, "", 3);
  arrive(it, "c", 1);
  arrive(it, "", 1, 1, 2);
  arrive(it, "c", 3);
  arrive(it, "", 3);
  assertEquals(topics(it), ["a", "b", "a", "b", "c", "c", "c", "c"]);
  it.take();
});

Deno.test("Session.receive() learns an alias from a repeat of QoS 2 that it does not deliver", () => {
  using it = new Recorder();
  it.connect5({}, { connect: { topicAliasMaximum: 1 } });
  it.receive(publishPacket("a", 2, "", { packetId: 1 }));
  arrive(it, "a", 1, 2, 1);
  arrive(it, "", 1);
  assertEquals(topics(it), ["a", "a"]);
  it.take();
});

Deno.test("Session.receive() refuses an alias that stands for nothing on this connection (0x82)", () => {
  using it = new Recorder();
  const connect = { topicAliasMaximum: 3 };
  it.connect5({}, { connect });
  arrive(it, "a", 1);
  for (const topicAlias of [2, 3]) {
    const error = assertThrows(() => arrive(it, "", topicAlias), ProtocolError, `topic alias ${topicAlias}`);
    assertEquals(error.reasonCode, 0x82);
  }
  it.lose();
  it.connect5({}, { sessionPresent: true, connect });
  assertEquals(assertThrows(() => arrive(it, "", 1), ProtocolError, "stands for nothing").reasonCode, 0x82);
  assertEquals(topics(it), ["a"]);
});

Deno.test("Session.receive() refuses an alias above topic_alias_maximum (0x94) [MQTT5-3.3.2-9]", () => {
  for (const [topicAliasMaximum, topicAlias] of [[undefined, 1], [0, 1], [1, 2], [10, 65_535]] as const) {
    using it = new Recorder();
    it.connect5({ topicAliasMaximum: 65_535 }, { connect: { topicAliasMaximum } });
    const message = `The broker used the topic alias ${topicAlias}, ${topicAliasMaximum ?? 0} are allowed`;
    const error = assertThrows(() => arrive(it, "a", topicAlias, 1, 1), ProtocolError, message);
    assertEquals([error.reasonCode, it.delivered, it.take()], [0x94, [], []]);
  }
});

Deno.test("Session takes no property of CONNECT for told where the protocol knows none", () => {
  using it = new Recorder();
  it.connect(false, { connect: { properties: { receiveMaximum: 1, authenticationMethod: "m" } } });
  for (const packetId of [1, 2]) it.receive(publishPacket("a", 2, "", { packetId }));
  assertEquals([it.delivered.length, it.take()], [2, ["PUBREC(1)", "PUBREC(2)"]]);
});

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { ClientError, ProtocolError, RejectedError } from "../../src/errors.ts";
import type { Packet, PublishPacket, QoS } from "../../src/packets.ts";
import { heldBytes } from "../garbage.ts";
import { acknowledgement, describe, publishPacket, Recorder } from "./recorder.ts";

const puback = (packetId: number) => acknowledgement("PUBACK", packetId);
const pubrec = (packetId: number) => acknowledgement("PUBREC", packetId);
const pubcomp = (packetId: number) => acknowledgement("PUBCOMP", packetId);

// The flows (§4.3).

Deno.test("Session.publish() sends QoS 0 and is done [MQTT-4.3.1-1]", () => {
  using it = new Recorder();
  it.connect();
  const { outcome } = it.publish("a", 0);
  assertEquals(it.take(), ["PUBLISH a"]);
  assertEquals(outcome.state, "settled");
  assertEquals([it.session.inFlight, it.session.publishesSettled], [0, true]);
});

Deno.test("Session.publish() sends QoS 1 and waits for PUBACK [MQTT-4.3.2-1]", () => {
  using it = new Recorder();
  it.connect();
  const { flow, outcome } = it.publish("a", 1);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1"]);
  assertEquals([outcome.state, it.session.inFlight, it.session.publishesSettled], ["pending", 1, false]);
  it.receive(puback(1));
  assertEquals([outcome.state, it.session.inFlight, it.session.publishesSettled], ["settled", 0, true]);
  assertStrictEquals(outcome.result?.publishPacket, flow.packet);
  assertEquals(it.take(), []);
});

Deno.test("Session.publish() sends QoS 2, answers PUBREC with PUBREL and waits for PUBCOMP [MQTT-4.3.3-1]", () => {
  using it = new Recorder();
  it.connect();
  const { outcome } = it.publish("a", 2);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 2"]);
  it.receive(pubrec(1));
  assertEquals(it.take(), ["PUBREL(1)"]);
  assertEquals([outcome.state, it.session.inFlight], ["pending", 1]);
  it.receive(pubcomp(1));
  assertEquals([outcome.state, it.session.inFlight], ["settled", 0]);
  assertEquals(it.take(), []);
});

Deno.test("Session.publish() gives a message with the packets of its flow", () => {
  using it = new Recorder();
  it.connect();
  const packet = publishPacket("a", 2);
  const { outcome } = it.publishUntil(undefined, packet);
  const [rec, comp] = [pubrec(1), pubcomp(1)];
  it.receive(rec);
  it.receive(comp);
  const { publishPacket: publish, pubackPacket, pubrecPacket, pubrelPacket, pubcompPacket } = outcome.result!;
  assertStrictEquals(publish, packet);
  assertEquals(pubackPacket, undefined);
  assertStrictEquals(pubrecPacket, rec);
  assertEquals(pubrelPacket, acknowledgement("PUBREL", 1));
  assertStrictEquals(pubcompPacket, comp);

  const answer = puback(2);
  const { outcome: other } = it.publish("b", 1);
  it.receive(answer);
  assertStrictEquals(other.result?.pubackPacket, answer);
  assertEquals(other.result?.packetId, 2);
});

Deno.test("Session.publish() sends the three of the documented example in call order, before the answers", () => {
  using it = new Recorder();
  it.connect();
  for (const qos of [0, 1, 2] satisfies QoS[]) it.publish("a/b", qos);
  assertEquals(it.take(), ["PUBLISH a/b", "PUBLISH(1) a/b QoS 1", "PUBLISH(2) a/b QoS 2"]);
  it.receive(puback(1));
  it.receive(pubrec(2));
  it.receive(pubcomp(2));
  assertEquals(it.take(), ["PUBREL(2)"]);
  assertEquals(it.session.publishesSettled, true);
});

Deno.test("Session.publish() sends the payload and the flags that it was given", () => {
  using it = new Recorder();
  it.connect();
  const payload = Uint8Array.of(1, 2, 3);
  it.session.publish({ ...publishPacket("a", 1, payload), retain: true });
  const [packet] = it.takePackets() as PublishPacket[];
  assertStrictEquals(packet.payload, payload);
  assertEquals([packet.retain, packet.dup, packet.topic, packet.qos], [true, false, "a", 1]);
});

// Answers that fit nothing.

Deno.test("Session.receive() does nothing with PUBACK and PUBCOMP for identifiers that are not in use", () => {
  using it = new Recorder();
  it.connect();
  const { outcome } = it.publish("a", 1);
  it.take();
  for (const packetId of [2, 7, 65_535]) {
    it.receive(puback(packetId));
    it.receive(pubcomp(packetId));
  }
  assertEquals([it.take(), outcome.state], [[], "pending"]);
  it.receive(puback(1));
  it.receive(puback(1));
  it.receive(pubcomp(1));
  assertEquals([it.take(), outcome.state, it.session.inFlight], [[], "settled", 0]);
});

Deno.test("Session.receive() answers PUBREC for an unknown identifier with PUBREL", () => {
  using it = new Recorder();
  it.connect();
  it.receive(pubrec(9));
  it.receive(pubrec(9));
  assertEquals(it.takePackets(), [acknowledgement("PUBREL", 9, 0x92), acknowledgement("PUBREL", 9, 0x92)]);
  it.receive(pubcomp(9));
  assertEquals([it.take(), it.session.inFlight], [[], 0]);
});

Deno.test("Session.receive() does not answer a PUBREC for an unknown identifier that refuses a publish [MQTT5-4.3.3-4]", () => {
  using it = new Recorder();
  it.connect();
  for (const reasonCode of [0x80, 0x97]) it.receive(acknowledgement("PUBREC", 9, reasonCode));
  assertEquals(it.take(), []);
});

Deno.test("Session.receive() answers a repeated PUBREC with PUBREL again", () => {
  using it = new Recorder();
  it.connect();
  const { outcome } = it.publish("a", 2);
  it.take();
  it.receive(pubrec(1));
  it.receive(pubrec(1));
  assertEquals(it.take(), ["PUBREL(1)", "PUBREL(1)"]);
  it.receive(pubcomp(1));
  it.receive(pubcomp(1));
  assertEquals([it.take(), outcome.state, it.session.inFlight], [[], "settled", 0]);
});

Deno.test("Session.receive() refuses an answer that does not fit the publish", () => {
  const table: [name: string, qos: 1 | 2, answers: ("PUBACK" | "PUBREC" | "PUBCOMP")[], message: string][] = [
    ["PUBREC for QoS 1", 1, ["PUBREC"], "Unexpected PUBREC for a publish of QoS 1 (packet identifier 1)"],
    ["PUBCOMP for QoS 1", 1, ["PUBCOMP"], "Unexpected PUBCOMP for a publish of QoS 1 (packet identifier 1)"],
    ["PUBACK for QoS 2", 2, ["PUBACK"], "Unexpected PUBACK for a publish of QoS 2 (packet identifier 1)"],
    ["PUBACK after PUBREC", 2, ["PUBREC", "PUBACK"], "Unexpected PUBACK for a publish of QoS 2 (packet identifier 1)"],
    ["PUBCOMP before PUBREC", 2, ["PUBCOMP"], "Unexpected PUBCOMP before PUBREC (packet identifier 1)"],
  ];
  for (const [name, qos, answers, message] of table) {
    using it = new Recorder();
    it.connect();
    const { outcome } = it.publish("a", qos);
    for (const type of answers.slice(0, -1)) it.receive(acknowledgement(type, 1));
    const error = assertThrows(() => it.receive(acknowledgement(answers.at(-1)!, 1)), ProtocolError, message, name);
    assertEquals([error.reasonCode, outcome.state], [0x82, "pending"]);
  }
});

Deno.test("Session.receive() harms no subscribe call with an answer to a publish of the same identifier", () => {
  using it = new Recorder();
  it.connect();
  const call = it.subscribe("a");
  it.take();
  for (const type of ["PUBACK", "PUBREC", "PUBCOMP"] as const) it.receive(acknowledgement(type, 1));
  assertEquals([it.take(), call.state], [[], "pending"]);
});

Deno.test("Session.receive() fails a publish that the broker rejects (MQTT 5.0), and goes on", () => {
  using it = new Recorder({ maxInflight: 2 });
  it.connect();
  const [a, b, c] = [it.publish("a", 1), it.publish("b", 2), it.publish("c", 1)].map(({ outcome }) => outcome);
  it.take();
  it.receive({ type: "PUBACK", packetId: 1, reasonCode: 0x87, properties: { reasonString: "not you" } });
  it.receive(acknowledgement("PUBREC", 2, 0x97));
  assertInstanceOf(a.error, RejectedError);
  assertEquals(a.message, `The broker rejected the publish to "a": Not authorized (0x87), not you`);
  assertEquals(b.message, `The broker rejected the publish to "b": Quota exceeded (0x97)`);
  assertEquals(it.take(), ["PUBLISH(3) c QoS 1"]);
  it.receive(acknowledgement("PUBACK", 3, 0x10));
  assertEquals([c.state, it.session.inFlight], ["settled", 0]);
});

Deno.test("Session.receive() takes a PUBCOMP that knows the identifier no more (MQTT 5.0) as the end of the flow", () => {
  using it = new Recorder();
  it.connect();
  const { outcome } = it.publish("a", 2);
  it.receive(pubrec(1));
  it.receive(acknowledgement("PUBCOMP", 1, 0x92));
  assertEquals(outcome.state, "settled");
  it.take();
});

// Packet Identifiers (§2.3.1).

Deno.test("Session.publish() uses the identifiers 1, 2, 3, …, freed ones not at once again", () => {
  using it = new Recorder();
  it.connect();
  for (let i = 1; i <= 5; i++) {
    it.publish("a", 1);
    assertEquals(it.take(), [`PUBLISH(${i}) a QoS 1`]);
    it.receive(puback(i));
  }
});

Deno.test("Session.publish() uses 1 after 65,535, and skips what is in use [MQTT-2.3.1-2]", () => {
  using it = new Recorder({}, { light: true });
  it.connect();
  it.publish("first", 1);
  it.publish("second", 2);
  it.receive(pubrec(2));
  it.take();
  for (let i = 3; i <= 65_535; i++) {
    it.publish("a", 1, "");
    it.receive(puback(i));
  }
  assertEquals(it.take().at(-1), "PUBLISH(65535) a QoS 1");
  it.publish("b", 1);
  assertEquals(it.take(), ["PUBLISH(3) b QoS 1"]);
});

Deno.test("Session shares the identifiers among publish, subscribe and unsubscribe", () => {
  using it = new Recorder();
  it.connect();
  it.publish("a", 1);
  it.subscribe("b");
  it.unsubscribe("c");
  it.publish("d", 2);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1", "SUBSCRIBE(2) b:0", "UNSUBSCRIBE(3) c", "PUBLISH(4) d QoS 2"]);
});

Deno.test("Session.publish() and subscribe() wait while all 65,535 identifiers are in use, and go on when one is freed", () => {
  for (const order of ["publish first", "subscribe first"]) {
    using it = new Recorder({}, { light: true });
    it.connect();
    for (let i = 0; i < 65_535; i++) it.publish("a", 1, "");
    it.take();
    const publish = () => it.publish("late", 1);
    const subscribe = () => it.subscribe("late/#");
    if (order === "publish first") publish();
    const { flow: _, ...waiting } = subscribe();
    if (order === "subscribe first") publish();
    assertEquals([it.take(), waiting.state], [[], "pending"], order);
    it.receive(puback(40_000));
    it.receive(puback(30_000));
    assertEquals(it.take().sort(), ["PUBLISH(30000) late QoS 1", "SUBSCRIBE(40000) late/#:0"], order);
  }
});

Deno.test("Session.subscribe() gets an identifier however many publishes wait for one", () => {
  using it = new Recorder({}, { light: true });
  it.connect();
  for (let i = 0; i < 65_635; i++) it.publish("a", 1, "");
  it.subscribe("x");
  it.unsubscribe("y");
  it.take();
  it.receive(puback(1));
  it.receive(puback(2));
  it.receive(puback(3));
  assertEquals(it.take(), ["SUBSCRIBE(1) x:0", "UNSUBSCRIBE(2) y", "PUBLISH(3) a QoS 1"]);
});

Deno.test("Session.publish() uses an identifier that SUBACK, UNSUBACK or PUBCOMP frees", () => {
  using it = new Recorder({}, { light: true });
  it.connect();
  it.subscribe("x");
  it.unsubscribe("y");
  it.publish("z", 2);
  for (let i = 3; i < 65_535; i++) it.publish("a", 1, "");
  for (let i = 0; i < 3; i++) it.publish("late", 1);
  it.take();
  it.receive({ type: "SUBACK", packetId: 1, reasonCodes: [0], properties: {} });
  it.receive({ type: "UNSUBACK", packetId: 2, reasonCodes: [], properties: {} });
  it.receive(pubrec(3));
  it.receive(pubcomp(3));
  assertEquals(it.take(), ["PUBLISH(1) late QoS 1", "PUBLISH(2) late QoS 1", "PUBREL(3)", "PUBLISH(3) late QoS 1"]);
});

// The window.

Deno.test("Session.publish() keeps QoS 1 and 2 within max_inflight, and sends the next when one is settled", () => {
  using it = new Recorder({ maxInflight: 2 });
  it.connect();
  for (const topic of ["a", "b", "c", "d"]) it.publish(topic, topic === "b" ? 2 : 1);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1", "PUBLISH(2) b QoS 2"]);
  assertEquals([it.session.inFlight, it.session.queuedPublishes], [2, 2]);
  it.receive(pubrec(2));
  assertEquals(it.take(), ["PUBREL(2)"], "PUBREC does not open the window");
  it.receive(puback(1));
  assertEquals(it.take(), ["PUBLISH(3) c QoS 1"]);
  it.receive(pubcomp(2));
  assertEquals(it.take(), ["PUBLISH(4) d QoS 1"]);
  assertEquals([it.session.inFlight, it.session.queuedPublishes], [2, 0]);
});

Deno.test("Session.publish() keeps to the broker's Receive Maximum (MQTT 5.0) where that is lower", () => {
  for (const [maxInflight, receiveMaximum, sent] of [[5, 2, 2], [2, 5, 2], [3, 65_535, 3]]) {
    using it = new Recorder({ maxInflight });
    it.connect(false, { connack: { properties: { receiveMaximum } } });
    for (let i = 0; i < 9; i++) it.publish("a", 1);
    assertEquals(it.take().length, sent);
  }
});

Deno.test("Session.publish() counts QoS 1 and 2 until their last answer, and PUBREC of 0x80 or more is one [MQTT5-3.3.4-7]", () => {
  using it = new Recorder();
  it.connect5({ receiveMaximum: 2 });
  for (const topic of ["a", "b", "c", "d", "e"]) it.publish(topic, 2);
  it.publish("f", 1);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 2", "PUBLISH(2) b QoS 2"]);
  it.receive(pubrec(1));
  assertEquals(it.take(), ["PUBREL(1)"]);
  it.receive(acknowledgement("PUBREC", 2, 0x97));
  assertEquals(it.take(), ["PUBLISH(3) c QoS 2"]);
  it.receive(acknowledgement("PUBREC", 3, 0x10));
  assertEquals(it.take(), ["PUBREL(3)"]);
  it.receive(pubcomp(1));
  it.receive(acknowledgement("PUBCOMP", 3, 0x92));
  assertEquals(it.take(), ["PUBLISH(4) d QoS 2", "PUBLISH(5) e QoS 2"]);
  it.receive(acknowledgement("PUBREC", 4, 0x80));
  assertEquals(it.take(), ["PUBLISH(6) f QoS 1"]);
  it.receive(acknowledgement("PUBACK", 6, 0x87));
  it.receive(pubrec(5));
  it.receive(pubcomp(5));
  assertEquals([it.take(), it.session.publishesSettled], [["PUBREL(5)"], true]);
});

Deno.test("Session sends other packets than PUBLISH though the Receive Maximum is reached [MQTT5-3.3.4-8]", () => {
  using it = new Recorder();
  it.connect5({ receiveMaximum: 1 });
  it.publish("a", 2);
  it.publish("b", 1);
  it.subscribe("c");
  it.ping();
  it.receive(publishPacket("d", 1, "", { packetId: 1 }));
  it.receive(pubrec(1));
  assertEquals(it.take(), ["PUBLISH(1) a QoS 2", "SUBSCRIBE(2) c:0 #1", "PINGREQ", "PUBACK(1)", "PUBREL(1)"]);
});

Deno.test("Session keeps to the Receive Maximum of the new connection in what it sends again", () => {
  for (const sessionPresent of [true, false]) {
    using it = new Recorder();
    it.connect5();
    for (const topic of ["a", "b", "c", "d"]) it.publish(topic, 1);
    it.take();
    it.lose();
    it.connect5({ receiveMaximum: 2 }, { sessionPresent });
    const dup = sessionPresent ? " dup" : "";
    assertEquals(it.take(), [`PUBLISH(1) a QoS 1${dup}`, `PUBLISH(2) b QoS 1${dup}`]);
    it.receive(puback(2));
    assertEquals(it.take(), [`PUBLISH(3) c QoS 1${dup}`]);
    it.receive(puback(1));
    assertEquals(it.take(), [`PUBLISH(4) d QoS 1${dup}`]);
    it.lose();
    it.connect5({}, { sessionPresent: true });
    assertEquals(it.take(), ["PUBLISH(3) c QoS 1 dup", "PUBLISH(4) d QoS 1 dup"]);
  }
});

Deno.test("Session.receive() gives the reason of PUBACK or PUBREC from 0x80 on with its error, and frees the identifier", () => {
  for (const [qos, type] of [[1, "PUBACK"], [2, "PUBREC"]] as const) {
    for (const reasonCode of [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]) {
      for (const reasonString of [undefined, "why"]) {
        using it = new Recorder();
        it.connect5();
        const { outcome } = it.publish("a", qos);
        const answer = { type, packetId: 1, reasonCode, properties: { reasonString } };
        it.receive(answer);
        assertInstanceOf(outcome.error, RejectedError);
        const error = outcome.error as RejectedError;
        assertEquals([error.reasonCode, error.reasonString], [reasonCode, reasonString]);
        it.receive(acknowledgement(type, 1)); // the identifier is unknown
        it.lose();
        it.connect5({}, { sessionPresent: true });
        assertEquals(it.take(), ["PUBLISH(1) a QoS " + qos, ...qos === 2 ? ["PUBREL(1)"] : []]);
      }
    }
  }
});

Deno.test("Session.receive() takes no matching subscribers (0x10) for a success", () => {
  using it = new Recorder();
  it.connect5();
  const [a, b] = [it.publish("a", 1), it.publish("b", 2)];
  it.receive(acknowledgement("PUBACK", 1, 0x10));
  it.receive(acknowledgement("PUBREC", 2, 0x10));
  it.receive(pubcomp(2));
  assertEquals([a.outcome.state, b.outcome.state], ["settled", "settled"]);
  assertEquals([a.outcome.result?.pubackPacket?.reasonCode, b.outcome.result?.pubrecPacket?.reasonCode], [0x10, 0x10]);
  it.take();
});

// Message expiry (MQTT 5.0, §3.3.2.3.3).

function expiring(topic: string, qos: QoS, messageExpiryInterval: number): PublishPacket {
  return { ...publishPacket(topic, qos), properties: { messageExpiryInterval, contentType: "text/plain" } };
}

Deno.test("Session.publish() sends the interval as it is where nothing has to wait", () => {
  using it = new Recorder();
  it.connect5();
  it.now = 5.5;
  for (const interval of [10, 0, 4_294_967_295]) it.publishUntil(it.now + interval, expiring("a", 1, interval));
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1 10s", "PUBLISH(2) a QoS 1 0s", "PUBLISH(3) a QoS 1 4294967295s"]);
});

Deno.test("Session counts the interval down while a publish waits for the connection, the window or the write buffer", () => {
  const waits: [what: string, before: (it: Recorder) => void, after: (it: Recorder) => void][] = [
    ["the connection", () => {}, (it) => it.connect5()],
    [
      "the window",
      (it) => (it.connect5({ receiveMaximum: 1 }), it.publish("first", 1)),
      (it) => it.receive(puback(1)),
    ],
    ["the write buffer", (it) => (it.connect5(), it.room = 1, it.publish("first")), (it) => it.writable()],
  ];
  for (const [what, before, after] of waits) {
    for (const [waited, left] of [[0, 10], [0.5, 10], [1, 9], [3.2, 7], [9, 1], [9.9, 1]]) {
      using it = new Recorder();
      it.now = 100.3;
      before(it);
      it.take();
      const packet = expiring("a", 1, 10);
      const { flow } = it.publishUntil(it.now + 10, packet);
      it.now += waited;
      it.session.tick(it.now);
      after(it);
      const properties = { messageExpiryInterval: left, contentType: "text/plain" };
      const expected = { ...packet, packetId: flow.packet.packetId, properties };
      assertEquals([it.takePackets().at(-1), flow.packet], [expected, expected], `${what}, ${waited} s`);
      assertEquals(packet, expiring("a", 1, 10), "the caller's packet is not changed");
    }
  }
});

Deno.test("Session never sends a longer interval than was given, though its clock is behind the caller's", () => {
  using it = new Recorder();
  it.publishUntil(1.5 + 10, expiring("a", 1, 10));
  it.now = 1;
  it.connect5();
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1 10s"]);
});

Deno.test("Session.tick() fails what has expired before it was sent, at its deadline, and keeps the order of the rest", () => {
  for (const connected of [false, true]) {
    using it = new Recorder({ pingDelay: 0 });
    if (connected) it.connect5({ receiveMaximum: 1 });
    const first = it.publishUntil(3, expiring("first", 1, 3));
    const [a, b, c, d] = [
      it.publishUntil(20, expiring("a", 1, 20)),
      it.publishUntil(5, expiring("b", 2, 5)),
      it.publish("c", 1),
      it.publishUntil(10, expiring("d", 0, 10)),
    ].map(({ outcome }) => outcome);
    it.take();
    assertEquals(it.session.deadline, connected ? 5 : 3);
    it.session.tick(4.9);
    assertEquals([first.outcome.state, b.state], [connected ? "pending" : "failed", "pending"]);
    assertEquals(it.session.deadline, 5);
    it.session.tick(5);
    assertInstanceOf(b.error, ClientError);
    assertEquals(b.message, `The publish to "b" expired before it could be sent (message expiry interval of 5 s)`);
    assertEquals([it.session.deadline, it.session.queuedPublishes], [10, 3]);
    it.now = 12;
    it.session.tick(12);
    assertEquals([a.state, b.state, c.state, d.state], ["pending", "failed", "pending", "failed"]);
    assertEquals([it.session.deadline, it.take()], [20, []]);
    if (connected) it.receive(puback(1));
    else it.connect5();
    const id = connected ? 2 : 1;
    assertEquals(it.take()[0], `PUBLISH(${id}) a QoS 1 8s`);
    it.receive(puback(id));
    it.session.tick(1000);
    assertEquals([a.state, it.session.deadline], ["settled", Infinity]);
    it.take();
  }
});

Deno.test("Session drops at the connection what has expired, though no tick() came in time", () => {
  using it = new Recorder();
  const [a, b, c] = [
    it.publishUntil(0, expiring("a", 1, 0)),
    it.publishUntil(10, expiring("b", 0, 10)),
    it.publish("c", 1),
  ].map(({ outcome }) => outcome);
  assertEquals(it.session.deadline, 0);
  it.now = 10;
  it.connect5();
  assertEquals([it.take(), a.state, b.state, c.state], [["PUBLISH(1) c QoS 1"], "failed", "failed", "pending"]);
});

Deno.test("Session.publish() has room for others where something expired", () => {
  using it = new Recorder({ maxQueuedPublishes: 1 });
  it.publishUntil(1, expiring("a", 1, 1));
  assertThrows(() => it.publish("b", 1), ClientError, "the offline queue is full");
  it.session.tick(1);
  it.publish("b", 1);
  it.connect5();
  assertEquals(it.take(), ["PUBLISH(1) b QoS 1"]);
});

Deno.test("Session.cancel() of what would expire leaves nothing to fail", () => {
  using it = new Recorder();
  const { flow, outcome } = it.publishUntil(1, expiring("a", 1, 1));
  it.session.cancel(flow);
  it.session.tick(2);
  assertEquals([outcome.state, it.session.deadline, it.session.queuedPublishes], ["pending", Infinity, 0]);
});

Deno.test("Session sends again as it was what the broker may have, however late, while the session is kept", () => {
  using it = new Recorder();
  it.connect5();
  const outcomes = ([1, 2] as const).map((qos) => it.publishUntil(10, expiring("a", qos, 10)).outcome);
  it.take();
  for (const now of [5, 50]) {
    it.lose();
    it.session.tick(now);
    it.now = now;
    it.connect5({}, { sessionPresent: true });
    assertEquals(it.take(), ["PUBLISH(1) a QoS 1 dup 10s", "PUBLISH(2) a QoS 2 dup 10s"]);
  }
  it.receive(puback(1));
  it.receive(pubrec(2));
  it.lose();
  it.connect5({}, { sessionPresent: true });
  it.receive(pubcomp(2));
  assertEquals(outcomes.map(({ state }) => state), ["settled", "settled"]);
  assertEquals(it.take(), ["PUBREL(2)", "PUBREL(2)"]);
});

Deno.test("Session counts down, and drops, what was sent and is to be sent anew since the session was lost", () => {
  using it = new Recorder();
  it.connect5();
  const [a, b, c, d] = [
    it.publishUntil(10, expiring("a", 1, 10)),
    it.publishUntil(4, expiring("b", 2, 4)),
    it.publishUntil(20, expiring("c", 2, 20)),
    it.publish("d", 1),
  ].map(({ outcome }) => outcome);
  it.receive(pubrec(2));
  it.receive(pubrec(3));
  it.take();
  it.lose();
  it.now = 5.5;
  it.connect5();
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1 5s", "PUBLISH(2) c QoS 2 15s", "PUBLISH(3) d QoS 1"]);
  assertInstanceOf(b.error, ClientError);
  assertEquals([a.state, c.state, d.state, it.session.inFlight], ["pending", "pending", "pending", 3]);
  it.lose();
  it.now = 12;
  it.connect5();
  assertEquals(it.take(), ["PUBLISH(1) c QoS 2 8s", "PUBLISH(2) d QoS 1"]);
  assertEquals([a.state, it.session.inFlight], ["failed", 2]);
  it.receive(puback(2));
  it.receive(pubrec(1));
  it.receive(pubcomp(1));
  assertEquals([c.state, d.state, it.session.publishesSettled], ["settled", "settled", true]);
  it.take();
});

Deno.test("Session.publish() sends QoS 0 in its turn behind a QoS 1 that waits", () => {
  using it = new Recorder({ maxInflight: 1 });
  it.connect();
  it.publish("a", 1);
  const waiting = it.publish("b", 1).outcome, behind = it.publish("c", 0).outcome;
  it.publish("d", 1);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1"]);
  assertEquals([waiting.state, behind.state], ["pending", "pending"]);
  it.receive(puback(1));
  assertEquals(it.take(), ["PUBLISH(2) b QoS 1", "PUBLISH c"]);
  assertEquals([waiting.state, behind.state], ["pending", "settled"]);
});

Deno.test("Session.publish() sends QoS 0 at once though the window is full, when nothing waits", () => {
  using it = new Recorder({ maxInflight: 1 });
  it.connect();
  it.publish("a", 1);
  assertEquals(it.publish("b", 0).outcome.state, "settled");
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1", "PUBLISH b"]);
});

Deno.test("Session.publish() waits for any length of time and in any number while the link is up", () => {
  using it = new Recorder({ maxInflight: 1, maxQueuedPublishes: 2, maxQueuedBytes: 10 });
  it.connect();
  for (let i = 0; i < 100; i++) it.publish(`topic ${i}`, 1);
  for (let i = 1; i <= 100; i++) {
    assertEquals(it.take(), [`PUBLISH(${i}) topic ${i - 1} QoS 1`]);
    it.receive(puback(i));
  }
});

// The write buffer.

/** By how many bytes QoS 0 may exceed the write buffer. */
const LARGEST_EXCESS = 256 * 1024;

Deno.test("Session.publish() sends QoS 0 though the write buffer is full, up to a bound, and queues the rest", () => {
  using it = new Recorder();
  it.connect();
  it.room = 1;
  const half = new Uint8Array(LARGEST_EXCESS / 2);
  const outcomes = [..."abcd"].map((topic) => it.publish(topic, 0, half).outcome);
  assertEquals(it.take(), ["PUBLISH a", "PUBLISH b", "PUBLISH c"]);
  assertEquals(outcomes.map(({ state }) => state), ["settled", "settled", "settled", "pending"]);
  it.writable(1);
  assertEquals(it.take(), ["PUBLISH d"]);
  for (const topic of "ef") it.publish(topic, 0, half); // What the buffer has taken counts no more.
  assertEquals([it.take(), it.session.queuedPublishes], [["PUBLISH e", "PUBLISH f"], 0]);
  it.publish("g");
  assertEquals([it.take(), it.session.queuedPublishes], [[], 1]);
  it.reconnect(true);
  for (const topic of "hi") it.publish(topic);
  assertEquals(it.take(), ["PUBLISH g", "PUBLISH h", "PUBLISH i"]);
});

Deno.test("Session settles a QoS 0 publish that has waited when it is written, or the connection is lost", () => {
  using it = new Recorder();
  it.connect();
  it.room = 1;
  for (const size of [0, LARGEST_EXCESS]) it.publish("full", 0, new Uint8Array(size));
  const [a, b] = [..."ab"].map((topic) => it.publish(topic, 0).outcome);
  it.take();
  it.writable(1);
  assertEquals([it.take(), a.state, b.state], [["PUBLISH a"], "pending", "pending"]);
  it.writable(1);
  assertEquals([it.take(), a.state, b.state], [["PUBLISH b"], "settled", "pending"]);
  it.session.linkLost(undefined);
  assertEquals(b.state, "settled");
});

Deno.test("Session.publish() exceeds the write buffer by bytes as they are written, properties too", () => {
  using it = new Recorder();
  it.connect5();
  it.room = 1;
  const properties = { userProperties: [["k", "v".repeat(32 * 1024)]] as [string, string][] };
  const packet = () => ({ ...publishPacket("t", 0, ""), properties });
  for (let i = 0; i < 20; i++) it.publishUntil(undefined, packet());
  assertEquals([it.take().length, it.session.queuedPublishes], [9, 11]);
});

Deno.test("Session.publish() queues QoS 1 and 2 while the write buffer is full, and QoS 0 behind them", () => {
  using it = new Recorder();
  it.connect();
  it.room = 1;
  const outcomes = [0, 0, 1, 2, 0].map((qos, i) => it.publish(`${i}`, qos as QoS).outcome);
  assertEquals(it.take(), ["PUBLISH 0", "PUBLISH 1"]);
  assertEquals(outcomes.map(({ state }) => state), ["settled", "settled", "pending", "pending", "pending"]);
  assertEquals([it.session.publishesSettled, it.session.queuedPublishes], [false, 3]);
  it.writable(1);
  assertEquals(it.take(), ["PUBLISH(1) 2 QoS 1"]);
  it.writable(1);
  assertEquals([it.take(), outcomes[4].state], [["PUBLISH(2) 3 QoS 2"], "pending"]);
  it.writable();
  assertEquals([it.take(), outcomes[4].state], [["PUBLISH 4"], "settled"]);
  it.receive(puback(1));
  it.receive(pubrec(2));
  it.receive(pubcomp(2));
  assertEquals([it.session.publishesSettled, outcomes.every(({ state }) => state === "settled")], [true, true]);
  it.take();
});

Deno.test("Session.receive() sends PUBREL though the write buffer is full", () => {
  using it = new Recorder();
  it.connect();
  it.publish("a", 2);
  it.room = 1;
  it.publish("b", 0);
  it.take();
  it.receive(pubrec(1));
  assertEquals(it.take(), ["PUBREL(1)"]);
});

Deno.test("Session.linkLost() leaves the QoS 0 in the queue that was not sent", () => {
  using it = new Recorder();
  it.connect();
  it.room = 1;
  it.publish("a");
  it.publish("a", 0, new Uint8Array(LARGEST_EXCESS));
  const behind = it.publish("b", 0).outcome;
  it.take();
  it.lose();
  assertEquals(behind.state, "pending");
  it.connect();
  assertEquals([it.take(), behind.state], [["PUBLISH b"], "settled"]);
});

// Without a connection.

Deno.test("Session.publish() queues what comes before the connection and while it is down, and keeps the order", () => {
  using it = new Recorder();
  const outcomes = [0, 1, 2, 0].map((qos, i) => it.publish(`${i}`, qos as QoS).outcome);
  assertEquals([it.take(), it.session.queuedPublishes], [[], 4]);
  it.connect();
  assertEquals(it.take(), ["PUBLISH 0", "PUBLISH(1) 1 QoS 1", "PUBLISH(2) 2 QoS 2", "PUBLISH 3"]);
  assertEquals(outcomes.map(({ state }) => state), ["settled", "pending", "pending", "settled"]);
  it.lose();
  it.publish("4", 1);
  it.connect(true);
  assertEquals(it.take(), ["PUBLISH(1) 1 QoS 1 dup", "PUBLISH(2) 2 QoS 2 dup", "PUBLISH(3) 4 QoS 1"]);
});

Deno.test("Session.publish() refuses QoS 0 without a connection when queue_qos_0 is off", () => {
  using it = new Recorder({ queueQos0: false });
  const error = assertThrows(() => it.publish("a/b", 0), ClientError, `Cannot publish to "a/b": not connected`);
  assertStringIncludes(error.message, "queue_qos_0");
  it.publish("c", 1);
  it.connect();
  it.publish("d", 0);
  assertEquals(it.take(), ["PUBLISH(1) c QoS 1", "PUBLISH d"]);
});

Deno.test("Session.publish() refuses what is over max_queued_publishes", () => {
  using it = new Recorder({ maxQueuedPublishes: 2 });
  it.publish("a", 1);
  const { flow } = it.publish("b", 1);
  const error = assertThrows(() => it.publish("c/d", 1), ClientError, `Cannot publish to "c/d": not connected`);
  assertStringIncludes(error.message, "max_queued_publishes");
  it.session.cancel(flow);
  it.publish("e", 1);
  assertThrows(() => it.publish("f", 1), ClientError);
  it.connect();
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1", "PUBLISH(2) e QoS 1"]);
});

Deno.test("Session.publish() refuses what is over max_queued_bytes, topic and payload", () => {
  using it = new Recorder({ maxQueuedBytes: 100 });
  it.publish("t".repeat(10), 1, new Uint8Array(50));
  it.publish("t".repeat(10), 0, new Uint8Array(30));
  assertThrows(() => it.publish("a", 1, ""), ClientError, "max_queued_bytes");
  it.connect();
  it.publish("a", 1, new Uint8Array(1000));
  it.take();
  it.lose();
  it.publish("t".repeat(10), 1, new Uint8Array(90));
  assertThrows(() => it.publish("a", 1, ""), ClientError);
});

Deno.test("Session.publish() lets what finds the queue full wait, with queue_full: wait", () => {
  using it = new Recorder({ maxQueuedPublishes: 2, maxQueuedBytes: 100, queueFull: "wait" });
  const outcomes = Array.from({ length: 10 }, (_, i) => it.publish(`${i}`, 1, new Uint8Array(50)).outcome);
  assert(outcomes.every(({ state }) => state === "pending"));
  it.connect();
  assertEquals(it.take(), Array.from({ length: 10 }, (_, i) => `PUBLISH(${i + 1}) ${i} QoS 1`));
});

Deno.test("Session.publish() drops the oldest when the queue is full, with queue_full: drop_oldest", () => {
  using it = new Recorder({ maxQueuedPublishes: 3, maxQueuedBytes: 100, queueFull: "drop_oldest" });
  const outcomes = ["a", "b", "c", "d"].map((topic) => it.publish(topic, 1, new Uint8Array(20)).outcome);
  assertEquals(outcomes.map(({ state }) => state), ["failed", "pending", "pending", "pending"]);
  assertInstanceOf(outcomes[0].error, ClientError);
  assertStringIncludes(outcomes[0].message, `Dropped the publish to "a"`);
  const large = it.publish("large", 1, new Uint8Array(70)).outcome;
  assertEquals(outcomes.map(({ state }) => state), ["failed", "failed", "failed", "pending"]);
  assertEquals(it.session.queuedPublishes, 2);
  it.connect();
  assertEquals(it.take(), ["PUBLISH(1) d QoS 1", "PUBLISH(2) large QoS 1"]);
  assertEquals(large.state, "pending");
});

Deno.test("Session.publish() refuses what is larger than the whole queue, whatever queue_full says, and drops nothing for it", () => {
  for (const queueFull of ["reject", "wait", "drop_oldest"] as const) {
    using it = new Recorder({ maxQueuedBytes: 100, queueFull });
    const { outcome } = it.publish("a", 1);
    assertThrows(() => it.publish("a", 1, new Uint8Array(100)), ClientError);
    assertEquals(outcome.state, "pending");
  }
});

Deno.test("Session.publish() drops the oldest that is left when others were cancelled", () => {
  using it = new Recorder({ maxQueuedPublishes: 2, queueFull: "drop_oldest" });
  const [a, b] = [it.publish("a", 1), it.publish("b", 1)];
  it.session.cancel(a.flow);
  const [c, d] = [it.publish("c", 1), it.publish("d", 1)];
  assertEquals([a, b, c, d].map(({ outcome }) => outcome.state), ["pending", "failed", "pending", "pending"]);
  it.connect();
  assertEquals(it.take(), ["PUBLISH(1) c QoS 1", "PUBLISH(2) d QoS 1"]);
});

Deno.test("Session.publish() does not count what was sent before the loss among what is queued", () => {
  using it = new Recorder({ maxQueuedPublishes: 1 });
  it.connect();
  for (let i = 0; i < 5; i++) it.publish("a", 1);
  it.lose();
  it.publish("b", 1);
  assertThrows(() => it.publish("c", 1), ClientError);
  assertEquals([it.session.inFlight, it.session.queuedPublishes], [5, 1]);
});

// Cancelling.

Deno.test("Session.cancel() takes a publish that waits out of the queue", () => {
  using it = new Recorder({ maxInflight: 1 });
  it.connect();
  it.publish("a", 1);
  const [b, c] = [it.publish("b", 1), it.publish("c", 0)];
  it.session.cancel(b.flow);
  assertEquals(it.session.queuedPublishes, 1);
  it.receive(puback(1));
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1", "PUBLISH c"]);
  assertEquals([b.outcome.state, c.outcome.state, it.session.publishesSettled], ["pending", "settled", true]);
});

Deno.test("Session.cancel() lets a publish that was sent go on without anybody waiting", () => {
  using it = new Recorder();
  it.connect();
  const [a, b] = [it.publish("a", 1), it.publish("b", 2)];
  it.session.cancel(a.flow);
  it.session.cancel(b.flow);
  it.reconnect(true);
  it.receive(puback(1));
  it.receive(pubrec(2));
  it.receive(pubcomp(2));
  assertEquals([a.outcome.state, b.outcome.state, it.session.inFlight], ["pending", "pending", 0]);
});

Deno.test("Session.cancel() twice, or after the end of a publish, changes nothing", () => {
  using it = new Recorder();
  const [a, b] = [it.publish("a", 1), it.publish("b", 1)];
  it.session.cancel(a.flow);
  it.session.cancel(a.flow);
  assertEquals(it.session.queuedPublishes, 1);
  it.connect();
  it.receive(puback(1));
  it.session.cancel(b.flow);
  assertEquals([b.outcome.state, it.session.queuedPublishes, it.session.inFlight], ["settled", 0, 0]);
});

Deno.test("Session.cancel() of very many publishes leaves nothing of them behind", () => {
  using it = new Recorder({ maxQueuedPublishes: 10, maxQueuedBytes: 1_000_000 }, { light: true });
  const kept = it.publish("kept", 1).outcome;
  const before = heldBytes();
  for (let i = 0; i < 100_000; i++) it.session.cancel(it.publish("a", 1, new Uint8Array(10_000)).flow);
  assertLess(heldBytes() - before, 100 * 10_000);
  assertEquals(it.session.queuedPublishes, 1);
  const last = it.publish("last", 1).outcome;
  it.connect();
  assertEquals(it.take(), ["PUBLISH(1) kept QoS 1", "PUBLISH(2) last QoS 1"]);
  assertEquals([kept.state, last.state], ["pending", "pending"]);
});

// The publish that kills the link.

/**
 * Connects again and again to a broker that closes the connection when it reads a publish to `deadly`. Its answers to the
 * packets that it read in one go with that one arrive, or are lost with the connection. Gives what was sent.
 */
function reconnectUntilQuiet(it: Recorder, sessionPresent: boolean, answersArrive: boolean): string[] {
  const log: string[] = [];
  for (let round = 0; round < 100; round++) {
    for (let batch = it.takePackets(); batch.length > 0; batch = it.takePackets()) {
      log.push(...batch.map(describe));
      const deadly = batch.findIndex((packet) => packet.type === "PUBLISH" && packet.topic === "deadly");
      const read = deadly < 0 ? batch : answersArrive ? batch.slice(0, deadly) : [];
      for (const packet of read) answer(it, packet);
      if (deadly < 0) continue;
      log.push(...it.take());
      it.lose();
      break;
    }
    if (it.session.publishesSettled) return log;
    it.lose();
    it.connect(sessionPresent);
  }
  throw new Error(`still busy: ${log.slice(0, 50).join(", ")}`);
}

/** Answers a packet as a broker does. */
function answer(it: Recorder, packet: Packet): void {
  if (packet.type === "PUBLISH" && packet.qos === 1) it.receive(puback(packet.packetId));
  if (packet.type === "PUBLISH" && packet.qos === 2) it.receive(pubrec(packet.packetId));
  if (packet.type === "PUBREL") it.receive(pubcomp(packet.packetId));
}

for (const sessionPresent of [true, false]) {
  for (const answersArrive of [true, false]) {
    for (const maxPublishAttempts of [2, 3, 10]) {
      const session = sessionPresent ? "kept" : "lost", answers = answersArrive ? "arrive" : "are lost";
      Deno.test(`Session gives up the publish that kills the link after ${maxPublishAttempts} sendings, and only that (session ${session}, answers to others ${answers})`, () => {
        using it = new Recorder({ maxPublishAttempts });
        it.connect();
        const topics: [string, QoS][] = [["a", 1], ["b", 2], ["deadly", 1], ["c", 2], ["d", 1]];
        const outcomes = topics.map(([topic, qos]) => it.publish(topic, qos).outcome);
        const log = reconnectUntilQuiet(it, sessionPresent, answersArrive);
        assertEquals(outcomes.map(({ state }) => state), ["settled", "settled", "failed", "settled", "settled"]);
        assertInstanceOf(outcomes[2].error, ClientError);
        assertStringIncludes(outcomes[2].message, `"deadly" (6 bytes of payload)`);
        assertStringIncludes(outcomes[2].message, `${maxPublishAttempts} sendings`);
        const sendings = log.filter((line) => line.includes("deadly")).length;
        assert(sendings >= maxPublishAttempts, `${sendings} sendings`);
      });
    }
  }
}

Deno.test("Session gives up a publish after exactly max_publish_attempts sendings", () => {
  for (const maxPublishAttempts of [1, 2, 3, 5, 10]) {
    for (const sessionPresent of [true, false]) {
      using it = new Recorder({ maxPublishAttempts });
      it.connect();
      const { outcome } = it.publish("deadly", 2);
      for (let i = 1; i < maxPublishAttempts; i++) {
        it.reconnect(sessionPresent);
        assertEquals(outcome.state, "pending", `${i} sendings`);
      }
      assertEquals(it.take().length, maxPublishAttempts);
      it.lose();
      assertEquals(outcome.state, "failed");
      it.connect(sessionPresent);
      assertEquals([it.take(), it.session.publishesSettled], [[], true]);
    }
  }
});

Deno.test("Session counts the sendings of the others anew when it has given up a publish", () => {
  using it = new Recorder({ maxPublishAttempts: 3 });
  it.connect();
  const [deadly, behind] = [it.publish("deadly", 1).outcome, it.publish("behind", 1).outcome];
  for (let i = 0; i < 3; i++) it.reconnect(true);
  assertEquals([deadly.state, behind.state], ["failed", "pending"]);
  it.reconnect(true);
  assertEquals(behind.state, "pending", "one sending since then");
  it.take();
});

Deno.test("Session knows the identifier of a publish no more that it has given up", () => {
  using it = new Recorder({ maxPublishAttempts: 1 });
  it.connect();
  it.publish("a", 2);
  it.reconnect(true);
  it.take();
  it.receive(pubrec(1));
  it.receive(pubcomp(1));
  it.receive(puback(1));
  assertEquals([it.take(), it.session.inFlight], [["PUBREL(1)"], 0]);
});

Deno.test("Session does not count an attempt to connect that fails as a sending", () => {
  using it = new Recorder({ maxPublishAttempts: 2 });
  it.connect();
  const { outcome } = it.publish("a", 1);
  it.lose();
  for (let i = 0; i < 10; i++) it.lose();
  it.connect(true);
  assertEquals([it.take(), outcome.state], [["PUBLISH(1) a QoS 1", "PUBLISH(1) a QoS 1 dup"], "pending"]);
});

Deno.test("Session counts the sendings anew after the broker has acknowledged anything", () => {
  using it = new Recorder({ maxPublishAttempts: 3 });
  it.connect();
  const { outcome } = it.publish("slow", 1);
  for (let i = 0; i < 20; i++) {
    it.publish("quick", 1);
    const quick = it.takePackets().findLast((packet) => packet.type === "PUBLISH" && packet.topic === "quick");
    if (quick?.type === "PUBLISH") it.receive(puback(quick.packetId));
    it.reconnect(true);
  }
  assertEquals(outcome.state, "pending");
});

Deno.test("Session sends only the oldest publish after five sendings in vain, and all when that is acknowledged", () => {
  using it = new Recorder();
  it.connect();
  for (const topic of ["a", "b", "c"]) it.publish(topic, 1);
  for (let i = 1; i < 5; i++) it.reconnect(true);
  assertEquals(it.take().length, 15);
  it.reconnect(true);
  it.publish("d", 1);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1 dup"]);
  it.receive(puback(1));
  assertEquals(it.take(), ["PUBLISH(2) b QoS 1 dup", "PUBLISH(3) c QoS 1 dup", "PUBLISH(4) d QoS 1"]);
});

Deno.test("Outcome of a publish is told once, however the flow ends", () => {
  using it = new Recorder();
  it.connect();
  const { outcome } = it.publish("a", 1);
  it.receive(puback(1));
  it.receive(puback(1));
  it.session.end(new Error("the end"));
  assertEquals(outcome.state, "settled");
});

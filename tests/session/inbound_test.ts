import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/errors.ts";
import type { QoS } from "../../src/packets.ts";
import { acknowledgement, publishPacket, Recorder } from "./recorder.ts";

/** Lets the broker send a message whose payload is its topic. */
function arrive(it: Recorder, topic: string, qos: QoS, packetId = 0, dup = false): void {
  it.receive(publishPacket(topic, qos, topic, { packetId, dup }));
}

const pubrel = (packetId: number) => acknowledgement("PUBREL", packetId);

// The flows (§4.3).

Deno.test("Session.receive() delivers QoS 0 and answers nothing [MQTT-4.3.1-1]", () => {
  using it = new Recorder();
  it.connect();
  arrive(it, "a", 0);
  assertEquals([it.takeDelivered(), it.take()], [["a"], []]);
});

Deno.test("Session.receive() delivers QoS 1 and answers PUBACK [MQTT-4.3.2-2]", () => {
  using it = new Recorder();
  it.connect();
  arrive(it, "a", 1, 7);
  assertEquals([it.takeDelivered(), it.take()], [["a"], ["PUBACK(7)"]]);
});

Deno.test("Session.receive() delivers every PUBLISH of QoS 1, repeats and equal identifiers too", () => {
  using it = new Recorder();
  it.connect();
  arrive(it, "a", 1, 7);
  arrive(it, "a", 1, 7, true);
  arrive(it, "b", 1, 7);
  assertEquals([it.takeDelivered(), it.take()], [["a", "a", "b"], ["PUBACK(7)", "PUBACK(7)", "PUBACK(7)"]]);
});

Deno.test("Session.receive() delivers QoS 2 on PUBLISH, answers PUBREC, and PUBREL with PUBCOMP [MQTT-4.3.3-2]", () => {
  using it = new Recorder();
  it.connect();
  arrive(it, "a", 2, 7);
  assertEquals([it.takeDelivered(), it.take()], [["a"], ["PUBREC(7)"]]);
  it.receive(pubrel(7));
  assertEquals([it.takeDelivered(), it.take()], [[], ["PUBCOMP(7)"]]);
});

Deno.test("Session.receive() delivers QoS 2 once, and answers each repeat before PUBREL", () => {
  using it = new Recorder();
  it.connect();
  arrive(it, "a", 2, 7);
  arrive(it, "a", 2, 7, true);
  arrive(it, "a", 2, 7, true);
  assertEquals([it.takeDelivered(), it.take()], [["a"], ["PUBREC(7)", "PUBREC(7)", "PUBREC(7)"]]);
});

Deno.test("Session.receive() delivers another message of QoS 2 with the identifier that PUBREL has freed", () => {
  using it = new Recorder();
  it.connect();
  for (const topic of ["a", "b"]) {
    arrive(it, topic, 2, 7);
    it.receive(pubrel(7));
  }
  assertEquals([it.takeDelivered(), it.take()], [["a", "b"], ["PUBREC(7)", "PUBCOMP(7)", "PUBREC(7)", "PUBCOMP(7)"]]);
});

Deno.test("Session.receive() keeps QoS 2 messages of several identifiers apart", () => {
  using it = new Recorder();
  it.connect();
  arrive(it, "a", 2, 1);
  arrive(it, "b", 2, 2);
  it.receive(pubrel(2));
  arrive(it, "c", 2, 2);
  arrive(it, "a", 2, 1, true);
  assertEquals(it.takeDelivered(), ["a", "b", "c"]);
  assertEquals(it.take(), ["PUBREC(1)", "PUBREC(2)", "PUBCOMP(2)", "PUBREC(2)", "PUBREC(1)"]);
});

Deno.test("Session.receive() answers PUBREL for an unknown identifier with PUBCOMP", () => {
  using it = new Recorder();
  it.connect();
  it.receive(pubrel(9));
  it.receive(pubrel(9));
  assertEquals(it.takePackets(), [acknowledgement("PUBCOMP", 9, 0x92), acknowledgement("PUBCOMP", 9, 0x92)]);
});

Deno.test("Session.receive() takes identifiers of the broker's that the client uses too", () => {
  using it = new Recorder();
  it.connect();
  const { outcome } = it.publish("mine", 2);
  arrive(it, "theirs", 2, 1);
  it.receive(acknowledgement("PUBREC", 1));
  it.receive(pubrel(1));
  it.receive(acknowledgement("PUBCOMP", 1));
  assertEquals(it.take(), ["PUBLISH(1) mine QoS 2", "PUBREC(1)", "PUBREL(1)", "PUBCOMP(1)"]);
  assertEquals([outcome.state, it.takeDelivered()], ["settled", ["theirs"]]);
});

Deno.test("Session.receive() sends nothing behind the DISCONNECT of an application that disconnects on a message", () => {
  for (const qos of [0, 1, 2] as const) {
    using it = new Recorder();
    it.connect();
    it.onDeliver = () => it.session.disconnect(0, {});
    arrive(it, "a", qos, 7);
    assertEquals(it.take().at(-1), "DISCONNECT");
  }
});

Deno.test("Session.receive() fills in the packets of a message's flow as it goes on", () => {
  using it = new Recorder();
  it.connect();
  const publish = publishPacket("a", 2, "a", { packetId: 7 });
  it.receive(publish);
  arrive(it, "b", 1, 8);
  const [a, b] = it.delivered;
  assertStrictEquals(a.publishPacket, publish);
  assertEquals([a.pubrecPacket, a.pubrelPacket, a.pubcompPacket], [acknowledgement("PUBREC", 7), undefined, undefined]);
  assertEquals(b.pubackPacket, acknowledgement("PUBACK", 8));
  const release = pubrel(7);
  it.receive(release);
  assertStrictEquals(a.pubrelPacket, release);
  assertEquals([a.pubcompPacket, a.pubackPacket], [acknowledgement("PUBCOMP", 7), undefined]);
  assertEquals(it.take(), ["PUBREC(7)", "PUBACK(8)", "PUBCOMP(7)"]);
});

Deno.test("ApplicationMessage.ack() does nothing with manual_ack off", () => {
  using it = new Recorder();
  it.connect();
  arrive(it, "a", 1, 7);
  arrive(it, "b", 2, 8);
  it.take();
  for (const message of it.delivered) message.ack();
  assertEquals(it.take(), []);
});

// Over the loss of the link.

Deno.test("Session remembers a QoS 2 message over the loss of the link while the session is kept", () => {
  using it = new Recorder();
  it.connect();
  arrive(it, "a", 2, 7);
  it.take();
  it.reconnect(true);
  arrive(it, "a", 2, 7, true);
  it.reconnect(true);
  it.receive(pubrel(7));
  assertEquals([it.takeDelivered(), it.take()], [["a"], ["PUBREC(7)", "PUBCOMP(7)"]]);
});

Deno.test("Session forgets the QoS 2 messages of a session that the broker has lost", () => {
  using it = new Recorder();
  it.connect();
  arrive(it, "a", 2, 7);
  it.reconnect(false);
  it.take();
  arrive(it, "b", 2, 7);
  assertEquals([it.takeDelivered(), it.take()], [["a", "b"], ["PUBREC(7)"]]);
});

Deno.test("Session forgets the QoS 2 messages of a session that the broker has no more, and of no other", () => {
  for (const sessionPresent of [true, false]) {
    using it = new Recorder();
    it.connect();
    arrive(it, "a", 2, 7);
    it.lose();
    it.connect(sessionPresent);
    arrive(it, "a", 2, 7, true);
    assertEquals(it.takeDelivered(), sessionPresent ? ["a"] : ["a", "a"]);
  }
});

// Acknowledgement by the application (§4.6).

Deno.test("ApplicationMessage.ack() sends PUBACK or PUBREC with manual_ack on, and nothing is sent before", () => {
  using it = new Recorder({ manualAck: true });
  it.connect();
  arrive(it, "a", 1, 7);
  arrive(it, "b", 2, 8);
  arrive(it, "c", 0);
  assertEquals([it.delivered.map(({ topic }) => topic), it.take()], [["a", "b", "c"], []]);
  for (const message of it.delivered) message.ack();
  assertEquals(it.take(), ["PUBACK(7)", "PUBREC(8)"]);
  for (const message of it.delivered) message.ack();
  assertEquals(it.take(), [], "the second time");
  it.receive(pubrel(8));
  assertEquals(it.take(), ["PUBCOMP(8)"]);
});

Deno.test("ApplicationMessage.ack() can be called while the message is delivered", () => {
  using it = new Recorder({ manualAck: true });
  it.connect();
  it.onDeliver = (message) => message.ack();
  arrive(it, "a", 1, 7);
  arrive(it, "b", 2, 8);
  assertEquals(it.take(), ["PUBACK(7)", "PUBREC(8)"]);
});

for (const qos of [1, 2] as const) {
  const type = qos === 1 ? "PUBACK" : "PUBREC";
  Deno.test(`ApplicationMessage.ack() sends ${type} in the order of arrival, whatever the order of the calls [MQTT-4.6.0-${qos + 1}]`, () => {
    for (const order of [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 0, 1, 3], [0, 3, 1, 2]]) {
      using it = new Recorder({ manualAck: true });
      it.connect();
      for (const packetId of [10, 11, 12, 13]) arrive(it, "a", qos, packetId);
      const messages = [...it.delivered],
        acknowledged = new Set<number>(),
        expected: string[] = [],
        sent: string[] = [];
      let next = 0;
      for (const i of order) {
        messages[i].ack();
        acknowledged.add(i);
        while (acknowledged.has(next)) expected.push(`${type}(${10 + next++})`);
        sent.push(...it.take());
        assertEquals(sent, expected, `calls in the order ${order}`);
      }
    }
  });
}

Deno.test("ApplicationMessage.ack() of one QoS does not wait for the other", () => {
  using it = new Recorder({ manualAck: true });
  it.connect();
  arrive(it, "a", 1, 1);
  arrive(it, "b", 2, 2);
  arrive(it, "c", 1, 3);
  const [a, b, c] = it.delivered;
  b.ack();
  assertEquals(it.take(), ["PUBREC(2)"]);
  c.ack();
  assertEquals(it.take(), []);
  a.ack();
  assertEquals(it.take(), ["PUBACK(1)", "PUBACK(3)"]);
});

Deno.test("Session.receive() neither delivers nor answers a repeat of what the application has not acknowledged", () => {
  using it = new Recorder({ manualAck: true });
  it.connect();
  arrive(it, "a", 2, 7);
  arrive(it, "a", 2, 7, true);
  assertEquals([it.delivered.length, it.take()], [1, []]);
  it.delivered[0].ack();
  assertEquals(it.take(), ["PUBREC(7)"]);
  arrive(it, "a", 2, 7, true);
  assertEquals([it.delivered.length, it.take()], [1, ["PUBREC(7)"]]);
});

Deno.test("ApplicationMessage.ack() sends nothing on another connection than that of the message", () => {
  for (const sessionPresent of [true, false]) {
    using it = new Recorder({ manualAck: true });
    it.connect();
    arrive(it, "a", 1, 1);
    arrive(it, "b", 2, 2);
    const stale = [...it.delivered];
    it.lose();
    for (const message of stale) message.ack();
    it.connect(sessionPresent);
    for (const message of stale) message.ack();
    assertEquals(it.take(), []);
    arrive(it, "c", 1, 1);
    arrive(it, "d", 2, 2);
    for (const message of stale) message.ack();
    assertEquals(it.take(), [], "the identifiers are used again");
  }
});

Deno.test("Session.receive() delivers again what was not acknowledged before the loss, to be acknowledged", () => {
  using it = new Recorder({ manualAck: true });
  it.connect();
  arrive(it, "a", 1, 1);
  arrive(it, "b", 2, 2);
  arrive(it, "c", 2, 3);
  const stale = [...it.delivered];
  stale[1].ack();
  assertEquals(it.take(), ["PUBREC(2)"]);
  it.reconnect(true);
  arrive(it, "a", 1, 1, true);
  arrive(it, "b", 2, 2, true);
  arrive(it, "c", 2, 3, true);
  const again = it.delivered.slice(3);
  assertEquals(again.map(({ topic, dup }) => `${topic} ${dup}`), ["a true", "c true"], "b was acknowledged");
  assertEquals(it.take(), ["PUBREC(2)"]);
  for (const message of stale) message.ack();
  assertEquals(it.take(), []);
  for (const message of again) message.ack();
  assertEquals(it.take(), ["PUBACK(1)", "PUBREC(3)"]);
});

Deno.test("Session.receive() delivers again what was acknowledged behind something that was not", () => {
  using it = new Recorder({ manualAck: true });
  it.connect();
  arrive(it, "a", 2, 1);
  arrive(it, "b", 2, 2);
  it.delivered[1].ack(); // waits for a
  it.reconnect(true);
  arrive(it, "a", 2, 1, true);
  arrive(it, "b", 2, 2, true);
  assertEquals(it.takeDelivered(), ["a", "b", "a", "b"]);
  assertEquals(it.take(), []);
});

Deno.test("ApplicationMessage.ack() after PUBREL has come all the same sends PUBREC, which harms nothing", () => {
  using it = new Recorder({ manualAck: true });
  it.connect();
  arrive(it, "a", 2, 1);
  it.receive(pubrel(1));
  it.delivered[0].ack();
  arrive(it, "b", 2, 1);
  assertEquals([it.takeDelivered(), it.take()], [["a", "b"], ["PUBCOMP(1)", "PUBREC(1)"]]);
});

// Receive Maximum (MQTT 5.0, §3.3.4).

for (const qos of [1, 2] as const) {
  Deno.test(`Session.receive() refuses more of QoS ${qos} than receive_maximum that are not acknowledged (0x93) [MQTT5-3.3.4-9]`, () => {
    using it = new Recorder({ manualAck: true });
    it.connect5({}, { connect: { receiveMaximum: 2 } });
    for (let packetId = 1; packetId <= 4; packetId++) {
      arrive(it, "a", qos, packetId);
      arrive(it, "b", 0);
      if (packetId === 1) continue; // so that one stays
      it.delivered.find((message) => message.packetId === packetId - 1)?.ack();
      if (qos === 2) it.receive(pubrel(packetId - 1));
    }
    arrive(it, "a", qos, 5);
    const error = assertThrows(() => arrive(it, "a", qos, 6), ProtocolError, "more than 2 messages");
    assertEquals([error.reasonCode, it.delivered.length], [0x93, 9]);
    it.take();
  });
}

Deno.test("Session.receive() counts QoS 1 and 2 together, and QoS 2 until PUBCOMP", () => {
  using it = new Recorder({ manualAck: true });
  it.connect5({}, { connect: { receiveMaximum: 2 } });
  arrive(it, "a", 1, 1);
  arrive(it, "b", 2, 2);
  it.delivered[1].ack();
  assertEquals(it.take(), ["PUBREC(2)"]);
  assertThrows(() => arrive(it, "c", 1, 3), ProtocolError, "more than 2 messages");
  it.lose();
  it.connect5({}, { sessionPresent: true, connect: { receiveMaximum: 2 } });
  it.receive(pubrel(2));
  arrive(it, "a", 1, 1, true);
  arrive(it, "c", 1, 3);
  assertEquals([it.delivered.length, it.take()], [4, ["PUBCOMP(2)"]]);
});

Deno.test("Session.receive() counts a QoS 2 message until PUBREL with manual_ack off too", () => {
  using it = new Recorder();
  it.connect5({}, { connect: { receiveMaximum: 1 } });
  for (let packetId = 1; packetId <= 3; packetId++) {
    arrive(it, "a", 1, packetId);
    arrive(it, "b", 2, packetId);
    arrive(it, "b", 2, packetId, true);
    it.receive(pubrel(packetId));
  }
  arrive(it, "b", 2, 9);
  const error = assertThrows(() => arrive(it, "a", 1, 10), ProtocolError, "more than 1 message");
  assertEquals([error.reasonCode, it.delivered.length], [0x93, 7]);
  it.take();
});

Deno.test("Session.receive() counts anew on each connection, on which the broker sends again what it may", () => {
  for (const sessionPresent of [true, false]) {
    using it = new Recorder({ manualAck: true });
    const connect = { receiveMaximum: 2 };
    it.connect5({}, { connect });
    arrive(it, "a", 1, 1);
    arrive(it, "b", 2, 2);
    for (let i = 0; i < 3; i++) {
      it.lose();
      it.connect5({}, { sessionPresent, connect });
      arrive(it, "a", 1, 1, true);
      arrive(it, "b", 2, 2, true);
    }
    assertEquals(it.delivered.length, 8);
    const [a, b] = it.delivered.slice(-2);
    a.ack();
    b.ack();
    it.receive(pubrel(2));
    assertEquals(it.take(), ["PUBACK(1)", "PUBREC(2)", "PUBCOMP(2)"]);
    arrive(it, "c", 1, 3);
    arrive(it, "d", 1, 4);
    assertThrows(() => arrive(it, "e", 1, 5), ProtocolError);
  }
});

Deno.test("Session.receive() does not count what it has answered with PUBREC on an earlier connection", () => {
  using it = new Recorder();
  const connect = { receiveMaximum: 1 };
  it.connect5({}, { connect });
  arrive(it, "a", 2, 1);
  it.lose();
  it.connect5({}, { sessionPresent: true, connect });
  arrive(it, "b", 2, 2);
  it.receive(pubrel(1));
  it.receive(pubrel(2));
  assertEquals([it.takeDelivered(), it.take().at(-1)], [["a", "b"], "PUBCOMP(2)"]);
});

Deno.test("Session.receive() lets the broker have any number unacknowledged where receive_maximum says nothing", () => {
  using it = new Recorder({ manualAck: true });
  it.connect5();
  for (let packetId = 1; packetId <= 1000; packetId++) arrive(it, "a", packetId % 2 === 0 ? 1 : 2, packetId);
  assertEquals([it.delivered.length, it.take()], [1000, []]);
});

Deno.test("ApplicationMessage.ack() sends PUBACK for QoS 1, and nothing for QoS 0", () => {
  using it = new Recorder({ manualAck: true });
  it.connect();
  arrive(it, "a", 1, 7);
  arrive(it, "b", 0);
  for (const message of it.delivered) message.ack();
  assertEquals(it.take(), ["PUBACK(7)"]);
});

Deno.test("ApplicationMessage.ack() costs the same for the last of 100,000 as for the first", () => {
  using it = new Recorder({ manualAck: true }, { light: true });
  it.connect();
  for (let i = 0; i < 100_000; i++) arrive(it, "a", 1, 1 + i % 65_535);
  for (const message of it.delivered.toReversed()) message.ack();
  assertEquals(it.take().length, 100_000);
});

Deno.test("Session.receive() delivers messages without the automatic identifiers that they come with, at every QoS", () => {
  using it = new Recorder();
  it.connect5();
  it.subscribe("a");
  for (const qos of [0, 1, 2] as const) {
    const packet = publishPacket("a", qos, "a", { packetId: qos });
    it.receive({ ...packet, properties: { subscriptionIdentifiers: [1] } });
    it.receive({ ...packet, packetId: 3 + qos, properties: { subscriptionIdentifiers: [9, 1] } });
  }
  assertEquals(
    it.delivered.map(({ properties }) => properties.subscriptionIdentifiers),
    [undefined, [9], undefined, [9], undefined, [9]],
  );
  assertEquals(it.identifiers, [[1], [9, 1], [1], [9, 1], [1], [9, 1]]);
});

// The loss of the link at every point of a flow, in both directions, and what the next connections see.

import { assertEquals } from "@std/assert";
import type { Packet, QoS } from "../../src/packets.ts";
import { acknowledgement, publishPacket, Recorder } from "./recorder.ts";

const name = (sessionPresent: boolean) => sessionPresent ? "kept" : "lost";

// To the broker.

type OutboundPoint = "the call" | "PUBLISH" | "PUBACK" | "PUBREC" | "PUBCOMP";

const NEW_1 = "PUBLISH(1) a QoS 1", AGAIN_1 = "PUBLISH(1) a QoS 1 dup";
const NEW_2 = "PUBLISH(1) a QoS 2", AGAIN_2 = "PUBLISH(1) a QoS 2 dup";
const PUBREL = "PUBREL(1)";

interface OutboundCase {
  qos: 1 | 2;
  cutAfter: OutboundPoint;
  /** What became of the session on each connection after the cut, and what is sent there. */
  then: [sessionPresent: boolean, sent: string | undefined][];
}

const outbound: OutboundCase[] = [
  { qos: 1, cutAfter: "the call", then: [[true, NEW_1], [true, AGAIN_1]] },
  { qos: 1, cutAfter: "the call", then: [[true, NEW_1], [false, NEW_1]] },
  { qos: 1, cutAfter: "the call", then: [[false, NEW_1], [true, AGAIN_1]] },
  { qos: 1, cutAfter: "the call", then: [[false, NEW_1], [false, NEW_1]] },
  { qos: 1, cutAfter: "PUBLISH", then: [[true, AGAIN_1], [true, AGAIN_1]] },
  { qos: 1, cutAfter: "PUBLISH", then: [[true, AGAIN_1], [false, NEW_1]] },
  { qos: 1, cutAfter: "PUBLISH", then: [[false, NEW_1], [true, AGAIN_1]] },
  { qos: 1, cutAfter: "PUBLISH", then: [[false, NEW_1], [false, NEW_1]] },
  { qos: 1, cutAfter: "PUBACK", then: [[true, undefined], [true, undefined]] },
  { qos: 1, cutAfter: "PUBACK", then: [[false, undefined], [false, undefined]] },
  { qos: 2, cutAfter: "the call", then: [[true, NEW_2], [true, AGAIN_2]] },
  { qos: 2, cutAfter: "the call", then: [[true, NEW_2], [false, NEW_2]] },
  { qos: 2, cutAfter: "the call", then: [[false, NEW_2], [true, AGAIN_2]] },
  { qos: 2, cutAfter: "the call", then: [[false, NEW_2], [false, NEW_2]] },
  { qos: 2, cutAfter: "PUBLISH", then: [[true, AGAIN_2], [true, AGAIN_2]] },
  { qos: 2, cutAfter: "PUBLISH", then: [[true, AGAIN_2], [false, NEW_2]] },
  { qos: 2, cutAfter: "PUBLISH", then: [[false, NEW_2], [true, AGAIN_2]] },
  { qos: 2, cutAfter: "PUBLISH", then: [[false, NEW_2], [false, NEW_2]] },
  { qos: 2, cutAfter: "PUBREC", then: [[true, PUBREL], [true, PUBREL]] },
  { qos: 2, cutAfter: "PUBREC", then: [[true, PUBREL], [false, NEW_2]] },
  { qos: 2, cutAfter: "PUBREC", then: [[false, NEW_2], [true, AGAIN_2]] },
  { qos: 2, cutAfter: "PUBREC", then: [[false, NEW_2], [false, NEW_2]] },
  { qos: 2, cutAfter: "PUBCOMP", then: [[true, undefined], [true, undefined]] },
  { qos: 2, cutAfter: "PUBCOMP", then: [[false, undefined], [false, undefined]] },
];

for (const { qos, cutAfter, then } of outbound) {
  const sessions = then.map(([sessionPresent]) => name(sessionPresent)).join(", then ");
  Deno.test(`Session completes a publish of QoS ${qos} that was cut off after ${cutAfter}, session ${sessions}`, () => {
    using it = new Recorder();
    it.connect();
    if (cutAfter === "the call") it.lose();
    const { outcome } = it.publish("a", qos);
    if (cutAfter === "PUBACK") it.receive(acknowledgement("PUBACK", 1));
    if (cutAfter === "PUBREC" || cutAfter === "PUBCOMP") it.receive(acknowledgement("PUBREC", 1));
    if (cutAfter === "PUBCOMP") it.receive(acknowledgement("PUBCOMP", 1));
    it.take();
    const done = cutAfter === "PUBACK" || cutAfter === "PUBCOMP";
    assertEquals(outcome.state, done ? "settled" : "pending");

    let last: string | undefined;
    for (const [sessionPresent, sent] of then) {
      it.lose();
      assertEquals(it.session.inFlight, done || last === undefined && cutAfter === "the call" ? 0 : 1);
      it.connect(sessionPresent);
      assertEquals(it.take(), sent === undefined ? [] : [sent]);
      last = sent;
    }

    if (done) return;
    if (qos === 1) it.receive(acknowledgement("PUBACK", 1));
    else {
      if (last !== PUBREL) {
        it.receive(acknowledgement("PUBREC", 1));
        assertEquals(it.take(), [PUBREL]);
      }
      assertEquals(outcome.state, "pending");
      it.receive(acknowledgement("PUBCOMP", 1));
    }
    assertEquals([outcome.state, it.session.inFlight, it.take()], ["settled", 0, []]);
    it.reconnect(true);
    it.reconnect(false);
    assertEquals(it.take(), [], "nothing is left of it");
  });
}

// From the broker.

interface InboundCase {
  qos: 1 | 2;
  cutAfter: "PUBLISH" | "PUBREL";
  sessionPresent: boolean;
  /** What the broker goes on with: the same message, the release of it, or another message with its identifier. */
  next: "repeat" | "release" | "another";
  delivered: string[];
  sent: string[];
}

const inbound: InboundCase[] = [
  { qos: 1, cutAfter: "PUBLISH", sessionPresent: true, next: "repeat", delivered: ["a"], sent: ["PUBACK(7)"] },
  { qos: 1, cutAfter: "PUBLISH", sessionPresent: true, next: "another", delivered: ["b"], sent: ["PUBACK(7)"] },
  { qos: 1, cutAfter: "PUBLISH", sessionPresent: false, next: "another", delivered: ["b"], sent: ["PUBACK(7)"] },
  { qos: 2, cutAfter: "PUBLISH", sessionPresent: true, next: "repeat", delivered: [], sent: ["PUBREC(7)"] },
  { qos: 2, cutAfter: "PUBLISH", sessionPresent: true, next: "release", delivered: [], sent: ["PUBCOMP(7)"] },
  { qos: 2, cutAfter: "PUBLISH", sessionPresent: false, next: "release", delivered: [], sent: ["PUBCOMP(7)"] },
  { qos: 2, cutAfter: "PUBLISH", sessionPresent: false, next: "another", delivered: ["b"], sent: ["PUBREC(7)"] },
  { qos: 2, cutAfter: "PUBREL", sessionPresent: true, next: "release", delivered: [], sent: ["PUBCOMP(7)"] },
  { qos: 2, cutAfter: "PUBREL", sessionPresent: true, next: "another", delivered: ["b"], sent: ["PUBREC(7)"] },
  { qos: 2, cutAfter: "PUBREL", sessionPresent: false, next: "another", delivered: ["b"], sent: ["PUBREC(7)"] },
];

for (const { qos, cutAfter, sessionPresent, next, delivered, sent } of inbound) {
  for (const manualAck of [false, true]) {
    const title = `Session goes on with a message of QoS ${qos} after a cut after ${cutAfter}, ` +
      `session ${name(sessionPresent)}, when the broker sends ${next}${
        manualAck ? ", acknowledged by the application" : ""
      }`;
    Deno.test(title, () => {
      using it = new Recorder({ manualAck });
      it.onDeliver = (message) => message.ack();
      it.connect();
      it.receive(publishPacket("a", qos, "a", { packetId: 7 }));
      if (cutAfter === "PUBREL") it.receive(acknowledgement("PUBREL", 7));
      assertEquals(it.takeDelivered(), ["a"]);
      it.take();
      it.reconnect(sessionPresent);
      const packets: Record<InboundCase["next"], Packet> = {
        repeat: publishPacket("a", qos, "a", { packetId: 7, dup: true }),
        release: acknowledgement("PUBREL", 7),
        another: publishPacket("b", qos, "b", { packetId: 7 }),
      };
      it.receive(packets[next]);
      assertEquals([it.takeDelivered(), it.take()], [delivered, sent]);
    });
  }
}

Deno.test("Session delivers again what the application had not acknowledged at the cut, at each QoS, and once more after the next", () => {
  for (const qos of [1, 2] as const) {
    using it = new Recorder({ manualAck: true });
    it.connect();
    const [type, repeat] = [qos === 1 ? "PUBACK" : "PUBREC", publishPacket("a", qos, "a", { packetId: 7, dup: true })];
    it.receive(publishPacket("a", qos, "a", { packetId: 7 }));
    for (let i = 0; i < 3; i++) {
      it.reconnect(true);
      it.receive(repeat);
    }
    assertEquals([it.delivered.length, it.take()], [4, []]);
    for (const message of it.delivered) message.ack();
    assertEquals(it.take(), [`${type}(7)`]);
  }
});

// Many flows.

/** Publishes a to f, and lets the broker answer some, so that every state is there; g waits for the window. */
function busySession(): Recorder {
  const it = new Recorder({ maxInflight: 6 });
  it.connect();
  for (const [topic, qos] of [["a", 2], ["b", 1], ["c", 2], ["d", 2], ["e", 1], ["f", 2]] as [string, QoS][]) {
    it.publish(topic, qos);
  }
  it.publish("g", 0);
  it.publish("h", 1);
  it.publish("i", 0);
  it.receive(acknowledgement("PUBREC", 4));
  it.receive(acknowledgement("PUBREC", 1));
  it.take();
  return it;
}

Deno.test("Session sends PUBREL in the order of PUBREC, then PUBLISH in the first order, then what waited [MQTT-4.6.0-1], [MQTT-4.6.0-4]", () => {
  using it = busySession();
  it.reconnect(true);
  assertEquals(it.take(), [
    "PUBREL(4)",
    "PUBREL(1)",
    "PUBLISH(2) b QoS 1 dup",
    "PUBLISH(3) c QoS 2 dup",
    "PUBLISH(5) e QoS 1 dup",
    "PUBLISH(6) f QoS 2 dup",
  ]);
  it.receive(acknowledgement("PUBCOMP", 4));
  assertEquals(it.take(), ["PUBLISH(7) h QoS 1", "PUBLISH i"]);
});

Deno.test("Session sends everything anew in the first order when the broker has lost the session", () => {
  using it = busySession();
  it.reconnect(false);
  assertEquals(it.take(), [
    "PUBLISH(1) a QoS 2",
    "PUBLISH(2) b QoS 1",
    "PUBLISH(3) c QoS 2",
    "PUBLISH(4) d QoS 2",
    "PUBLISH(5) e QoS 1",
    "PUBLISH(6) f QoS 2",
  ]);
  it.receive(acknowledgement("PUBACK", 2));
  assertEquals(it.take(), ["PUBLISH(7) h QoS 1", "PUBLISH i"]);
});

Deno.test("Session keeps the order over losses in the middle of sending again", () => {
  for (
    const sessions of [[true, true], [true, false], [false, true], [false, false], [false, false, false], [
      false,
      true,
      false,
    ]]
  ) {
    using it = new Recorder();
    it.connect();
    for (const topic of ["a", "b", "c"]) it.publish(topic, 1);
    it.publish("d", 2);
    it.take();
    const sent: string[] = [];
    for (const sessionPresent of sessions) {
      it.lose();
      // The broker takes one publish at a time on this connection, and answers none.
      it.connect(sessionPresent, { connack: { properties: { receiveMaximum: 1 } } });
      sent.push(...it.takePackets().map((packet) => packet.type === "PUBLISH" ? packet.topic : packet.type));
    }
    assertEquals(sent, sessions.map(() => "a"), `${sessions}`);
    it.reconnect(true);
    const order: string[] = [];
    for (let batch = it.takePackets(); batch.length > 0; batch = it.takePackets()) {
      for (const packet of batch) {
        if (packet.type !== "PUBLISH") continue;
        order.push(packet.topic);
        if (packet.qos === 1) it.receive(acknowledgement("PUBACK", packet.packetId));
      }
    }
    assertEquals(order, ["a", "b", "c", "d"], `${sessions}`);
  }
});

Deno.test("Session sends DUP with the identifier that the kept session knows, and neither with a lost one", () => {
  using it = new Recorder();
  it.connect();
  it.publish("x", 1);
  it.receive(acknowledgement("PUBACK", 1));
  it.publish("a", 1);
  it.publish("b", 2);
  it.take();
  it.reconnect(true);
  assertEquals(it.take(), ["PUBLISH(2) a QoS 1 dup", "PUBLISH(3) b QoS 2 dup"]);
  it.receive(acknowledgement("PUBACK", 2));
  it.reconnect(false);
  assertEquals(it.take(), ["PUBLISH(1) b QoS 2"]);
  it.reconnect(true);
  assertEquals(it.take(), ["PUBLISH(1) b QoS 2 dup"]);
});

Deno.test("Session takes no answer for a publish that is not sent on this connection yet", () => {
  using it = new Recorder();
  it.connect();
  const [a, b] = [it.publish("a", 1).outcome, it.publish("b", 2).outcome];
  it.take();
  it.lose();
  it.connect(true, { connack: { properties: { receiveMaximum: 1 } } });
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1 dup"]);
  it.receive(acknowledgement("PUBREC", 2));
  it.receive(acknowledgement("PUBCOMP", 2));
  assertEquals([it.take(), b.state], [[], "pending"]);
  it.receive(acknowledgement("PUBACK", 1));
  assertEquals([it.take(), a.state], [["PUBLISH(2) b QoS 2 dup"], "settled"]);
});

Deno.test("Session sends again in the order of the new session, not of PUBREC in the lost one [MQTT-4.6.0-1]", () => {
  using it = new Recorder();
  it.connect();
  it.publish("a", 2);
  it.publish("b", 1);
  it.receive(acknowledgement("PUBREC", 1));
  it.reconnect(false);
  it.take();
  it.publish("c", 1);
  it.receive(acknowledgement("PUBACK", 3));
  it.reconnect(true);
  assertEquals(it.take(), ["PUBLISH(3) c QoS 1", "PUBLISH(1) a QoS 2 dup", "PUBLISH(2) b QoS 1 dup"]);
});

Deno.test("Session sends all again though all 65,535 identifiers are in use", () => {
  using it = new Recorder({}, { light: true });
  it.connect();
  for (let i = 0; i < 65_535; i++) it.publish("a", 1, "");
  it.take();
  it.reconnect(true);
  const again = it.take();
  assertEquals([again.length, again[0], again.at(-1)], [
    65_535,
    "PUBLISH(1) a QoS 1 dup",
    "PUBLISH(65535) a QoS 1 dup",
  ]);
});

Deno.test("Session gives a message the PUBLISH of its last sending, and forgets the answers of a lost session", () => {
  using it = new Recorder();
  it.connect();
  const { flow } = it.publish("a", 2);
  it.receive(acknowledgement("PUBREC", 1));
  it.reconnect(false);
  assertEquals([flow.packet.dup, flow.pubrecPacket, flow.pubrelPacket], [false, undefined, undefined]);
  it.reconnect(true);
  assertEquals(flow.packet.dup, true);
  it.take();
});

Deno.test("Session asks the broker in the same way on a thousand connections in a row", () => {
  using it = new Recorder({ maxPublishAttempts: 10_000 });
  it.connect();
  const outcomes = [it.publish("a", 1).outcome, it.publish("b", 2).outcome, it.subscribe("c"), it.ping()];
  for (let i = 0; i < 1000; i++) it.reconnect(i % 3 === 0);
  assertEquals([it.session.inFlight, it.session.queuedPublishes], [2, 0]);
  it.take();
  it.reconnect(false);
  assertEquals(it.take(), ["SUBSCRIBE(1) c:0", "PINGREQ", "PUBLISH(2) a QoS 1"]);
  it.receive(acknowledgement("PUBACK", 2));
  assertEquals(it.take(), ["PUBLISH(3) b QoS 2"]);
  assertEquals(outcomes.map(({ state }) => state), ["settled", "pending", "pending", "pending"]);
});

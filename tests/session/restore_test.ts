import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ClientError } from "../../src/errors.ts";
import type { StoredSession } from "../../src/stored_session.ts";
import { acknowledgement, publishPacket, Recorder, suback, unsuback } from "./recorder.ts";
import { publish, subscription } from "../store/changes.ts";

function stored(parts: Partial<StoredSession>): StoredSession {
  return { publishes: [], received: [], subscriptions: [], lastPacketId: 0, ...parts };
}

/** A recorder that notes what a store would be told, and what is sent, in one list. */
function noting(...options: ConstructorParameters<typeof Recorder>): { it: Recorder; take: () => string[] } {
  const it = new Recorder(...options);
  const changes: string[] = it.changes = [];
  return { it, take: () => changes.splice(0) };
}

// What a store is told, and when.

Deno.test("Session tells of a publish before it is sent, and when it is settled", () => {
  const { it, take } = noting();
  it.connect();
  take();
  it.publish("a", 1);
  it.publish("b", 2);
  it.receive(acknowledgement("PUBACK", 1));
  it.receive(acknowledgement("PUBREC", 2));
  it.receive(acknowledgement("PUBCOMP", 2));
  assertEquals(take(), [
    "publish a published 1",
    "-> PUBLISH(1) a QoS 1",
    "publish b published 2",
    "-> PUBLISH(2) b QoS 2",
    "publish a settled 1",
    "publish b released 2",
    "-> PUBREL(2)",
    "publish b settled 2",
  ]);
});

Deno.test("Session tells of publishes that wait, and of those that do not any more", () => {
  const { it, take } = noting({ maxQueuedPublishes: 2, queueFull: "drop_oldest" });
  it.connect();
  it.lose();
  take();
  const { flow } = it.publish("a", 1);
  it.session.cancel(flow);
  it.publish("b");
  it.publish("c", 2);
  it.publish("d", 1);
  it.now = 5;
  it.session.publish(publishPacket("e", 1), 6);
  it.now = 6;
  it.session.tick(6);
  assertEquals(take(), [
    "publish a queued 0",
    "publish a settled 0",
    "publish b queued 0",
    "publish c queued 0",
    "publish b settled 0",
    "publish d queued 0",
    "publish c settled 0",
    "publish e queued 0",
    "publish e settled 0",
  ]);
});

Deno.test("Session tells nothing new of what is sent again, and all when the session is lost", () => {
  const { it, take } = noting();
  it.connect();
  it.publish("a", 1);
  it.publish("b", 2);
  it.receive(acknowledgement("PUBREC", 2));
  take();
  it.reconnect(true);
  assertEquals(take(), ["-> CONNECT", "publish b released 2", "-> PUBREL(2)", "-> PUBLISH(1) a QoS 1 dup"]);
  it.reconnect(false);
  assertEquals(take(), [
    "-> CONNECT",
    "received forgotten",
    "publish a interrupted 0",
    "publish b interrupted 0",
    "publish a published 1",
    "-> PUBLISH(1) a QoS 1",
    "publish b published 2",
    "-> PUBLISH(2) b QoS 2",
  ]);
});

Deno.test("Session tells of a publish that is given up, and of one that the broker rejects", () => {
  const { it, take } = noting({ maxPublishAttempts: 1 });
  it.connect();
  it.publish("a", 1);
  take();
  it.receive(acknowledgement("PUBACK", 1, 0x97));
  it.reconnect(true);
  const { outcome } = it.publish("b", 1);
  it.lose();
  assertEquals(outcome.state, "failed");
  assertEquals(take(), [
    "publish a settled 1",
    "-> CONNECT",
    "publish b published 2",
    "-> PUBLISH(2) b QoS 1",
    "publish b settled 2",
  ]);
});

Deno.test("Session tells of a QoS 2 message before PUBREC, and of its end before PUBCOMP", () => {
  const { it, take } = noting();
  it.connect();
  take();
  it.receive(publishPacket("a", 2, "", { packetId: 7 }));
  it.receive(acknowledgement("PUBREL", 7));
  it.receive(acknowledgement("PUBREL", 7));
  assertEquals(take(), ["received 7", "-> PUBREC(7)", "completed 7", "-> PUBCOMP(7)", "-> PUBCOMP(7)"]);
});

Deno.test("Session tells of subscriptions that were granted or refused, and of their end", () => {
  const { it, take } = noting();
  it.connect();
  take();
  it.subscribe("a", "b");
  it.receive(suback(1, 0, 0x80));
  it.unsubscribe("a");
  it.receive(unsuback(2));
  assertEquals(take().filter((change) => !change.startsWith("->")), [
    "subscription a",
    "subscription b",
    "subscription a",
  ]);
});

// Restoring.

const LEFT = stored({
  publishes: [
    publish(3, { sequence: 3 }),
    publish(4, { qos: 2, state: "released", sequence: 9 }),
    publish(5, { qos: 2, sequence: 5 }),
    publish(6, { qos: 2, state: "released", sequence: 8 }),
    publish(7, { packetId: 0, state: "queued", sequence: 0 }),
  ],
  lastPacketId: 6,
});

Deno.test("Session.restore() goes on where a former process was: PUBREL first, then PUBLISH, then what was queued", () => {
  using it = new Recorder();
  const flows = it.session.restore(LEFT, false, 0);
  assertEquals(flows.map(({ packet }) => packet.topic), ["a/3", "a/4", "a/5", "a/6", "a/7"]);
  assertEquals([it.session.inFlight, it.session.queuedPublishes], [4, 1]);
  it.publish("new", 1);
  it.connect(true);
  assertEquals(it.take(), [
    "PUBREL(6)",
    "PUBREL(4)",
    "PUBLISH(3) a/3 QoS 1 dup",
    "PUBLISH(5) a/5 QoS 2 dup",
    "PUBLISH(7) a/7 QoS 1",
    "PUBLISH(8) new QoS 1",
  ]);
  it.receive(acknowledgement("PUBREC", 5));
  for (const packetId of [4, 5, 6]) it.receive(acknowledgement("PUBCOMP", packetId));
  for (const packetId of [3, 7, 8]) it.receive(acknowledgement("PUBACK", packetId));
  assert(it.session.publishesSettled);
  assertEquals(it.take(), ["PUBREL(5)"]);
});

for (const clean of [false, true]) {
  Deno.test(`Session.restore() sends publishes in their order as new on a new session (clean: ${clean})`, () => {
    using it = new Recorder();
    it.session.restore(LEFT, clean, 0);
    it.connect(false);
    assertEquals(it.take(), [
      "PUBLISH(1) a/3 QoS 1",
      "PUBLISH(2) a/4 QoS 2",
      "PUBLISH(3) a/5 QoS 2",
      "PUBLISH(4) a/6 QoS 2",
      "PUBLISH(5) a/7 QoS 1",
    ]);
  });
}

Deno.test("Session.restore() keeps what is published before it behind what it restores", () => {
  using it = new Recorder();
  const { flow } = it.publish("cancelled", 1);
  it.session.cancel(flow);
  it.publish("new", 1);
  it.session.restore(LEFT, false, 0);
  assertEquals(it.session.queuedPublishes, 2);
  it.connect(true);
  assertEquals(it.take().slice(4), ["PUBLISH(7) a/7 QoS 1", "PUBLISH(8) new QoS 1"]);
});

Deno.test("Session.restore() knows the packet identifiers that are in use, and the last", () => {
  using it = new Recorder();
  it.session.restore(stored({ publishes: [publish(1)], lastPacketId: 65_534 }), false, 0);
  assertEquals(it.session.lastPacketId, 65_534);
  it.connect(true);
  for (const topic of ["a", "b"]) it.publish(topic, 1);
  assertEquals(it.take(), ["PUBLISH(1) a/1 QoS 1 dup", "PUBLISH(65535) a QoS 1", "PUBLISH(2) b QoS 1"]);
});

Deno.test("Session.restore() does not deliver what was received before, until PUBREL; on a clean session it does", () => {
  for (const clean of [false, true]) {
    using it = new Recorder();
    it.session.restore(stored({ received: [7] }), clean, 0);
    it.connect(!clean);
    it.receive(publishPacket("a", 2, "1", { packetId: 7, dup: true }));
    assertEquals([it.take(), it.takeDelivered()], [["PUBREC(7)"], clean ? ["1"] : []]);
    it.receive(acknowledgement("PUBREL", 7));
    it.receive(publishPacket("a", 2, "2", { packetId: 7 }));
    assertEquals([it.take(), it.takeDelivered()], [["PUBCOMP(7)", "PUBREC(7)"], ["2"]]);
  }
});

Deno.test("Session.restore() acknowledges what was received before behind the messages before it [MQTT-4.6.0-3]", () => {
  using it = new Recorder({ manualAck: true });
  it.session.restore(stored({ received: [6] }), false, 0);
  for (let round = 0; round < 2; round++) {
    it.connect(true);
    for (const packetId of [5, 6, 6]) it.receive(publishPacket("t", 2, "", { packetId, dup: true }));
    assertEquals([it.delivered.length, it.take()], [round + 1, []]);
    if (round === 0) it.lose();
  }
  it.delivered[1].ack();
  assertEquals(it.take(), ["PUBREC(5)", "PUBREC(6)"]);
});

Deno.test("Session.restore() asks for subscriptions again as they were grouped, when the session is lost", () => {
  const subscriptions = [subscription("a", 1), subscription("b", 1), subscription("c", 4)];
  for (const [clean, sent] of [[false, ["SUBSCRIBE(1) a:1 b:1", "SUBSCRIBE(2) c:1"]], [true, []]] as const) {
    using it = new Recorder();
    it.session.restore(stored({ subscriptions }), clean, 0);
    it.connect(false);
    assertEquals(it.take(), [...sent]);
  }
});

Deno.test("Session.restore() drops what has expired, by the clock of the day", () => {
  using it = new Recorder();
  const queued = { packetId: 0, state: "queued", sequence: 0 } as const;
  const publishes = [publish(1, { ...queued, expiresAt: 1_005_000 }), publish(2, { ...queued, expiresAt: 1_020_000 })];
  it.session.restore(stored({ publishes }), false, 1000);
  assertEquals(it.session.deadline, 5);
  it.now = 10;
  it.session.tick(10);
  assertEquals(it.session.queuedPublishes, 1);
  it.connect(true);
  const [packet] = it.takePackets();
  assertEquals(packet.type === "PUBLISH" && packet.properties.messageExpiryInterval, 10);
});

Deno.test("Session.end() leaves to a store what is not settled, stored or not yet, and nothing is taken back of it", () => {
  const { it, take } = noting();
  const [flow] = it.session.restore(stored({ publishes: [publish(1)] }), false, 0);
  const late = it.publish("t", 1);
  take();
  it.session.end(new Error("the end"));
  it.session.revoke(late.flow, new Error("not stored"));
  assertEquals([flow.state, late.flow.state, take()], ["left", "left", []]);
  assertEquals([late.outcome.message, it.session.queuedPublishes], ["the end", 0]);
});

// Taking back.

Deno.test("Session.revoke() takes a publish back wherever it is, and what waits goes on", () => {
  using it = new Recorder({ maxInflight: 1 });
  it.connect();
  const sent = it.publish("a", 2), queued = it.publish("b", 1), next = it.publish("c", 1);
  const error = new Error("not stored");
  it.session.revoke(queued.flow, error);
  it.session.revoke(sent.flow, error);
  it.session.revoke(sent.flow, error);
  assertEquals([sent.outcome.error, queued.outcome.error], [error, error]);
  assertEquals([it.session.inFlight, it.session.queuedPublishes], [0, 1]);
  it.session.sendHeld(0);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 2", "PUBLISH(2) c QoS 1"]);
  it.receive(acknowledgement("PUBACK", 2));
  assertEquals(next.outcome.state, "settled");
});

Deno.test("Session.revoke() takes back what waits to be sent again", () => {
  using it = new Recorder({ maxInflight: 2 });
  it.connect();
  const error = new Error("not stored");
  const [a, b] = [it.publish("a", 1), it.publish("b", 1)];
  it.lose();
  it.session.revoke(a.flow, error);
  it.connect(true);
  assertEquals(it.take().slice(2), ["PUBLISH(2) b QoS 1 dup"]);
  assertEquals([a.outcome.state, b.outcome.state], ["failed", "pending"]);
  for (const topic of ["c", "d"]) it.publish(topic, 1);
  assertEquals(it.take(), ["PUBLISH(3) c QoS 1"]);
});

Deno.test("Session.publish() holds a publish until Session.sendHeld(), and those behind it", () => {
  using it = new Recorder();
  it.connect();
  it.session.publish(publishPacket("a", 1), undefined, true);
  it.publish("b", 1);
  assertEquals(it.take(), []);
  it.session.sendHeld(0);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1", "PUBLISH(2) b QoS 1"]);
});

// Acknowledgements in a transaction.

/** A session that has received QoS 2 messages with the identifiers 1, 2… and not acknowledged them. */
function receiving(count: number): Recorder {
  const it = new Recorder({ manualAck: true });
  it.connect(true);
  for (let packetId = 1; packetId <= count; packetId++) it.receive(publishPacket("a", 2, `${packetId}`, { packetId }));
  return it;
}

Deno.test("ApplicationMessage.ack() is held in a transaction, and sent in order when that is committed", () => {
  using it = receiving(2);
  const [first, second] = it.delivered;
  it.inTransaction = true;
  second.ack();
  assertEquals(it.held, [second]);
  it.inTransaction = false;
  it.session.acknowledgeProcessed(second);
  assertEquals(it.take(), []);
  first.ack();
  assertEquals(it.take(), ["PUBREC(1)", "PUBREC(2)"]);
  it.inTransaction = true;
  second.ack();
  assertEquals(it.held.length, 1);
});

Deno.test("Session.acknowledgeProcessed() keeps a message from being delivered again on the next connection", () => {
  using it = receiving(2);
  it.session.acknowledgeProcessed(it.delivered[1]);
  it.takeDelivered();
  it.reconnect(true);
  for (const packetId of [1, 2]) it.receive(publishPacket("a", 2, `${packetId}`, { packetId, dup: true }));
  assertEquals([it.takeDelivered(), it.take()], [["1"], []]);
});

Deno.test("ApplicationMessage.ack() in a transaction takes a message whose connection is gone, once it has not come again", () => {
  using it = receiving(2);
  const [first, second] = it.delivered.splice(0);
  it.lose();
  it.inTransaction = true;
  first.ack();
  assertStrictEquals(it.held[0], first);
  it.inTransaction = false;
  it.session.acknowledgeProcessed(first);
  second.ack();
  it.connect(true);
  for (const packetId of [1, 2]) it.receive(publishPacket("a", 2, `${packetId}`, { packetId, dup: true }));
  assertEquals([it.takeDelivered(), it.take()], [["2"], ["PUBREC(1)"]]);
  it.inTransaction = true;
  assertThrows(() => second.ack(), ClientError, "it has come again");
  assertEquals(it.held.length, 1);
});

Deno.test("ApplicationMessage.ack() in a transaction does nothing for a message of a lost session", () => {
  using it = receiving(1);
  const [message] = it.delivered.splice(0);
  it.reconnect(false);
  it.receive(publishPacket("b", 2, "other", { packetId: 1 }));
  it.inTransaction = true;
  message.ack();
  assertEquals([it.held, it.takeDelivered()], [[], ["other"]]);
});

import { assertEquals, assertThrows } from "@std/assert";
import { ClientError, ProtocolError } from "../../src/errors.ts";
import type { SubscribePacket } from "../../src/packets.ts";
import { Recorder, suback, unsuback } from "./recorder.ts";

/** Answers the SUBSCRIBE and UNSUBSCRIBE among what was sent, and gives what was sent. */
function answerAll(it: Recorder): string[] {
  const log: string[] = [];
  for (const packet of it.takePackets()) {
    if (packet.type === "SUBSCRIBE") {
      log.push(packet.subscriptions.map(({ topicFilter, qos }) => `+${topicFilter}:${qos}`).join(" "));
      it.receive(suback(packet.packetId, ...packet.subscriptions.map(({ qos }) => qos)));
    } else if (packet.type === "UNSUBSCRIBE") {
      log.push(packet.topicFilters.map((topicFilter) => `-${topicFilter}`).join(" "));
      it.receive(unsuback(packet.packetId));
    } else log.push(packet.type);
  }
  return log;
}

Deno.test("Session.subscribe() sends SUBSCRIBE and gives the codes of SUBACK, 0x80 included", () => {
  using it = new Recorder();
  it.connect();
  const call = it.subscribe(["a", 1], ["b/#", 2], "c");
  assertEquals([it.take(), call.state], [["SUBSCRIBE(1) a:1 b/#:2 c:0"], "pending"]);
  it.receive(suback(1, 1, 0x80, 0));
  assertEquals([call.state, call.result], ["settled", [1, 0x80, 0]]);
});

Deno.test("Session.unsubscribe() sends UNSUBSCRIBE and gives zeros on 3.1.1, the codes on MQTT 5.0", () => {
  using it = new Recorder();
  it.connect();
  const [a, b] = [it.unsubscribe("a", "b"), it.unsubscribe("c", "d")];
  assertEquals(it.take(), ["UNSUBSCRIBE(1) a b", "UNSUBSCRIBE(2) c d"]);
  it.receive(unsuback(1));
  it.receive(unsuback(2, 0, 0x11));
  assertEquals([a.result, b.result], [[0, 0], [0, 0x11]]);
});

Deno.test("Session.receive() gives each SUBACK to its own call, in any order", () => {
  using it = new Recorder();
  it.connect();
  const calls = ["a", "b", "c"].map((filter) => it.subscribe(filter));
  for (const packetId of [2, 3, 1]) it.receive(suback(packetId, packetId - 1));
  assertEquals(calls.map(({ result }) => result), [[0], [1], [2]]);
  it.take();
});

Deno.test("Session.receive() does nothing with SUBACK and UNSUBACK that nobody waits for", () => {
  using it = new Recorder();
  it.connect();
  const [a, b] = [it.subscribe("a"), it.unsubscribe("b")];
  const { outcome } = it.publish("c", 1);
  it.take();
  it.receive(suback(9, 0));
  it.receive(unsuback(9));
  it.receive(suback(2, 0));
  it.receive(unsuback(1));
  it.receive(suback(3, 0));
  it.receive(unsuback(3));
  assertEquals([a.state, b.state, outcome.state], ["pending", "pending", "pending"]);
  it.receive(suback(1, 0));
  it.receive(suback(1, 0));
  it.receive(unsuback(2));
  assertEquals([a.state, b.state], ["settled", "settled"]);
});

Deno.test("Session.receive() refuses SUBACK with another number of codes than asked for, and does not ask again [MQTT-3.8.4-5]", () => {
  for (const codes of [[0], [0, 0, 0]]) {
    using it = new Recorder();
    it.connect();
    const call = it.subscribe("a", "b");
    const error = assertThrows(() => it.receive(suback(1, ...codes)), ProtocolError, `${codes.length} codes for 2`);
    assertEquals([error.reasonCode, call.error], [0x82, error]);
    it.take();
    it.reconnect(true);
    assertEquals(it.take(), []);
  }
});

Deno.test("Session.receive() refuses UNSUBACK with another number of codes than asked for (MQTT 5.0)", () => {
  using it = new Recorder();
  it.connect();
  const call = it.unsubscribe("a", "b");
  const error = assertThrows(() => it.receive(unsuback(1, 0)), ProtocolError, "1 codes for 2");
  assertEquals(call.error, error);
});

// Over the loss of the link.

Deno.test("Session asks again for what was not answered when the link was lost, in order, first of all", () => {
  for (const sessionPresent of [true, false]) {
    using it = new Recorder();
    it.connect();
    const calls = [it.subscribe("a"), it.unsubscribe("b"), it.subscribe("c", "d")];
    it.publish("p", 1);
    it.take();
    it.lose();
    const late = it.subscribe("e");
    it.connect(sessionPresent);
    const publish = sessionPresent ? "PUBLISH(4) p QoS 1 dup" : "PUBLISH(5) p QoS 1";
    const ids = sessionPresent ? [5, 6, 7, 8] : [1, 2, 3, 4];
    assertEquals(it.take(), [
      `SUBSCRIBE(${ids[0]}) a:0`,
      `UNSUBSCRIBE(${ids[1]}) b`,
      `SUBSCRIBE(${ids[2]}) c:0 d:0`,
      `SUBSCRIBE(${ids[3]}) e:0`,
      publish,
    ]);
    it.receive(suback(ids[0], 0));
    it.receive(unsuback(ids[1]));
    it.receive(suback(ids[2], 0, 0));
    it.receive(suback(ids[3], 0));
    assertEquals([...calls, late].map(({ state }) => state), ["settled", "settled", "settled", "settled"]);
  }
});

Deno.test("Session.receive() takes no answer to a SUBSCRIBE or UNSUBSCRIBE of an earlier connection", () => {
  using it = new Recorder();
  it.connect();
  const calls = [it.subscribe("a"), it.unsubscribe("b")];
  it.reconnect(true);
  it.receive(suback(1, 0));
  it.receive(unsuback(2));
  assertEquals(calls.map(({ state }) => state), ["pending", "pending"]);
  it.receive(suback(3, 1));
  it.receive(unsuback(4));
  assertEquals(calls.map(({ result }) => result), [[1], [0]]);
});

Deno.test("Session asks again before it asks for what waited for an identifier", () => {
  using it = new Recorder({}, { light: true });
  it.connect();
  for (let i = 0; i < 65_534; i++) it.publish("p", 1, "");
  it.subscribe("a");
  it.subscribe("b");
  assertEquals(it.take().at(-1), "SUBSCRIBE(65535) a:0");
  it.reconnect(true);
  assertEquals(it.take()[0], "SUBSCRIBE(65535) a:0");
  it.receive(suback(65_535, 0));
  assertEquals(it.take(), ["SUBSCRIBE(65535) b:0"]);
});

Deno.test("Session restores the subscriptions that the broker granted, when it has lost them, before anything else", () => {
  using it = new Recorder();
  it.connect();
  it.subscribe(["a", 1], ["b", 2]);
  it.subscribe("c");
  answerAll(it);
  const waiting = it.subscribe("new");
  it.publish("p", 1);
  it.take();
  it.lose();
  it.publish("q", 0);
  const ping = it.ping();
  it.connect(false);
  assertEquals(it.take(), [
    "SUBSCRIBE(1) a:1 b:2",
    "SUBSCRIBE(2) c:0",
    "SUBSCRIBE(3) new:0",
    "PINGREQ",
    "PUBLISH(4) p QoS 1",
    "PUBLISH q",
  ]);
  it.receive(suback(3, 0));
  assertEquals([waiting.state, ping.state], ["settled", "pending"]);
});

Deno.test("Session restores nothing when the broker has kept the session, or resubscribe is off", () => {
  for (const [sessionPresent, resubscribe] of [[true, true], [false, false], [true, false]]) {
    using it = new Recorder({ resubscribe });
    it.connect();
    it.subscribe("a");
    answerAll(it);
    it.reconnect(sessionPresent);
    assertEquals(it.take(), []);
  }
});

Deno.test("Session restores each subscription once, over any number of losses, answered or not", () => {
  using it = new Recorder();
  it.connect();
  it.subscribe("a", "b");
  it.subscribe("c");
  answerAll(it);
  for (const answered of [true, false, false, true, false, true]) {
    it.reconnect(false);
    if (answered) assertEquals(answerAll(it), ["+a:0 +b:0", "+c:0"]);
    else assertEquals(it.take(), ["SUBSCRIBE(1) a:0 b:0", "SUBSCRIBE(2) c:0"]);
  }
});

Deno.test("Session goes on restoring after a loss in the middle of it, when the broker keeps that session", () => {
  using it = new Recorder();
  it.connect();
  it.subscribe("a");
  it.subscribe("b");
  answerAll(it);
  it.reconnect(false);
  assertEquals(it.take(), ["SUBSCRIBE(1) a:0", "SUBSCRIBE(2) b:0"]);
  it.receive(suback(1, 0));
  it.reconnect(true);
  assertEquals(answerAll(it), ["+b:0"]);
});

Deno.test("Session restores a filter with the QoS that was asked for last", () => {
  using it = new Recorder();
  it.connect();
  it.subscribe(["a", 0], ["b", 1]);
  it.subscribe(["a", 2]);
  it.subscribe(["c", 0], ["c", 1]);
  answerAll(it);
  it.reconnect(false);
  assertEquals(answerAll(it).flatMap((line) => line.split(" ")).sort(), ["+a:2", "+b:1", "+c:1"]);
});

Deno.test("Session restores neither what the broker refused nor what was unsubscribed", () => {
  using it = new Recorder();
  it.connect();
  it.subscribe("a", "refused", "b");
  it.receive(suback(1, 0, 0x80, 1));
  it.subscribe("c");
  it.receive(suback(2, 0));
  it.unsubscribe("a", "c");
  it.receive(unsuback(3));
  it.take();
  it.reconnect(false);
  assertEquals(answerAll(it), ["+b:0"]);
});

Deno.test("Session restores a subscription whose unsubscribe call the broker rejected (MQTT 5.0)", () => {
  using it = new Recorder();
  it.connect();
  it.subscribe("a", "b");
  answerAll(it);
  it.unsubscribe("a", "b");
  it.receive(unsuback(2, 0x87, 0));
  it.take();
  it.reconnect(false);
  assertEquals(answerAll(it), ["+a:0"]);
});

Deno.test("Session restores a subscription before it ends it, when the unsubscribe call was not answered", () => {
  using it = new Recorder();
  it.connect();
  it.subscribe("a");
  answerAll(it);
  it.unsubscribe("a");
  it.take();
  it.reconnect(false);
  assertEquals(answerAll(it), ["+a:0", "-a"]);
  it.reconnect(false);
  assertEquals(answerAll(it), []);
});

Deno.test("Session has no subscription any more whose restoration is refused, forbidden by limits, or given up, and tells the store", () => {
  const ends: ((it: Recorder) => void)[] = [
    (it) => {
      it.connect5();
      it.receive(suback(1, 0x87, 0));
    },
    (it) => it.connect5({ wildcardSubscriptionAvailable: 0 }),
    (it) => {
      it.connect5();
      for (const sessionPresent of [true, true, true]) {
        it.lose();
        it.connect5({}, { sessionPresent });
      }
    },
  ];
  const kept = [["b/#"], [], []];
  for (const [i, end] of ends.entries()) {
    using it = new Recorder({ maxPublishAttempts: 3 });
    it.connect5();
    it.subscribe("a", "b/#");
    answerAll(it);
    it.lose();
    it.changes = [];
    end(it);
    assertEquals(["a", "b/#"].filter((filter) => it.session.subscriptions.has(filter)), kept[i]);
    const changes = it.changes.filter((change) => change.startsWith("subscription"));
    assertEquals(changes, ["subscription a", "subscription b/#"]);
    it.take();
    it.lose();
    it.connect5();
    assertEquals(it.take(), kept[i].map((filter) => `SUBSCRIBE(1) ${filter}:0 #1`));
  }
});

Deno.test("Session keeps a subscription for which a further SUBSCRIBE is refused", () => {
  using it = new Recorder();
  it.connect();
  it.subscribe("a");
  answerAll(it);
  it.subscribe(["a", 2]);
  it.take();
  it.receive(suback(2, 0x80));
  it.reconnect(false);
  assertEquals(answerAll(it), ["+a:0"]);
});

Deno.test("Session has no subscription any more that the broker has lost, if resubscribe is off, and tells the store", () => {
  using it = new Recorder({ resubscribe: false });
  it.connect();
  it.subscribe("a");
  answerAll(it);
  it.reconnect(true);
  assertEquals(it.session.subscriptions.has("a"), true);
  it.changes = [];
  it.reconnect(false);
  assertEquals([it.session.subscriptions.has("a"), it.changes.at(-1)], [false, "subscription a"]);
});

Deno.test("Session restores the subscription options and the properties (MQTT 5.0)", () => {
  using it = new Recorder();
  it.connect();
  const packet: SubscribePacket = {
    type: "SUBSCRIBE",
    packetId: 0,
    subscriptions: [{ topicFilter: "a", qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 }],
    properties: { subscriptionIdentifier: 5 },
  };
  it.session.subscribe(packet);
  answerAll(it);
  it.reconnect(false);
  const [restored] = it.takePackets() as SubscribePacket[];
  assertEquals([restored.subscriptions, restored.properties], [packet.subscriptions, packet.properties]);
});

Deno.test("Session.forgetSubscriptions() forgets the subscriptions to restore", () => {
  using it = new Recorder();
  it.connect();
  it.subscribe("a");
  answerAll(it);
  it.lose();
  it.session.forgetSubscriptions();
  it.connect(false);
  assertEquals(it.take(), []);
});

// Subscription identifiers (MQTT 5.0, §3.8.2.1.2).

Deno.test("Session.subscribe() gives each SUBSCRIBE an identifier, where the protocol and the broker know them", () => {
  using it = new Recorder();
  it.connect5();
  it.subscribe("a", "b/#");
  it.subscribe("c");
  it.unsubscribe("a");
  assertEquals(it.take(), ["SUBSCRIBE(1) a:0 b/#:0 #1", "SUBSCRIBE(2) c:0 #2", "UNSUBSCRIBE(3) a"]);
  it.lose();
  it.connect5({ subscriptionIdentifiersAvailable: 0 }, { sessionPresent: true });
  assertEquals(it.take(), ["SUBSCRIBE(4) a:0 b/#:0", "SUBSCRIBE(5) c:0", "UNSUBSCRIBE(6) a"]);
  it.lose();
  it.connect(true);
  assertEquals(it.take(), ["SUBSCRIBE(7) a:0 b/#:0", "SUBSCRIBE(8) c:0", "UNSUBSCRIBE(9) a"]);
});

Deno.test("Session.subscribe() leaves the packet of the caller without an identifier", () => {
  using it = new Recorder();
  it.connect5();
  const properties = { userProperties: [["a", "b"]] as [string, string][] };
  const subscriptions = [
    { topicFilter: "a", qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const,
  ];
  it.session.subscribe({ type: "SUBSCRIBE", packetId: 0, subscriptions, properties });
  const [sent] = it.takePackets() as SubscribePacket[];
  assertEquals([sent.properties, properties], [{ ...properties, subscriptionIdentifier: 1 }, {
    userProperties: [["a", "b"]],
  }]);
});

Deno.test("Session restores subscriptions in a new session with identifiers from 1 on, and without where the broker knows none", () => {
  using it = new Recorder();
  it.connect5();
  it.subscribe("a", "b");
  it.subscribe("c");
  it.subscribe("b", "d");
  answerAll(it);
  for (let i = 0; i < 2; i++) {
    it.lose();
    it.connect5();
    assertEquals(it.take(), ["SUBSCRIBE(1) a:0 #1", "SUBSCRIBE(2) b:0 d:0 #2", "SUBSCRIBE(3) c:0 #3"]);
    it.lose();
    it.connect5({ subscriptionIdentifiersAvailable: 0 });
    assertEquals(it.take(), ["SUBSCRIBE(1) a:0", "SUBSCRIBE(2) b:0 d:0", "SUBSCRIBE(3) c:0"]);
  }
});

Deno.test("Session.subscribe() that the broker cannot serve leaves the identifiers as they are", () => {
  using it = new Recorder();
  it.connect5({ sharedSubscriptionAvailable: 0 });
  it.subscribe("a", "b");
  answerAll(it);
  assertThrows(() => it.subscribe("a", "$share/g/b"), ClientError);
  const { identifiers } = it.session.subscriptions;
  const { version } = identifiers;
  it.subscribe("c");
  assertEquals(it.take(), ["SUBSCRIBE(2) c:0 #2"]);
  assertEquals([identifiers.concerns("a", [1], "a"), identifiers.version > version], [true, true]);
});

Deno.test("Session.receive() has the subscription that UNSUBACK ends give up its identifier, not one that is kept", () => {
  using it = new Recorder();
  it.connect5();
  it.subscribe("a");
  it.subscribe("b");
  answerAll(it);
  it.unsubscribe("a", "b");
  it.take();
  it.receive(unsuback(3, 0, 0x87));
  it.subscribe("a");
  it.subscribe("b");
  assertEquals(it.take(), ["SUBSCRIBE(4) a:0 #3", "SUBSCRIBE(5) b:0 #2"]);
});

Deno.test("Session begins automatic identifiers at random in a session that was there before it, and goes on with its own", () => {
  using it = new Recorder();
  it.connect5({}, { sessionPresent: true });
  it.subscribe("a");
  answerAll(it);
  it.lose();
  it.session.forgetSubscriptions(); // disconnect(), connect()
  it.connect5({}, { sessionPresent: true });
  it.subscribe("b");
  it.subscribe("a");
  assertEquals(it.take(), ["SUBSCRIBE(2) b:0 #201326593", "SUBSCRIBE(3) a:0 #201326594"]);
  it.lose();
  it.connect5();
  assertEquals(it.take(), ["SUBSCRIBE(1) b:0 #1", "SUBSCRIBE(2) a:0 #2"]);
});

Deno.test("Session.receive() takes SUBACK as the answer to the identifier that SUBSCRIBE was sent with", () => {
  using it = new Recorder();
  it.connect5();
  it.subscribe("a/#");
  it.subscribe("a/b");
  const { identifiers } = it.session.subscriptions;
  const concerned = () => ["a/#", "a/b"].filter((filter) => identifiers.concerns("a/b", [1], filter));
  it.receive(suback(1, 0));
  assertEquals(concerned(), ["a/#", "a/b"]);
  it.receive(suback(2, 0));
  assertEquals(concerned(), ["a/#"]);
  it.take();
  it.lose();
  it.connect5();
  it.receive(suback(1, 0));
  assertEquals(concerned(), ["a/#", "a/b"], "a/b is not restored yet");
  it.receive(suback(2, 0x80));
  assertEquals(concerned(), ["a/#", "a/b"]);
});

// Cancelling.

Deno.test("Session.cancel() takes back a call that waits for the connection", () => {
  using it = new Recorder();
  const [a, b] = [it.subscribe("a"), it.unsubscribe("b")];
  const c = it.subscribe("c");
  it.session.cancel(a.flow);
  it.session.cancel(b.flow);
  it.connect();
  assertEquals(it.take(), ["SUBSCRIBE(1) c:0"]);
  it.receive(suback(1, 0));
  assertEquals([a.state, b.state, c.state], ["pending", "pending", "settled"]);
});

Deno.test("Session.cancel() lets a call that was sent go on: what is granted is restored", () => {
  using it = new Recorder();
  it.connect();
  const call = it.subscribe("a");
  it.session.cancel(call.flow);
  answerAll(it);
  assertEquals(call.state, "pending");
  it.reconnect(false);
  assertEquals(answerAll(it), ["+a:0"]);
});

Deno.test("Session.end() fails every subscribe and unsubscribe call, and restores nothing of them", () => {
  using it = new Recorder();
  it.connect();
  const calls = [it.subscribe("a"), it.unsubscribe("b")];
  it.lose();
  calls.push(it.subscribe("c"));
  const error = new Error("the end");
  it.session.end(error);
  assertEquals(calls.map(({ error }) => error), [error, error, error]);
  it.take();
  it.connect(false);
  assertEquals(it.take(), []);
});

Deno.test("Session.subscribe() gives up after so many sendings that the connection did not survive, as does what was sent with it", () => {
  using it = new Recorder({ maxPublishAttempts: 3 });
  const call = it.subscribe("secret/#", "a"), other = it.unsubscribe("b");
  for (let attempt = 1; attempt <= 3; attempt++) {
    it.connect();
    assertEquals([call.state, it.take()[0]], ["pending", `SUBSCRIBE(1) secret/#:0 a:0`]);
    it.lose();
  }
  const expected = 'Gave up to subscribe to "secret/#", "a": the connection broke after each of its 3 sendings';
  assertEquals([call.state, call.message.slice(0, expected.length)], ["failed", expected]);
  assertEquals(other.state, "failed");
  const next = it.subscribe("c");
  it.connect();
  assertEquals(answerAll(it), ["+c:0"]);
  assertEquals(next.state, "settled");
});

import { assertAlmostEquals, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { MQTT_5_0 } from "../../src/codec/mqtt_5_0.ts";
import { ClientError, ConnectionLostError, ProtocolError, RejectedError } from "../../src/errors.ts";
import type { Packet } from "../../src/packets.ts";
import { NO_PROPERTIES, type Properties } from "../../src/properties.ts";
import {
  acknowledgement,
  connackPacket,
  CONNECT,
  Outcome,
  publishPacket,
  Recorder,
  suback,
  unsuback,
} from "./recorder.ts";

const PINGRESP: Packet = { type: "PINGRESP" };

// The beginning of a connection.

Deno.test("Session.connect() sends CONNECT first of all, and nothing behind it before CONNACK", () => {
  using it = new Recorder();
  it.publish("a", 1);
  it.subscribe("b");
  it.ping();
  assertEquals(it.take(), []);
  const flow = new Outcome(it.session.connect(CONNECT, 0));
  it.publish("c", 0);
  it.unsubscribe("d");
  it.session.writable(0);
  it.session.tick(1000);
  assertEquals([it.take(), flow.state, it.session.deadline], [["CONNECT"], "pending", Infinity]);
  it.receive(connackPacket(0));
  assertEquals(it.take(), ["SUBSCRIBE(1) b:0", "UNSUBSCRIBE(2) d", "PINGREQ", "PUBLISH(3) a QoS 1", "PUBLISH c"]);
  assertEquals(flow.result, connackPacket(0));
});

Deno.test("Session.connect() settles with a refusal too, and nothing else is sent", () => {
  for (let returnCode = 1; returnCode <= 5; returnCode++) {
    using it = new Recorder();
    const { outcome } = it.publish("a", 1);
    const flow = new Outcome(it.session.connect(CONNECT, 0));
    it.receive(connackPacket(returnCode));
    assertEquals([flow.state, flow.result?.returnCode, outcome.state], ["settled", returnCode, "pending"]);
    assertEquals(it.take(), ["CONNECT"]);
    it.lose();
    it.connect();
    assertEquals(it.take(), ["PUBLISH(1) a QoS 1"]);
  }
});

Deno.test("Session.connect() fails when the link is lost before CONNACK", () => {
  using it = new Recorder();
  const flow = new Outcome(it.session.connect(CONNECT, 0));
  const error = new Error("cut");
  it.lose(error);
  assertStrictEquals(flow.error, error);
  it.lose();
  it.take();
});

Deno.test("Session.receive() refuses everything but CONNACK before CONNACK", () => {
  const packets: Packet[] = [
    publishPacket("a", 0),
    acknowledgement("PUBACK", 1),
    acknowledgement("PUBREL", 1),
    suback(1, 0),
    PINGRESP,
    { type: "DISCONNECT", reasonCode: 0, properties: NO_PROPERTIES },
    CONNECT,
  ];
  for (const packet of packets) {
    using it = new Recorder();
    const flow = new Outcome(it.session.connect(CONNECT, 0));
    const error = assertThrows(
      () => it.receive(packet),
      ProtocolError,
      `Unexpected ${packet.type} from the broker before CONNACK`,
    );
    assertEquals([error.reasonCode, it.delivered.length], [0x82, 0]);
    it.lose(error);
    assertStrictEquals(flow.error, error);
    assertEquals(it.take(), ["CONNECT"]);
  }
});

Deno.test("Session.receive() refuses what only a client sends, a second CONNACK, and what 3.1.1 has not", () => {
  const packets: Packet[] = [
    CONNECT,
    connackPacket(0),
    { type: "SUBSCRIBE", packetId: 1, subscriptions: [], properties: NO_PROPERTIES },
    { type: "UNSUBSCRIBE", packetId: 1, topicFilters: [], properties: NO_PROPERTIES },
    { type: "PINGREQ" },
    { type: "DISCONNECT", reasonCode: 0, properties: NO_PROPERTIES },
    { type: "AUTH", reasonCode: 0, properties: NO_PROPERTIES },
  ];
  for (const packet of packets) {
    using it = new Recorder();
    it.connect();
    const error = assertThrows(() => it.receive(packet), ProtocolError, `Unexpected ${packet.type} from the broker`);
    assertEquals([error.reasonCode, it.take()], [0x82, []]);
  }
});

Deno.test("Session.receive() refuses a session present where a clean one was asked for, and the connection fails [MQTT-3.2.2-1]", () => {
  using it = new Recorder();
  const { outcome } = it.publish("a", 1);
  const flow = new Outcome(it.session.connect({ ...CONNECT, cleanStart: true }, 0));
  const error = assertThrows(() => it.receive(connackPacket(0, true)), ProtocolError, "session is present");
  assertEquals([error.reasonCode, it.take()], [0x82, ["CONNECT"]]);
  it.lose(error);
  assertStrictEquals(flow.error, error);
  assertEquals(outcome.state, "pending");
});

Deno.test("Session starts with identifier 1 in a new session, and goes on counting in a kept one", () => {
  using it = new Recorder();
  it.connect();
  it.publish("a", 1);
  it.receive(acknowledgement("PUBACK", 1));
  it.reconnect(true);
  it.publish("b", 1);
  it.receive(acknowledgement("PUBACK", 2));
  it.reconnect(false);
  it.publish("c", 1);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1", "PUBLISH(2) b QoS 1", "PUBLISH(1) c QoS 1"]);
});

// The end of a connection.

Deno.test("Session.disconnect() sends DISCONNECT and nothing more [MQTT-3.14.4-2]", () => {
  using it = new Recorder({ manualAck: true });
  it.connect();
  it.publish("a", 2);
  it.receive(publishPacket("in", 1, "in", { packetId: 1 }));
  const [message] = it.delivered;
  it.take();
  it.session.disconnect(4, { reasonString: "bye" });
  assertEquals(it.takePackets(), [{ type: "DISCONNECT", reasonCode: 4, properties: { reasonString: "bye" } }]);
  message.ack();
  it.publish("b", 0);
  it.subscribe("c");
  it.ping();
  it.session.writable(0);
  it.session.tick(1000);
  it.session.disconnect(0, NO_PROPERTIES);
  assertEquals([it.take(), it.session.deadline], [[], Infinity]);
});

Deno.test("Session.receive() ignores what crosses DISCONNECT on its way", () => {
  using it = new Recorder();
  it.connect();
  const { outcome } = it.publish("a", 1);
  it.take();
  it.session.disconnect(0, NO_PROPERTIES);
  it.take();
  it.receive(publishPacket("in", 1, "in", { packetId: 1 }));
  it.receive(acknowledgement("PUBACK", 1));
  it.receive(PINGRESP);
  assertEquals([it.take(), it.delivered, outcome.state], [[], [], "pending"]);
  it.lose();
  it.connect(true);
  assertEquals(it.take(), ["PUBLISH(1) a QoS 1 dup"]);
});

Deno.test("Session.disconnect() sends nothing where there is no connection", () => {
  using it = new Recorder();
  it.session.disconnect(0, NO_PROPERTIES);
  it.session.connect(CONNECT, 0);
  it.take();
  it.session.disconnect(0, NO_PROPERTIES);
  assertEquals(it.take(), []);
});

// The end of a connection (MQTT 5.0, §3.14).

function disconnectPacket(reasonCode: number, properties: Properties = NO_PROPERTIES): Packet {
  return { type: "DISCONNECT", reasonCode, properties };
}

Deno.test("Session.receive() ends the connection on DISCONNECT, with what the broker says", () => {
  const table: [reasonCode: number, properties: Properties, message: string, permanent: boolean][] = [
    [0x00, {}, "The broker ended the connection: Success (0x00)", false],
    [0x8b, {}, "The broker ended the connection: Server shutting down (0x8B)", false],
    [0x8e, { reasonString: "go" }, "The broker ended the connection: Session taken over (0x8E), go", true],
    [0x87, {}, "The broker ended the connection: Not authorized (0x87)", true],
    [0x9c, { serverReference: "b:1" }, "The broker ended the connection: Use another server (0x9C)", false],
    [0x9d, { serverReference: "b:1" }, "The broker ended the connection: Server moved (0x9D)", true],
  ];
  for (const [reasonCode, properties, message, permanent] of table) {
    using it = new Recorder();
    it.connect5();
    const { outcome } = it.publish("a", 1);
    it.take();
    const error = assertThrows(
      () => it.receive(disconnectPacket(reasonCode, properties)),
      ConnectionLostError,
      message,
    ) as ConnectionLostError;
    assertEquals([error.message, error.reasonCode, error.permanent], [message, reasonCode, permanent]);
    assertEquals([error.serverReference, outcome.state, it.take()], [properties.serverReference, "pending", []]);
    it.lose(error);
    it.connect5({}, { sessionPresent: true });
    assertEquals(it.take(), ["PUBLISH(1) a QoS 1 dup"]);
  }
});

Deno.test("Session.receive() refuses a DISCONNECT of the broker with a session expiry interval [MQTT5-3.14.2-2]", () => {
  for (const sessionExpiryInterval of [0, 10]) {
    using it = new Recorder();
    it.connect5();
    const error = assertThrows(() => it.receive(disconnectPacket(0, { sessionExpiryInterval })), ProtocolError);
    assertEquals(error.reasonCode, 0x82);
  }
});

Deno.test("Session.receive() refuses DISCONNECT before CONNACK [MQTT5-3.14.0-1]", () => {
  using it = new Recorder();
  it.session.connect(CONNECT, 0, MQTT_5_0);
  assertThrows(() => it.receive(disconnectPacket(0x8b)), ProtocolError, "Unexpected DISCONNECT");
  it.take();
});

Deno.test("Session.complain() sends the reason, and nothing is sent or heeded after it [MQTT5-3.14.4-1]", () => {
  using it = new Recorder({ manualAck: true });
  it.connect5(METHOD, { connect: METHOD });
  it.receive(publishPacket("a", 1, "", { packetId: 1 }));
  const { outcome } = it.publish("b", 1);
  it.take();
  assertEquals(it.session.complain(0x93), true);
  assertEquals(it.takePackets(), [disconnectPacket(0x93)]);
  it.publish("c", 1);
  it.subscribe("d");
  it.ping();
  it.session.reauthenticate(undefined);
  it.session.authenticate(new Uint8Array(0));
  it.delivered[0].ack();
  it.receive(acknowledgement("PUBACK", 1));
  it.receive(disconnectPacket(0));
  it.receive({ type: "AUTH", reasonCode: 0x18, properties: {} });
  it.writable();
  it.session.tick(1000);
  it.session.disconnect(0, NO_PROPERTIES);
  assertEquals([it.session.complain(0x82), it.take(), outcome.state, it.challenges], [false, [], "pending", []]);
});

Deno.test("Session.complain() says nothing to a broker of 3.1.1, nor before CONNECT", () => {
  using it = new Recorder();
  assertEquals(it.session.complain(0x82), false);
  it.connect();
  assertEquals(it.session.complain(0x82), false);
  assertEquals(it.take(), []);
});

Deno.test("Session.complain() tells what is wrong with a CONNACK", () => {
  using it = new Recorder();
  const publish = it.publish("a", 1);
  const flow = new Outcome(it.session.connect(CONNECT, 0, MQTT_5_0));
  assertEquals([it.session.complain(0x81), it.take()], [true, ["CONNECT", "DISCONNECT"]]);
  it.receive(connackPacket(0));
  assertEquals([flow.state, it.take()], ["pending", []]);
  it.lose();
  it.connect5();
  assertEquals([flow.state, publish.outcome.state, it.take()], ["failed", "pending", ["PUBLISH(1) a QoS 1"]]);
});

Deno.test("Session.disconnect() sends its reason and properties", () => {
  using it = new Recorder();
  it.connect5();
  const properties = { sessionExpiryInterval: 5, reasonString: "done" };
  it.session.disconnect(4, properties);
  assertEquals(it.takePackets(), [disconnectPacket(4, properties)]);
});

// Enhanced authentication (MQTT 5.0, §4.12).

const METHOD = { authenticationMethod: "m" };

function authPacket(reasonCode: number, properties: Properties = METHOD): Packet {
  return { type: "AUTH", reasonCode, properties };
}

/** Connects to a broker that knows the method. */
function connectBy(method: Properties, sessionPresent = false): Recorder {
  const it = new Recorder();
  it.connect5(method, { sessionPresent, connect: method });
  return it;
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("Session has the application answer the challenges before CONNACK, and sends nothing else meanwhile", () => {
  using it = new Recorder();
  it.publish("a", 1);
  it.ping();
  const properties = { ...METHOD, authenticationData: bytes("first") };
  const flow = new Outcome(it.session.connect({ ...CONNECT, properties }, 0, MQTT_5_0));
  assertEquals(it.take(), ["CONNECT"]);
  for (const text of ["1", "2"]) {
    it.receive(authPacket(0x18, { ...METHOD, authenticationData: bytes(text) }));
    assertEquals(it.challenges.pop()?.properties.authenticationData, bytes(text));
    it.session.authenticate(bytes(`answer ${text}`));
    assertEquals(it.takePackets(), [authPacket(0x18, { ...METHOD, authenticationData: bytes(`answer ${text}`) })]);
  }
  it.receive({ ...connackPacket(0), properties: METHOD });
  assertEquals([flow.state, it.challenges, it.take()], ["settled", [], ["PINGREQ", "PUBLISH(1) a QoS 1"]]);
});

Deno.test("Session.receive() refuses an AUTH before CONNACK that is no challenge, or of another method [MQTT5-4.12.0-5]", () => {
  const table: [packet: Packet, asked: Properties][] = [
    [authPacket(0x00), METHOD],
    [authPacket(0x19), METHOD],
    [authPacket(0x18, { authenticationMethod: "other" }), METHOD],
    [authPacket(0x18, {}), METHOD],
    [authPacket(0x18), {}],
    [authPacket(0x18, {}), {}],
  ];
  for (const [packet, properties] of table) {
    using it = new Recorder();
    it.session.connect({ ...CONNECT, properties }, 0, MQTT_5_0);
    const error = assertThrows(() => it.receive(packet), ProtocolError, "Unexpected AUTH from the broker");
    assertEquals([error.reasonCode, it.challenges, it.take()], [0x82, [], ["CONNECT"]]);
  }
});

Deno.test("Session.receive() refuses a CONNACK with another method than CONNECT, or with one unasked for [MQTT5-4.12.0-5] [MQTT5-4.12.0-6]", () => {
  const table: [asked: Properties, given: Properties, message: string][] = [
    [METHOD, { authenticationMethod: "M" }, `Unexpected CONNACK from the broker: its method is not "m"`],
    [{}, METHOD, "Unexpected CONNACK from the broker: its method is not asked for"],
  ];
  for (const [asked, given, message] of table) {
    using it = new Recorder();
    it.publish("a", 1);
    const flow = new Outcome(it.session.connect({ ...CONNECT, properties: asked }, 0, MQTT_5_0));
    const error = assertThrows(() => it.receive({ ...connackPacket(0), properties: given }), ProtocolError, message);
    it.lose(error);
    assertEquals([error.reasonCode, flow.error, it.take()], [0x82, error, ["CONNECT"]]);
  }
});

Deno.test("Session.receive() takes a CONNACK that does not repeat the method of CONNECT", () => {
  using it = new Recorder();
  const flow = new Outcome(it.session.connect({ ...CONNECT, properties: METHOD }, 0, MQTT_5_0));
  it.receive(connackPacket(0));
  assertEquals(flow.state, "settled");
});

Deno.test("Session.connect() settles with a refusal whatever its method", () => {
  using it = new Recorder();
  const flow = new Outcome(it.session.connect({ ...CONNECT, properties: METHOD }, 0, MQTT_5_0));
  it.receive({ ...connackPacket(0), returnCode: 0x8c, reasonCode: 0x8c });
  assertEquals([flow.state, flow.result?.reasonCode, it.take()], ["settled", 0x8c, ["CONNECT"]]);
});

Deno.test("Session.connect() asks a broker of 3.1.1 for no authentication by a method, and holds it to none", () => {
  using it = new Recorder();
  it.connect(false, { connect: { properties: METHOD } });
  assertThrows(() => it.session.reauthenticate(undefined), ClientError, "has no authentication_method");
});

Deno.test("Session.reauthenticate() begins with its data, answers challenges, and settles on AUTH 0", () => {
  using it = connectBy(METHOD);
  const flow = new Outcome(it.session.reauthenticate(bytes("first")));
  assertEquals(it.takePackets(), [authPacket(0x19, { ...METHOD, authenticationData: bytes("first") })]);
  it.publish("a");
  it.receive(authPacket(0x18, { ...METHOD, authenticationData: bytes("?") }));
  it.session.authenticate(bytes("!"));
  const answer = authPacket(0x18, { ...METHOD, authenticationData: bytes("!") });
  assertEquals([it.takePackets(), it.challenges.length], [[publishPacket("a"), answer], 1]);
  assertEquals(flow.state, "pending");
  it.receive(authPacket(0x00));
  assertEquals(flow.state, "settled");
  new Outcome(it.session.reauthenticate(undefined));
  assertEquals(it.takePackets(), [authPacket(0x19)]);
});

Deno.test("Session.reauthenticate() is settled by the next connection, which begins with an authentication", () => {
  using it = connectBy(METHOD);
  const before = new Outcome(it.session.reauthenticate(undefined));
  it.lose();
  const between = new Outcome(it.session.reauthenticate(undefined));
  assertEquals([it.take(), before.state, between.state], [["AUTH"], "pending", "pending"]);
  it.connect5(METHOD, { sessionPresent: true, connect: METHOD });
  assertEquals([it.take(), before.state, between.state], [[], "settled", "settled"]);
});

Deno.test("Session.reauthenticate() fails when the broker ends the connection for it, or there is no next one", () => {
  using it = connectBy(METHOD);
  const refused = new Outcome(it.session.reauthenticate(undefined));
  const disconnect = disconnectPacket(0x87, { reasonString: "no" });
  assertThrows(() => it.receive(disconnect), ConnectionLostError);
  assertInstanceOf(refused.error, RejectedError);
  const { reasonCode, reasonString } = refused.error as RejectedError;
  assertEquals([refused.message, reasonCode, reasonString], [
    "The broker rejected the authentication: Not authorized (0x87), no",
    0x87,
    "no",
  ]);
  it.lose();
  it.connect5(METHOD, { connect: METHOD });
  const kept = new Outcome(it.session.reauthenticate(undefined));
  assertThrows(() => it.receive(disconnectPacket(0x00)), ConnectionLostError);
  it.lose();
  assertEquals(kept.state, "pending");
  const error = new Error("the end");
  it.session.end(error);
  assertStrictEquals(kept.error, error);
  it.take();
});

Deno.test("Session.reauthenticate() needs a connection that was authenticated by a method", () => {
  using it = new Recorder();
  const early = new Outcome(it.session.reauthenticate(undefined));
  assertEquals(early.state, "pending");
  it.connect5();
  assertInstanceOf(early.error, ClientError);
  assertEquals(early.message, "Cannot re-authenticate: the connection has no authentication_method");
  assertThrows(() => it.session.reauthenticate(undefined), ClientError, "has no authentication_method");
  assertEquals(it.take(), []);
});

Deno.test("Session.reauthenticate() refuses a second one while one is under way, one that nobody waits for too", () => {
  using it = connectBy(METHOD);
  const flow = it.session.reauthenticate(undefined), outcome = new Outcome(flow);
  it.session.cancel(flow);
  assertThrows(() => it.session.reauthenticate(undefined), ClientError, "is being authenticated again already");
  assertEquals(it.take(), ["AUTH"]);
  it.receive(authPacket(0x00));
  assertEquals(outcome.state, "pending");
  const next = new Outcome(it.session.reauthenticate(undefined));
  it.receive(authPacket(0x00));
  assertEquals([it.take(), next.state], [["AUTH"], "settled"]);
});

Deno.test("Session.receive() refuses an AUTH of another method, or that begins a re-authentication [MQTT5-4.12.1-1]", () => {
  const table: [method: Properties, packet: Packet, message: string][] = [
    [METHOD, authPacket(0x18, { authenticationMethod: "other" }), `its method is not "m"`],
    [METHOD, authPacket(0x00, { authenticationMethod: "other" }), `its method is not "m"`],
    [METHOD, authPacket(0x00, {}), `its method is not "m"`],
    [METHOD, authPacket(0x19), "The broker may not begin a re-authentication"],
    [{}, authPacket(0x18), "its method is not asked for"],
    [{}, authPacket(0x00, {}), "its method is not asked for"],
  ];
  for (const [method, packet, message] of table) {
    using it = connectBy(method);
    const error = assertThrows(() => it.receive(packet), ProtocolError, message);
    assertEquals([error.reasonCode, it.challenges, it.take()], [0x82, [], []]);
  }
});

Deno.test("Session.authenticate() sends nothing where there is no connection", () => {
  using it = connectBy(METHOD);
  it.lose();
  it.session.authenticate(bytes("late"));
  assertEquals(it.take(), []);
});

Deno.test("Session.end() fails everything that waits, with the error, in every state", () => {
  for (const state of ["never connected", "connecting", "connected", "lost", "refused", "disconnected"]) {
    const error = new Error("the end");
    using it = new Recorder({ maxInflight: 3 });
    if (state !== "never connected" && state !== "connecting") it.connect();
    const outcomes: Outcome[] = [];
    for (let i = 0; i < 6; i++) outcomes.push(it.publish(`${i}`, i % 2 === 0 ? 1 : 2).outcome);
    outcomes.push(it.publish("behind", 0).outcome, it.subscribe("a"), it.unsubscribe("b"), it.ping());
    if (state === "connecting") outcomes.push(new Outcome(it.session.connect(CONNECT, 0)));
    if (state === "lost" || state === "refused") it.lose();
    if (state === "refused") {
      it.session.connect(CONNECT, 0);
      it.receive(connackPacket(3));
    }
    if (state === "disconnected") it.session.disconnect(0, NO_PROPERTIES);
    outcomes.push(it.ping());
    it.session.end(error);
    assertEquals(outcomes.map(({ error }) => error), outcomes.map(() => error), state);
    assertEquals([it.session.inFlight, it.session.queuedPublishes, it.session.publishesSettled], [0, 0, true], state);
    it.session.end(new Error("again"));
    it.take();
    it.connect();
    assertEquals(it.take(), [], `nothing is left for the next connection (${state})`);
    it.publish("new", 1);
    assertEquals(it.take(), ["PUBLISH(1) new QoS 1"]);
  }
});

Deno.test("Session.end() settles a QoS 0 that is in the write buffer", () => {
  using it = new Recorder();
  it.connect();
  it.room = 1;
  const { outcome } = it.publish("a", 0);
  it.session.end(new Error("the end"));
  assertEquals([outcome.state, it.session.publishesSettled], ["settled", true]);
  it.take();
});

Deno.test("Session.end() frees the offline queue and the identifiers", () => {
  using it = new Recorder({ maxQueuedBytes: 100 }, { light: true });
  it.publish("a", 1, new Uint8Array(99));
  it.session.end(new Error("the end"));
  it.publish("b", 1, new Uint8Array(99));
  it.session.end(new Error("the end"));
  it.connect();
  for (let i = 0; i < 65_535; i++) it.publish("c", 1, "");
  it.session.end(new Error("the end"));
  it.take();
  it.connect(true);
  it.publish("d", 1);
  assertEquals(it.take(), ["PUBLISH(1) d QoS 1"]);
});

Deno.test("Session.end() leaves what was cancelled alone", () => {
  using it = new Recorder();
  const flows = [it.publish("a", 1).flow, it.publish("b", 0).flow, it.subscribe("c").flow, it.ping().flow];
  let failed = 0;
  for (const flow of flows) {
    it.session.cancel(flow);
    flow.waiter = { settle() {}, fail: () => failed++ };
  }
  it.session.end(new Error("the end"));
  assertEquals(failed, 0);
});

// Pings.

Deno.test("Session.ping() sends PINGREQ and settles on PINGRESP, in order", () => {
  using it = new Recorder();
  it.connect();
  const [a, b] = [it.ping(), it.ping()];
  assertEquals(it.take(), ["PINGREQ", "PINGREQ"]);
  it.receive(PINGRESP);
  assertEquals([a.state, b.state], ["settled", "pending"]);
  it.receive(PINGRESP);
  assertEquals(b.state, "settled");
  it.receive(PINGRESP);
  assertEquals(it.take(), []);
});

Deno.test("Session.ping() waits for the answer to its own PINGREQ, not to one of the keep-alive", () => {
  using it = new Recorder();
  it.connect();
  it.now = 9;
  it.session.tick(9);
  const ping = it.ping();
  it.receive(PINGRESP);
  assertEquals(ping.state, "pending");
  it.receive(PINGRESP);
  assertEquals([ping.state, it.take()], ["settled", ["PINGREQ", "PINGREQ"]]);
});

Deno.test("Session.ping() waits for the next connection, and is sent again there", () => {
  using it = new Recorder();
  const early = it.ping();
  it.connect();
  const sent = it.ping();
  assertEquals(it.take(), ["PINGREQ", "PINGREQ"]);
  it.lose();
  const late = it.ping();
  it.connect(true);
  assertEquals(it.take(), ["PINGREQ", "PINGREQ", "PINGREQ"]);
  for (let i = 0; i < 3; i++) it.receive(PINGRESP);
  assertEquals([early.state, sent.state, late.state], ["settled", "settled", "settled"]);
});

Deno.test("Session.cancel() takes back a ping that waits, and leaves the order of those that were sent", () => {
  using it = new Recorder();
  const waiting = it.ping();
  it.session.cancel(waiting.flow);
  it.connect();
  const [a, b] = [it.ping(), it.ping()];
  assertEquals(it.take(), ["PINGREQ", "PINGREQ"]);
  it.session.cancel(a.flow);
  it.receive(PINGRESP);
  assertEquals(b.state, "pending");
  it.receive(PINGRESP);
  assertEquals([waiting.state, a.state, b.state], ["pending", "pending", "settled"]);
});

Deno.test("Session.roundTrip is the time from CONNECT or PINGREQ to its answer", () => {
  using it = new Recorder();
  assertEquals(it.session.roundTrip, 0);
  it.now = 5;
  it.session.connect(CONNECT, it.now);
  it.now = 5.25;
  it.receive(connackPacket(0));
  assertEquals(it.session.roundTrip, 0.25);
  it.ping();
  it.now = 7;
  it.ping();
  it.now = 8;
  it.receive(PINGRESP);
  assertEquals(it.session.roundTrip, 2.75);
  it.receive(PINGRESP);
  assertEquals(it.session.roundTrip, 1);
  it.take();
});

// Keep-alive.

/** Does what a shell does: calls tick() when it is due, and writes at once. Gives when PINGREQ was sent, and when the broker was found dead. */
function run(
  it: Recorder,
  until: number,
  answers: (time: number) => boolean,
): { pings: number[]; dead: number | undefined } {
  const pings: number[] = [];
  while (it.session.deadline <= until) {
    it.now = Math.max(it.now, it.session.deadline);
    if (it.session.tick(it.now)) return { pings, dead: it.now };
    if (it.take().length === 0) continue;
    pings.push(it.now);
    it.session.written(it.now, true);
    if (!answers(it.now)) continue;
    it.session.heard(it.now);
    it.receive(PINGRESP);
  }
  it.now = until;
  return { pings, dead: undefined };
}

Deno.test("Session.tick() sends PINGREQ after keep_alive - ping_delay seconds of silence", () => {
  using it = new Recorder();
  it.connect();
  assertEquals(it.session.deadline, 9);
  assertEquals(run(it, 40, () => true), { pings: [9, 18, 27, 36], dead: undefined });
});

Deno.test("Session.tick() says that a broker is dead which answers no ping, ping_timeout after the first", () => {
  using it = new Recorder(); // the defaults: a second ping is due before the time-out of the first
  it.connect();
  const { pings, dead } = run(it, 1000, () => false);
  assertEquals(pings, [9, 18]);
  assertAlmostEquals(dead ?? Infinity, 19.1, 1e-6);
});

Deno.test("Session.tick() says that a broker is dead which has ceased to answer", () => {
  using it = new Recorder();
  it.connect();
  const { dead } = run(it, 1000, (time) => time < 100);
  assertAlmostEquals(dead ?? Infinity, 108 + 10.1, 1e-6);
});

Deno.test("Session waits with PINGREQ as long as something is written, and not because something is read", () => {
  using it = new Recorder();
  it.connect();
  it.session.written(5, true);
  assertEquals(it.session.deadline, 14);
  it.session.heard(13);
  assertEquals(it.session.deadline, 14);
});

Deno.test("Session keeps to the Server Keep Alive (MQTT 5.0)", () => {
  using it = new Recorder();
  it.connect(false, { connack: { properties: { serverKeepAlive: 100 } } });
  assertEquals(it.session.deadline, 99);
  it.lose();
  it.connect(false, { connack: { properties: { serverKeepAlive: 0 } } });
  assertEquals(it.session.deadline, Infinity);
});

Deno.test("Session sends no PINGREQ with keep_alive 0 or ping_delay 0", () => {
  using a = new Recorder();
  a.connect(false, { connect: { keepAlive: 0 } });
  using b = new Recorder({ pingDelay: 0 });
  b.connect();
  for (const it of [a, b]) {
    assertEquals([it.session.deadline, it.session.tick(1e6), it.take()], [Infinity, false, []]);
  }
});

Deno.test("Session.tick() does nothing while there is no connection", () => {
  using it = new Recorder();
  assertEquals([it.session.deadline, it.session.tick(1e6)], [Infinity, false]);
  it.connect();
  it.ping();
  it.lose();
  assertEquals([it.session.deadline, it.session.tick(1e6)], [Infinity, false]);
  it.take();
});

Deno.test("Session does not judge the broker while the connection is not read, though pings go on", () => {
  using it = new Recorder();
  it.connect();
  it.session.pauseReading();
  const { pings, dead } = run(it, 200, () => false);
  assertEquals([pings.slice(0, 3), dead], [[9, 18, 27], undefined]);
  it.session.resumeReading(it.now);
  assertAlmostEquals(run(it, 1000, () => false).dead ?? Infinity, 210.1, 1e-6);
});

Deno.test("Session starts the keep-alive anew on each connection", () => {
  using it = new Recorder();
  it.connect();
  run(it, 19, () => false);
  it.lose();
  it.now = 50;
  it.connect();
  assertEquals(it.session.deadline, 59);
  assertEquals(run(it, 100, () => true).dead, undefined);
});

Deno.test("Session.cancel() lets a flow that was sent end without telling anybody", () => {
  using it = new Recorder();
  it.connect();
  const flow = it.session.ping(0), outcome = new Outcome(flow);
  it.session.cancel(flow);
  it.receive(PINGRESP);
  assertEquals(outcome.state, "pending");
  it.receive(unsuback(1));
  it.take();
});

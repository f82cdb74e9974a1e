import { assertEquals, assertInstanceOf, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import {
  type ApplicationMessage,
  type ClientConfig,
  ClientError,
  MQTTClient,
  QOS_1,
  QOS_2,
  RejectedError,
} from "../../mod.ts";
import { MQTT_5_0 } from "../../src/codec/mqtt_5_0.ts";
import { NO_PROPERTIES, type Properties } from "../../src/properties.ts";
import { bytes, decode, encode, hex } from "../codec/bytes.ts";
import { brokerTest, everyBrokerTest } from "../helpers/brokers.ts";
import { event, PINGREQ, PINGRESP, playBroker, type PlayedConnection, playLink, QUICK } from "./played_broker.ts";

const V5: ClientConfig = { ...QUICK, protocol_version: 5 };
const CONNACK_5 = "20 03 00 00 00";
const SUBACK_1 = "90 04 0001 00 02";
const OWN_TOPIC = "responses/id";

/** Reads the next packet of the client. */
async function received(connection: PlayedConnection) {
  const [packet] = decode(await connection.peer.readPacket(), MQTT_5_0);
  return packet;
}

async function receivedRequest(connection: PlayedConnection) {
  const packet = await received(connection);
  if (packet.type !== "PUBLISH") throw new Error(`Unexpected ${packet.type}`);
  return packet;
}

async function receivedSubscribe(connection: PlayedConnection) {
  const packet = await received(connection);
  if (packet.type !== "SUBSCRIBE") throw new Error(`Unexpected ${packet.type}`);
  return packet;
}

async function respond(connection: PlayedConnection, topic: string, text: string, properties: Properties) {
  await connection.peer.write(encode({
    type: "PUBLISH",
    dup: false,
    qos: 0,
    retain: false,
    topic,
    packetId: 0,
    properties,
    payload: new TextEncoder().encode(text),
  }, MQTT_5_0));
}

/** Gives what answers a request. */
function correlationOf({ properties: { correlationData } }: { properties: Properties }): Properties {
  assertInstanceOf(correlationData, Uint8Array);
  return { correlationData };
}

/** Waits until the client has dealt with everything that was sent to it. */
async function settle(client: MQTTClient, connection: PlayedConnection): Promise<void> {
  const pinging = client.ping();
  await connection.expect(PINGREQ);
  await connection.send(PINGRESP);
  await pinging;
}

Deno.test("MQTTClient.request() subscribes to a response topic of its own once, and tells responses apart by correlation data", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const requests = ["one", "two"].map((text) => client.request("t", text));
  // QoS 2, and no retained messages.
  await connection.expect("82 14 0001 02 0b01 000c 'responses/id' 22");
  await connection.send(SUBACK_1);
  const one = await receivedRequest(connection), two = await receivedRequest(connection);
  assertEquals([one, two].map(({ properties }) => properties.responseTopic), [OWN_TOPIC, OWN_TOPIC]);
  assertEquals([one, two].map(({ qos, retain, topic }) => [qos, retain, topic]), [[0, false, "t"], [0, false, "t"]]);
  const correlations = [one, two].map(correlationOf);
  assertNotEquals(correlations[0], correlations[1]);
  await respond(connection, OWN_TOPIC, "TWO", correlations[1]);
  await respond(connection, OWN_TOPIC, "ONE", correlations[0]);
  const responses = await Promise.all(requests);
  assertEquals(responses.map((response) => response.text()), ["ONE", "TWO"]);
  const third = client.request("t", "three");
  await respond(connection, OWN_TOPIC, "THREE", correlationOf(await receivedRequest(connection)));
  assertEquals((await third).text(), "THREE");
});

Deno.test("MQTTClient.request() drops unknown, repeated and retained responses, and hands none to the application", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const taken: string[] = [];
  client.onmessage = (message) => void taken.push(message.text());
  const iterator = client.messages("#");
  const iterating = iterator.next();
  const request = client.request("t", "x");
  await received(connection);
  await connection.send(SUBACK_1);
  const correlation = correlationOf(await receivedRequest(connection));
  await respond(connection, OWN_TOPIC, "none", {});
  await respond(connection, OWN_TOPIC, "unknown", { correlationData: new Uint8Array(16) });
  const retained = encode({
    type: "PUBLISH",
    dup: false,
    qos: 0,
    retain: true,
    topic: OWN_TOPIC,
    packetId: 0,
    properties: correlation,
    payload: bytes("'retained'"),
  }, MQTT_5_0);
  await connection.peer.write(retained);
  await respond(connection, OWN_TOPIC, "right", correlation);
  await respond(connection, OWN_TOPIC, "late", correlation);
  assertEquals((await request).text(), "right");
  await settle(client, connection);
  assertEquals([taken, client.stats.queuedMessages], [[], 0]);
  await iterator.return?.();
  assertEquals((await iterating).done, true);
});

Deno.test("MQTTClient.request() builds its response topic on the Response Information", async () => {
  for (const information of ["reserved/42", "reserved/42/"]) {
    const connack = `20 ${(6 + information.length).toString(16).padStart(2, "0")} 00 00 ` +
      `${(3 + information.length).toString(16).padStart(2, "0")} 1a ` +
      `00 ${information.length.toString(16).padStart(2, "0")} '${information}'`;
    await using link = await playLink({ ...V5, request_response_information: true }, connack);
    const { client, connection } = link;
    assertEquals(decode(connection.connect, MQTT_5_0).map((packet) => "properties" in packet && packet.properties), [
      { requestResponseInformation: 1 },
    ]);
    const request = client.request("t", "x");
    const subscribe = await receivedSubscribe(connection);
    assertEquals(subscribe.subscriptions[0].topicFilter, "reserved/42/id");
    await connection.send(SUBACK_1);
    const packet = await receivedRequest(connection);
    assertEquals(packet.properties.responseTopic, "reserved/42/id");
    await respond(connection, "reserved/42/id", "y", correlationOf(packet));
    assertEquals((await request).text(), "y");
  }
});

everyBrokerTest(
  "MQTTClient.request() in MQTT 3.1.1 takes messages on the named topic as responses, in order",
  async (broker) => {
    await using client = new MQTTClient(), responder = new MQTTClient();
    await Promise.all([client.connect(broker.uri), responder.connect(broker.uri)]);
    await using _responding = await responder.respond("upper/+", (request) => request.text().toUpperCase(), {
      responseTopic: (request) => `${request.topic}/response`,
    });
    const properties = { responseTopic: "upper/a/response" };
    const responses = await Promise.all(
      ["x", "y", "z"].map((text) => client.request("upper/a", text, { qos: QOS_1, timeout: 10, properties })),
    );
    assertEquals(responses.map((response) => [response.text(), response.topic, response.qos]), [
      ["X", "upper/a/response", 1],
      ["Y", "upper/a/response", 1],
      ["Z", "upper/a/response", 1],
    ]);
    assertEquals(client.stats.queuedMessages, 0);
  },
);

Deno.test("MQTTClient.request() in MQTT 3.1.1 demands a response topic", async () => {
  await using link = await playLink();
  const { client } = link;
  const error = await assertRejects(() => client.request("t", "x"), ClientError);
  assertMatch(error.message, /3\.1\.1.*properties\.responseTopic/);
});

brokerTest(
  "MQTTClient.request() gets its response whatever its client identifier, and with correlation data of the application's own",
  {},
  async (broker) => {
    await using responder = new MQTTClient({ config: { protocol_version: 5 } });
    await responder.connect(broker.uris.mqtt);
    const seen: (Uint8Array | undefined)[] = [];
    await using _responding = await responder.respond("t", (request) => {
      seen.push(request.properties.correlationData);
      return "y";
    });
    for (const clientId of ["a/+/#", "", "é€😀", "x".repeat(20_000), "%2F"]) {
      await using client = new MQTTClient({ clientId, config: { protocol_version: 5 } });
      await client.connect(broker.uris.mqtt);
      assertEquals((await client.request("t", "x", { timeout: 10 })).text(), "y");
      const correlationData = Uint8Array.of(0, 0x80, 0xff);
      const properties = { correlationData, responseTopic: "my/own" };
      const response = await client.request("t", "x", { timeout: 10, properties });
      assertEquals([response.text(), response.topic, seen.at(-1)], ["y", "my/own", correlationData]);
    }
  },
);

Deno.test("MQTTClient.request() rejects with TimeoutError, counts from the call, and forgets the request", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const unsubscribed = await assertRejects(() => client.request("t", "x", { timeout: 0.01 }), DOMException);
  assertEquals(unsubscribed.name, "TimeoutError");
  await received(connection);
  await connection.send(SUBACK_1);
  const error = await assertRejects(() => client.request("t", "x", { timeout: 0.05 }), DOMException);
  assertEquals(error.name, "TimeoutError");
  assertMatch(error.message, /"t" came within 0\.05 s/);
  await respond(connection, OWN_TOPIC, "late", correlationOf(await receivedRequest(connection)));
  await settle(client, connection);
  assertEquals(client.stats.queuedMessages, 0);
});

Deno.test("MQTTClient.request() rejects with the signal's reason", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const reason = new Error("enough");
  assertEquals(await client.request("t", "x", { signal: AbortSignal.abort(reason) }).catch((error) => error), reason);
  const controller = new AbortController();
  const request = client.request("t", "x", { signal: controller.signal, timeout: 100 });
  await received(connection);
  await connection.send(SUBACK_1);
  await receivedRequest(connection);
  controller.abort(reason);
  assertEquals(await request.catch((error) => error), reason);
});

Deno.test("MQTTClient.request() rejects with ClientError when the client ends, and before it connects", async () => {
  const idle = new MQTTClient();
  await assertRejects(() => idle.request("t", "x"), ClientError, "connect()");
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const sent = client.request("t", "x");
  await received(connection);
  await connection.send(SUBACK_1);
  await receivedRequest(connection);
  await Promise.all([
    assertRejects(() => sent, ClientError, "disconnect()"),
    client.disconnect(),
    connection.peer.readToEnd().then(() => connection.peer.close()),
  ]);
  await assertRejects(() => client.request("t", "x"), ClientError, "connect() again");
});

Deno.test("MQTTClient.request() that is made while the client connects waits, and ends with it", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: V5 });
  const connecting = client.connect(broker.uri);
  const request = client.request("t", "x");
  await broker.accept();
  await client.disconnect();
  await assertRejects(() => request, ClientError);
  await assertRejects(() => connecting);
});

Deno.test("MQTTClient.request() rejects as its publish does", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const request = client.request("t", "x", { qos: QOS_1 });
  await received(connection);
  await connection.send(SUBACK_1);
  const { packetId } = await receivedRequest(connection);
  await connection.peer.write(
    encode({ type: "PUBACK", packetId, reasonCode: 0x87, properties: NO_PROPERTIES }, MQTT_5_0),
  );
  const error = await assertRejects(() => request, RejectedError);
  assertEquals(error.reasonCode, 0x87);
});

Deno.test("MQTTClient.request() rejects when the subscription is refused, and tries it again the next time", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const refused = client.request("t", "x");
  await received(connection);
  await connection.send("90 04 0001 00 87");
  const error = await assertRejects(() => refused, RejectedError, `"${OWN_TOPIC}"`);
  assertEquals(error.reasonCode, 0x87);
  const request = client.request("t", "x");
  await received(connection);
  await connection.send("90 04 0002 00 02");
  await respond(connection, OWN_TOPIC, "y", correlationOf(await receivedRequest(connection)));
  assertEquals((await request).text(), "y");
});

for (const resubscribe of [true, false]) {
  Deno.test(`MQTTClient.request() gets its response by the next connection, with resubscribe: ${resubscribe}`, async () => {
    await using link = await playLink({ ...V5, resubscribe }, CONNACK_5);
    const { client, connection, broker } = link;
    const request = client.request("t", "x");
    await received(connection);
    await connection.send(SUBACK_1);
    const correlation = correlationOf(await receivedRequest(connection));
    const again = event(client, "connect");
    await connection.peer.close();
    const second = await broker.welcome(CONNACK_5);
    await again;
    const subscribe = await receivedSubscribe(second);
    assertEquals(subscribe.subscriptions.map(({ topicFilter }) => topicFilter), [OWN_TOPIC]);
    await second.peer.write(
      encode({ type: "SUBACK", packetId: subscribe.packetId, reasonCodes: [2], properties: NO_PROPERTIES }, MQTT_5_0),
    );
    await respond(second, OWN_TOPIC, "y", correlation);
    assertEquals((await request).text(), "y");
  });
}

Deno.test("MQTTClient.request() subscribes again to a response topic that the broker has refused to restore", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection, broker } = link;
  const first = client.request("t", "x");
  await received(connection);
  await connection.send(SUBACK_1);
  await respond(connection, OWN_TOPIC, "y", correlationOf(await receivedRequest(connection)));
  await first;
  const again = event(client, "connect");
  await connection.peer.close();
  const second = await broker.welcome(CONNACK_5);
  await again;
  await receivedSubscribe(second);
  await second.send("90 04 0001 00 87");
  await settle(client, second);
  const request = client.request("t", "x");
  await receivedSubscribe(second);
  await second.send("90 04 0002 00 87");
  assertEquals((await assertRejects(() => request, RejectedError)).reasonCode, 0x87);
});

Deno.test("MQTTClient takes messages on a response topic for responses only when request() has subscribed to it", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  await respond(connection, OWN_TOPIC, "no request yet", {});
  assertEquals((await client.deliverMessage(5)).text(), "no request yet");
  const request = client.request("t", "x");
  await receivedSubscribe(connection);
  await respond(connection, OWN_TOPIC, "not granted", {});
  assertEquals((await client.deliverMessage(5)).text(), "not granted");
  await connection.send("90 04 0001 00 87");
  await assertRejects(() => request, RejectedError);
  await respond(connection, OWN_TOPIC, "refused", {});
  assertEquals((await client.deliverMessage(5)).text(), "refused");
  const subscribing = client.subscribe(OWN_TOPIC);
  await receivedSubscribe(connection);
  await connection.send("90 04 0002 00 00");
  await subscribing;
  await respond(connection, OWN_TOPIC, "the application's", {});
  assertEquals((await client.deliverMessage(5)).text(), "the application's");
});

Deno.test("MQTTClient.request() that is aborted as the link comes up sends nothing", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ clientId: "id", config: V5 });
  const controller = new AbortController(), enough = new Error("enough");
  client.addEventListener("connect", () => controller.abort(enough));
  const connecting = client.connect(broker.uri);
  const request = client.request("t", "x", { signal: controller.signal });
  const connection = await broker.welcome(CONNACK_5);
  await connecting;
  assertEquals(await assertRejects(() => request), enough);
  await settle(client, connection);
  await client.disconnect({ drain: 0 });
});

Deno.test("MQTTClient.request() gets its response though the application takes no messages meanwhile", async () => {
  await using link = await playLink({ ...V5, max_queued_messages: 2 }, CONNACK_5);
  const { client, connection } = link;
  const request = client.request("t", "x");
  await received(connection);
  await connection.send(SUBACK_1);
  const correlation = correlationOf(await receivedRequest(connection));
  for (let i = 0; i < 4; i++) await respond(connection, "other", `${i}`, {});
  await respond(connection, OWN_TOPIC, "y", correlation);
  assertEquals((await request).text(), "y");
});

Deno.test("MQTTClient.request() and respond() reject wrong arguments before anything is sent", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  await assertRejects(() => client.request("a/#", "x"), TypeError);
  await assertRejects(() => client.request("t", "x", { timeout: -1 }), RangeError);
  for (const responseTopic of ["a/+", "", "$share/g/t", "$share/"]) {
    await assertRejects(() => client.request("t", "x", { properties: { responseTopic } }), TypeError);
  }
  await assertRejects(() => client.respond("a/#/b", () => "y"), TypeError);
  await assertRejects(() => client.respond("t", () => "y", { concurrency: 0 }), RangeError);
  await assertRejects(() => client.respond("t", () => "y", { responseTopic: "#" }), TypeError);
  await settle(client, connection);
});

brokerTest(
  "MQTTClient.respond() gives each kind of answer, with the request's correlation data and QoS",
  {},
  async (broker) => {
    await using client = new MQTTClient({ config: { protocol_version: 5 } });
    await client.connect(broker.uris.mqtt);
    await using _responding = await client.respond("t/+", async (request) => {
      await Promise.resolve();
      if (request.topic === "t/text") return "text";
      if (request.topic === "t/bytes") return Uint8Array.of(1, 2);
      if (request.topic === "t/object") return { payload: "{}", properties: { contentType: "application/json" } };
    });
    const responses = new Map<string, ApplicationMessage>();
    for (const topic of ["t/text", "t/bytes", "t/object", "t/nothing"]) {
      responses.set(topic, await client.request(topic, "x", { qos: QOS_2, timeout: 10 }));
    }
    assertEquals([...responses.values()].map(({ payload, qos }) => [hex(payload), qos]), [
      [hex(bytes("'text'")), 2],
      ["0102", 2],
      [hex(bytes("'{}'")), 2],
      ["", 2],
    ]);
    assertEquals(responses.get("t/object")?.properties.contentType, "application/json");
    assertEquals(client.stats.queuedMessages, 0);
  },
);

/** Sends a request of QoS 1 as a broker does. */
async function sendRequest(connection: PlayedConnection, packetId: number, properties: Properties): Promise<void> {
  const payload = new TextEncoder().encode(`${packetId}`);
  await connection.peer.write(
    encode({ type: "PUBLISH", dup: false, qos: 1, retain: false, topic: "t", packetId, properties, payload }, MQTT_5_0),
  );
}

const REQUEST: Properties = { responseTopic: "r", correlationData: Uint8Array.of(1) };

Deno.test("MQTTClient.respond() with manual_ack acknowledges a request when its response is acknowledged", async () => {
  await using link = await playLink({ ...V5, manual_ack: true }, CONNACK_5);
  const { client, connection } = link;
  const responding = client.respond("t", (request) => request.text());
  await connection.expect("82 09 0001 02 0b01 0001 't' 02");
  await connection.send("90 04 0001 00 01");
  const responder = await responding;
  await sendRequest(connection, 7, REQUEST);
  // topic "r", packet identifier 2, correlation data, payload "7"
  await connection.expect("32 0b 0001 'r' 0002 04 09 0001 01 '7'");
  await settle(client, connection);
  await connection.send("40 02 0002");
  await connection.expect("40 02 0007");
  // Without a response topic it is acknowledged when it was handled.
  await sendRequest(connection, 8, {});
  await connection.expect("40 02 0008");
  const stopped = responder.stop();
  await connection.expect("a2 06 0003 00 0001 't'");
  await connection.send("b0 04 0003 00 00");
  await stopped;
});

Deno.test("MQTTClient.respond() handles one request at a time in order, or as many as it is told", async () => {
  for (const concurrency of [1, 2]) {
    await using link = await playLink(V5, CONNACK_5);
    const { client, connection } = link;
    const started: string[] = [];
    const handlers = new Map<string, () => void>();
    const responding = client.respond("t", (request) => {
      started.push(request.text());
      return new Promise<string>((resolve) => handlers.set(request.text(), () => resolve(request.text())));
    }, { concurrency });
    await received(connection);
    await connection.send("90 04 0001 00 01");
    const responder = await responding;
    for (const packetId of [1, 2, 3]) {
      await sendRequest(connection, packetId, REQUEST);
      await connection.peer.readPacket(); // PUBACK
    }
    await settle(client, connection);
    assertEquals(started, ["1", "2", "3"].slice(0, concurrency));
    for (const text of ["1", "2", "3"]) {
      handlers.get(text)?.();
      const response = await receivedRequest(connection);
      assertEquals(new TextDecoder().decode(response.payload), text);
      const { packetId } = response;
      await connection.peer.write(
        encode({ type: "PUBACK", packetId, reasonCode: 0, properties: NO_PROPERTIES }, MQTT_5_0),
      );
      await settle(client, connection);
    }
    assertEquals(started, ["1", "2", "3"]);
    const stopped = responder.stop();
    await received(connection);
    await connection.send("b0 04 0005 00 00");
    await stopped;
  }
});

Deno.test("MQTTClient.respond() reports what its handler throws, responds nothing, and goes on", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const reported: unknown[] = [];
  const report = (event: ErrorEvent) => {
    event.preventDefault();
    reported.push(event.error);
  };
  addEventListener("error", report);
  try {
    const fault = new Error("out of order");
    const responding = client.respond("t", (request) => {
      if (request.text() === "1") throw fault;
      return request.text() === "2" ? { properties: { topicAlias: 1 } } : "fine";
    });
    await received(connection);
    await connection.send("90 04 0001 00 01");
    await responding;
    for (const packetId of [1, 2, 3]) {
      await sendRequest(connection, packetId, REQUEST);
      await connection.peer.readPacket(); // PUBACK
    }
    const response = await receivedRequest(connection);
    assertEquals(new TextDecoder().decode(response.payload), "fine");
    assertEquals(reported[0], fault);
    assertInstanceOf(reported[1], TypeError);
    assertEquals(reported.length, 2);
  } finally {
    removeEventListener("error", report);
  }
});

Deno.test("MQTTClient.respond() goes on when a broker rejects a response, and ends with the client in silence", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const responding = client.respond("t", (request) => request.text());
  await received(connection);
  await connection.send("90 04 0001 00 01");
  const responder = await responding;
  for (const packetId of [1, 2]) {
    await sendRequest(connection, packetId, REQUEST);
    await connection.peer.readPacket(); // PUBACK
    const response = await receivedRequest(connection);
    assertEquals(new TextDecoder().decode(response.payload), `${packetId}`);
    if (packetId === 2) break; // It is never acknowledged.
    await connection.peer.write(
      encode({ type: "PUBACK", packetId: response.packetId, reasonCode: 0x87, properties: NO_PROPERTIES }, MQTT_5_0),
    );
  }
  await Promise.all([
    client.disconnect({ drain: 0 }),
    connection.peer.readToEnd().then(() => connection.peer.close()),
  ]);
  await responder.stop();
});

Deno.test("MQTTClient.respond() rejects when its subscription is refused, and leaves the messages to others", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const responding = client.respond("t", () => "y");
  await received(connection);
  await connection.send("90 04 0001 00 87");
  const error = await assertRejects(() => responding, RejectedError, '"t"');
  assertEquals(error.reasonCode, 0x87);
  await respond(connection, "t", "for others", {});
  assertEquals((await client.deliverMessage(5)).text(), "for others");
});

Deno.test("Responder.stop() answers the requests that have come, and no more", async () => {
  await using link = await playLink(V5, CONNACK_5);
  const { client, connection } = link;
  const begun = Promise.withResolvers<void>(), released = Promise.withResolvers<void>();
  const responding = client.respond("t", async (request) => {
    begun.resolve();
    await released.promise;
    return request.text();
  });
  await received(connection);
  await connection.send("90 04 0001 00 01");
  const responder = await responding;
  const properties = { responseTopic: "r" };
  await respond(connection, "t", "1", properties);
  await respond(connection, "t", "2", properties);
  await begun.promise;
  const stopped = responder.stop();
  await connection.expect("a2 06 0002 00 0001 't'");
  await connection.send("b0 04 0002 00 00");
  await settle(client, connection);
  await respond(connection, "t", "for others", properties);
  assertEquals((await client.deliverMessage(5)).text(), "for others");
  released.resolve();
  await connection.expect("30 05 0001 'r' 00 '1'", "30 05 0001 'r' 00 '2'");
  await Promise.all([stopped, responder.stop()]);
});

Deno.test("MQTTClient.request() acknowledges responses itself where manual_ack is on", async () => {
  await using link = await playLink({ ...V5, manual_ack: true }, CONNACK_5);
  const { client, connection } = link;
  const request = client.request("t", "x");
  await received(connection);
  await connection.send(SUBACK_1);
  const properties = correlationOf(await receivedRequest(connection));
  for (const packetId of [7, 8]) { // The second is one that nobody waits for.
    await connection.peer.write(encode({
      type: "PUBLISH",
      dup: false,
      qos: 1,
      retain: false,
      topic: OWN_TOPIC,
      packetId,
      properties,
      payload: new TextEncoder().encode(`${packetId}`),
    }, MQTT_5_0));
    await connection.expect(`40 02 000${packetId}`);
  }
  assertEquals((await request).text(), "7");
});

brokerTest(
  "MQTTClient.respond() may request in its handler, also what the client itself responds to",
  {},
  async (broker) => {
    await using client = new MQTTClient({ config: { protocol_version: 5 } });
    await client.connect(broker.uris.mqtt);
    await using _upper = await client.respond("upper", (request) => request.text().toUpperCase());
    await using _greet = await client.respond("greet", async (request) => {
      const name = await client.request("upper", request.text(), { timeout: 10 });
      return `Hello ${name.text()}`;
    });
    assertEquals((await client.request("greet", "you", { timeout: 10 })).text(), "Hello YOU");
  },
);

brokerTest(
  "MQTTClient.respond() shares requests by $share, until each responder is stopped",
  {},
  async (broker) => {
    const config: ClientConfig = { protocol_version: 5 };
    await using client = new MQTTClient({ config });
    await using one = new MQTTClient({ config }), two = new MQTTClient({ config });
    await Promise.all([client, one, two].map((each) => each.connect(broker.uris.mqtt)));
    const counts = { one: 0, two: 0 };
    const first = await one.respond("$share/g/t/#", () => `${++counts.one}`);
    const second = await two.respond("$share/g/t/#", () => `${++counts.two}`);
    await Promise.all(Array.from({ length: 20 }, () => client.request("t/x", "?", { qos: QOS_1, timeout: 10 })));
    assertEquals(counts, { one: 10, two: 10 });
    await first.stop();
    await Promise.all(Array.from({ length: 5 }, () => client.request("t/x", "?", { qos: QOS_1, timeout: 10 })));
    assertEquals(counts, { one: 10, two: 15 });
    await Promise.all([first.stop(), second.stop()]);
  },
);

import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { type ClientConfig, ClientError, MQTTClient, type Properties } from "../../mod.ts";
import { bytes, hex } from "../codec/bytes.ts";
import { brokerTest } from "../helpers/brokers.ts";
import {
  CONNACK,
  CONNACK_5,
  DISCONNECT,
  event,
  PINGREQ,
  PINGRESP,
  playBroker,
  type PlayedLink,
  playLink5,
  QUICK,
  QUICK_5,
  withProperties,
} from "./played_broker.ts";

// What is configured, and what of it CONNECT carries.
const CONNECT_PROPERTIES: readonly [config: ClientConfig, properties: string][] = [
  [{}, ""],
  [{ topic_aliases: false, check_payload_format: true, follow_redirects: 2, max_inflight: 3 }, ""],
  [{ session_expiry_interval: 60 }, "11 0000003c"],
  [{ session_expiry_interval: 0 }, "11 00000000"],
  [{ session_expiry_interval: 4_294_967_295 }, "11 ffffffff"],
  [{ receive_maximum: 65_535 }, "21 ffff"],
  [{ maximum_packet_size: 4_294_967_295 }, "27 ffffffff"],
  [{ topic_alias_maximum: 0 }, "22 0000"],
  [{ topic_alias_maximum: 65_535 }, "22 ffff"],
  [{ user_properties: [["a", "1"], ["b", ""], ["a", "2"]] }, "26 0001'a' 0001'1' 26 0001'b' 0000 26 0001'a' 0001'2'"],
  [{ user_properties: { a: "1", b: "2" } }, "26 0001'a' 0001'1' 26 0001'b' 0001'2'"],
  [{ user_properties: [] }, ""],
  [{ authentication_method: "M" }, "15 0001'M'"],
  [{ authentication_method: "M", authentication_data: "ü" }, "15 0001'M' 16 0002 c3bc"],
  [{ authentication_method: "M", authentication_data: Uint8Array.of(0, 255) }, "15 0001'M' 16 0002 00ff"],
  [
    { session_expiry_interval: 1, receive_maximum: 2, maximum_packet_size: 300, topic_alias_maximum: 4 },
    "11 00000001 21 0002 22 0004 27 0000012c",
  ],
];

Deno.test("MQTTClient puts into CONNECT the properties that are configured and no others", async () => {
  for (const [config, properties] of CONNECT_PROPERTIES) {
    // A broker that accepts names the method, too.
    const method = config.authentication_method === undefined ? "" : "15 0001'M'";
    await using link = await playLink5(config, withProperties("20", "00 00", method));
    const head = withProperties("10", "0004 'MQTT' 05 02 000a", properties);
    const connect = hex(bytes(head));
    assertEquals(hex(link.connection.connect).slice(4), connect.slice(4) + hex(bytes("0002 'id'")), connect);
  }
});

Deno.test("MQTTClient puts no property into CONNECT of MQTT 3.1.1", async () => {
  for (const [config] of CONNECT_PROPERTIES) {
    await using broker = await playBroker();
    const client = new MQTTClient({ clientId: "id", config: { ...QUICK, ...config } });
    const [connection] = await Promise.all([broker.welcome(CONNACK), client.connect(broker.uri)]);
    assertEquals(hex(connection.connect), hex(bytes("10 0e 0004 'MQTT' 04 02 000a 0002 'id'")));
    await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
  }
});

Deno.test("MQTTClient puts the properties of the will into CONNECT, Will Delay Interval among them", async () => {
  const config = {
    will: {
      topic: "w",
      message: "m",
      qos: 1,
      retain: true,
      properties: {
        willDelayInterval: 7,
        payloadFormatIndicator: 1,
        messageExpiryInterval: 9,
        contentType: "c",
        responseTopic: "r",
        correlationData: Uint8Array.of(0xff),
        userProperties: [["a", "b"]],
      },
    },
  } as const satisfies ClientConfig;
  await using link = await playLink5(config);
  const properties = "01 01 02 00000009 03 0001'c' 08 0001'r' 09 0001 ff 18 00000007 26 0001'a' 0001'b'";
  const will = `${hex(Uint8Array.of(bytes(properties).length))} ${properties} 0001'w' 0001'm'`;
  assertEquals(hex(link.connection.connect.subarray(2)), hex(bytes(`0004'MQTT' 05 2e 000a 00 0002'id' ${will}`)));
});

Deno.test("MQTTClient.connack holds the properties of CONNACK, and connect() resolves with 0", async () => {
  const properties = [
    "11 ffffffff",
    "21 000a",
    "24 01",
    "25 00",
    "27 ffffffff",
    "12 0002'me'",
    "22 0005",
    "1f 0002'ok'",
    "26 0001'a' 0001'b'",
    "26 0001'a' 0001'c'",
    "28 00",
    "29 00",
    "2a 00",
    "13 000a",
    "1a 0003'rsp'",
  ];
  await using broker = await playBroker();
  const client = new MQTTClient({ clientId: "", config: QUICK_5 });
  const connack = withProperties("20", "00 00", properties.join(" "));
  const [code, connection] = await Promise.all([client.connect(broker.uri), broker.welcome(connack)]);
  assertEquals(code, 0);
  assertEquals(client.connack, {
    returnCode: 0,
    sessionPresent: false,
    properties: {
      sessionExpiryInterval: 4_294_967_295,
      receiveMaximum: 10,
      maximumQos: 1,
      retainAvailable: 0,
      maximumPacketSize: 4_294_967_295,
      assignedClientIdentifier: "me",
      topicAliasMaximum: 5,
      reasonString: "ok",
      userProperties: [["a", "b"], ["a", "c"]],
      wildcardSubscriptionAvailable: 0,
      subscriptionIdentifiersAvailable: 0,
      sharedSubscriptionAvailable: 0,
      serverKeepAlive: 10,
      responseInformation: "rsp",
    },
  });
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
});

Deno.test("MQTTClient takes the identifier that the broker assigns, and connects with it from then on", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ clientId: "", config: QUICK_5 });
  const assigned = withProperties("20", "00 00", "12 0002'me'");
  const ids: string[] = [];
  client.addEventListener("connect", () => ids.push(client.clientId));
  const [first] = await Promise.all([broker.welcome(assigned), client.connect(broker.uri)]);
  assertEquals(hex(first.connect), hex(bytes("10 0d 0004'MQTT' 05 02 000a 00 0000")));
  const withId = hex(bytes("10 0f 0004'MQTT' 05 02 000a 00 0002'me'"));
  const [second] = await Promise.all([broker.welcome(CONNACK_5), event(client, "connect"), first.peer.close()]);
  assertEquals(hex(second.connect), withId);
  const [third] = await Promise.all([broker.welcome(CONNACK_5), client.reconnect(), second.expectEnd(DISCONNECT)]);
  assertEquals(hex(third.connect), withId);
  await Promise.all([client.disconnect(), third.expectEnd(DISCONNECT)]);
  const [fourth] = await Promise.all([broker.welcome(CONNACK_5), client.connect(broker.uri)]);
  assertEquals(hex(fourth.connect), withId);
  await Promise.all([client.disconnect(), fourth.expectEnd(DISCONNECT)]);
  assertEquals(ids, ["me", "me", "me", "me"]);
});

Deno.test("MQTTClient keeps the Server Keep Alive in the place of its own", async () => {
  const connack = withProperties("20", "00 00", "13 0001");
  await using link = await playLink5({ keep_alive: 60_000, ping_delay: 0.95 }, connack);
  const start = performance.now();
  await link.connection.expect(PINGREQ);
  const elapsed = performance.now() - start;
  await link.connection.send(PINGRESP);
  assertLess(elapsed, 900);
});

Deno.test("MQTTClient sends no pings when the Server Keep Alive is 0", async () => {
  await using link = await playLink5({ keep_alive: 1, ping_delay: 0.95 }, withProperties("20", "00 00", "13 0000"));
  const pinged = link.connection.peer.read(1).then(() => true, () => true);
  const waited = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => waited.resolve(false), 300);
  assertEquals(await Promise.race([pinged, waited.promise]), false);
  clearTimeout(timer);
});

Deno.test("MQTTClient sends acknowledgements and DISCONNECT in their short forms, and takes them in any", async () => {
  await using link = await playLink5();
  const { client, connection } = link;
  await connection.send("32 07 0001'a' 0001 00 'x'", "34 07 0001'a' 0002 00 'x'");
  await connection.expect("40 02 0001", "50 02 0002");
  await connection.send("62 02 0002", "34 07 0001'a' 0003 00 'x'", "62 03 0003 00", "62 04 0004 92 00");
  await connection.expect("70 02 0002", "50 02 0003", "70 02 0003", "70 03 0004 92");
  for (const puback of ["40 02 0001", "40 03 0002 00", "40 04 0003 00 00", "40 03 0004 10"]) {
    const published = client.publish("t", "x", { qos: 1 });
    await connection.peer.readPacket();
    await connection.send(puback);
    assertEquals((await published).pubackPacket?.reasonCode, puback.endsWith("10") ? 0x10 : 0);
  }
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
});

Deno.test("MQTTClient.publish() sends the properties of the message", async () => {
  await using link = await playLink5();
  const { client, connection } = link;
  const properties: Properties = {
    payloadFormatIndicator: 1,
    messageExpiryInterval: 4_294_967_295,
    contentType: "c",
    responseTopic: "r",
    correlationData: Uint8Array.of(1),
    userProperties: [["a", "1"], ["a", "2"]],
  };
  const written = "01 01 02 ffffffff 03 0001'c' 08 0001'r' 09 0001 01 26 0001'a' 0001'1' 26 0001'a' 0001'2'";
  const publish = (first: string, id: string) => {
    const head = withProperties(first, `0001't' ${id}`, written), length = bytes(head)[1] + 1;
    return hex(bytes(head)).replace(/^(..)../, `$1${hex(Uint8Array.of(length))}`) + "78";
  };
  await client.publish("t", "x", { properties });
  assertEquals(hex(await connection.peer.readPacket()), publish("30", ""));
  const published = client.publish("t", "x", { qos: 1, properties });
  assertEquals(hex(await connection.peer.readPacket()), publish("32", "0001"));
  await connection.send("40 02 0001");
  assertEquals((await published).properties, properties);
});

Deno.test("MQTTClient gives the properties of a received message", async () => {
  await using link = await playLink5();
  const { client, connection } = link;
  const properties = "01 01 02 00000005 03 0001'c' 08 0001'r' 09 0001 ff 0b 01 0b ffffff7f 26 0001'a' 0001'b'";
  await connection.send(withProperties("30", "0001'a'", properties), "30 04 0001'a' 00");
  assertEquals((await client.deliverMessage(5)).properties, {
    payloadFormatIndicator: 1,
    messageExpiryInterval: 5,
    contentType: "c",
    responseTopic: "r",
    correlationData: Uint8Array.of(0xff),
    subscriptionIdentifiers: [1, 268_435_455],
    userProperties: [["a", "b"]],
  });
  assertEquals((await client.deliverMessage(5)).properties, {});
});

Deno.test("MQTTClient resolves the topic aliases that it accepts", async () => {
  await using link = await playLink5({ topic_alias_maximum: 2 });
  const { client, connection } = link;
  await connection.send("30 07 0001'a' 03 23 0002", "30 06 0000 03 23 0002", "30 07 0001'b' 03 23 0002");
  await connection.send("30 06 0000 03 23 0002");
  const topics = [];
  for (let i = 0; i < 4; i++) topics.push((await client.deliverMessage(5)).topic);
  assertEquals(topics, ["a", "a", "b", "b"]);
});

Deno.test("MQTTClient.subscribe() and .unsubscribe() send options and properties", async () => {
  const noIdentifiers = withProperties("20", "00 00", "29 00");
  await using link = await playLink5({}, noIdentifiers);
  const { client, connection } = link;
  const properties: Properties = { userProperties: [["a", "b"]] };
  const subscribed = client.subscribe([
    ["a", 1],
    { filter: "b", qos: 2, noLocal: true },
    { filter: "c", retainAsPublished: true },
    { filter: "d", retainHandling: 1 },
    { filter: "e", qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 },
  ], { properties });
  await connection.expect(
    "82 1e 0001 07 26 0001'a' 0001'b' 0001'a' 01 0001'b' 06 0001'c' 08 0001'd' 10 0001'e' 2d",
  );
  await connection.send("90 08 0001 00 01 02 00 87 8f");
  assertEquals(await subscribed, [1, 2, 0, 0x87, 0x8f]);
  const unsubscribed = client.unsubscribe(["a", "b", "c"], { properties });
  await connection.expect("a2 13 0002 07 26 0001'a' 0001'b' 0001'a' 0001'b' 0001'c'");
  await connection.send("b0 06 0002 00 00 11 87");
  assertEquals(await unsubscribed, [0, 0x11, 0x87]);
});

Deno.test("MQTTClient restores a subscription with all its options", async () => {
  await using link = await playLink5({}, withProperties("20", "00 00", "29 00"));
  const { client, connection, broker } = link;
  const subscribed = client.subscribe([{ filter: "e", qos: 1, noLocal: true, retainAsPublished: true }]);
  await connection.expect("82 07 0001 00 0001'e' 0d");
  await connection.send("90 04 0001 00 01");
  await subscribed;
  const [second] = await Promise.all([
    broker.welcome(withProperties("20", "00 00", "29 00")),
    event(client, "connect"),
    connection.peer.close(),
  ]);
  await second.expect("82 07 0001 00 0001'e' 0d");
});

// Calls that must not send anything, and what they reject with.
const MISUSES: readonly [
  what: string,
  call: (client: MQTTClient) => Promise<unknown>,
  error: typeof TypeError | typeof RangeError,
  words: string,
][] = [
  ["properties that are none", (c) => c.publish("t", "x", { properties: JSON.parse("[]") }), TypeError, "object"],
  ["an unknown property", (c) => c.publish("t", "x", { properties: JSON.parse('{"ttl":1}') }), TypeError, "ttl"],
  ["a property of another packet", (c) => c.publish("t", "x", { properties: { receiveMaximum: 1 } }), TypeError, "not"],
  ["a topic alias", (c) => c.publish("t", "x", { properties: { topicAlias: 1 } }), TypeError, "topic_aliases"],
  [
    "subscription identifiers",
    (c) => c.publish("t", "x", { properties: { subscriptionIdentifiers: [1] } }),
    TypeError,
    "only a broker",
  ],
  ["an expiry of -1", (c) => c.publish("t", "x", { properties: { messageExpiryInterval: -1 } }), RangeError, "-1"],
  ["an expiry of 1.5", (c) => c.publish("t", "x", { properties: { messageExpiryInterval: 1.5 } }), RangeError, "1.5"],
  [
    "an expiry of 2³²",
    (c) => c.publish("t", "x", { properties: { messageExpiryInterval: 2 ** 32 } }),
    RangeError,
    "4294967296",
  ],
  [
    "a response topic with a wildcard",
    (c) => c.publish("t", "x", { properties: { responseTopic: "#" } }),
    TypeError,
    "responseTopic",
  ],
  [
    "U+0000 in a content type",
    (c) => c.publish("t", "x", { properties: { contentType: "\0" } }),
    TypeError,
    "contentType",
  ],
  [
    "correlation data that is too long",
    (c) => c.publish("t", "x", { properties: { correlationData: new Uint8Array(65_536) } }),
    RangeError,
    "65536",
  ],
  [
    "user properties that are no pairs",
    (c) => c.publish("t", "x", { properties: JSON.parse('{"userProperties":[["a"]]}') }),
    TypeError,
    "pairs",
  ],
  [
    "the subscription identifier 0",
    (c) => c.subscribe("a", 0, { properties: { subscriptionIdentifier: 0 } }),
    RangeError,
    "subscriptionIdentifier",
  ],
  [
    "an identifier in UNSUBSCRIBE",
    (c) => c.unsubscribe("a", { properties: { subscriptionIdentifier: 1 } }),
    TypeError,
    "UNSUBSCRIBE",
  ],
  [
    "a bad retain handling",
    (c) => c.subscribe([JSON.parse('{"filter":"a","retainHandling":3}')]),
    RangeError,
    "retain",
  ],
  [
    "no local on a shared subscription",
    (c) => c.subscribe([{ filter: "$share/g/a", noLocal: true }]),
    TypeError,
    "noLocal",
  ],
  ["a noLocal that is a word", (c) => c.subscribe([JSON.parse('{"filter":"a","noLocal":"no"}')]), TypeError, "noLocal"],
  ["no reason code", (c) => c.disconnect({ reasonCode: 1 }), RangeError, "1 is no reason code"],
  ["a reason code that is text", (c) => c.disconnect({ reasonCode: JSON.parse('"4"') }), RangeError, "reason code"],
  ["a broker's reason code", (c) => c.disconnect({ reasonCode: 0x8b }), RangeError, "reason code"],
  [
    "a server reference",
    (c) => c.disconnect({ properties: { serverReference: "a" } }),
    TypeError,
    "serverReference",
  ],
  [
    "a session expiry where CONNECT had none",
    (c) => c.disconnect({ properties: { sessionExpiryInterval: 1 } }),
    RangeError,
    "session_expiry_interval",
  ],
];

for (const [what, call, error, words] of MISUSES) {
  Deno.test(`MQTTClient with MQTT 5.0 refuses ${what} before anything is sent`, async () => {
    await using link = await playLink5();
    const { client, connection } = link;
    await assertRejects(() => call(client), error, words);
    await assertNothingSent(link);
    assertEquals(client.connected, true);
    await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
  });
}

// What a broker says it cannot do, and calls that it could not serve.
const LIMITS: readonly [limit: string, call: (client: MQTTClient) => Promise<unknown>, words: string][] = [
  ["24 00", (client) => client.publish("t", "x", { qos: 1 }), "Maximum QoS"],
  ["24 01", (client) => client.publish("t", "x", { qos: 2 }), "Maximum QoS"],
  ["25 00", (client) => client.publish("t", "x", { retain: true }), "Retain Available"],
  ["27 00000014", (client) => client.publish("t", "x".repeat(20)), "Maximum Packet Size"],
  ["27 00000014", (client) => client.subscribe("x".repeat(20)), "Maximum Packet Size"],
  ["27 00000014", (client) => client.unsubscribe("x".repeat(20)), "Maximum Packet Size"],
  ["28 00", (client) => client.subscribe("a/#"), "Wildcard Subscription Available"],
  ["28 00", (client) => client.subscribe([["a", 0], ["+", 0]]), "Wildcard Subscription Available"],
  ["2a 00", (client) => client.subscribe("$share/g/a"), "Shared Subscription Available"],
  [
    "29 00",
    (client) => client.subscribe("a", 0, { properties: { subscriptionIdentifier: 1 } }),
    "Subscription Identifiers Available",
  ],
];

for (const [limit, call, words] of LIMITS) {
  Deno.test(`MQTTClient rejects what the broker cannot do before it is sent: ${words} (${limit})`, async () => {
    await using link = await playLink5({}, withProperties("20", "00 00", limit));
    await assertRejects(() => call(link.client), ClientError, words);
    await assertNothingSent(link);
  });
}

/** Checks that a ping is the next packet that the client sends. */
async function assertNothingSent({ client, connection }: PlayedLink): Promise<void> {
  const pinging = client.ping();
  await connection.expect(PINGREQ);
  await connection.send(PINGRESP);
  await pinging;
}

brokerTest(
  "MQTTClient.subscribe() with noLocal, retainAsPublished and retainHandling does what they say",
  {},
  async (broker) => {
    const config = { protocol_version: 5 } as const;
    await using client = new MQTTClient({ config });
    await using other = new MQTTClient({ config });
    await Promise.all([client.connect(broker.uris.mqtt), other.connect(broker.uris.mqtt)]);
    await client.subscribe([
      { filter: "local", qos: 1, noLocal: true },
      { filter: "published", qos: 1, retainAsPublished: true },
      { filter: "plain", qos: 1 },
    ]);
    await client.publish("local", "own", { qos: 1 });
    await other.publish("local", "other's", { qos: 1 });
    await other.publish("published", "", { qos: 1, retain: true });
    await other.publish("plain", "kept", { qos: 1, retain: true });
    const received = [];
    for (let i = 0; i < 3; i++) received.push(await client.deliverMessage(5));
    assertEquals(received.map(({ topic, retain }) => [topic, retain]), [
      ["local", false],
      ["published", true],
      ["plain", false],
    ]);
    assertEquals(received[0].text(), "other's");
    // Retained messages: not for an old subscription with 1, never with 2, always with 0.
    for (const [retainHandling, topics] of [[1, []], [2, []], [0, ["plain"]]] as const) {
      await client.subscribe([{ filter: "plain", qos: 1, retainHandling }]);
      await client.ping();
      assertEquals(client.stats.queuedMessages, topics.length);
      for (const topic of topics) assertEquals((await client.deliverMessage(5)).topic, topic);
    }
    await other.subscribe([{ filter: "plain", retainHandling: 1 }]);
    assertEquals((await other.deliverMessage(5)).text(), "kept");
  },
);

brokerTest("MQTTClient passes the properties of a message through a broker", {}, async (broker) => {
  const config = { protocol_version: 5 } as const;
  await using client = new MQTTClient({ config });
  await client.connect(broker.uris.mqtt);
  await client.subscribe("a", 2);
  const properties: Properties = {
    payloadFormatIndicator: 1,
    messageExpiryInterval: 4_294_967_295,
    contentType: "text/plain",
    responseTopic: "r",
    correlationData: Uint8Array.of(0, 255),
    userProperties: [["a", "1"], ["a", "2"], ["b", ""]],
  };
  await client.publish("a", "x", { qos: 2, properties });
  const received = (await client.deliverMessage(5)).properties;
  assertEquals(received, properties);
  await client.publish("a", "y", { properties: received });
  assertEquals((await client.deliverMessage(5)).properties, properties);
});

brokerTest("MQTTClient.disconnect() with reason code 4 has the broker publish the will", {}, async (broker) => {
  const config = { protocol_version: 5 } as const;
  await using watcher = new MQTTClient({ config });
  await watcher.connect(broker.uris.mqtt);
  await watcher.subscribe("w", 1);
  const client = new MQTTClient({ config: { ...config, will: { topic: "w", message: "gone" } } });
  await client.connect(broker.uris.mqtt);
  await client.disconnect({ reasonCode: 4 });
  assertEquals((await watcher.deliverMessage(5)).text(), "gone");
});

brokerTest(
  "MQTTClient.messages() loses nothing that the broker has kept under the identifiers of a former process",
  {},
  async (broker) => {
    const config = { protocol_version: 5, cleansession: false, session_expiry_interval: 60 } as const;
    const former = new MQTTClient({ clientId: "kept", config });
    await former.connect(broker.uris.mqtt);
    await former.subscribe("home/#", 1);
    await former.disconnect();
    await using publisher = new MQTTClient();
    await publisher.connect(broker.uris.mqtt);
    const texts = Array.from({ length: 50 }, (_, i) => String(i)); // more than the broker sends before the first is acknowledged
    for (const text of texts) await publisher.publish("home/kitchen", text, { qos: 1 });
    await using client = new MQTTClient({ clientId: "kept", config });
    const messages = client.messages("home/#");
    await client.connect(broker.uris.mqtt);
    await Promise.all([client.subscribe("home/kitchen", 1), client.subscribe("home/#", 1)]);
    for (const text of texts) assertEquals((await messages.next()).value?.text(), text);
    assertEquals(client.stats.queuedMessages, 0);
  },
);

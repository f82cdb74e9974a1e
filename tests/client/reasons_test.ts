import { assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import {
  ConnectError,
  ConnectionLostError,
  type DisconnectOptions,
  MQTTClient,
  ProtocolError,
  RejectedError,
} from "../../mod.ts";
import {
  CONNACK_5,
  DISCONNECT,
  errorOf,
  event,
  PINGREQ,
  PINGRESP,
  playBroker,
  playLink5,
  QUICK_5,
  recordEvents,
  withProperties,
} from "./played_broker.ts";

const MALFORMED = 0x81, PROTOCOL_ERROR = 0x82;

// What a broker must not send to this client, the reason code that it is told, and the words of the error.
const BREACHES: readonly [what: string, bytes: string, reasonCode: number, message: RegExp][] = [
  ["a packet of type 0", "00 00", MALFORMED, /byte 0/],
  ["AUTH with reserved flags", "f1 00", MALFORMED, /AUTH/],
  ["PUBLISH with QoS 3", "36 06 0001 'a' 0001 00", MALFORMED, /QoS/],
  ["PUBLISH without properties", "30 03 0001 'a'", MALFORMED, /propert/i],
  ["PUBLISH whose properties are longer than it", "30 04 0001 'a' 05", MALFORMED, /propert/i],
  ["PUBLISH with a property that does not exist", "30 06 0001 'a' 02 7f 00", MALFORMED, /./],
  ["PUBLISH with a property of CONNACK", "30 06 0001 'a' 02 25 01", MALFORMED, /property 0x25/],
  ["PUBLISH with a property twice", "30 08 0001 'a' 04 01 01 01 01", PROTOCOL_ERROR, /payloadFormatIndicator/],
  ["PUBLISH with a payload format of 2", "30 06 0001 'a' 02 01 02", PROTOCOL_ERROR, /payloadFormatIndicator/],
  ["PUBLISH with U+0000 in a content type", "30 08 0001 'a' 04 03 0001 00", MALFORMED, /U\+0000/],
  ["PUBLISH with a response topic that has wildcards", "30 08 0001 'a' 04 08 0001 '#'", PROTOCOL_ERROR, /wildcard/],
  ["PUBLISH with a content type that is no UTF-8", "30 09 0001 'a' 05 03 0002 c328", MALFORMED, /UTF-8/],
  ["PUBACK with a reason code that it cannot have", "40 03 0001 01", PROTOCOL_ERROR, /reason code/],
  ["PUBACK with flags", "42 02 0001", MALFORMED, /PUBACK/],
  ["SUBACK without properties", "90 02 0001", MALFORMED, /propert/i],
  ["a second CONNACK", CONNACK_5, PROTOCOL_ERROR, /Unexpected CONNACK/],
  ["CONNECT", "10 0f 0004 'MQTT' 05 02 000a 00 0002 'id'", PROTOCOL_ERROR, /Unexpected CONNECT/],
  ["SUBSCRIBE", "82 07 0001 00 0001 'a' 00", PROTOCOL_ERROR, /Unexpected SUBSCRIBE/],
  ["PINGREQ", PINGREQ, PROTOCOL_ERROR, /Unexpected PINGREQ/],
  ["AUTH that nobody asked for", withProperties("f0", "18", "15 0001 'M'"), PROTOCOL_ERROR, /AUTH/],
  ["a packet larger than maximum_packet_size", "30 65 0001 'a' 00", 0x95, /103 bytes/],
  ["a topic alias above the maximum", "30 07 0001 'a' 03 23 0003", 0x94, /alias/i],
  ["the topic alias 0", "30 07 0001 'a' 03 23 0000", 0x94, /alias/i],
  ["a topic alias that stands for nothing", "30 06 0000 03 23 0001", PROTOCOL_ERROR, /alias/i],
  ["an empty topic without an alias", "30 03 0000 00", PROTOCOL_ERROR, /topic/],
  [
    "more messages than receive_maximum",
    "34 06 0001 'a' 0001 00 34 06 0001 'a' 0002 00 34 06 0001 'a' 0003 00",
    0x93,
    /receive_maximum/,
  ],
  ["a payload that is not the UTF-8 that it is said to be", "30 08 0001 'a' 02 01 01 c328", 0x99, /UTF-8/],
];

const STRICT = { maximum_packet_size: 100, topic_alias_maximum: 2, receive_maximum: 2, check_payload_format: true };

for (const [what, packets, reasonCode, message] of BREACHES) {
  Deno.test(`MQTTClient with MQTT 5.0 says 0x${reasonCode.toString(16)} when ${what} comes, and returns`, async () => {
    await using link = await playLink5(STRICT);
    const { client, connection, broker } = link;
    const lost = event(client, "disconnect"), restored = event(client, "connect");
    await connection.send(packets, "30 05 0001 'a' 00 'x'");
    const received = connection.peer.readToEnd();
    const detail = await lost;
    const error = errorOf(detail.error, ProtocolError);
    assertMatch(error.message, message);
    const code = [error.reasonCode, detail.reasonCode, detail.willReconnect];
    assertEquals(code, [reasonCode, reasonCode, true]);
    assertEquals([...await received].slice(-3), [0xe0, 1, reasonCode]);
    const second = await broker.welcome(CONNACK_5);
    await restored;
    await second.send("30 05 0001 'b' 00 'y'");
    let next = await client.deliverMessage(5);
    while (next.topic !== "b") {
      assertEquals(next.text(), ""); // of the packets before the one too many
      next = await client.deliverMessage(5);
    }
  });
}

Deno.test("MQTTClient takes a payload as it is without check_payload_format", async () => {
  await using link = await playLink5();
  await link.connection.send("30 08 0001 'a' 02 01 01 c328");
  assertEquals((await link.client.deliverMessage(5)).payload, Uint8Array.of(0xc3, 0x28));
});

Deno.test("MQTTClient tells the reason code of a breach too when it does not return", async () => {
  await using link = await playLink5({ auto_reconnect: false });
  const { client, connection } = link;
  const lost = event(client, "disconnect");
  await connection.send("30 06 0001 'a' 02 25 01");
  const { reasonCode, willReconnect, ...detail } = await lost;
  const error = errorOf(detail.error, ConnectionLostError);
  assertInstanceOf(error.cause, ProtocolError);
  assertEquals([reasonCode, error.reasonCode, willReconnect], [MALFORMED, MALFORMED, false]);
  await connection.expectEnd("e0 01 81");
});

// DISCONNECT of a broker: its reason code, and whether the client returns.
const ENDS: readonly [packet: string, reasonCode: number, returns: boolean, message: RegExp][] = [
  [DISCONNECT, 0, true, /Success|Normal/],
  ["e0 01 8b", 0x8b, true, /shutting down \(0x8B\)/],
  ["e0 02 89 00", 0x89, true, /busy/],
  ["e0 01 8d", 0x8d, true, /Keep Alive/],
  [withProperties("e0", "98", "1f 0005 'enjoy'"), 0x98, true, /Administrative action \(0x98\), enjoy/],
  ["e0 01 97", 0x97, true, /Quota/],
  ["e0 01 a0", 0xa0, true, /connect time/],
  ["e0 01 9c", 0x9c, true, /another server/],
  ["e0 01 8e", 0x8e, false, /taken over/],
  ["e0 01 87", 0x87, false, /Not authorized/],
  ["e0 01 8c", 0x8c, false, /authentication method/],
  ["e0 01 9d", 0x9d, false, /moved/],
];

for (const [packet, code, returns, message] of ENDS) {
  const what = returns ? "returns" : "does not return";
  Deno.test(`MQTTClient ${what} after DISCONNECT with reason code 0x${code.toString(16)}`, async () => {
    await using link = await playLink5();
    const { client, connection, broker } = link;
    const events = recordEvents(client);
    const lost = event(client, "disconnect"), restored = event(client, "connect");
    const publishing = client.publish("t", "x", { qos: 1 });
    await connection.expect("32 07 0001 't' 0001 00 'x'");
    await connection.send(packet);
    const { reasonCode, willReconnect, ...detail } = await lost;
    const error = errorOf(detail.error, ConnectionLostError);
    assertMatch(error.message, message);
    assertEquals([reasonCode, error.reasonCode, willReconnect, error.permanent], [code, code, returns, !returns]);
    await connection.expectEnd();
    if (returns) {
      const second = await broker.welcome(CONNACK_5);
      await restored;
      await second.expect("32 07 0001 't' 0001 00 'x'");
      await second.send("40 02 0001");
      await publishing;
      return;
    }
    assertEquals(await assertRejects(() => publishing, ConnectionLostError), error);
    assertEquals([events, client.connected, broker.peer.connectionCount], [["disconnect"], false, 1]);
    // The application may insist.
    await Promise.all([broker.welcome(CONNACK_5), client.connect(broker.uri)]);
  });
}

const FAREWELLS: readonly [options: DisconnectOptions, packet: string][] = [
  [{ reasonCode: 4 }, "e0 01 04"],
  [{ reasonCode: 0x98, properties: { reasonString: "bye" } }, withProperties("e0", "98", "1f 0003 'bye'")],
  [{ properties: { sessionExpiryInterval: 0 } }, withProperties("e0", "00", "11 00000000")],
  [{ properties: { sessionExpiryInterval: 60 } }, withProperties("e0", "00", "11 0000003c")],
  [{ properties: { userProperties: [["a", "b"]] } }, withProperties("e0", "00", "26 0001'a' 0001'b'")],
];

Deno.test("MQTTClient.disconnect() sends the reason code and the properties", async () => {
  for (const [options, packet] of FAREWELLS) {
    await using link = await playLink5({ session_expiry_interval: 5 });
    const lost = event(link.client, "disconnect");
    await Promise.all([link.client.disconnect(options), link.connection.expectEnd(packet)]);
    assertEquals(await lost, { error: undefined, reasonCode: undefined, willReconnect: false });
  }
});

// Refusals: whether it is tried again, and the words of the error.
const REFUSALS: readonly [reasonCode: number, permanent: boolean, words: string][] = [
  [0x80, false, "Unspecified error (0x80)"],
  [0x81, false, "Malformed Packet (0x81)"],
  [0x84, true, "Unsupported Protocol Version (0x84)"],
  [0x85, true, "Client Identifier not valid (0x85)"],
  [0x86, true, "Bad User Name or Password (0x86)"],
  [0x87, true, "Not authorized (0x87)"],
  [0x88, false, "Server unavailable (0x88)"],
  [0x89, false, "Server busy (0x89)"],
  [0x8a, true, "Banned (0x8A)"],
  [0x8c, true, "Bad authentication method (0x8C)"],
  [0x97, false, "Quota exceeded (0x97)"],
  [0x9c, false, "Use another server (0x9C)"],
  [0x9d, true, "Server moved (0x9D)"],
  [0x9f, false, "Connection rate exceeded (0x9F)"],
];

for (const [code, permanent, words] of REFUSALS) {
  const what = permanent ? "once" : "again";
  Deno.test(`MQTTClient.connect() rejects for the reason code 0x${code.toString(16)}, tried ${what}`, async () => {
    await using broker = await playBroker();
    const client = new MQTTClient({ config: { ...QUICK_5, reconnect_retries: 1 } });
    const connecting = assertRejects(() => client.connect(broker.uri), ConnectError, `${words}, because`);
    const connack = withProperties("20", `00 ${code.toString(16)}`, "1f 0007 'because'");
    const attempts = permanent ? 1 : 2;
    for (let i = 0; i < attempts; i++) await (await broker.welcome(connack)).expectEnd();
    const error = await connecting;
    assertEquals([error.returnCode, error.reasonCode, error.permanent], [code, code, permanent]);
    assertEquals(broker.peer.connectionCount, attempts);
    const properties = { reasonString: "because" };
    assertEquals(client.connack, { returnCode: code, sessionPresent: false, properties });
  });
}

Deno.test("MQTTClient tells the reason code of the refusal that ends its attempts to return", async () => {
  await using link = await playLink5();
  const { client, connection, broker } = link;
  const ends = Promise.withResolvers<{ error: unknown; reasonCode: number | undefined }>();
  client.addEventListener("disconnect", ({ detail }) => detail.willReconnect || ends.resolve(detail));
  await connection.peer.close();
  await (await broker.welcome("20 03 00 87 00")).expectEnd();
  const { error, reasonCode } = await ends.promise;
  const refusal = errorOf(errorOf(error, ConnectionLostError).cause, ConnectError);
  assertEquals([reasonCode, refusal.returnCode], [0x87, 0x87]);
});

// Answers to CONNECT that break the protocol.
const NONSENSE: readonly [what: string, answer: string, reasonCode: number][] = [
  ["CONNACK without properties", "20 02 00 00", MALFORMED],
  ["CONNACK with reserved flags", "20 03 02 00 00", MALFORMED],
  ["CONNACK with a reason code of SUBACK", "20 03 00 01 00", PROTOCOL_ERROR],
  ["CONNACK with a property of PUBLISH", withProperties("20", "00 00", "01 01"), MALFORMED],
  ["CONNACK with a Receive Maximum of 0", withProperties("20", "00 00", "21 0000"), PROTOCOL_ERROR],
  ["CONNACK with a Maximum QoS of 2", withProperties("20", "00 00", "24 02"), PROTOCOL_ERROR],
  ["CONNACK with a session for a clean start", "20 03 01 00 00", PROTOCOL_ERROR],
  ["PUBLISH", "30 04 0001 'a' 00", PROTOCOL_ERROR],
  ["DISCONNECT", "e0 01 89", PROTOCOL_ERROR],
];

for (const [what, answer, reasonCode] of NONSENSE) {
  Deno.test(`MQTTClient.connect() with MQTT 5.0 rejects when the broker answers with ${what}`, async () => {
    await using broker = await playBroker();
    const client = new MQTTClient({ config: { ...QUICK_5, auto_reconnect: false } });
    const connecting = assertRejects(() => client.connect(broker.uri), ConnectError);
    const connection = await broker.welcome(answer);
    const error = await connecting;
    assertInstanceOf(error.cause, ProtocolError);
    assertEquals([error.reasonCode, error.cause.reasonCode], [reasonCode, reasonCode]);
    await connection.peer.readToEnd();
  });
}

Deno.test("MQTTClient.publish() rejects with the reason code and the reason string of PUBACK or PUBREC", async () => {
  await using link = await playLink5();
  const { client, connection } = link;
  const puback = assertRejects(
    () => client.publish("t", "x", { qos: 1 }),
    RejectedError,
    "Quota exceeded (0x97), full",
  );
  await connection.expect("32 07 0001 't' 0001 00 'x'");
  await connection.send(withProperties("40", "0001 97", "1f 0004 'full'"));
  const { reasonCode, reasonString } = await puback;
  assertEquals([reasonCode, reasonString], [0x97, "full"]);
  const pubrec = assertRejects(() => client.publish("t", "x", { qos: 2 }), RejectedError, "Not authorized (0x87)");
  await connection.expect("34 07 0001 't' 0002 00 'x'");
  await connection.send("50 03 0002 87");
  assertEquals((await pubrec).reasonString, undefined);
  // The flow is over: nothing answers, and the link is up.
  const pinging = client.ping();
  await connection.expect(PINGREQ);
  await connection.send(PINGRESP);
  await pinging;
  const accepted = client.publish("t", "x", { qos: 2 });
  await connection.expect("34 07 0001 't' 0003 00 'x'");
  await connection.send("50 03 0003 10");
  await connection.expect("62 02 0003");
  await connection.send("70 03 0003 92");
  assertEquals((await accepted).pubrecPacket?.reasonCode, 0x10);
});

import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import { ProtocolError } from "../../mod.ts";
import { CONNACK, DISCONNECT, event, PINGREQ, PINGRESP, playLink, QUICK } from "./played_broker.ts";

const MALFORMED = 0x81, PROTOCOL_ERROR = 0x82, TOO_LARGE = 0x95;

// What a broker must not send, each with the reason code and the words of the error.
const BREACHES: readonly [what: string, bytes: string, reasonCode: number, message: RegExp][] = [
  ["a packet of type 0", "00 00", MALFORMED, /byte 0/],
  ["AUTH, which 3.1.1 does not have", "f0 00", MALFORMED, /byte 0/],
  ["PUBLISH with QoS 3", "36 05 0001 'a' 0001", MALFORMED, /QoS/],
  ["PUBLISH with DUP and QoS 0", "38 03 0001 'a'", MALFORMED, /DUP/i],
  ["PUBLISH to a wildcard", "30 03 0001 '#'", MALFORMED, /wildcards/],
  ["PUBLISH to a topic with U+0000", "30 05 0003 'a' 00 'b'", MALFORMED, /U\+0000/],
  ["PUBLISH to an empty topic", "30 02 0000", MALFORMED, /empty/],
  ["PUBLISH to a topic that is no UTF-8", "30 04 0002 c328", MALFORMED, /UTF-8/],
  ["PUBLISH to a topic with a surrogate", "30 05 0003 eda080", MALFORMED, /UTF-8/],
  ["PUBLISH whose topic is longer than the packet", "30 03 0005 'a'", MALFORMED, /topic/],
  ["PUBLISH with the packet identifier 0", "32 05 0001 'a' 0000", MALFORMED, /packet identifier/],
  ["PUBREL with wrong flags", "60 02 0001", MALFORMED, /PUBREL/],
  ["PUBACK that is too long", "40 03 0001 00", MALFORMED, /PUBACK/],
  ["PUBACK that is too short", "40 01 00", MALFORMED, /PUBACK/],
  ["SUBACK with a reserved code", "90 03 0001 03", MALFORMED, /SUBACK/],
  ["PINGRESP with a body", "d0 01 00", MALFORMED, /PINGRESP/],
  ["a length of five bytes", "30 ff ff ff ff 01", MALFORMED, /remaining length/],
  ["a second CONNACK", CONNACK, PROTOCOL_ERROR, /Unexpected CONNACK/],
  ["CONNECT", "10 0e 0004 'MQTT' 04 02 000a 0002 'id'", PROTOCOL_ERROR, /Unexpected CONNECT/],
  ["SUBSCRIBE", "82 06 0001 0001 'a' 00", PROTOCOL_ERROR, /Unexpected SUBSCRIBE/],
  ["UNSUBSCRIBE", "a2 05 0001 0001 'a'", PROTOCOL_ERROR, /Unexpected UNSUBSCRIBE/],
  ["PINGREQ", PINGREQ, PROTOCOL_ERROR, /Unexpected PINGREQ/],
  ["DISCONNECT", DISCONNECT, PROTOCOL_ERROR, /Unexpected DISCONNECT/],
  ["a packet larger than maximum_packet_size", "30 65 0001 'a'", TOO_LARGE, /103 bytes|too large|maximum/i],
];

for (const [what, bytes, reasonCode, message] of BREACHES) {
  Deno.test(`MQTTClient ends a connection on which ${what} comes, and restores it`, async () => {
    await using link = await playLink({ ...QUICK, maximum_packet_size: 100 });
    const { client, connection, broker } = link;
    const lost = event(client, "disconnect"), restored = event(client, "connect");
    // In one write with good packets before and after it: the first is delivered, the last is not.
    await connection.send("30 04 0001 'a' '1'", bytes, "30 04 0001 'a' '3'");
    const detail = await lost;
    assertInstanceOf(detail.error, ProtocolError);
    assertMatch(String(detail.error), message);
    assertEquals([detail.reasonCode, detail.willReconnect], [reasonCode, true]);
    await connection.peer.readToEnd();
    const second = await broker.welcome();
    await restored;
    await second.send("30 04 0001 'a' '4'");
    assertEquals((await client.deliverMessage(5)).text(), "1");
    assertEquals((await client.deliverMessage(5)).text(), "4");
  });
}

Deno.test("MQTTClient answers PUBREL and PUBREC of unknown identifiers, and leaves PUBACK and PUBCOMP of such alone", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  await connection.send(
    "62 02 0007",
    "50 02 0008",
    "40 02 0009",
    "70 02 000a",
    "90 03 000b 00",
    "b0 02 000c",
    PINGRESP,
  );
  await connection.expect("70 02 0007", "62 02 0008");
  await connection.send("70 02 0008");
  const pinging = client.ping();
  await connection.expect(PINGREQ);
  await connection.send(PINGRESP);
  await pinging;
});

Deno.test("MQTTClient takes an answer of the wrong kind for a breach of the protocol", async () => {
  for (const answer of ["50 02 0001", "70 02 0001"]) {
    await using link = await playLink();
    const { client, connection } = link;
    const lost = event(client, "disconnect");
    const published = client.publish("t", "x", { qos: 1 });
    await connection.expect("32 06 0001 't' 0001 'x'");
    await connection.send(answer);
    assertInstanceOf((await lost).error, ProtocolError);
    const second = await link.broker.welcome();
    await second.expect("32 06 0001 't' 0001 'x'");
    await second.send("40 02 0001");
    await published;
  }
});

Deno.test("MQTTClient.subscribe() rejects when the broker answers with too few codes, and does not ask again", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  const subscribed = client.subscribe([["a", 1], ["a", 2]]), restored = event(client, "connect");
  await connection.expect("82 0a 0001 0001 'a' 01 0001 'a' 02");
  await connection.send("90 03 0001 01");
  await assertRejects(() => subscribed, ProtocolError, "1 codes for 2 subscriptions");
  const second = await broker.welcome();
  await restored;
  const pinging = client.ping();
  await second.expect(PINGREQ);
  await second.send(PINGRESP);
  await pinging;
});

Deno.test("MQTTClient reads packets that come byte by byte, and many in one chunk", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const packets = ["30 04 0001 'a' '1'", "32 06 0001 'a' 0001 '2'", "34 06 0001 'a' 0002 '3'", PINGRESP];
  await connection.send(...packets, ...packets);
  await connection.expect("40 02 0001", "50 02 0002", "40 02 0001", "50 02 0002");
  const texts = [];
  for (let i = 0; i < 5; i++) texts.push((await client.deliverMessage(5)).text());
  assertEquals(texts, ["1", "2", "3", "1", "2"]); // The QoS 2 message came twice, and was released never.
  for (const byte of ["30", "04", "00", "01", "61", "78"]) await connection.send(byte);
  assertEquals((await client.deliverMessage(5)).text(), "x");
  assert(client.connected);
});

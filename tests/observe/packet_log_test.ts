import { assert, assertEquals, assertMatch, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { formatPacket, withoutSecrets } from "../../src/observe/packet_log.ts";
import type { AuthPacket, ConnectPacket, Packet, PublishPacket } from "../../src/packets.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { LONG_SAMPLE, SAMPLES } from "../codec/samples.ts";

const ID = "hbmqtt/0123456789abcdef";
const properties = NO_PROPERTIES;

const CONNECT: ConnectPacket = {
  type: "CONNECT",
  protocolVersion: 4,
  clientId: "id",
  cleanStart: true,
  keepAlive: 10,
  username: "user",
  password: new TextEncoder().encode("hush-hush"),
  will: { topic: "w", payload: new TextEncoder().encode("gone"), qos: 1, retain: true, properties },
  properties,
};

const AUTH: AuthPacket = {
  type: "AUTH",
  reasonCode: 0x18,
  properties: { authenticationMethod: "SCRAM", authenticationData: new TextEncoder().encode("hush-hush") },
};

/** Formats a packet without the parts that are the same for all. */
function fields(packet: Packet): string {
  return formatPacket(ID, "out", packet).replace(/^.*?\(ts=[^,)]*(, )?/, "").replace(/\)$/, "");
}

function publish(payload: Uint8Array | string): PublishPacket {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  return { type: "PUBLISH", dup: false, qos: 0, retain: false, topic: "a/b", packetId: 0, properties, payload: bytes };
}

function shownPayload(payload: Uint8Array | string): string {
  return /payload=(.*)$/s.exec(fields(publish(payload)))?.[1] ?? "";
}

Deno.test("formatPacket() writes client, arrow, name, time and fields in one line", () => {
  const line = /^hbmqtt\/0123456789abcdef -out-> PINGREQ\(ts=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\)$/;
  assertMatch(formatPacket(ID, "out", { type: "PINGREQ" }), line);
  assertMatch(formatPacket(ID, "in", { type: "PINGRESP" }), /^hbmqtt\/0123456789abcdef <-in-- PINGRESP\(ts=/);
  const ts = /ts=([^,)]*)/.exec(formatPacket(ID, "out", { type: "PINGREQ" }))?.[1] ?? "";
  assert(Math.abs(new Date(`${ts.replace(" ", "T")}Z`).getTime() - Date.now()) < 5000, "the time is now, in UTC");
});

Deno.test("formatPacket() writes the fields of each kind of packet", () => {
  const request = { noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  const subscriptions = [{ topicFilter: "a/#", qos: 1 as const, ...request }];
  const options = "noLocal=false, retainAsPublished=false, retainHandling=0";
  const lines: [Packet, string][] = [
    [publish("hello"), `dup=false, qos=0, retain=false, topic="a/b", packetId=0, payload="hello"`],
    [{ type: "PUBACK", packetId: 7, reasonCode: 0, properties }, "packetId=7, reasonCode=0"],
    [
      { type: "SUBSCRIBE", packetId: 1, subscriptions, properties },
      `packetId=1, subscriptions=[{topicFilter="a/#", qos=1, ${options}}]`,
    ],
    [{ type: "SUBACK", packetId: 1, reasonCodes: [1, 128], properties }, "packetId=1, reasonCodes=[1, 128]"],
    [{ type: "UNSUBSCRIBE", packetId: 1, topicFilters: ["a", "b"], properties }, `packetId=1, topicFilters=["a", "b"]`],
    [
      { type: "CONNACK", sessionPresent: true, returnCode: 0, reasonCode: 0, properties },
      "sessionPresent=true, returnCode=0, reasonCode=0",
    ],
    [{ type: "PINGREQ" }, ""],
  ];
  for (const [packet, line] of lines) assertEquals(fields(packet), line);
});

Deno.test("formatPacket() leaves out what is undefined, and shows what is empty", () => {
  const bare = fields({ ...CONNECT, username: undefined, password: undefined, will: undefined });
  assertEquals(bare, `protocolVersion=4, clientId="id", cleanStart=true, keepAlive=10`);
  assertEquals(shownPayload(""), `""`);
  assertMatch(fields({ ...CONNECT, clientId: "", username: "" }), /clientId="".*username=""/);
});

Deno.test("formatPacket() shows text as text, and other bytes in hexadecimal", () => {
  assertEquals(shownPayload("größe 𝄞"), `"größe 𝄞"`);
  assertEquals(shownPayload(`{"a": "b"}`), `"{\\"a\\": \\"b\\"}"`);
  assertEquals(shownPayload("a\nb\tc"), `"a\\nb\\tc"`);
  assertEquals(shownPayload(Uint8Array.of(0, 1, 255)), "0x0001ff");
  assertEquals(shownPayload(Uint8Array.of(0x61, 0xff)), "0x61ff");
  assertEquals(shownPayload("\x1b[31mred"), "0x1b5b33316d726564");
});

Deno.test("formatPacket() cuts long payloads and long strings, and says how long they are", () => {
  assertEquals(shownPayload("x".repeat(64)), `"${"x".repeat(64)}"`);
  assertEquals(shownPayload("x".repeat(65)), `"${"x".repeat(64)}"… (65 bytes)`);
  assertEquals(shownPayload("é".repeat(40)), `"${"é".repeat(32)}"… (80 bytes)`);
  // Cut in the middle of a character.
  assertEquals(shownPayload("x" + "é".repeat(40)), `"x${"é".repeat(31)}"… (81 bytes)`);
  assertEquals(shownPayload(new Uint8Array(32)), `0x${"00".repeat(32)}`);
  assertEquals(shownPayload(new Uint8Array(33)), `0x${"00".repeat(32)}… (33 bytes)`);
  const long = fields({ ...publish(""), topic: "t".repeat(65_535) });
  assert(long.length < 300 && long.includes("(65535 characters)"));
});

Deno.test("formatPacket() stays on one line and within bounds for every packet", () => {
  for (const packet of [...SAMPLES, LONG_SAMPLE, publish("a\r\nb\u0085")]) {
    const line = formatPacket(ID, "in", packet);
    assertEquals(line.split(/[\r\n\u0085]/).length, 1, line);
    assert(line.length < 600, line);
    assertMatch(line, new RegExp(`^${ID} <-in-- ${packet.type}\\(ts=.*\\)$`));
  }
});

Deno.test("formatPacket() shows passwords and authentication data as ***, the user name as it is", () => {
  const connect = formatPacket(ID, "out", CONNECT), auth = formatPacket(ID, "out", AUTH);
  assertMatch(connect, /username="user", password=\*\*\*, will=\{topic="w", payload="gone", qos=1, retain=true/);
  assertMatch(auth, /authenticationMethod="SCRAM", authenticationData=\*\*\*/);
  const everywhere = formatPacket(ID, "out", { ...CONNECT, properties: AUTH.properties });
  assert(![connect, auth, everywhere].some((line) => line.includes("hush")));
});

Deno.test("withoutSecrets() gives a copy whose secrets are ***, and leaves the packet as it was", () => {
  const mask = new TextEncoder().encode("***");
  const connect = withoutSecrets({ ...CONNECT, properties: AUTH.properties });
  assertEquals(connect, {
    ...CONNECT,
    password: mask,
    properties: { authenticationMethod: "SCRAM", authenticationData: mask },
  });
  assertEquals(withoutSecrets(AUTH), { ...AUTH, properties: { ...AUTH.properties, authenticationData: mask } });
  assertEquals(new TextDecoder().decode(CONNECT.password), "hush-hush");
  assertNotStrictEquals(withoutSecrets(CONNECT), CONNECT);
});

Deno.test("withoutSecrets() changes nothing where there is no secret, and copies no payload", () => {
  for (const packet of SAMPLES.filter((packet) => packet.type !== "CONNECT")) {
    assertEquals(withoutSecrets(packet), packet);
  }
  const packet = publish("hello"), shown = withoutSecrets(packet);
  assertStrictEquals("payload" in shown && shown.payload, packet.payload);
  assertEquals(withoutSecrets({ ...CONNECT, password: undefined }), { ...CONNECT, password: undefined });
});

Deno.test("formatPacket() writes nothing that ends the line or that a terminal obeys, wherever it stands", () => {
  const hostile = "a\r\n\u001b[2J\u007f\u0085\u009b2J\u2028\u2029b";
  const packets: Packet[] = [
    { ...publish(""), topic: hostile },
    publish(hostile),
    publish("a\r\n\u2028\u2029b"),
    { ...publish(""), properties: { userProperties: [[hostile, hostile]] } },
  ];
  for (const packet of packets) {
    const line = formatPacket(hostile, "in", packet);
    assert(!/[\p{Cc}\p{Zl}\p{Zp}]/u.test(line), JSON.stringify(line));
  }
  assertMatch(fields(packets[0]), /topic="a\\r\\n\\u001b\[2J\\u007f\\u0085\\u009b2J\\u2028\\u2029b"/);
});

Deno.test("formatPacket() puts identifiers in quotes only where something in them has to be escaped", () => {
  const shown = (clientId: string) => formatPacket(clientId, "out", { type: "PINGREQ" }).split(" -out->")[0];
  for (const clientId of ["", "sensor 7/é", "x".repeat(100)]) assertEquals(shown(clientId), clientId);
  assertEquals(shown('a"b'), '"a\\"b"');
  assertEquals(shown("\n".repeat(100)), `"${"\\n".repeat(64)}"… (100 characters)`);
});

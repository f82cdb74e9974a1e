import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ApplicationMessage } from "../src/message.ts";
import type { PublishPacket } from "../src/packets.ts";
import { NO_PROPERTIES } from "../src/properties.ts";

const packet = (payload: Uint8Array | string): PublishPacket => ({
  type: "PUBLISH",
  dup: true,
  qos: 1,
  retain: true,
  topic: "a/b",
  packetId: 7,
  properties: NO_PROPERTIES,
  payload: typeof payload === "string" ? new TextEncoder().encode(payload) : payload,
});

Deno.test("ApplicationMessage gives the fields of its PUBLISH, the payload uncopied", () => {
  const publish = packet("x");
  const message = new ApplicationMessage(publish);
  const { topic, qos, retain, dup, packetId, properties } = message;
  assertEquals({ topic, qos, retain, dup, packetId, properties }, {
    topic: "a/b",
    qos: 1,
    retain: true,
    dup: true,
    packetId: 7,
    properties: {},
  });
  assertStrictEquals(message.payload, publish.payload);
  assertStrictEquals(message.publishPacket, publish);
});

Deno.test("ApplicationMessage has no packets of its flow before it goes on", () => {
  const { pubackPacket, pubrecPacket, pubrelPacket, pubcompPacket } = new ApplicationMessage(packet("x"));
  assertEquals([pubackPacket, pubrecPacket, pubrelPacket, pubcompPacket], [undefined, undefined, undefined, undefined]);
});

Deno.test("ApplicationMessage.text() reads UTF-8, with U+FFFD where it is not", () => {
  assertEquals(new ApplicationMessage(packet("héllo 😀")).text(), "héllo 😀");
  assertEquals(new ApplicationMessage(packet("")).text(), "");
  assertEquals(new ApplicationMessage(packet(Uint8Array.of(0x61, 0xff, 0x62))).text(), "a\uFFFDb");
});

Deno.test("ApplicationMessage.json() reads JSON, and throws SyntaxError where it is not", () => {
  assertEquals(new ApplicationMessage(packet(`{"a":[1,null]}`)).json(), { a: [1, null] });
  assertEquals(new ApplicationMessage(packet("21.5")).json<number>(), 21.5);
  assertThrows(() => new ApplicationMessage(packet("")).json(), SyntaxError);
  assertThrows(() => new ApplicationMessage(packet("{")).json(), SyntaxError);
});

Deno.test("ApplicationMessage.ack() asks its acknowledger, and does nothing without one", () => {
  const acknowledged: ApplicationMessage[] = [];
  const message = new ApplicationMessage(packet("x"), { acknowledge: (message) => acknowledged.push(message) });
  message.ack();
  assertEquals(acknowledged.length, 1);
  assertStrictEquals(acknowledged[0], message);
  new ApplicationMessage(packet("x")).ack();
});

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Reader } from "../../src/codec/reader.ts";
import { Writer } from "../../src/codec/writer.ts";
import { ProtocolError } from "../../src/errors.ts";
import { encodedString } from "./arbitraries.ts";
import { bytes, concat } from "./bytes.ts";

/** Opens a reader on the body of a packet that stands in the middle of a chunk. */
function open(body: Uint8Array): Reader {
  const reader = new Reader();
  reader.open(concat([bytes("ffff 3000"), body, bytes("ffff")]), 2, 4, 4 + body.length, "PUBLISH");
  return reader;
}

Deno.test("Reader.u8(), u16() and u32() read big-endian numbers", () => {
  const reader = open(bytes("00 ff 0000 0100 ffff 00000001 80000000 ffffffff"));
  assertEquals([reader.u8("a"), reader.u8("b")], [0, 255]);
  assertEquals([reader.u16("c"), reader.u16("d"), reader.u16("e")], [0, 256, 65_535]);
  assertEquals([reader.u32("f"), reader.u32("g"), reader.u32("h")], [1, 2_147_483_648, 4_294_967_295]);
  assertEquals(reader.left, 0);
  reader.finish();
});

Deno.test("Reader.variableByteInteger() reads what Writer.variableByteInteger() wrote", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 268_435_455 }), (value) => {
      const writer = new Writer();
      writer.variableByteInteger(value);
      const reader = open(concat(writer.take()));
      assertEquals(reader.variableByteInteger("number"), value);
      reader.finish();
    }),
  );
});

Deno.test("Reader.variableByteInteger() refuses more than four bytes", () => {
  assertEquals(open(bytes("ff ff ff 7f")).variableByteInteger("number"), 268_435_455);
  const error = assertThrows(() => open(bytes("80 80 80 80 01")).variableByteInteger("number"), ProtocolError);
  assertEquals(error.message, "Malformed PUBLISH: number is longer than 4 bytes (byte 2 of the packet)");
});

Deno.test("Reader.variableByteInteger() refuses more bytes than the number needs [MQTT5-1.5.5-1]", () => {
  for (const literal of ["80 00", "ff 00", "80 80 00", "ff ff ff 00"]) {
    const error = assertThrows(() => open(bytes(literal)).variableByteInteger("number"), ProtocolError);
    assertEquals(error.message, "Malformed PUBLISH: number is longer than it need be (byte 2 of the packet)");
  }
});

Deno.test("Reader.string() reads what Writer.string() wrote", () => {
  fc.assert(
    fc.property(encodedString, (text) => {
      const writer = new Writer();
      writer.string(text);
      const reader = open(concat(writer.take()));
      assertEquals(reader.string("text"), text);
      reader.finish();
    }),
  );
});

Deno.test("Reader.string() reads strings of any length, wherever something other than ASCII stands in them", () => {
  for (let length = 0; length < 70; length++) {
    for (let i = 0; i <= length; i++) {
      const text = "a".repeat(i) + (i < length ? "\u{1F600}" : "") + "b".repeat(Math.max(0, length - i - 1));
      const data = new TextEncoder().encode(text);
      assertEquals(open(Uint8Array.of(0, data.length, ...data)).string("text"), text);
      data[i] = 0;
      const read = () => open(Uint8Array.of(0, data.length, ...data)).string("text");
      if (i === length) assertEquals(read(), text);
      else assertThrows(read, ProtocolError);
    }
  }
});

Deno.test("Reader.binary() gives a copy", () => {
  const reader = open(bytes("0002 0102"));
  const read = reader.binary("bytes");
  reader.bytes.fill(0);
  assertEquals(read, bytes("0102"));
});

Deno.test("Reader never reads past the end of the packet, though the chunk goes on", () => {
  const reads: [name: string, read: (reader: Reader) => unknown, bytes: string][] = [
    ["u8", (reader) => reader.u8("x"), ""],
    ["u16", (reader) => reader.u16("x"), "01"],
    ["u32", (reader) => reader.u32("x"), "010203"],
    ["u32", (reader) => reader.u32("x"), "01"],
    ["packetId", (reader) => reader.packetId(), "01"],
    ["variableByteInteger", (reader) => reader.variableByteInteger("x"), "80"],
    ["binary", (reader) => reader.binary("x"), "0002 01"],
    ["string", (reader) => reader.string("x"), "0003 6162"],
    ["string", (reader) => reader.string("x"), "00"],
  ];
  for (const [name, read, literal] of reads) {
    const error = assertThrows(() => read(open(bytes(literal))), ProtocolError, "are left", name);
    assertEquals(error.reasonCode, 0x81);
  }
});

Deno.test("Reader.finish() refuses what is left", () => {
  const reader = open(bytes("01 02 03"));
  reader.u8("x");
  const error = assertThrows(() => reader.finish(), ProtocolError);
  assertEquals(error.message, "Malformed PUBLISH: 2 bytes more than its fields take (byte 3 of the packet)");
});

Deno.test("Reader.fault() names the packet, the fault and the byte, and takes another reason code", () => {
  const error = open(bytes("")).fault("the sky is falling", 7, 0x95);
  assertEquals(error.message, "Invalid PUBLISH: the sky is falling (byte 5 of the packet)");
  assertEquals(error.reasonCode, 0x95);
  const malformed = open(bytes("")).fault("the sky is falling");
  assertEquals(malformed.message, "Malformed PUBLISH: the sky is falling (byte 2 of the packet)");
  assertEquals(malformed.reasonCode, 0x81);
});

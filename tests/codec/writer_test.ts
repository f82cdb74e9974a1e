import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { variableByteIntegerLength, Writer } from "../../src/codec/writer.ts";
import { encodedString } from "./arbitraries.ts";
import { concat, hex } from "./bytes.ts";

/** Gives what is written, in hexadecimal. */
function written(write: (writer: Writer) => void): string {
  const writer = new Writer();
  write(writer);
  return hex(concat(writer.take()));
}

Deno.test("Writer.u8(), u16() and u32() write big-endian numbers", () => {
  assertEquals(written((writer) => [0, 1, 255].forEach((value) => writer.u8(value))), "0001ff");
  assertEquals(written((writer) => [0, 1, 256, 65_535].forEach((value) => writer.u16(value))), "000000010100ffff");
  const u32 = [0, 1, 65_536, 2_147_483_648, 4_294_967_295];
  assertEquals(
    written((writer) => u32.forEach((value) => writer.u32(value))),
    "00000000000000010001000080000000ffffffff",
  );
});

Deno.test("Writer.variableByteInteger() writes one to four bytes (§2.2.3, table 2.4)", () => {
  const table: [number, string][] = [
    [0, "00"],
    [127, "7f"],
    [128, "8001"],
    [16_383, "ff7f"],
    [16_384, "808001"],
    [2_097_151, "ffff7f"],
    [2_097_152, "80808001"],
    [268_435_455, "ffffff7f"],
  ];
  for (const [value, literal] of table) assertEquals(written((writer) => writer.variableByteInteger(value)), literal);
});

Deno.test("Writer.prefixLength() puts the number of bytes before them, however many there are and wherever they stand", () => {
  for (const before of [0, 1, 500, 508, 511, 512]) {
    for (const length of [0, 1, 126, 127, 128, 255, 508, 511, 512, 16_383, 16_384, 2_097_152]) {
      const data = new Uint8Array(length).map((_, i) => i * 7);
      const direct = written((writer) => {
        writer.raw(new Uint8Array(before));
        writer.variableByteInteger(length);
        writer.raw(data);
        writer.u8(0xee);
      });
      const prefixed = written((writer) => {
        writer.raw(new Uint8Array(before));
        const start = writer.position;
        writer.raw(data);
        writer.prefixLength(start);
        writer.u8(0xee);
      });
      assert(prefixed === direct, `${length} bytes behind ${before}`);
    }
  }
});

Deno.test("variableByteIntegerLength() gives how many bytes Writer.variableByteInteger() writes", () => {
  for (const value of [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]) {
    const length = written((writer) => writer.variableByteInteger(value)).length / 2;
    assertEquals(variableByteIntegerLength(value), length);
  }
});

Deno.test("Writer.string() writes what TextEncoder does, behind its length", () => {
  fc.assert(
    fc.property(encodedString, (text) => {
      const utf8 = new TextEncoder().encode(text);
      const length = utf8.length.toString(16).padStart(4, "0");
      assertEquals(written((writer) => writer.string(text)), length + hex(utf8));
    }),
  );
});

Deno.test("Writer.binary() writes bytes behind their length", () => {
  assertEquals(written((writer) => writer.binary(new Uint8Array(0))), "0000");
  assertEquals(written((writer) => writer.binary(Uint8Array.of(0, 255))), "000200ff");
  assertEquals(written((writer) => writer.binary(new Uint8Array(300).fill(7))), "012c" + "07".repeat(300));
});

Deno.test("Writer.reserve() keeps what was written, in whatever steps the buffer grows", () => {
  const steps = fc.array(fc.record({ reserve: fc.nat({ max: 3000 }), raw: fc.nat({ max: 700 }), seal: fc.boolean() }));
  fc.assert(
    fc.property(steps, (steps) => {
      const writer = new Writer(1), expected: Uint8Array[] = [];
      for (const [i, { reserve, raw, seal }] of steps.entries()) {
        const piece = new Uint8Array(raw).fill(i);
        writer.reserve(reserve);
        writer.raw(piece);
        expected.push(piece);
        if (!seal) continue;
        const payload = Uint8Array.of(i, 1, 2, 3);
        writer.payload(payload);
        expected.push(payload);
      }
      assertEquals(writer.length, concat(expected).length);
      assertEquals(hex(concat(writer.take())), hex(concat(expected)));
    }),
  );
});

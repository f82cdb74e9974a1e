import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import type { Dialect } from "../../src/codec/dialect.ts";
import { MQTT_3_1_1 } from "../../src/codec/mqtt_3_1_1.ts";
import { ProtocolError } from "../../src/errors.ts";
import type { Packet } from "../../src/packets.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { bytes, decode, decodeChunks, encode, hex } from "./bytes.ts";

/** A packet and its bytes, written by hand from the specification. */
export interface Literal {
  name: string;
  bytes: string;
  packet: Packet;
}

/** Malformed bytes, and the error they give. */
export interface Malformed {
  name: string;
  bytes: string;
  /** What the message says, and at which byte of the packet. */
  what: string;
  byte: number;
  /** 0x81, Malformed Packet, unless said otherwise. */
  reasonCode?: number;
}

export const properties = NO_PROPERTIES;

/** Makes a test in each direction of every literal. */
export function testLiterals(literals: Literal[], dialect: Dialect = MQTT_3_1_1): void {
  for (const literal of literals) {
    Deno.test(`Encoder.encode() writes ${literal.name}`, () => {
      assertEquals(hex(encode(literal.packet, dialect)), hex(bytes(literal.bytes)));
    });
    Deno.test(`Decoder.next() reads ${literal.name}`, () => {
      assertEquals(decode(bytes(literal.bytes), dialect), [literal.packet]);
    });
  }
}

/** Makes a test of every malformed packet: alone, behind another packet in the same chunk, and byte by byte. */
export function testMalformed(table: Malformed[], dialect: Dialect = MQTT_3_1_1): void {
  for (const { name, bytes: literal, what, byte, reasonCode = 0x81 } of table) {
    Deno.test(`Decoder.next() refuses ${name}`, () => {
      for (const [prefix, chunks] of arrivals(bytes(literal))) {
        const error = errorOf(chunks, dialect);
        assertEquals(error.reasonCode, reasonCode, prefix);
        assertStringIncludes(error.message, what, prefix);
        assertStringIncludes(error.message, `(byte ${byte} of the packet)`, prefix);
      }
    });
  }
}

function* arrivals(malformed: Uint8Array): Generator<[name: string, chunks: Uint8Array[]]> {
  yield ["alone", [malformed]];
  yield ["behind PINGRESP", [Uint8Array.of(0xd0, 0x00, ...malformed)]];
  yield ["byte by byte", [...malformed].map((byte) => Uint8Array.of(byte))];
}

/** Gives the error that the bytes lead to; there must be one, and a `ProtocolError` at that. */
export function errorOf(chunks: Iterable<Uint8Array>, dialect: Dialect = MQTT_3_1_1): ProtocolError {
  let thrown: unknown;
  try {
    const packets = decodeChunks(chunks, dialect);
    thrown = new Error(`No error, but ${JSON.stringify(packets)}`);
  } catch (error) {
    thrown = error;
  }
  assertInstanceOf(thrown, ProtocolError, String(thrown));
  return thrown as ProtocolError;
}

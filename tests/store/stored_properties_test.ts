import { assertEquals, assertStrictEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { decodeProperties, encodeProperties } from "../../src/store/stored_properties.ts";

Deno.test("encodeProperties() gives null where there are none, and decodeProperties() NO_PROPERTIES", () => {
  for (const none of [NO_PROPERTIES, {}]) assertEquals(encodeProperties(none), null);
  assertStrictEquals(decodeProperties(null), NO_PROPERTIES);
});

Deno.test("encodeProperties() writes bytes as Base64, a Buffer's too", () => {
  for (const correlationData of [Uint8Array.of(251, 255), Buffer.from([251, 255])]) {
    const text = encodeProperties({ correlationData, userProperties: [["a", "b"]] });
    assertEquals(text, '{"correlationData":{"base64":"+/8="},"userProperties":[["a","b"]]}');
    assertEquals(decodeProperties(text), { correlationData: Uint8Array.of(251, 255), userProperties: [["a", "b"]] });
  }
});

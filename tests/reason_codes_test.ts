import { assert, assertEquals } from "@std/assert";
import type { PacketType } from "../src/packets.ts";
import {
  describeReasonCode,
  describeRefusal,
  isReasonCodeOf,
  PERMANENT_REFUSALS,
  reasonCodeOfReturnCode,
} from "../src/reason_codes.ts";

Deno.test("reasonCodeOfReturnCode() gives the codes of MQTT 5.0 for those of 3.1.1 (§3.2.2.3)", () => {
  assertEquals([0, 1, 2, 3, 4, 5].map(reasonCodeOfReturnCode), [0, 0x84, 0x85, 0x88, 0x86, 0x87]);
});

Deno.test("reasonCodeOfReturnCode() knows no reserved code", () => {
  for (const code of [-1, 6, 7, 0x80, 0x84, 255, 0.5, NaN]) assertEquals(reasonCodeOfReturnCode(code), undefined);
});

Deno.test("describeReasonCode() gives the name and the number", () => {
  assertEquals(describeReasonCode(0), "Success (0x00)");
  assertEquals(describeReasonCode(0x87), "Not authorized (0x87)");
  assertEquals(describeReasonCode(0x8f), "Topic Filter invalid (0x8F)");
  assertEquals(describeReasonCode(0xa2), "Wildcard Subscriptions not supported (0xA2)");
});

Deno.test("describeReasonCode() gives the number of a code that has no name", () => {
  assertEquals(describeReasonCode(0x03), "0x03");
  assertEquals(describeReasonCode(0xff), "0xFF");
});

Deno.test("describeRefusal() says what the code of a CONNACK of 3.1.1 or of MQTT 5.0 means, and what the broker said", () => {
  assertEquals(describeRefusal(4, undefined), "bad user name or password (return code 4)");
  assertEquals(describeRefusal(5, undefined), "not authorized (return code 5)");
  assertEquals(describeRefusal(0x87, "not you"), "Not authorized (0x87), not you");
  assertEquals(describeRefusal(0xff, undefined), "0xFF");
});

Deno.test("PERMANENT_REFUSALS holds what a retry can't cure, and server unavailable is not among it", () => {
  for (const code of [1, 2, 4, 5]) {
    assert(PERMANENT_REFUSALS.has(reasonCodeOfReturnCode(code) ?? -1), `return code ${code}`);
  }
  assert(!PERMANENT_REFUSALS.has(0x88));
  assert(!PERMANENT_REFUSALS.has(0x89));
});

Deno.test("isReasonCodeOf() knows which packets may carry a code (§2.4)", () => {
  const codesOf = (type: PacketType) =>
    Array.from({ length: 256 }, (_, code) => code).filter((code) => isReasonCodeOf(type, code));
  assertEquals(codesOf("PUBREL"), [0, 0x92]);
  assertEquals(codesOf("AUTH"), [0, 0x18, 0x19]);
  assertEquals(codesOf("SUBACK"), [0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]);
  assertEquals(codesOf("PUBLISH"), []);
});

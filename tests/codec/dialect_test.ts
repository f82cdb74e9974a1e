import { assertEquals } from "@std/assert";
import { MQTT_3_1_1 } from "../../src/codec/dialect.ts";

Deno.test("MQTT_3_1_1 gives the return codes of CONNACK the reason codes that mean the same (§3.2.2.3)", () => {
  const reasonCodes = [0, 1, 2, 3, 4, 5, 6, 0x80, 255].map((code) => MQTT_3_1_1.reasonCode("CONNACK", code));
  assertEquals(reasonCodes, [0, 0x84, 0x85, 0x88, 0x86, 0x87, undefined, undefined, undefined]);
});

Deno.test("MQTT_3_1_1 takes the codes 0, 1, 2 and 0x80 in SUBACK [MQTT-3.9.3-2]", () => {
  const allowed = Array.from({ length: 256 }, (_, code) => MQTT_3_1_1.reasonCode("SUBACK", code))
    .filter((code) => code !== undefined);
  assertEquals(allowed, [0, 1, 2, 0x80]);
});

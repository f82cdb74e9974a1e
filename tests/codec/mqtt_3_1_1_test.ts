import { assertEquals } from "@std/assert";
import { bytes, decode } from "./bytes.ts";
import { errorOf } from "./tables.ts";

const CODES = Array.from({ length: 256 }, (_, code) => code);

Deno.test("MQTT_3_1_1 gives the return codes of CONNACK the reason codes that mean the same (§3.2.2.3)", () => {
  const meanings = [0, 0x84, 0x85, 0x88, 0x86, 0x87];
  for (const returnCode of CODES) {
    const data = Uint8Array.of(0x20, 2, 0, returnCode);
    if (returnCode > 5) assertEquals(errorOf([data]).reasonCode, 0x81);
    else {
      const [packet] = decode(data);
      assertEquals(packet.type === "CONNACK" && [packet.returnCode, packet.reasonCode], [
        returnCode,
        meanings[returnCode],
      ]);
    }
  }
});

Deno.test("MQTT_3_1_1 takes the codes 0, 1, 2 and 0x80 in SUBACK [MQTT-3.9.3-2]", () => {
  for (const code of CODES) {
    const data = Uint8Array.of(...bytes("90 03 0001"), code);
    if ([0, 1, 2, 0x80].includes(code)) assertEquals(decode(data).length, 1);
    else assertEquals(errorOf([data]).reasonCode, 0x81);
  }
});

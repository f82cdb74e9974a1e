import { assertEquals } from "@std/assert";
import { fieldAt } from "../../src/config/fields.ts";
import { hint } from "../../src/config/hint.ts";

const HINTS: readonly [key: string, value: unknown, hint: string | undefined][] = [
  ["auto_reconnect", "yes", "to YAML 1.2 this is a text"],
  ["auto_reconnect", "OFF", "to YAML 1.2 this is a text"],
  ["auto_reconnect", "true", "leave the quotes out"],
  ["auto_reconnect", "maybe", undefined],
  ["auto_reconnect", 1, undefined],
  ["keep_alive", "10", "leave the quotes out"],
  ["keep_alive", "1:30", undefined],
  ["keep_alive", true, undefined],
  ["keep_alive", null, "without a value, leave the key out"],
  ["default_qos", "1", "leave the quotes out"],
  ["default_qos", "yes", undefined],
  ["client_id", 7, "put it in quotes"],
  ["client_id", new Date(0), "put it in quotes"],
  ["client_id", [], undefined],
  ["password", "1234", undefined],
  ["password", 1234, "put it in quotes"],
  ["uri", true, "put it in quotes"],
  ["topics", null, "without a value, leave the key out"],
  ["unknown", null, undefined],
];

Deno.test("hint() says how a wrong value in a file is put right, where that can be told", () => {
  for (const [key, value, expected] of HINTS) assertEquals(hint(fieldAt([key]), value), expected, `${key} ${value}`);
  assertEquals(hint(fieldAt(["will", "properties", "correlationData"]), "AA=="), "write !!binary and Base64");
});

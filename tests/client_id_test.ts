import { assert, assertEquals, assertMatch } from "@std/assert";
import { generateClientId } from "../src/client_id.ts";

Deno.test("generateClientId() gives hbmqtt/ and 16 letters and digits, 23 characters as every broker must take", () => {
  for (let i = 0; i < 1000; i++) {
    const id = generateClientId();
    assertMatch(id, /^hbmqtt\/[0-9A-Za-z]{16}$/);
    assertEquals(id.length, 23);
  }
});

Deno.test("generateClientId() gives another one each time", () => {
  const count = 10_000;
  assertEquals(new Set(Array.from({ length: count }, generateClientId)).size, count);
});

Deno.test("generateClientId() uses all characters about equally often", () => {
  const counts = new Map<string, number>();
  const ids = 10_000;
  for (let i = 0; i < ids; i++) {
    for (const character of generateClientId().slice(7)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  assertEquals(counts.size, 62);
  const expected = ids * 16 / 62;
  // Ten standard deviations: chance will not fail this, a modulo of 256 would (it makes 8 characters a quarter likelier).
  const tolerance = 10 * Math.sqrt(expected);
  for (const [character, count] of counts) assert(Math.abs(count - expected) < tolerance, `${character}: ${count}`);
});

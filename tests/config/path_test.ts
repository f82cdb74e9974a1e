import { assertEquals } from "@std/assert";
import { valueAt } from "../../src/config/path.ts";

Deno.test("valueAt() gives what the keys and indices of a path lead to", () => {
  const config = { topics: { "a.b": { qos: 0 } }, uri: ["x", "y"], none: null };
  assertEquals(valueAt(config, []), config);
  assertEquals(valueAt(config, ["topics", "a.b", "qos"]), 0);
  assertEquals(valueAt(config, ["uri", 1]), "y");
  assertEquals(valueAt(config, ["none"]), null);
});

Deno.test("valueAt() gives undefined for a path that leads nowhere, and for what is inherited", () => {
  const config = { uri: "x", none: null };
  for (const path of [["a"], ["uri", "a"], ["none", "a"], ["constructor"], ["__proto__"], ["uri", "length", "a"]]) {
    assertEquals(valueAt(config, path), undefined);
  }
});

import { assert, assertEquals } from "@std/assert";
import { allowedBy, descriptionOf, type Field, FIELDS, type FieldTable } from "../../src/config/fields.ts";

const TABLES: Readonly<Record<string, FieldTable>> = {
  ClientConfig: FIELDS,
  BrokerConfig: FIELDS.broker.fields,
  TopicConfig: FIELDS.topics.fields,
  WillConfig: FIELDS.will.fields,
  WillProperties: FIELDS.will.fields.properties.fields,
};

Deno.test("ClientConfig is documented in the words of FIELDS, in its order", async () => {
  const source = await Deno.readTextFile(new URL("../../src/config/client_config.ts", import.meta.url));
  for (const [name, table] of Object.entries(TABLES)) {
    assertEquals(
      documentedKeys(source, name),
      Object.entries(table).map(([key, field]) => [key, documentation(field)]),
    );
  }
});

Deno.test("FIELDS says what 0 means wherever a number may be 0", () => {
  for (const table of Object.values(TABLES)) {
    for (const [key, field] of Object.entries(table)) {
      if (field.kind !== "number") continue;
      const mayBeZero = field.above === undefined && (field.min === undefined || field.min === 0);
      assertEquals(field.zero !== undefined, mayBeZero, key);
    }
  }
});

Deno.test("FIELDS has only defaults that are in range, and sentences that end", () => {
  for (const table of Object.values(TABLES)) {
    for (const [key, field] of Object.entries(table)) {
      assert(/^[A-Zh].*\.$/.test(field.sentence), key);
      if (field.kind === "choice" && field.default !== undefined) assert(field.values.includes(field.default), key);
      if (field.kind !== "number" || field.default === undefined) continue;
      assert(field.default >= (field.min ?? field.above ?? -1) && field.default <= (field.max ?? Infinity), key);
    }
  }
});

Deno.test("allowedBy() names unit, kind and inclusive range", () => {
  assertEquals(allowedBy(FIELDS.keep_alive), "a whole number of seconds, 0 to 65535");
  assertEquals(allowedBy(FIELDS.ping_delay), "a number of seconds, 0 or more");
  assertEquals(allowedBy(FIELDS.connect_timeout), "a number of seconds, above 0 and up to 2147483");
  assertEquals(allowedBy(FIELDS.reconnect_retries), "a whole number");
  assertEquals(allowedBy(FIELDS.queue_full), '"reject", "wait" or "drop_oldest"');
  assertEquals(allowedBy(FIELDS.uri), "a URI or a list of URIs, not empty");
  assertEquals(allowedBy(FIELDS.broker), "a mapping");
  assertEquals(allowedBy({ kind: "number", above: 0, sentence: "" }), "a number, above 0");
  assertEquals(allowedBy({ kind: "number", max: 9, sentence: "" }), "a number, at most 9");
});

Deno.test("descriptionOf() adds the limits and what 0 means to the sentence", () => {
  assert(descriptionOf(FIELDS.keep_alive).endsWith(". A whole number of seconds, 0 to 65535; 0 turns it off."));
  assert(descriptionOf(FIELDS.password).endsWith(". At most 65535 bytes."));
  assertEquals(descriptionOf(FIELDS.store), FIELDS.store.sentence);
});

function documentation(field: Field): string {
  const hasDefault = "default" in field && field.default !== undefined;
  return descriptionOf(field) + (hasDefault ? ` @default {${JSON.stringify(field.default)}}` : "");
}

/** Gives the keys of an interface with their documentation, each as one line. */
function documentedKeys(source: string, name: string): [key: string, documentation: string][] {
  const [, body] = new RegExp(`export interface ${name} {\n(.*?)\n}`, "s").exec(source) ?? [];
  assert(body, name);
  return [...body.matchAll(/\/\*\*(.*?)\*\/\s+(\w+)\??:/gs)].map(([, comment, key]) => [
    key,
    comment.replaceAll(/^\s*\* ?/gm, "").split(/\s+/).join(" ").trim(),
  ]);
}

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parse } from "@std/yaml";
import { Ajv2020 } from "ajv";
import { parseConfig } from "../../mod.ts";
import { FIELDS } from "../../src/config/fields.ts";
import { schemaText, withTable } from "../../tools/schema.ts";
import { environment } from "./environment.ts";

const read = (path: string) => Deno.readTextFile(new URL(`../../${path}`, import.meta.url));

const SCHEMA = JSON.parse(schemaText());

/** Files with what the schema can tell to be right or wrong. */
const FILES: readonly [isValid: boolean, text: string][] = [
  [true, "{}"],
  [true, "keep_alive: 0\nping_delay: 0.5\nreconnect_retries: -1\nreconnect_max_interval: 0.05"],
  [true, "uri: mqtt://a\nbroker: {uri: [mqtt://a, mqtt://b], cafile:, capath: ~}"],
  [true, "topics: {/test: {qos: 1}, some_topic: {qos: 2, retain: True}, other: {}}"],
  [true, "will: {topic: a, message: '', properties: {userProperties: [[a, b], [a, c]]}}"],
  [true, "will: {topic: a, message: '', properties: {payloadFormatIndicator: 1, userProperties: {a: b}}}"],
  [true, "protocol_version: auto\nqueue_full: wait\nalpn_protocols: [mqtt]\nuser_properties: []"],
  [true, "authentication_method: a\nauthentication_data: b"],
  [true, "keep_alive: ${HBMQTT_TEST}\nmanual_ack: ${HBMQTT_TEST_2:-false}\ndefault_qos: '${HBMQTT_TEST_3:-2}'"],
  [true, "cafile: ${HBMQTT_TEST}.pem\ntopics: {a: {retain: '${HBMQTT_TEST_2:-true}'}}"],
  [false, "keepalive: 5"],
  [false, "keep_alive: -1"],
  [false, "keep_alive: 65536"],
  [false, "keep_alive: 0.5"],
  [false, "keep_alive: '5'"],
  [false, "keep_alive:"],
  [false, "ping_timeout: 0"],
  [false, "ping_delay: -0.1"],
  [false, "reconnect_max_interval: 2147484"],
  [false, "auto_reconnect: yes"],
  [false, "auto_reconnect: 1"],
  [false, "default_qos: 3"],
  [false, "protocol_version: '5'"],
  [false, "queue_full: drop"],
  [false, "uri: ''"],
  [false, "uri: []"],
  [false, "uri: [5]"],
  [false, "cafile: ''"],
  [false, "certfile: ~"],
  [false, "client_id: 5"],
  [false, "broker: {cleansession: true}"],
  [false, "topics: {a: 1}"],
  [false, "topics: {a: {qos: 3}}"],
  [false, "topics: {a: {QoS: 1}}"],
  [false, "will: {topic: a}"],
  [false, "will: {topic: '', message: a}"],
  [false, "will: {topic: a, message: b, properties: {contenttype: c}}"],
  [false, "alpn_protocols: mqtt"],
  [false, "user_properties: [[a]]"],
  [false, "user_properties: [[a, 1]]"],
  [false, "user_properties: {a: 1}"],
  [false, "authentication_data: b"],
  [false, "- a"],
];

Deno.test("schema/config.json is what `deno task schema` makes of the field table", async () => {
  assertEquals(await read("schema/config.json"), schemaText(), "run `deno task schema`");
});

Deno.test("schema/config.json is a schema of draft 2020-12", () => {
  assertEquals(SCHEMA.$schema, "https://json-schema.org/draft/2020-12/schema");
  assert(new Ajv2020({ strict: true, allowUnionTypes: true }).validateSchema(SCHEMA));
});

Deno.test("schema/config.json tells right from wrong as parseConfig() does", () => {
  using _ = environment({ HBMQTT_TEST: "5" });
  const isValid = new Ajv2020().compile(SCHEMA);
  for (const [expected, text] of FILES) {
    assertEquals(isValid(parse(text)), expected, text);
    assertEquals(loads(text), expected, text);
  }
});

Deno.test("schema/config.json describes every key and its default", () => {
  for (const [key, field] of Object.entries(FIELDS)) {
    assertStringIncludes(SCHEMA.properties[key].description, field.sentence);
    assertEquals(SCHEMA.properties[key].default, "default" in field ? field.default : undefined, key);
  }
});

Deno.test("README.md has the table that `deno task schema` makes of the field table", async () => {
  const readme = await read("README.md");
  assertEquals(cells(readme), cells(await withTable(readme)), "run `deno task schema`");
});

/** Gives the cells of the tables in a text, whatever their width. */
function cells(markdown: string): string[][] {
  const rows = markdown.split("\n").filter((line) => line.startsWith("|") && !/^[| -]*$/.test(line));
  return rows.map((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim()));
}

function loads(text: string): boolean {
  try {
    parseConfig(text);
    return true;
  } catch {
    return false;
  }
}

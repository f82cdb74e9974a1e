import { assert, assertEquals } from "@std/assert";
import { loadConfig, parseConfig } from "../../mod.ts";
import { FIELDS } from "../../src/config/fields.ts";
import { runChild } from "../helpers/child.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { environment } from "./environment.ts";

const EXAMPLE = new URL("../../examples/client.yaml", import.meta.url);

/** The example with what is behind a # in force, too, but for one of the two URIs. */
async function uncommented(): Promise<string> {
  const text = await Deno.readTextFile(EXAMPLE);
  return text.replace(/^uri: .*\n/m, "").replaceAll(/^#(?=[a-z]| {2}(?:\S| {2}))/gm, "");
}

Deno.test("examples/client.yaml is a configuration, with every default as it is", async () => {
  const config: Record<string, unknown> = { ...await loadConfig(EXAMPLE) };
  for (const [key, field] of Object.entries(FIELDS)) {
    if ("default" in field) assertEquals(config[key], field.default, key);
  }
  assertEquals(config.uri, "mqtt://localhost:1883");
});

Deno.test("examples/client.yaml names every key, and all that is behind a # is valid", async () => {
  using _ = environment({ MQTT_PASSWORD: "hunter2", MQTT_AUTHENTICATION: "x" });
  const config = parseConfig(await uncommented());
  assertEquals(Object.keys(config).toSorted(), Object.keys(FIELDS).toSorted());
  assertEquals(Object.keys(config.will ?? {}), Object.keys(FIELDS.will.fields));
  assertEquals(Object.keys(config.will?.properties ?? {}), Object.keys(FIELDS.will.fields.properties.fields));
  assertEquals(config.password, "hunter2");
});

Deno.test("examples/client.yaml names its schema for editors", async () => {
  const [, schema] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(await Deno.readTextFile(EXAMPLE)) ?? [];
  assert(schema);
  assertEquals((await Deno.stat(new URL(schema, EXAMPLE))).isFile, true);
});

brokerTest("examples/config_file.ts runs with the permissions that it names", {}, async (broker) => {
  const permissions = [`--allow-net=127.0.0.1:${broker.ports.mqtt}`, "--allow-read=examples/client.yaml"];
  assertEquals(await runChild("examples/config_file.ts", permissions, broker.uris.mqtt), {
    code: 0,
    stdout: "example/light: QoS 1, retain true\n",
    stderr: "",
  });
});

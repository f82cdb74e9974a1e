import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ConnectError, MQTTClient, SqliteSessionStore } from "../mod.ts";
import { stdFlags } from "../tools/std.ts";
import { brokerTest } from "./helpers/brokers.ts";

/** What applications and their stores and transports hand over. */
const INPUTS = [
  "Answer",
  "BrokerConfig",
  "ClientConfig",
  "ConnectErrorOptions",
  "ConnectionLostErrorOptions",
  "ConnectOptions",
  "Credentials",
  "DisconnectOptions",
  "MessagesOptions",
  "MQTTClientOptions",
  "Properties",
  "PublishOptions",
  "ReconnectOptions",
  "RequestOptions",
  "RespondOptions",
  "SessionChanges",
  "SessionStore",
  "SignalOptions",
  "SqliteSessionStoreOptions",
  "StoredPublish",
  "SubscribeOptions",
  "Subscription",
  "TopicConfig",
  "Transport",
  "WillConfig",
  "WillProperties",
];

const PROGRAM = [
  `import type { ${INPUTS.join(", ")} } from "${new URL("../mod.ts", import.meta.url)}";`,
  "type Optional<T> = { [Field in keyof T as object extends Pick<T, Field> ? Field : never]: T[Field] };",
  "type Takes<T> = { [Field in keyof Optional<T>]: undefined } extends Optional<T> ? true : false;",
  "export const exact: Takes<{ field?: string }> = true;",
  ...INPUTS.map((input) => `export const of${input}: Takes<${input}> = true;`),
];

Deno.test("Every optional field that is handed over takes undefined, under exactOptionalPropertyTypes too", async () => {
  const folder = await Deno.makeTempDir({ prefix: "types-" });
  try {
    const program = join(folder, "program.ts"), config = join(folder, "deno.json");
    await Deno.writeTextFile(program, PROGRAM.join("\n"));
    await Deno.writeTextFile(config, JSON.stringify({ compilerOptions: { exactOptionalPropertyTypes: true } }));
    const { stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--cached-only", ...await stdFlags(), `--config=${config}`, program],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    // The sources themselves are not written for that option.
    const faults = new TextDecoder().decode(stderr).split("\n").filter((line) =>
      line.includes(pathToFileURL(program).href)
    );
    const lines = faults.map((fault) => PROGRAM[Number(/:(\d+):\d+$/.exec(fault)?.[1]) - 1]);
    assertEquals(lines, [PROGRAM.find((line) => line.includes("exact:"))]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Gives fields that are all `undefined`. */
function absent<Name extends string>(...names: Name[]): Record<Name, undefined> {
  return Object.fromEntries(names.map((name) => [name, undefined])) as Record<Name, undefined>;
}

brokerTest("MQTTClient takes options that are undefined for absent", {}, async (broker) => {
  const client = new MQTTClient({
    ...absent("clientId", "transport", "store", "onAuth"),
    config: {
      ...absent("broker", "cafile", "client_id", "keep_alive", "store", "user_properties"),
      protocol_version: 5,
      topics: { t: absent("qos", "retain") },
      will: { topic: "w", message: "", ...absent("qos", "retain"), properties: absent("contentType") },
    },
    credentials: () => absent("username", "password", "authenticationData"),
  });
  await client.connect(
    broker.uris.mqtt,
    absent("cleanSession", "caFile", "caPath", "caData", "extraHeaders", "signal"),
  );
  const signal = absent("signal"), properties = absent("contentType", "responseTopic", "userProperties");
  const subscription = { filter: "t", ...absent("qos", "noLocal", "retainAsPublished", "retainHandling") };
  assertEquals(await client.subscribe([subscription], absent("properties", "signal")), [0]);
  await client.publish("t", "x", { properties, ...absent("qos", "retain", "signal") });
  const message = await client.deliverMessage(undefined, signal);
  assertEquals([message.qos, message.properties.contentType], [0, undefined]);
  await client.respond("r", () => absent("payload", "properties"), {
    ...absent("qos", "concurrency", "responseTopic", "properties", "signal"),
  });
  const response = await client.request("r", "", { properties, ...absent("timeout", "qos", "signal") });
  assertEquals(response.text(), "");
  const messages = client.messages("t", absent("limit", "signal"));
  await messages.return?.();
  assertEquals(await client.unsubscribe("t", absent("properties", "signal")), [0]);
  await client.ping(signal);
  assertEquals(await client.reconnect(absent("cleanSession", "signal")), 0);
  await client.disconnect(absent("drain", "reasonCode", "properties"));
  new SqliteSessionStore("never-opened.db", absent("synchronous"));
  assertEquals(new ConnectError("", absent("permanent")).permanent, false);
});

import { assert, assertEquals } from "@std/assert";
import { inspect } from "node:util";
import { type ClientConfig, MQTTClient, parseConfig } from "../../mod.ts";
import { masked } from "../../src/config/secrets.ts";

const SECRET = "hunter2";

const YAML = `
uri: mqtt://user:${SECRET}@localhost
broker:
  uri: [wss://${SECRET}@localhost/mqtt, mqtt://localhost]
username: user
password: ${SECRET}
keep_alive: 5
authentication_method: PLAIN
authentication_data: ${SECRET}
will: { topic: gone, message: "" }
`;

const SHOWN = {
  uri: "mqtt://***@localhost",
  broker: { uri: ["wss://***@localhost/mqtt", "mqtt://localhost"] },
  username: "user",
  password: "***",
  keep_alive: 5,
  authentication_method: "PLAIN",
  authentication_data: "***",
  will: { topic: "gone", message: "" },
};

/** All ways to make a text of something that logs and programs use. */
const WAYS: readonly [name: string, show: (value: unknown) => string][] = [
  ["Deno.inspect()", (value) => Deno.inspect(value, { depth: 9, showHidden: true })],
  ["Deno.inspect() of a part", (value) => Deno.inspect({ a: [value] }, { depth: 9 })],
  ["inspect() of Node.js", (value) => inspect(value, { depth: 9, showHidden: true })],
  ["JSON.stringify()", (value) => JSON.stringify(value)],
  ["JSON.stringify() of a part", (value) => JSON.stringify({ a: [value] })],
  ["String()", (value) => String(value)],
];

for (const [name, show] of WAYS) {
  Deno.test(`parseConfig() gives a configuration that shows no secret to ${name}`, () => {
    const config = parseConfig(YAML);
    for (const part of [config, config.broker, new MQTTClient({ config })]) {
      assert(!show(part).includes(SECRET), show(part));
    }
  });
}

Deno.test("parseConfig() gives a configuration that shows all but its secrets", () => {
  const config = parseConfig(YAML);
  assertEquals(Deno.inspect(config), Deno.inspect(SHOWN));
  assertEquals(inspect(config), inspect(SHOWN));
  assertEquals(JSON.parse(JSON.stringify(config)), SHOWN);
});

Deno.test("parseConfig() gives an ordinary object, whose secrets can be read and are in its copies", () => {
  const config = parseConfig(YAML);
  const expected: ClientConfig = {
    ...SHOWN,
    uri: `mqtt://user:${SECRET}@localhost`,
    broker: { uri: [`wss://${SECRET}@localhost/mqtt`, "mqtt://localhost"] },
    password: SECRET,
    authentication_data: SECRET,
  };
  assertEquals(config, expected);
  assertEquals({ ...config }, expected);
  assertEquals(structuredClone(config), expected);
  assertEquals(Object.keys(config), Object.keys(expected));
  assertEquals(config.password, SECRET);
  assertEquals(Reflect.ownKeys({ ...config }), Object.keys(expected));
});

Deno.test("parseConfig() gives a configuration that keeps secret what is added later", () => {
  const config = parseConfig("keep_alive: 5");
  config.password = SECRET;
  assertEquals(Deno.inspect(config), '{ keep_alive: 5, password: "***" }');
});

Deno.test("masked() hides secrets of any kind, user names and queries in URIs of any form, and nothing else", () => {
  assertEquals(masked({ password: new Uint8Array([1]), authentication_data: "" }), {
    password: "***",
    authentication_data: "***",
  });
  assertEquals(masked({ password: undefined, uri: undefined, cafile: "a@b" }), {
    password: undefined,
    uri: undefined,
    cafile: "a@b",
  });
  const uri = (uri: string) => masked({ uri }).uri;
  assertEquals(uri("mqtt://localhost:1883"), "mqtt://localhost:1883");
  assertEquals(uri("unix:/run/mqtt.sock"), "unix:/run/mqtt.sock");
  assertEquals(uri(`mqtt://user:a/b@${SECRET}@localhost`), "mqtt://***@localhost");
  assertEquals(uri(`wss://localhost/mqtt?token=${SECRET}`), "wss://localhost/mqtt?***");
  assertEquals(masked({ uri: 5, broker: 5, other: "x", constructor: "y" }), {
    uri: "***",
    broker: "***",
    other: "x",
    constructor: "y",
  });
});

Deno.test("MQTTClient shows its state and what of its configuration is no default, without secrets", () => {
  const config: ClientConfig = {
    uri: [`mqtt://user:${SECRET}@a`],
    password: new TextEncoder().encode(SECRET),
    keep_alive: 10,
    ping_delay: 0,
    auto_reconnect: true,
    topics: { "a/b": { qos: 1 } },
  };
  const client = new MQTTClient({ clientId: "me", config });
  const shown = {
    clientId: "me",
    state: "idle",
    config: { uri: "mqtt://***@a", ping_delay: 0, password: "***", topics: { "a/b": { qos: 1 } } },
  };
  assertEquals(Deno.inspect(client), `MQTTClient ${Deno.inspect(shown)}`);
  assertEquals(inspect(client), `MQTTClient ${inspect(shown)}`);
  assertEquals(
    Deno.inspect(new MQTTClient({ clientId: "me" })),
    'MQTTClient { clientId: "me", state: "idle", config: {} }',
  );
});

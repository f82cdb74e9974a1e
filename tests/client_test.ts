import { assertEquals, assertRejects } from "@std/assert";
import { type ClientConfig, ConnectError, MQTTClient } from "../mod.ts";
import { clientSuite, VERSIONS } from "./client/suite.ts";
import { brokerTest } from "./helpers/brokers.ts";
import { startEmbeddedBroker } from "./helpers/embedded_broker.ts";

clientSuite("mqtt, embedded broker", (name, test) => {
  Deno.test(name, async () => {
    await using broker = await startEmbeddedBroker();
    await test({ uri: broker.uri });
  });
});

for (const [protocol_version, broker] of VERSIONS) {
  const config = { protocol_version };

  clientSuite(`mqtt, ${broker}`, (name, test) => {
    brokerTest(name, { listeners: ["mqtt"] }, (broker) => test({ uri: broker.uris.mqtt, config }));
  });

  clientSuite(`unix, ${broker}`, (name, test) => {
    brokerTest(name, { listeners: ["unix"] }, (broker) => test({ uri: broker.uris.unix, config }));
  });
}

brokerTest("MQTTClient.subscribe() takes several entries with the same filter", {}, async (broker) => {
  await using client = new MQTTClient();
  await client.connect(broker.uris.mqtt);
  assertEquals(await client.subscribe([["a", 1], { filter: "a", qos: 2 }, ["a", 0]]), [1, 2, 0]);
});

brokerTest("MQTTClient receives from $SYS what it has subscribed to by name only", {
  config: ["sys_interval 1"],
}, async (broker) => {
  await using client = new MQTTClient();
  await client.connect(broker.uris.mqtt);
  const all = client.messages("#"), sys = client.messages("$SYS/#");
  await client.subscribe("$SYS/broker/version", 1);
  const message = await sys.next();
  assertEquals([message.value?.topic, message.value?.retain], ["$SYS/broker/version", true]);
  await client.disconnect();
  assertEquals(await all.next(), { done: true, value: undefined });
});

const USERS = { user: "p@ss:w/rd%", "ü ser": "geheim", nobody: "" };

brokerTest("MQTTClient.connect() takes user and password from the URI, percent-decoded, before the configuration", {
  listeners: ["password"],
  users: USERS,
}, async (broker) => {
  const { password: uri } = broker.uris;
  const withUser = (user: string) => uri.replace("//", `//${user}@`);
  const connect = async (uri: string, config: ClientConfig = {}) => {
    await using client = new MQTTClient({ config: { auto_reconnect: false, ...config } });
    return await client.connect(uri);
  };
  assertEquals(await connect(withUser("user:p%40ss%3Aw%2Frd%25")), 0);
  assertEquals(await connect(withUser("%C3%BC%20ser:geheim")), 0);
  assertEquals(await connect(uri, { username: "user", password: USERS.user }), 0);
  assertEquals(await connect(uri, { username: "user", password: new TextEncoder().encode(USERS.user) }), 0);
  assertEquals(await connect(withUser("user:p%40ss%3Aw%2Frd%25"), { username: "x", password: "wrong" }), 0);
  const refused = await assertRejects(() => connect(withUser("user:wrong"), { password: USERS.user }), ConnectError);
  assertEquals(refused.returnCode, 5);
  await assertRejects(() => connect(uri), ConnectError, "not authorized");
});

brokerTest("MQTTClient asks for credentials before every attempt", { listeners: ["password"] }, async (broker) => {
  let asked = 0;
  const credentials = () => Promise.resolve({ username: "user", password: `password${"!".repeat(asked++ % 2)}` });
  await using client = new MQTTClient({ credentials, config: { auto_reconnect: false } });
  assertEquals(await client.connect(broker.uris.password), 0);
  await client.disconnect();
  await assertRejects(() => client.connect(broker.uris.password), ConnectError);
  assertEquals(await client.connect(broker.uris.password), 0);
  assertEquals(asked, 3);
});

brokerTest("MQTTClient.connect() uses the broker of the configuration when no URI is given", {}, async (broker) => {
  const uri = broker.uris.mqtt;
  for (
    const config of [{ uri }, { uri: [uri] }, { broker: { uri } }, { uri, broker: { uri: "mqtt://nowhere.invalid" } }]
  ) {
    await using client = new MQTTClient({ config });
    assertEquals(await client.connect(), 0);
  }
});

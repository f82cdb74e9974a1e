import { assertEquals } from "@std/assert";
import { type ClientConfig, loadConfig, MQTTClient, parseConfig } from "../../mod.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** What hbmqtt_pub and hbmqtt_sub read where they are told nothing else. */
const DEFAULT_CLIENT = new URL("../fixtures/hbmqtt/default_client.yaml", import.meta.url);
/** The documented configuration, as YAML. */
const DOCUMENTED = new URL("../fixtures/hbmqtt/documented.yaml", import.meta.url);

/** Publishes to a topic, and gives the message as it arrives at a client of its own. */
async function roundTrip(client: MQTTClient, uri: string, topic: string): Promise<[qos: number, text: string]> {
  await using receiver = new MQTTClient();
  await receiver.connect(uri);
  await receiver.subscribe(topic, 2);
  await client.publish(topic, "x");
  const message = await receiver.deliverMessage(10);
  return [message.qos, message.text()];
}

brokerTest("MQTTClient.fromConfigFile() takes hbmqtt's default client file", {}, async (broker) => {
  await using client = await MQTTClient.fromConfigFile(DEFAULT_CLIENT);
  assertEquals(await client.connect(broker.uris.mqtt), 0);
  assertEquals(await roundTrip(client, broker.uris.mqtt, "a/b"), [0, "x"]);
  await client.ping();
});

brokerTest("MQTTClient.fromConfigFile() takes hbmqtt's documented configuration", {}, async (broker) => {
  const uri = broker.uris.mqtt;
  await using client = await MQTTClient.fromConfigFile(DOCUMENTED);
  assertEquals(await client.connect(uri), 0);
  assertEquals(await roundTrip(client, uri, "/test"), [1, "x"]);
  assertEquals(await roundTrip(client, uri, "/some_topic"), [2, "x"]);
  assertEquals(await roundTrip(client, uri, "/other"), [0, "x"]);
  await using late = new MQTTClient();
  await late.connect(uri);
  await late.subscribe([["/test", 2], ["/some_topic", 2]]);
  const retained = await late.deliverMessage(10);
  assertEquals([retained.topic, retained.retain], ["/some_topic", true]);
});

brokerTest("MQTTClient.fromConfigFile() takes the keys that hbmqtt's code reads", {}, async (broker) => {
  await using folder = await temporaryFolder();
  const path = await folder.write(
    "client.yaml",
    `---
keep_alive: 10
auto_reconnect: False
cleansession: true
broker:
  uri: "${broker.uris.mqtt}"
  cafile:
  capath: ~
  cadata: null
check_hostname: False
will:
  topic: gone
  message: bye
  qos: 1
  retain: False
`,
  );
  await using client = await MQTTClient.fromConfigFile(path);
  assertEquals(await client.connect(), 0);
  await using receiver = new MQTTClient();
  await receiver.connect(broker.uris.mqtt);
  await receiver.subscribe("gone", 2);
  await using other = await MQTTClient.fromConfigFile(path, { clientId: client.clientId });
  await other.connect(); // a broker ends the connection of the first, and publishes its will
  const { topic, qos } = await receiver.deliverMessage(10);
  assertEquals([topic, qos], ["gone", 1]);
});

Deno.test("loadConfig() and parseConfig() read hbmqtt's files as hbmqtt does", async () => {
  const common: ClientConfig = { keep_alive: 10, ping_delay: 1, default_qos: 0, default_retain: false };
  assertEquals(await loadConfig(DEFAULT_CLIENT), {
    ...common,
    auto_reconnect: false,
    reconnect_max_interval: 10,
    reconnect_retries: 2,
  });
  const documented: ClientConfig = {
    ...common,
    auto_reconnect: true,
    reconnect_max_interval: 5,
    reconnect_retries: 10,
    topics: { "/test": { qos: 1 }, "/some_topic": { qos: 2, retain: true } },
  };
  assertEquals(await loadConfig(DOCUMENTED), documented);
  assertEquals(parseConfig('---\ncleansession: true\nbroker:\n  uri: "mqtt://127.0.0.1"'), {
    cleansession: true,
    broker: { uri: "mqtt://127.0.0.1" },
  });
});

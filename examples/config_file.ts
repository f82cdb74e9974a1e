// Publishes with a configuration file, which names the broker and what is to be used for each topic.
//
//   deno run --allow-net=localhost:1883 --allow-read=examples/client.yaml examples/config_file.ts mqtt://localhost:1883
import { MQTTClient } from "@hbmqtt/client";

const [uri, path = new URL("client.yaml", import.meta.url)] = Deno.args; // without a URI that of the file is used

await using client = await MQTTClient.fromConfigFile(path);
await client.connect(uri);
const message = await client.publish("example/light", "on");
console.log(`${message.topic}: QoS ${message.qos}, retain ${message.retain}`);

// Has messages handed over as they come; the next one comes when the handler's promise is resolved.
//
//   deno run --allow-net=localhost:1883 examples/push.ts mqtt://localhost:1883
import { MQTTClient, QOS_1 } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883"] = Deno.args;

await using client = new MQTTClient();
const { promise: done, resolve } = Promise.withResolvers<void>();
client.onmessage = async (message) => {
  console.log(`${message.topic} => ${message.text()}`);
  if (message.text() === "ping") await client.publish("example/push", "pong", { qos: QOS_1 });
  else resolve();
};
await client.connect(uri);
await client.subscribe("example/push", QOS_1);
await client.publish("example/push", "ping", { qos: QOS_1 });
await done;

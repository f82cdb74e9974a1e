// Receives 100 messages about the broker itself: the documented subscriber.
//
//   deno run --allow-net=localhost:1883 examples/subscriber.ts mqtt://localhost:1883
import { ClientError, MQTTClient, QOS_1, QOS_2 } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883", count = "100"] = Deno.args;

const client = new MQTTClient();
await client.connect(uri);
await client.subscribe([
  ["$SYS/broker/uptime", QOS_1],
  ["$SYS/broker/load/#", QOS_2],
]);
try {
  for (let i = 1; i <= Number(count); i++) {
    const message = await client.deliverMessage();
    console.log(`${i}:  ${message.topic} => ${message.text()}`);
  }
  await client.unsubscribe(["$SYS/broker/uptime", "$SYS/broker/load/#"]);
  await client.disconnect();
} catch (error) {
  if (!(error instanceof ClientError)) throw error;
  console.error(`Client error: ${error.message}`);
}

// Iterates over messages: one loop for each kind, each with a queue of its own.
//
//   deno run --allow-net=localhost:1883 examples/iterate.ts mqtt://localhost:1883
import { MQTTClient, QOS_1 } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883"] = Deno.args;

await using client = new MQTTClient();
await client.connect(uri);

async function print(kind: string, count: number): Promise<void> {
  for await (const message of client.messages(`example/+/${kind}`)) {
    console.log(`${kind} of ${message.topic.split("/")[1]}: ${message.json<number>()}`);
    if (--count === 0) break;
  }
}

const printed = [print("temperature", 2), print("humidity", 1)];
await client.subscribe("example/#", QOS_1);
await client.publish("example/kitchen/temperature", "21.5", { qos: QOS_1 });
await client.publish("example/kitchen/humidity", "48", { qos: QOS_1 });
await client.publish("example/cellar/temperature", "12", { qos: QOS_1 });
await Promise.all(printed);

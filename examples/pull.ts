// Asks for one message at a time, and does something else when none comes.
//
//   deno run --allow-net=localhost:1883 examples/pull.ts mqtt://localhost:1883
import { MQTTClient, QOS_1 } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883", seconds = "10"] = Deno.args;

await using client = new MQTTClient();
await client.connect(uri);
await client.subscribe("example/pull", QOS_1);
await client.publish("example/pull", "hello", { qos: QOS_1 });
try {
  for (;;) {
    const message = await client.deliverMessage(Number(seconds));
    console.log(`${message.topic} => ${message.text()}`);
  }
} catch (error) {
  if (!(error instanceof DOMException && error.name === "TimeoutError")) throw error;
  console.log(`nothing for ${seconds} s`);
}

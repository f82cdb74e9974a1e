// Acknowledges each message when it has been dealt with: one that was not comes again, to this program after a restart or to the next.
//
//   deno run --allow-net=localhost:1883 examples/manual_ack.ts mqtt://localhost:1883
import { type ApplicationMessage, MQTTClient, QOS_1 } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883"] = Deno.args;

/** Stands for what may fail: a database, a machine, another service. */
function store(message: ApplicationMessage): Promise<void> {
  console.log(`stored ${message.text()}`);
  return Promise.resolve();
}

await using client = new MQTTClient({
  clientId: "example-manual-ack",
  config: { cleansession: false, manual_ack: true },
});
await client.connect(uri);
await client.subscribe("example/orders", QOS_1);
for (const order of ["1", "2", "3"]) await client.publish("example/orders", order, { qos: QOS_1 });
for await (const message of client) {
  await store(message);
  message.ack();
  if (message.text() === "3") break;
}
await client.unsubscribe("example/orders");

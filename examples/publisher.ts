// Publishes at QoS 0, 1 and 2, first all at the same time, then one after the other: the documented publisher.
//
//   deno run --allow-net=localhost:1883 examples/publisher.ts mqtt://localhost:1883
import { ConnectError, MQTTClient, QOS_0, QOS_1, QOS_2 } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883"] = Deno.args;

/** Publishes three messages at the same time, with the defaults where no QoS is given. */
async function publishTogether(): Promise<void> {
  const client = new MQTTClient();
  await client.connect(uri);
  await Promise.all([
    client.publish("a/b", "TEST MESSAGE WITH QOS_0"),
    client.publish("a/b", "TEST MESSAGE WITH QOS_1", { qos: QOS_1 }),
    client.publish("a/b", "TEST MESSAGE WITH QOS_2", { qos: QOS_2 }),
  ]);
  console.log("messages published");
  await client.disconnect();
}

/** Publishes three messages, each when the one before is acknowledged. */
async function publishInTurn(): Promise<void> {
  const client = new MQTTClient();
  await client.connect(uri);
  await client.publish("a/b", "TEST MESSAGE WITH QOS_0", { qos: QOS_0 });
  await client.publish("a/b", "TEST MESSAGE WITH QOS_1", { qos: QOS_1 });
  await client.publish("a/b", "TEST MESSAGE WITH QOS_2", { qos: QOS_2 });
  console.log("messages published");
  await client.disconnect();
}

try {
  await publishTogether();
  await publishInTurn();
} catch (error) {
  if (!(error instanceof ConnectError)) throw error;
  console.error(`Connection failed: ${error.message}`);
  Deno.exitCode = 1;
}

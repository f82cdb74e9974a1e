// Runs the documented subscriber and publisher, and prints the messages and the packets of their flows.
//
//   deno task demo                            with a broker of its own
//   deno task demo mqtt://localhost:1883      with that one
import { formatPacket, MQTTClient, QOS_0, QOS_1, QOS_2 } from "../mod.ts";
import { startEmbeddedBroker } from "../tests/helpers/embedded_broker.ts";

/** Makes a client whose packets are printed. */
function loggingClient(): MQTTClient {
  const client = new MQTTClient();
  client.addEventListener("packet", ({ detail: { direction, packet } }) => {
    console.log(`    ${formatPacket(client.clientId, direction, packet)}`);
  });
  return client;
}

async function subscriber(uri: string, published: Promise<void>): Promise<void> {
  await using client = loggingClient();
  await client.connect(uri);
  await client.subscribe([["a/b", QOS_2]]);
  subscribed.resolve();
  await published;
  for (let i = 1; i <= 6; i++) {
    const message = await client.deliverMessage(10);
    console.log(`${i}:  ${message.topic} => ${message.text()}`);
  }
  await client.unsubscribe(["a/b"]);
}

async function publisher(uri: string): Promise<void> {
  await using client = loggingClient();
  await client.connect(uri);
  console.log("\nOne after the other:");
  await client.publish("a/b", "TEST MESSAGE WITH QOS_0", { qos: QOS_0 });
  await client.publish("a/b", "TEST MESSAGE WITH QOS_1", { qos: QOS_1 });
  await client.publish("a/b", "TEST MESSAGE WITH QOS_2", { qos: QOS_2 });
  console.log("\nAt the same time:");
  await Promise.all([
    client.publish("a/b", "TEST MESSAGE WITH QOS_0", { qos: QOS_0 }),
    client.publish("a/b", "TEST MESSAGE WITH QOS_1", { qos: QOS_1 }),
    client.publish("a/b", "TEST MESSAGE WITH QOS_2", { qos: QOS_2 }),
  ]);
}

const subscribed = Promise.withResolvers<void>();
await using broker = Deno.args.length > 0 ? undefined : await startEmbeddedBroker();
const uri = Deno.args[0] ?? broker?.uri;
console.log(broker ? `A broker was started on ${uri}` : `The broker is ${uri}`);
const published = subscribed.promise.then(() => publisher(uri));
await Promise.all([subscriber(uri, published), published]);
console.log("\nDone: every message has arrived.");

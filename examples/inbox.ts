// Records orders, each exactly once: a message's row and its acknowledgement are stored together or not at all, whatever ends the program and
// whenever. Ends after so many, 2 by default.
//
//   deno run --allow-net=localhost:1883 --allow-read=inbox.db --allow-write=inbox.db examples/inbox.ts mqtt://localhost:1883
import { type ApplicationMessage, ClientError, MQTTClient, QOS_2, SqliteSessionStore } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883", path = "inbox.db", count = "2"] = Deno.args;

using store = new SqliteSessionStore(path);
// The key is for what is published twice.
store.database.exec("CREATE TABLE IF NOT EXISTS inbox (id INTEGER PRIMARY KEY, item TEXT) STRICT");
const insert = store.database.prepare("INSERT OR IGNORE INTO inbox (id, item) VALUES (?, ?)");

/** Records an order, unless the message has come again since its connection was lost: then that one is recorded. */
function record(message: ApplicationMessage): boolean {
  const { id, item } = message.json<{ id: number; item: string }>();
  try {
    const { changes } = store.transaction(() => {
      const result = insert.run(id, item);
      message.ack();
      return result;
    });
    console.log(changes === 1 ? `recorded order ${id}: ${item}` : `order ${id} was recorded already`);
    return true;
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    console.error(error.message);
    return false;
  }
}

await using client = new MQTTClient({
  clientId: "example-inbox",
  config: { cleansession: false, manual_ack: true },
  store,
});
await client.connect(uri);
await client.subscribe("example/orders", QOS_2);
for (let left = Number(count); left > 0;) if (record(await client.deliverMessage())) left--;

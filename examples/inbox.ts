// Records orders, each exactly once: a message's row and its acknowledgement are stored together or not at all, whatever ends the program and
// whenever. Ends after so many, 2 by default.
//
//   deno run --allow-net=localhost:1883 --allow-read=inbox.db --allow-write=inbox.db examples/inbox.ts mqtt://localhost:1883
import { type ApplicationMessage, MQTTClient, QOS_2, SqliteSessionStore } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883", path = "inbox.db", count = "2"] = Deno.args;

using store = new SqliteSessionStore(path);
// An acknowledgement that comes when the connection is lost is none any more, and the message comes again; so it brings its key.
store.database.exec("CREATE TABLE IF NOT EXISTS inbox (id INTEGER PRIMARY KEY, item TEXT) STRICT");
const insert = store.database.prepare("INSERT OR IGNORE INTO inbox (id, item) VALUES (?, ?)");

function record(message: ApplicationMessage): void {
  const { id, item } = message.json<{ id: number; item: string }>();
  store.transaction(() => {
    const { changes } = insert.run(id, item);
    message.ack();
    console.log(changes === 1 ? `recorded order ${id}: ${item}` : `order ${id} was recorded already`);
  });
}

await using client = new MQTTClient({
  clientId: "example-inbox",
  config: { cleansession: false, manual_ack: true },
  store,
});
await client.connect(uri);
await client.subscribe("example/orders", QOS_2);
for (let left = Number(count); left > 0; left--) record(await client.deliverMessage());

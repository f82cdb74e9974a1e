// Takes orders: an order's row and the message that tells of it leave together or not at all, whatever ends the program and whenever. What is
// not on its way when that happens leaves with the next start.
//
//   deno run --allow-net=localhost:1883 --allow-read=outbox.db --allow-write=outbox.db examples/outbox.ts mqtt://localhost:1883
import { type ApplicationMessage, MQTTClient, QOS_2, SqliteSessionStore } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883", path = "outbox.db"] = Deno.args;

using store = new SqliteSessionStore(path);
store.database.exec("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT CHECK (item <> '')) STRICT");
const insert = store.database.prepare("INSERT INTO orders (item) VALUES (?)");
await using client = new MQTTClient({ clientId: "example-outbox", config: { cleansession: false }, store });

/** Gives the promise that the broker has the message. The order itself is on the disk when the call returns, and the message with it. */
function order(item: string): { told: Promise<ApplicationMessage> } {
  return store.transaction(() => {
    const id = Number(insert.run(item).lastInsertRowid);
    return { told: client.publish("example/orders", JSON.stringify({ id, item }), { qos: QOS_2 }) };
  });
}

console.log(`${client.pending.length} left to tell of`);
await client.connect(uri);
await client.drained();
for (const item of ["tea", "", "milk"]) {
  try {
    await order(item).told;
    console.log(`ordered ${item}`);
  } catch (error) {
    console.log(`cannot order "${item}": ${error instanceof Error ? error.message : error}`);
  }
}

import { assertEquals } from "@std/assert";
import { MemorySessionStore, MQTTClient, type QoS, type SessionStore, SqliteSessionStore } from "../../mod.ts";
import { bytes } from "../codec/bytes.ts";
import { CONNACK, playBroker, type PlayedConnection, QUICK } from "./played_broker.ts";

const KIB = 1024;

const STORES: Record<string, () => SessionStore | undefined> = {
  "no store": () => undefined,
  "MemorySessionStore": () => new MemorySessionStore(),
  "SqliteSessionStore": () => new SqliteSessionStore(":memory:"),
};

/** Publishes messages out of one buffer, which is used again as soon as a publish has settled. */
async function publishFromOneBuffer(client: MQTTClient, size: number, qos: QoS): Promise<void> {
  const buffer = new Uint8Array(size);
  for (let i = 1; i <= 5; i++) {
    buffer.fill(i);
    await client.publish("t", buffer, { qos });
  }
  buffer.fill(99);
}

/** Reads five messages. Gives the values of the bytes of each. */
async function readFive({ peer }: PlayedConnection, size: number): Promise<number[][]> {
  const values: number[][] = [];
  while (values.length < 5) values.push([...new Set((await peer.readPacket()).subarray(-size))]);
  return values;
}

for (const [name, makeStore] of Object.entries(STORES)) {
  for (const size of [1, 150 * KIB, 1024 * KIB]) {
    Deno.test(`MQTTClient.publish() has done with a payload of ${size} bytes when it settles (${name})`, async () => {
      await using client = new MQTTClient({ clientId: "id", config: QUICK, store: makeStore() });
      await using broker = await playBroker();
      const [connection] = await Promise.all([broker.welcome(), client.connect(broker.uri)]);
      const [values] = await Promise.all([readFive(connection, size), publishFromOneBuffer(client, size, 0)]);
      assertEquals(values, [[1], [2], [3], [4], [5]]);
    });
  }

  Deno.test(`MQTTClient.publish() has done with a payload that has waited for the connection when it settles (${name})`, async () => {
    await using client = new MQTTClient({ clientId: "id", config: QUICK, store: makeStore() });
    await using broker = await playBroker();
    const size = 200 * KIB;
    const connected = client.connect(broker.uri);
    const publishing = Promise.all([1, 2, 3, 4, 5].map(async (i) => {
      const buffer = new Uint8Array(size).fill(i);
      await client.publish("t", buffer);
      buffer.fill(99);
    }));
    const connection = await broker.accept();
    await connection.peer.write(bytes(CONNACK));
    assertEquals(await readFive(connection, size), [[1], [2], [3], [4], [5]]);
    await Promise.all([connected, publishing]);
  });
}

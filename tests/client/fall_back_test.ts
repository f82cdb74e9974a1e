import { assertEquals, assertRejects } from "@std/assert";
import { ConnectError, MQTTClient, type Properties } from "../../mod.ts";
import { hex } from "../codec/bytes.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { startEmbeddedBroker } from "../helpers/embedded_broker.ts";
import {
  CONNACK,
  CONNACK_5,
  DISCONNECT,
  event,
  playBroker,
  type PlayedConnection,
  QUICK,
  QUICK_5,
  recordEvents,
} from "./played_broker.ts";

const AUTO = { ...QUICK, protocol_version: "auto" } as const;

// How brokers refuse a version: those of 3.1.1 alone, and those of 5.0 that are not to speak it.
const REFUSAL = "20 02 00 01", REFUSAL_5 = "20 03 00 84 00";

/** Gives the version that a CONNECT is of. */
const version = ({ connect }: PlayedConnection) => connect[8];

for (const refusal of [REFUSAL, REFUSAL_5]) {
  Deno.test(`MQTTClient with "auto" falls back to 3.1.1 after ${refusal}, once, and stays there`, async () => {
    await using broker = await playBroker();
    const client = new MQTTClient({ clientId: "id", config: { ...AUTO, session_expiry_interval: 9 } });
    const events = recordEvents(client);
    const told: Properties[] = [];
    client.addEventListener("packet", ({ detail: { packet } }) => {
      if (packet.type === "CONNECT") told.push(packet.properties);
    });
    const connecting = client.connect(broker.uri);
    const refused = await broker.welcome(refusal);
    assertEquals(version(refused), 5);
    await refused.expectEnd();
    const first = await broker.welcome(CONNACK);
    assertEquals([await connecting, hex(first.connect)], [0, "100e00044d5154540402000a00026964"]);
    assertEquals([client.connack?.returnCode, events], [0, ["connect"]]);
    assertEquals(told, [{ sessionExpiryInterval: 9 }, {}]);
    // It speaks 3.1.1 indeed.
    const published = client.publish("t", "x", { qos: 1, properties: { contentType: "c" } });
    await first.expect("32 06 0001 't' 0001 'x'");
    await first.send("40 02 0001");
    await published;
    const [second] = await Promise.all([broker.welcome(CONNACK), event(client, "connect"), first.peer.close()]);
    assertEquals(version(second), 4);
    await Promise.all([client.disconnect(), second.expectEnd(DISCONNECT)]);
    const [third] = await Promise.all([broker.welcome(CONNACK), client.connect(broker.uri)]);
    assertEquals([version(third), broker.peer.connectionCount], [4, 4]);
    await Promise.all([client.disconnect(), third.expectEnd(DISCONNECT)]);
  });
}

Deno.test(`MQTTClient with "auto" stays with 5.0 where the broker knows it`, async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: AUTO });
  const [first] = await Promise.all([broker.welcome(CONNACK_5), client.connect(broker.uri)]);
  const [second] = await Promise.all([broker.welcome(CONNACK_5), event(client, "connect"), first.peer.close()]);
  assertEquals([version(first), version(second)], [5, 5]);
  await Promise.all([client.disconnect(), second.expectEnd(DISCONNECT)]);
});

Deno.test(`MQTTClient with "auto" falls back for no other refusal`, async () => {
  for (const refusal of ["20 02 00 05", "20 03 00 87 00", "20 03 00 82 00"]) {
    await using broker = await playBroker();
    const client = new MQTTClient({ config: { ...AUTO, auto_reconnect: false } });
    const connecting = assertRejects(() => client.connect(broker.uri), ConnectError);
    await (await broker.welcome(refusal)).expectEnd();
    await connecting;
    assertEquals(broker.peer.connectionCount, 1);
  }
});

Deno.test(`MQTTClient with "auto" rejects when the broker refuses both versions, and asks once for each`, async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: AUTO });
  const connecting = assertRejects(() => client.connect(broker.uri), ConnectError, "unacceptable protocol version");
  assertEquals(version(await broker.welcome(REFUSAL)), 5);
  assertEquals(version(await broker.welcome(REFUSAL)), 4);
  assertEquals([(await connecting).returnCode, broker.peer.connectionCount], [1, 2]);
});

Deno.test("MQTTClient with protocol_version 5 does not fall back", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: QUICK_5 });
  const connecting = assertRejects(() => client.connect(broker.uri), ConnectError, "unacceptable protocol version");
  await (await broker.welcome(REFUSAL)).expectEnd();
  const { returnCode, reasonCode } = await connecting;
  assertEquals([returnCode, reasonCode, broker.peer.connectionCount], [1, 0x84, 1]);
});

Deno.test(`MQTTClient with "auto" remembers for each broker which version it speaks`, async () => {
  await using old = await playBroker();
  await using young = await playBroker();
  const client = new MQTTClient({ config: { ...AUTO, uri: [old.uri, young.uri] } });
  const connecting = client.connect();
  assertEquals(version(await old.welcome(REFUSAL)), 5);
  assertEquals(version(await old.welcome("20 02 00 03")), 4);
  const first = await young.welcome(CONNACK_5);
  assertEquals([await connecting, version(first)], [0, 5]);
  const restored = event(client, "connect");
  await first.peer.close();
  const second = await old.welcome(CONNACK);
  await restored;
  assertEquals(version(second), 4);
  await Promise.all([client.disconnect(), second.expectEnd(DISCONNECT)]);
});

Deno.test(`MQTTClient with "auto" speaks 3.1.1 with the embedded broker`, async () => {
  await using broker = await startEmbeddedBroker();
  await using client = new MQTTClient({ config: AUTO });
  await client.connect(broker.uri);
  await client.subscribe("a", 2);
  await Promise.all(["1", "2", "3"].map((text) => client.publish("a", text, { qos: 2 })));
  for (const text of ["1", "2", "3"]) assertEquals((await client.deliverMessage(5)).text(), text);
  assertEquals(await client.reconnect(), 0);
});

brokerTest(`MQTTClient with "auto" speaks 5.0 with a broker that knows it`, {}, async (broker) => {
  await using client = new MQTTClient({ config: AUTO });
  await client.connect(broker.uris.mqtt);
  assertEquals(await client.unsubscribe("never subscribed"), [0x11]);
});

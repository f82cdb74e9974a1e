import { assertEquals } from "@std/assert";
import { MQTTClient, QOS_0, QOS_1, QOS_2 } from "../../mod.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { bytes, hex } from "../codec/bytes.ts";
import { playLink, recordPackets } from "./played_broker.ts";

// The two ways in which the documented publisher publishes, and the packets that the documentation shows for them.

const TEXTS = ["TEST MESSAGE WITH QOS_0", "TEST MESSAGE WITH QOS_1", "TEST MESSAGE WITH QOS_2"] as const;

async function publishInTurn(client: MQTTClient): Promise<void> {
  await client.publish("a/b", TEXTS[0], { qos: QOS_0 });
  await client.publish("a/b", TEXTS[1], { qos: QOS_1 });
  await client.publish("a/b", TEXTS[2], { qos: QOS_2 });
}

async function publishTogether(client: MQTTClient): Promise<void> {
  await Promise.all([
    client.publish("a/b", TEXTS[0]),
    client.publish("a/b", TEXTS[1], { qos: QOS_1 }),
    client.publish("a/b", TEXTS[2], { qos: QOS_2 }),
  ]);
}

brokerTest(
  "MQTTClient.publish(), awaited one after the other, finishes each flow before the next",
  {},
  async (broker) => {
    await using client = new MQTTClient();
    await client.connect(broker.uris.mqtt);
    const packets: string[] = [];
    client.addEventListener("packet", ({ detail: { direction, packet } }) => {
      const what = packet.type === "PUBLISH" ? `QoS ${packet.qos}` : "packetId" in packet ? packet.packetId : "";
      packets.push(`${direction} ${packet.type}(${what})`);
    });
    await publishInTurn(client);
    assertEquals(packets, [
      "out PUBLISH(QoS 0)",
      "out PUBLISH(QoS 1)",
      "in PUBACK(1)",
      "out PUBLISH(QoS 2)",
      "in PUBREC(2)",
      "out PUBREL(2)",
      "in PUBCOMP(2)",
    ]);
  },
);

brokerTest(
  "MQTTClient.publish(), called at the same time, sends every PUBLISH first, in call order",
  {},
  async (broker) => {
    await using client = new MQTTClient();
    await client.connect(broker.uris.mqtt);
    const packets = recordPackets(client);
    await publishTogether(client);
    assertEquals(packets.slice(0, 3), ["out PUBLISH", "out PUBLISH", "out PUBLISH"]);
    assertEquals(packets.slice(3).toSorted(), ["in PUBACK", "in PUBCOMP", "in PUBREC", "out PUBREL"]);
    const flow = packets.filter((packet) => /PUBRE[CL]|PUBCOMP/.test(packet));
    assertEquals(flow, ["in PUBREC", "out PUBREL", "in PUBCOMP"]);
  },
);

const PUBLISH_0 = "30 1c 0003 'a/b' 'TEST MESSAGE WITH QOS_0'";
const PUBLISH_1 = "32 1e 0003 'a/b' 0001 'TEST MESSAGE WITH QOS_1'";
const PUBLISH_2 = "34 1e 0003 'a/b' 0002 'TEST MESSAGE WITH QOS_2'";

Deno.test("MQTTClient.publish(), awaited one after the other, numbers packets from 1 and writes the documented bytes", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const publishing = publishInTurn(client);
  await connection.expect(PUBLISH_0, PUBLISH_1);
  await connection.send("40 02 0001");
  await connection.expect(PUBLISH_2);
  await connection.send("50 02 0002");
  await connection.expect("62 02 0002");
  await connection.send("70 02 0002");
  await publishing;
});

Deno.test("MQTTClient.publish(), called at the same time, writes every PUBLISH before any answer has come", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const publishing = publishTogether(client);
  await connection.expect(PUBLISH_0, PUBLISH_1, PUBLISH_2);
  await connection.send("50 02 0002", "40 02 0001");
  await connection.expect("62 02 0002");
  await connection.send("70 02 0002");
  await publishing;
});

Deno.test("MQTTClient numbers SUBSCRIBE, UNSUBSCRIBE and PUBLISH in one row, and from 1 for each session", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const calls = [
    client.subscribe("a"),
    client.publish("t", "", { qos: 1 }),
    client.unsubscribe("a"),
    client.publish("t", "", { qos: 2 }),
  ];
  await connection.expect(
    "82 06 0001 0001 'a' 00",
    "32 05 0001 't' 0002",
    "a2 05 0003 0001 'a'",
    "34 05 0001 't' 0004",
  );
  await connection.send("90 03 0001 00", "40 02 0002", "b0 02 0003", "50 02 0004", "70 02 0004");
  await Promise.all(calls);
  await connection.expect("62 02 0004");
});

Deno.test("MQTTClient.connect() sends every field of CONNECT", async () => {
  await using link = await playLink({
    keep_alive: 60,
    username: "ü",
    password: Uint8Array.of(1, 2),
    will: { topic: "w", message: "gone", qos: 2, retain: true },
  });
  const flags = "f6"; // user name, password, retained will of QoS 2, clean session
  const payload = "0002 'id' 0001 'w' 0004 'gone' 0002 c3bc 0002 0102";
  assertEquals(hex(link.connection.connect), hex(bytes(`10 1f 0004 'MQTT' 04 ${flags} 003c ${payload}`)));
});

import { assert, assertEquals } from "@std/assert";
import { MQTTClient } from "../../mod.ts";
import { QUICK } from "../client/played_broker.ts";
import { brokerTest } from "../helpers/brokers.ts";

// Mosquitto's own default. A client of 3.1.1 cannot be told, and is thrown out at the 21st.
brokerTest(
  "MQTTClient publishes more QoS 2 messages at the same time than the broker takes, and is thrown out once for it",
  { maxInflightMessages: 20 },
  async (broker) => {
    const texts = Array.from({ length: 1000 }, (_, i) => String(i));
    await using watcher = new MQTTClient();
    await watcher.connect(broker.uris.mqtt);
    const received: string[] = [];
    watcher.onmessage = (message) => void received.push(message.text());
    await watcher.subscribe("t", 0);
    await using client = new MQTTClient({ config: QUICK });
    await client.connect(broker.uris.mqtt);
    for (let round = 0; round < 2; round++) {
      await Promise.all(texts.map((text) => client.publish("t", text, { qos: 2 })));
      assert(client.stats.reconnects <= 1, `${client.stats.reconnects} reconnections`);
    }
    assertEquals([client.stats.inFlight, client.stats.queuedPublishes], [0, 0]);
    await watcher.ping();
    assertEquals(received.slice(-texts.length), texts);
  },
);

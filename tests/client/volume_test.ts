import { assertEquals, assertLess } from "@std/assert";
import { MQTTClient, type QoS } from "../../mod.ts";
import { heldBytes } from "../garbage.ts";
import { brokerTest } from "../helpers/brokers.ts";

const COUNT = 100_000;
/** So many calls are not awaited at a time. */
const SLICE = 500;
const MIB = 1024 * 1024;

/** Takes numbered messages and notes the first that is out of its row: after one that is lost, repeated or out of order. */
class Row {
  #next = 0;
  #fault: string | undefined;
  readonly #complete = Promise.withResolvers<void>();

  take(text: string): void {
    if (Number(text) !== this.#next) this.#fault ??= `${text} came in the place of ${this.#next}`;
    if (++this.#next === COUNT) this.#complete.resolve();
  }

  /** Waits for as many messages as were sent. Gives what was wrong with their order. */
  async complete(): Promise<string | undefined> {
    await this.#complete.promise;
    return this.#fault;
  }
}

/** What is reachable, in MiB. */
function heldMemory(): number {
  const external = heldBytes(); // which collects garbage
  return (external + Deno.memoryUsage().heapUsed) / MIB;
}

for (const qos of [0, 1, 2] as const satisfies QoS[]) {
  brokerTest(
    `MQTTClient publishes and receives ${COUNT} messages of QoS ${qos} in order, in flat memory`,
    {},
    async (broker) => {
      await using publisher = new MQTTClient();
      await using subscriber = new MQTTClient();
      await Promise.all([publisher.connect(broker.uris.mqtt), subscriber.connect(broker.uris.mqtt)]);
      const row = new Row();
      subscriber.onmessage = (message) => row.take(message.text());
      await subscriber.subscribe("row", qos);
      let held = 0;
      for (let first = 0; first < COUNT; first += SLICE) {
        const slice = [];
        for (let i = first; i < first + SLICE; i++) slice.push(publisher.publish("row", String(i), { qos }));
        await Promise.all(slice);
        if (first === COUNT / 10) held = heldMemory();
      }
      assertEquals(await row.complete(), undefined);
      await subscriber.ping(); // What came twice would come before PINGRESP.
      assertEquals([publisher.stats.messagesSent, subscriber.stats.messagesReceived], [COUNT, COUNT]);
      assertEquals([publisher.stats.inFlight, publisher.stats.queuedPublishes, subscriber.stats.queuedMessages], [
        0,
        0,
        0,
      ]);
      assertLess(heldMemory(), held + 4); // 46 bytes for each message
    },
  );
}

import { delay } from "@std/async";
import { assertEquals } from "@std/assert";
import { MQTTClient, MQTTError, type Packet } from "../../mod.ts";
import { MQTT_3_1_1 } from "../../src/codec/mqtt_3_1_1.ts";
import { Decoder } from "../../src/codec/decoder.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { drain, encode } from "../codec/bytes.ts";
import { createPipe, type PipeEnd } from "../helpers/pipe.ts";
import { Random, seedOf } from "../random.ts";

/** How many clients live, and how many calls each of them gets. */
const LIVES = Number(Deno.env.get("LIFECYCLE_LIVES") ?? 40);
const CALLS = 60;

const properties = NO_PROPERTIES;

/** A broker that forgets, refuses, falls silent and hangs up by chance, until it is told to be good. */
class CapriciousBroker {
  readonly #random: Random;
  readonly #ends = new Set<PipeEnd>();
  good = false;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Makes a connection, or none. */
  open(): Promise<PipeEnd> {
    if (this.#mood(10)) return Promise.reject(new Error("unreachable"));
    const [client, broker] = createPipe();
    this.#ends.add(broker);
    void this.#serve(broker);
    return Promise.resolve(client);
  }

  cut(): void {
    for (const end of this.#ends) end.close();
    this.#ends.clear();
  }

  #mood(times: number): boolean {
    return this.#random.oneIn(times) && !this.good;
  }

  async #serve(end: PipeEnd): Promise<void> {
    const decoder = new Decoder(MQTT_3_1_1);
    try {
      for (let chunk = await end.read(); chunk !== null; chunk = await end.read()) {
        decoder.push(chunk);
        for (const packet of drain(decoder)) {
          if (this.#mood(30) || packet.type === "DISCONNECT") return;
          if (!this.#mood(50)) await end.write(encode(this.#answers(packet)));
        }
      }
    } catch {
      // The client has closed it.
    } finally {
      end.close();
    }
  }

  #answers(packet: Packet): Packet[] {
    switch (packet.type) {
      case "CONNECT": {
        const returnCode = this.#mood(6) ? 3 : 0;
        const sessionPresent = returnCode === 0 && !packet.cleanStart && this.#random.oneIn(2);
        return [{ type: "CONNACK", sessionPresent, returnCode, reasonCode: 0, properties }];
      }
      case "SUBSCRIBE":
        return [{ ...packet, type: "SUBACK", reasonCodes: packet.subscriptions.map(({ qos }) => qos) }];
      case "UNSUBSCRIBE":
        return [{ ...packet, type: "UNSUBACK", reasonCodes: [] }];
      case "PUBLISH": {
        const echo = { ...packet, dup: false, qos: 0, packetId: 0 } as const;
        const fields = { packetId: packet.packetId, reasonCode: 0, properties };
        if (packet.qos === 0) return [echo];
        return [echo, { type: packet.qos === 1 ? "PUBACK" : "PUBREC", ...fields }];
      }
      case "PUBREL":
        return [{ ...packet, type: "PUBCOMP" }];
      case "PINGREQ":
        return [{ type: "PINGRESP" }];
      default:
        return [];
    }
  }
}

function newClient(random: Random, broker: CapriciousBroker): MQTTClient {
  const client = new MQTTClient({
    transport: () => broker.open(),
    config: {
      auto_reconnect: !random.oneIn(5),
      reconnect_max_interval: 0.002,
      reconnect_retries: random.below(4) - 1,
      connect_timeout: 0.02,
      keep_alive: 1,
      ping_delay: 0.99,
      ping_timeout: 0.02,
      cleansession: random.oneIn(2),
      max_inflight: 1 + random.below(5),
      max_queued_messages: 1 + random.below(5),
      max_queued_publishes: random.below(8),
      queue_full: random.pick(["reject", "wait", "drop_oldest"]),
      queue_qos_0: random.oneIn(2),
      manual_ack: random.oneIn(3),
    },
  });
  if (random.oneIn(3)) client.onmessage = random.oneIn(2) ? () => {} : () => delay(1);
  return client;
}

/** Makes one call of any kind. */
function callAnything(random: Random, client: MQTTClient, broker: CapriciousBroker): Promise<unknown> {
  const signal = anySignal(random);
  const qos = random.pick([0, 1, 2] as const);
  const calls: readonly (() => Promise<unknown>)[] = [
    () => client.connect("mqtt://broker", { signal }),
    () => client.disconnect({ drain: random.below(3) * 0.01 }),
    () => client.reconnect({ signal, cleanSession: random.pick([undefined, true, false]) }),
    () => client.publish("t", "x".repeat(random.pick([0, 3, 200_000])), { qos, signal }),
    () => client.publish("t", "x", { qos, signal }),
    () => client.subscribe("t", qos, { signal }),
    () => client.unsubscribe("t", { signal }),
    () => client.ping({ signal }),
    () => client.deliverMessage(random.below(3) * 0.002, { signal }),
    () => client.deliverMessage(undefined, { signal }).then((message) => message.ack()),
    () => client[Symbol.asyncIterator]().next(),
    () => client.connected ? client.messages("t", { signal }).next() : Promise.resolve(),
    () => Promise.resolve(broker.cut()),
  ];
  return random.pick(calls)();
}

function anySignal(random: Random): AbortSignal | undefined {
  if (!random.oneIn(4)) return undefined;
  const controller = new AbortController();
  const turns = random.below(20);
  void (async () => {
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    controller.abort();
  })();
  return controller.signal;
}

Deno.test("MQTTClient settles every call, whatever was called when, and can be used again after it", async () => {
  const seed = seedOf("LIFECYCLE_SEED");
  for (let life = 0; life < LIVES; life++) {
    const random = new Random(seed + life);
    const broker = new CapriciousBroker(random);
    const client = newClient(random, broker);
    const outcomes: Promise<unknown>[] = [client.connect("mqtt://broker").catch((error) => error)];
    for (let i = 0; i < CALLS; i++) {
      outcomes.push(callAnything(random, client, broker).catch((error) => error));
      if (random.oneIn(3)) await delay(random.below(3));
    }
    broker.good = true;
    await client.disconnect({ drain: 0 });
    for (const outcome of await Promise.all(outcomes)) {
      if (!(outcome instanceof Error) || outcome instanceof MQTTError || outcome instanceof DOMException) continue;
      throw new Error(`Unexpected error (seed ${seed + life})`, { cause: outcome });
    }
    const { inFlight, queuedPublishes } = client.stats;
    assertEquals([client.connected, inFlight, queuedPublishes], [false, 0, 0], `seed ${seed + life}`);
    client.onmessage = () => {};
    await client.connect("mqtt://broker", { cleanSession: true });
    await Promise.all([client.subscribe("t"), client.publish("t", "x", { qos: 2 }), client.ping()]);
    await client.disconnect();
    broker.cut();
  }
});

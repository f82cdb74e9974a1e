import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectError, MQTTClient, type Transport } from "../../mod.ts";
import { createPipe } from "../helpers/pipe.ts";
import { QUICK } from "./played_broker.ts";

// What comes between two steps of the client, each a round of microtasks.

/** More rounds than connecting to a broker in memory takes. */
const ROUNDS = 60;

interface Opened {
  transport: Transport;
  isClosed: boolean;
}

/** A client of a broker in memory that answers CONNECT and nothing else, and the connections that were opened. */
function makeClient(): { client: MQTTClient; opened: Opened[] } {
  const opened: Opened[] = [];
  const open = () => {
    const [end, far] = createPipe();
    const link: Opened = {
      isClosed: false,
      transport: {
        read: () => end.read(),
        write: (bytes) => end.write(bytes),
        close() {
          link.isClosed = true;
          end.close();
        },
      },
    };
    opened.push(link);
    void (async () => {
      for (let bytes = await far.read(); bytes !== null; bytes = await far.read()) {
        if (bytes[0] === 0x10) await far.write(Uint8Array.of(0x20, 2, 0, 0)).catch(() => {});
      }
      far.close();
    })();
    return Promise.resolve(link.transport);
  };
  return { client: new MQTTClient({ transport: open, config: QUICK }), opened };
}

async function microtasks(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) await undefined;
}

Deno.test("MQTTClient.disconnect() ends what connect() does, at any moment of it", async () => {
  for (let rounds = 0; rounds < ROUNDS; rounds++) {
    const { client, opened } = makeClient();
    const connecting = client.connect("mqtt://broker").catch(() => {});
    await microtasks(rounds);
    await client.disconnect({ drain: 0 });
    await connecting;
    assertEquals(client.connected, false);
    assert(opened.every(({ isClosed }) => isClosed), `left open after ${rounds} rounds`);
  }
});

Deno.test("MQTTClient.connect() rejects with the signal's reason, or is up and stays so, whenever it is aborted", async () => {
  let rejected = 0;
  for (let rounds = 0; rounds < ROUNDS; rounds++) {
    const { client, opened } = makeClient();
    const controller = new AbortController(), reason = new RangeError("aborted");
    const connecting = client.connect("mqtt://broker", { signal: controller.signal }).catch((error) => error);
    await microtasks(rounds);
    controller.abort(reason);
    const outcome = await connecting;
    if (outcome === reason) rejected++;
    else await client.publish("t", "x");
    assertEquals(client.connected, outcome === 0, `after ${rounds} rounds`);
    await client.disconnect({ drain: 0 });
    assert(opened.every(({ isClosed }) => isClosed), `left open after ${rounds} rounds`);
  }
  assert(rejected > 0 && rejected < ROUNDS);
});

Deno.test("MQTTClient.reconnect() takes over from connect() at any moment of it", async () => {
  for (let rounds = 0; rounds < ROUNDS; rounds++) {
    const { client, opened } = makeClient();
    const connecting = client.connect("mqtt://broker");
    await microtasks(rounds);
    assertEquals(await Promise.all([client.reconnect(), connecting]), [0, 0]);
    await client.disconnect({ drain: 0 });
    assert(opened.every(({ isClosed }) => isClosed), `left open after ${rounds} rounds`);
  }
});

Deno.test("MQTTClient survives a transport whose close() throws", async () => {
  const transport: Transport = {
    read: () => Promise.resolve(Uint8Array.of(0x20, 2, 0, 5)),
    write: () => Promise.resolve(),
    close() {
      throw new Error("cannot close");
    },
  };
  const client = new MQTTClient({ transport: () => Promise.resolve(transport), config: QUICK });
  const error = await assertRejects(() => client.connect("mqtt://broker"), ConnectError);
  assertEquals(error.returnCode, 5);
});

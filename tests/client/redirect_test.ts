import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectError, MQTTClient } from "../../mod.ts";
import { bytes, hex } from "../codec/bytes.ts";
import { runChild } from "../helpers/child.ts";
import {
  CONNACK_5,
  DISCONNECT,
  event,
  playBroker,
  type PlayedBroker,
  type PlayedConnection,
  QUICK_5,
  recordEvents,
  withProperties,
} from "./played_broker.ts";

/** Gives the packet by which a broker sends a client to another. */
function redirection(first: "20" | "e0", reasonCode: "9c" | "9d", to: PlayedBroker | string): string {
  const reference = typeof to === "string" ? to : new URL(to.uri).host;
  const length = hex(Uint8Array.of(0, reference.length));
  return withProperties(first, first === "20" ? `00 ${reasonCode}` : reasonCode, `1c ${length} '${reference}'`);
}

/** Takes a connection, sends the client elsewhere by CONNACK, and waits until it has gone. */
async function send(
  broker: PlayedBroker,
  to: PlayedBroker | string,
  code: "9c" | "9d" = "9c",
): Promise<PlayedConnection> {
  const connection = await broker.welcome(redirection("20", code, to));
  await connection.expectEnd();
  return connection;
}

/** Waits until the client is connected to a broker. */
function connectedTo(client: MQTTClient, { uri }: PlayedBroker): Promise<void> {
  return new Promise((resolve) => client.addEventListener("connect", ({ detail }) => detail.uri === uri && resolve()));
}

async function end(client: MQTTClient, connection: PlayedConnection): Promise<void> {
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
}

for (const code of ["9c", "9d"] as const) {
  Deno.test(`MQTTClient follows CONNACK with reason code 0x${code}, with the same user and the same CONNECT`, async () => {
    await using a = await playBroker();
    await using b = await playBroker();
    const client = new MQTTClient({ clientId: "id", config: { ...QUICK_5, follow_redirects: 1 } });
    const events = recordEvents(client);
    const connecting = client.connect(a.uri.replace("//", "//user:secret@"));
    const first = await send(a, b, code);
    const connection = await b.welcome(CONNACK_5);
    assertEquals(await connecting, 0);
    assertEquals(hex(connection.connect), hex(first.connect));
    assertEquals(hex(first.connect), hex(bytes("10 1d 0004'MQTT' 05 c2 000a 00 0002'id' 0004'user' 0006'secret'")));
    assertEquals(events, ["connect"]);
    await end(client, connection);
  });

  Deno.test(`MQTTClient follows DISCONNECT with reason code 0x${code}, and goes on with what is under way`, async () => {
    await using a = await playBroker();
    await using b = await playBroker();
    const client = new MQTTClient({ clientId: "id", config: { ...QUICK_5, follow_redirects: 1 } });
    const [first] = await Promise.all([a.welcome(CONNACK_5), client.connect(a.uri)]);
    const publishing = client.publish("t", "x", { qos: 1 });
    await first.expect("32 07 0001't' 0001 00 'x'");
    const lost = event(client, "disconnect");
    await first.send(redirection("e0", code, b));
    const { reasonCode, willReconnect } = await lost;
    assertEquals([reasonCode, willReconnect], [parseInt(code, 16), true]);
    const second = await b.welcome(CONNACK_5);
    await second.expect("32 07 0001't' 0001 00 'x'");
    await second.send("40 02 0001");
    await publishing;
    await end(client, second);
  });
}

Deno.test("MQTTClient follows no redirection by default, and says where it was sent", async () => {
  await using a = await playBroker();
  await using b = await playBroker();
  const client = new MQTTClient({ config: { ...QUICK_5, reconnect_retries: 0 } });
  const connecting = assertRejects(() => client.connect(a.uri), ConnectError, `"${new URL(b.uri).host}"`);
  await send(a, b);
  const { reasonCode, serverReference } = await connecting;
  assertEquals([reasonCode, serverReference, b.peer.connectionCount], [0x9c, new URL(b.uri).host, 0]);
});

Deno.test("MQTTClient counts its hops, and gives up a loop", async () => {
  await using a = await playBroker();
  await using b = await playBroker();
  const client = new MQTTClient({ config: { ...QUICK_5, follow_redirects: 2, reconnect_retries: 0 } });
  const connecting = assertRejects(() => client.connect(a.uri), ConnectError, "Use another server");
  await send(a, b);
  await send(b, a);
  await send(a, b);
  assertEquals((await connecting).permanent, false);
  assertEquals([a.peer.connectionCount, b.peer.connectionCount], [2, 1]);
});

Deno.test("MQTTClient counts its hops over DISCONNECT too, and returns to the broker that it was told then", async () => {
  await using a = await playBroker();
  await using b = await playBroker();
  const client = new MQTTClient({ config: { ...QUICK_5, follow_redirects: 1 } });
  const [first] = await Promise.all([a.welcome(CONNACK_5), client.connect(a.uri)]);
  await first.send(redirection("e0", "9c", b));
  const second = await b.welcome(CONNACK_5);
  await second.send(redirection("e0", "9c", b));
  const [third] = await Promise.all([a.welcome(CONNACK_5), connectedTo(client, a)]);
  await third.send(redirection("e0", "9c", b)); // A new row of hops.
  const [fourth] = await Promise.all([b.welcome(CONNACK_5), connectedTo(client, b)]);
  assertEquals([a.peer.connectionCount, b.peer.connectionCount], [2, 2]);
  await end(client, fourth);
});

Deno.test("MQTTClient counts the hops from each broker of its own", async () => {
  await using a = await playBroker();
  await using b = await playBroker();
  await using c = await playBroker();
  const uri = [a.uri, b.uri];
  const client = new MQTTClient({ config: { ...QUICK_5, uri, follow_redirects: 1 } });
  const connecting = client.connect();
  await send(a, c);
  await (await c.welcome("20 03 00 88 00")).expectEnd();
  await send(b, c);
  const connection = await c.welcome(CONNACK_5);
  assertEquals(await connecting, 0);
  await end(client, connection);
});

Deno.test("MQTTClient tries the broker that it was told when the one that it is sent to does not answer", async () => {
  await using a = await playBroker();
  const gone = await playBroker();
  await gone[Symbol.asyncDispose]();
  const client = new MQTTClient({ config: { ...QUICK_5, follow_redirects: 1 } });
  const [first] = await Promise.all([a.welcome(CONNACK_5), client.connect(a.uri)]);
  const restored = event(client, "connect");
  await first.send(redirection("e0", "9d", gone));
  const second = await a.welcome(CONNACK_5);
  await restored;
  await end(client, second);
});

for (const reference of ["", "b:0", "mqtts://b", "user@b", "b:c", "::1"]) {
  Deno.test(`MQTTClient does not follow a redirection to "${reference}"`, async () => {
    await using a = await playBroker();
    const client = new MQTTClient({ config: { ...QUICK_5, follow_redirects: 5, reconnect_retries: 0 } });
    const connecting = assertRejects(() => client.connect(a.uri), ConnectError, "Use another server");
    await send(a, reference);
    assertEquals((await connecting).serverReference, reference);
    const [connection] = await Promise.all([a.welcome(CONNACK_5), client.connect(a.uri)]);
    const restored = event(client, "connect");
    await connection.send(redirection("e0", "9c", reference));
    const [next] = await Promise.all([a.welcome(CONNACK_5), restored]);
    await end(client, next);
  });
}

Deno.test("MQTTClient ends when a broker that has moved names no other", async () => {
  await using a = await playBroker();
  const client = new MQTTClient({ config: { ...QUICK_5, follow_redirects: 5 } });
  const [connection] = await Promise.all([a.welcome(CONNACK_5), client.connect(a.uri)]);
  const lost = event(client, "disconnect");
  await connection.send("e0 01 9d");
  const { reasonCode, willReconnect } = await lost;
  assertEquals([reasonCode, willReconnect, client.connected], [0x9d, false, false]);
});

Deno.test("MQTTClient opens the transport of the user's own for the broker that it is sent to, by the same scheme", async () => {
  const asked: string[] = [];
  await using a = await playBroker();
  const client = new MQTTClient({
    config: { ...QUICK_5, follow_redirects: 1, auto_reconnect: false },
    transport: async ({ scheme, hostname, port, path, username, password }) => {
      asked.push([scheme, hostname, port, path, username, password].join());
      if (asked.length > 1) throw new RangeError("far enough");
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: a.peer.port });
      return {
        read: async () => {
          const buffer = new Uint8Array(100), count = await connection.read(buffer);
          return count === null ? null : buffer.subarray(0, count);
        },
        write: async (bytes) => void await connection.write(bytes),
        close: () => {
          try {
            connection.close();
          } catch {
            // It is closed.
          }
        },
      };
    },
  });
  const connecting = assertRejects(
    () => client.connect("wss://user:secret@a/mqtt?token=x"),
    ConnectError,
    "far enough",
  );
  await a.welcome(redirection("20", "9c", "b:99"));
  await connecting;
  assertEquals(asked, ["wss,a,443,/mqtt?token=x,user,secret", "wss,b,99,/mqtt?token=x,user,secret"]);
});

Deno.test("MQTTClient names the permission that it lacks for the broker that it is sent to", async () => {
  await using a = await playBroker();
  await using b = await playBroker();
  const host = (broker: PlayedBroker) => new URL(broker.uri).host;
  const script = "tests/client/scripts/follow.ts";
  const running = runChild(script, [`--allow-net=${host(a)}`], a.uri);
  await send(a, b);
  const { code, stdout, stderr } = await running;
  assertEquals([code, stderr], [1, ""]);
  assertEquals(stdout, `ConnectError: Cannot connect to ${b.uri}: run with --allow-net=${host(b)}\n`);
  assert(b.peer.connectionCount === 0);
});

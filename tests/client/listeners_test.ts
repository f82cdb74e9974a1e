import { assertEquals, assertRejects } from "@std/assert";
import { ClientError, MQTTClient, type Packet } from "../../mod.ts";
import { DISCONNECT, event, PINGREQ, PINGRESP, playBroker, playLink, QUICK, recordEvents } from "./played_broker.ts";

// What applications do inside their listeners and handlers: they call the client that has just called them.

/** The calls that wait for an answer, by the packet that they send. */
const CALLS: Readonly<Record<string, (client: MQTTClient, signal?: AbortSignal) => Promise<unknown>>> = {
  PUBLISH: (client, signal) => client.publish("t", "x", { qos: 1, signal }),
  SUBSCRIBE: (client, signal) => client.subscribe("t", 0, { signal }),
  UNSUBSCRIBE: (client, signal) => client.unsubscribe("t", { signal }),
  PINGREQ: (client, signal) => client.ping({ signal }),
};

Deno.test("MQTTClient.disconnect() in a listener of disconnect ends the client, and iterators regularly", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  const events = recordEvents(client);
  const iterated = client[Symbol.asyncIterator]().next();
  const ended = new Promise<void>((resolve, reject) => {
    client.addEventListener("disconnect", () => void client.disconnect().then(resolve, reject), { once: true });
  });
  await connection.peer.close();
  await ended;
  assertEquals(await iterated, { done: true, value: undefined });
  assertEquals(events, ["disconnect, will reconnect", "disconnect"]);
  await assertRejects(() => client.ping(), ClientError, "call connect() again");
  assertEquals(broker.peer.connectionCount, 1);
});

Deno.test("MQTTClient.disconnect() in a listener of reconnecting ends the client", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const events = recordEvents(client);
  const ended = event(client, "reconnecting").then(() => client.disconnect());
  client.addEventListener("reconnecting", () => void client.disconnect());
  await connection.peer.close();
  await ended;
  assertEquals(events, ["disconnect, will reconnect", "reconnecting 1", "disconnect"]);
});

Deno.test("MQTTClient.disconnect() in a listener of connect disconnects in good order", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: QUICK });
  let disconnecting: Promise<void> | undefined;
  client.addEventListener("connect", () => disconnecting = client.disconnect());
  const connecting = client.connect(broker.uri);
  const connection = await broker.welcome();
  await connection.expectEnd(DISCONNECT);
  assertEquals(await connecting, 0);
  await disconnecting;
  assertEquals(client.connected, false);
});

Deno.test("MQTTClient.reconnect() in a listener of disconnect connects at once", async () => {
  await using link = await playLink({});
  const { client, connection, broker } = link;
  const events = recordEvents(client);
  const again = new Promise<number>((resolve, reject) => {
    client.addEventListener("disconnect", () => void client.reconnect().then(resolve, reject), { once: true });
  });
  await connection.peer.close();
  await broker.welcome();
  assertEquals(await again, 0);
  assertEquals(events, ["disconnect, will reconnect", "connect"]);
});

Deno.test("MQTTClient.connect() in a listener of the last disconnect begins anew", async () => {
  await using link = await playLink({ auto_reconnect: false });
  const { client, connection, broker } = link;
  const again = new Promise<number>((resolve, reject) => {
    client.addEventListener("disconnect", () => void client.connect(broker.uri).then(resolve, reject), { once: true });
  });
  const waiting = assertRejects(() => client.deliverMessage(), ClientError);
  await connection.peer.close();
  await waiting;
  const second = await broker.welcome();
  assertEquals(await again, 0);
  const pinging = client.ping();
  await second.expect(PINGREQ);
  await second.send(PINGRESP);
  await pinging;
});

for (
  const [qos, publish, answer] of [[1, "32 05 0001 'a' 0001", "40 02 0001"], [
    2,
    "34 05 0001 'a' 0001",
    "50 02 0001",
  ]] as const
) {
  Deno.test(`MQTTClient.disconnect() in onmessage acknowledges the message of QoS ${qos} first, and sends nothing after`, async () => {
    await using link = await playLink();
    const { client, connection } = link;
    client.onmessage = () => void client.disconnect();
    await connection.send(publish, "30 03 0001 'a'");
    await connection.expectEnd(answer, DISCONNECT);
  });
}

Deno.test("MQTTClient.disconnect() in a listener of packet is the last to be sent, behind the packet that was told of", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  client.addEventListener("packet", ({ detail: { packet } }) => {
    if (packet.type === "PUBLISH") void client.disconnect({ drain: 0 });
  });
  const published = assertRejects(() => client.publish("t", "x", { qos: 1 }), ClientError);
  await connection.expectEnd("32 06 0001 't' 0001 'x'", DISCONNECT);
  await published;
});

Deno.test("MQTTClient.disconnect() in a listener of packet is sent although more packets have arrived", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  client.addEventListener("packet", ({ detail: { packet } }) => {
    if (packet.type === "PUBLISH") void client.disconnect({ drain: 0 });
  });
  await connection.send("32 05 0001 'a' 0001", "30 03 0001 'a'", PINGRESP);
  await connection.expectEnd("40 02 0001", DISCONNECT);
});

Deno.test("MQTTClient.disconnect() in a listener of packet settles the call whose packet it was told of", async () => {
  for (const [type, call] of Object.entries(CALLS)) {
    await using link = await playLink({ ...QUICK, max_publish_attempts: 1 });
    const { client, connection } = link;
    client.addEventListener("packet", ({ detail: { packet } }) => {
      if (packet.type === type) void client.disconnect({ drain: 0 });
    });
    const calling = assertRejects(() => call(client), ClientError);
    await connection.peer.readPacket();
    await connection.expectEnd(DISCONNECT);
    await calling;
  }
});

Deno.test("MQTTClient.disconnect() in a listener of packet stops a reconnect() that says farewell", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  let disconnecting: Promise<void> | undefined;
  client.addEventListener("packet", ({ detail: { packet } }) => {
    if (packet.type === "DISCONNECT") disconnecting = client.disconnect();
  });
  const reconnecting = assertRejects(() => client.reconnect(), ClientError, "disconnecting");
  await connection.expectEnd(DISCONNECT);
  await reconnecting;
  await disconnecting;
  assertEquals([client.connected, broker.peer.connectionCount], [false, 1]);
});

Deno.test("MQTTClient.publish() in a listener of packet waits for the next connection where it is told of DISCONNECT", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  client.addEventListener("packet", ({ detail: { packet } }) => {
    if (packet.type === "DISCONNECT") void client.publish("t", "x");
  }, { once: true });
  const reconnecting = client.reconnect();
  await connection.expectEnd(DISCONNECT);
  const next = await broker.welcome();
  await next.expect("30 04 0001 't' 'x'");
  await reconnecting;
});

Deno.test("MQTTClient heeds a signal that a listener of packet aborts when the packet of the call goes out", async () => {
  await using link = await playLink();
  const { client } = link;
  for (const [type, call] of Object.entries(CALLS)) {
    const controller = new AbortController(), reason = new RangeError("aborted");
    client.addEventListener("packet", ({ detail: { packet } }) => {
      if (packet.type === type) controller.abort(reason);
    });
    await assertRejects(() => call(client, controller.signal), RangeError, "aborted");
  }
});

Deno.test("MQTTClient.connect() does not heed a signal that a listener of connect aborts: the connection is up", async () => {
  await using broker = await playBroker();
  await using client = new MQTTClient({ config: QUICK });
  const controller = new AbortController();
  client.addEventListener("connect", () => controller.abort());
  const [connection] = await Promise.all([
    broker.welcome(),
    client.connect(broker.uri, { signal: controller.signal }),
  ]);
  await client.publish("t", "x");
  await connection.expect("30 04 0001 't' 'x'");
});

Deno.test("MQTTClient.connect() rejects where a listener of packet aborts it when CONNACK has come", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: QUICK });
  const events = recordEvents(client);
  const controller = new AbortController();
  client.addEventListener("packet", ({ detail: { packet } }) => {
    if (packet.type === "CONNACK") controller.abort(new RangeError("aborted"));
  });
  const connecting = assertRejects(
    () => client.connect(broker.uri, { signal: controller.signal }),
    RangeError,
    "aborted",
  );
  const connection = await broker.welcome();
  await connection.expectEnd();
  await connecting;
  assertEquals([client.connected, events], [false, []]);
});

Deno.test("MQTTClient tells of packets in the order of the wire, also of those that a listener sends", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const told: string[] = [];
  const describe = (packet: Packet) => "packetId" in packet ? `${packet.type}(${packet.packetId})` : packet.type;
  client.addEventListener("packet", ({ detail: { direction, packet } }) => {
    if (direction === "out") told.push(describe(packet));
    if (packet.type === "PUBLISH" && packet.packetId === 1) void client.publish("t", "second", { qos: 1 });
  });
  const first = client.publish("t", "x", { qos: 1 }), third = client.publish("t", "z", { qos: 1 });
  await connection.expect("32 06 0001 't' 0001 'x'", "32 0b 0001 't' 0002 'second'", "32 06 0001 't' 0003 'z'");
  assertEquals(told, ["PUBLISH(1)", "PUBLISH(2)", "PUBLISH(3)"]);
  await connection.send("40 02 0001", "40 02 0002", "40 02 0003");
  await Promise.all([first, third]);
});

Deno.test("MQTTClient tells of no packets after removeEventListener(), and once where that was asked for", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const told: string[] = [];
  const listener = ({ detail: { packet } }: CustomEvent<{ packet: Packet }>) => void told.push(packet.type);
  const ping = async () => {
    const pinging = client.ping();
    await connection.expect(PINGREQ);
    await connection.send(PINGRESP);
    await pinging;
  };
  client.addEventListener("packet", listener);
  client.addEventListener("packet", listener); // The second time counts for nothing.
  await ping();
  assertEquals(told.splice(0), ["PINGREQ", "PINGRESP"]);
  client.removeEventListener("packet", listener);
  await ping();
  assertEquals(told.splice(0), []);
  client.addEventListener("packet", listener, { once: true });
  await ping();
  assertEquals(told.splice(0), ["PINGREQ"]);
  const controller = new AbortController();
  client.addEventListener("packet", listener, { signal: controller.signal });
  await ping();
  controller.abort();
  await ping();
  assertEquals(told.splice(0), ["PINGREQ", "PINGRESP"]);
  client.addEventListener("packet", null);
  client.addEventListener("packet", { handleEvent: () => void told.push("object") });
  await ping();
  assertEquals(told, ["object", "object"]);
});

Deno.test("MQTTClient delivers in order to a handler that publishes, subscribes and takes itself out", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const taken: string[] = [];
  client.onmessage = (message) => {
    taken.push(message.text());
    void client.publish("t", message.payload);
    if (message.text() === "2") client.onmessage = null;
  };
  await connection.send("30 04 0001 'a' '1'", "30 04 0001 'a' '2'", "30 04 0001 'a' '3'");
  await connection.expect("30 04 0001 't' '1'", "30 04 0001 't' '2'");
  assertEquals((await client.deliverMessage(5)).text(), "3");
  assertEquals(taken, ["1", "2"]);
});

Deno.test("MQTTClient.deliverMessage() that was left takes no message: by return() of an iterator, by a race", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const iterator = client[Symbol.asyncIterator](), messages = client.messages("b");
  const nexts = [iterator.next(), messages.next()];
  await Promise.all([iterator.return?.(), messages.return?.()]);
  assertEquals(await Promise.all(nexts), [{ done: true, value: undefined }, { done: true, value: undefined }]);
  await connection.send("30 04 0001 'a' '1'", "30 04 0001 'b' '2'");
  assertEquals((await client.deliverMessage(5)).text(), "1");
  assertEquals((await client.deliverMessage(5)).text(), "2");
});

Deno.test("MQTTClient.deliverMessage() takes any time for its timeout, Infinity included", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const waiting = [Infinity, 1e10, 2_147_483, 2_147_484].map((timeout) => client.deliverMessage(timeout));
  await connection.send(...waiting.map((_, i) => `30 04 0001 'a' '${i}'`));
  assertEquals((await Promise.all(waiting)).map((message) => message.text()), ["0", "1", "2", "3"]);
});

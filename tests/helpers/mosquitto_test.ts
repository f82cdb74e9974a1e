import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { brokerTest, everyBrokerTest } from "./brokers.ts";
import type { KeyPair } from "./certificates.ts";
import { type Mosquitto, startMosquitto } from "./mosquitto.ts";
import { connectMessage, publishMessage, readExactly, subscribeMessage } from "./wire.ts";

const CONNACK = Uint8Array.of(0x20, 2, 0, 0);
const LISTENERS = ["mqtt", "mqtts", "ws", "wss", "unix", "password", "mutual"] as const;

function connectTcp(port: number): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port });
}

async function connectTls(broker: Mosquitto, port: number, client?: KeyPair): Promise<Deno.TlsConn> {
  const caCerts = [await Deno.readTextFile(broker.certificates.ca)];
  const options = { hostname: "127.0.0.1", port, caCerts };
  if (client === undefined) return await Deno.connectTls(options);
  const [cert, key] = await Promise.all([client.certificate, client.key].map((path) => Deno.readTextFile(path)));
  return await Deno.connectTls({ ...options, cert, key });
}

async function handshake(connection: Deno.Conn, message = connectMessage()): Promise<Uint8Array> {
  await connection.write(message);
  return await readExactly(connection, 4);
}

async function upgrade(connection: Deno.Conn): Promise<string> {
  const fields = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="];
  const request = [
    "GET / HTTP/1.1",
    "Host: localhost",
    ...fields,
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: mqtt",
  ];
  await connection.write(new TextEncoder().encode(`${request.join("\r\n")}\r\n\r\n`));
  return new TextDecoder().decode(await readExactly(connection, 12));
}

everyBrokerTest("everyBrokerTest() hands over a broker that answers CONNECT", async ({ uri }) => {
  using connection = await connectTcp(Number(new URL(uri).port));
  assertEquals(await handshake(connection), CONNACK);
});

brokerTest("startMosquitto() opens every kind of listener", { listeners: LISTENERS }, async (broker) => {
  using tcp = await connectTcp(broker.ports.mqtt);
  assertEquals(await handshake(tcp), CONNACK);
  using tls = await connectTls(broker, broker.ports.mqtts);
  assertEquals(await handshake(tls), CONNACK);
  using unix = await Deno.connect({ transport: "unix", path: broker.uris.unix.replace("unix:", "") });
  assertEquals(await handshake(unix), CONNACK);
  using ws = await connectTcp(broker.ports.ws);
  assertEquals(await upgrade(ws), "HTTP/1.1 101");
  using wss = await connectTls(broker, broker.ports.wss);
  assertEquals(await upgrade(wss), "HTTP/1.1 101");
});

brokerTest("startMosquitto() asks for a password where told", { listeners: ["password"] }, async (broker) => {
  using stranger = await connectTcp(broker.ports.password);
  assertEquals(await handshake(stranger), Uint8Array.of(0x20, 2, 0, 5));
  using user = await connectTcp(broker.ports.password);
  assertEquals(await handshake(user, connectMessage({ username: "user", password: "password" })), CONNACK);
});

brokerTest("startMosquitto() asks for a certificate where told", { listeners: ["mutual"] }, async (broker) => {
  using known = await connectTls(broker, broker.ports.mutual, broker.certificates.client);
  assertEquals(await handshake(known), CONNACK);
  using stranger = await connectTls(broker, broker.ports.mutual);
  await assertRejects(() => handshake(stranger));
});

for (const serverCertificate of ["expired", "wrongHost", "unknown"] as const) {
  const options = { listeners: ["mqtts"], serverCertificate } as const;
  brokerTest(
    `startMosquitto() shows the certificate "${serverCertificate}", which Deno refuses`,
    options,
    async (broker) => {
      await assertRejects(async () => {
        using connection = await connectTls(broker, broker.ports.mqtts);
        await connection.handshake();
      }, Deno.errors.InvalidData);
    },
  );
}

brokerTest("Mosquitto.restart() keeps ports, sessions and their messages", { persistence: true }, async (broker) => {
  const session = connectMessage({ clientId: "sleeper", cleanSession: false });
  {
    using subscriber = await connectTcp(broker.ports.mqtt);
    assertEquals(await handshake(subscriber, session), CONNACK);
    await subscriber.write(subscribeMessage("a", 1));
    assertEquals(await readExactly(subscriber, 5), Uint8Array.of(0x90, 3, 0, 1, 1));
  }
  await broker.restart();
  {
    using publisher = await connectTcp(broker.ports.mqtt);
    await handshake(publisher);
    await publisher.write(publishMessage("a", "x", 1, 7));
    assertEquals(await readExactly(publisher, 4), Uint8Array.of(0x40, 2, 0, 7));
  }
  await broker.restart();
  using subscriber = await connectTcp(broker.ports.mqtt);
  assertEquals(await handshake(subscriber, session), Uint8Array.of(0x20, 2, 1, 0));
  assertEquals((await readExactly(subscriber, 8))[0], 0x32);
});

brokerTest("Mosquitto.kill() ends the process and Mosquitto.start() starts it again", {}, async (broker) => {
  using connection = await connectTcp(broker.ports.mqtt);
  await handshake(connection);
  await broker.kill();
  await assertRejects(() => connectTcp(broker.ports.mqtt), Deno.errors.ConnectionRefused);
  await broker.start();
  using again = await connectTcp(broker.ports.mqtt);
  assertEquals(await handshake(again), CONNACK);
});

brokerTest("Mosquitto.signal() can stop the broker and let it go on", {}, async (broker) => {
  using connection = await connectTcp(broker.ports.mqtt);
  await handshake(connection);
  broker.signal("SIGSTOP");
  await connection.write(Uint8Array.of(0xc0, 0));
  const answer = readExactly(connection, 2);
  const silence = Promise.withResolvers<string>();
  const timer = setTimeout(() => silence.resolve("silence"), 50);
  assertEquals(await Promise.race([answer, silence.promise]), "silence");
  clearTimeout(timer);
  broker.signal("SIGCONT");
  assertEquals(await answer, Uint8Array.of(0xd0, 0));
});

brokerTest("startMosquitto() says why mosquitto did not start", {}, async () => {
  const error = await assertRejects(() => startMosquitto({ config: ["no_such_option 1"] }), Error);
  assertStringIncludes((error as Error).message, "Unknown configuration variable");
});

brokerTest("Mosquitto.log holds every packet where told", { logPackets: true }, async (broker) => {
  using connection = await connectTcp(broker.ports.mqtt);
  await handshake(connection);
  assertStringIncludes(broker.log, "Sending CONNACK");
});

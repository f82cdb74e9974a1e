import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  ClientError,
  ConnectError,
  ConnectionLostError,
  type ConnectOptions,
  MQTTClient,
  type PublishOptions,
} from "../../mod.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { type PeerConnection, type ScriptedPeer, startScriptedPeer } from "../helpers/scripted_peer.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const CONNACK = [0x20, 2, 0, 0];
const UNAVAILABLE = [0x20, 2, 0, 3];
const PINGREQ = Uint8Array.of(0xc0, 0);
const PINGRESP = [0xd0, 0];

/** Makes a client with what a file says. */
async function clientFrom(yaml: string): Promise<MQTTClient> {
  await using folder = await temporaryFolder();
  return await MQTTClient.fromConfigFile(await folder.write("client.yaml", yaml));
}

/** Lets the next connection in, and gives it with its CONNECT. */
async function welcome(peer: ScriptedPeer): Promise<[PeerConnection, Uint8Array]> {
  const connection = await peer.accept();
  const connect = await connection.readPacket();
  await connection.write(CONNACK);
  return [connection, connect];
}

/** Connects a client to a peer, and gives the connection and its CONNECT. */
async function meet(client: MQTTClient, peer: ScriptedPeer, uri = peer.uri, options?: ConnectOptions) {
  const [[connection, connect]] = await Promise.all([welcome(peer), client.connect(uri, options)]);
  return { connection, connect };
}

/** Disconnects a client that waits for nothing. */
async function part(client: MQTTClient, connection: PeerConnection): Promise<void> {
  await Promise.all([client.disconnect({ drain: 0 }), connection.readToEnd().then(() => connection.close())]);
}

/** Gives the CONNECT that a client with this configuration sends; PEER in the URI stands for the peer's host and port. */
async function connectOf(yaml: string, options?: ConnectOptions, uri = "mqtt://PEER"): Promise<Uint8Array> {
  await using peer = await startScriptedPeer();
  const client = await clientFrom(yaml);
  const { connection, connect } = await meet(client, peer, uri.replace("PEER", `127.0.0.1:${peer.port}`), options);
  await part(client, connection);
  return connect;
}

/** Gives what tells the seconds since now. */
function startClock(): () => number {
  const start = performance.now();
  return () => (performance.now() - start) / 1000;
}

const keepAliveOf = (connect: Uint8Array) => connect[10] * 256 + connect[11];
const flagsOf = (connect: Uint8Array) => connect[9];

/** Gives what stands after the header of a CONNECT: fields with a length before each, as texts. */
function fieldsOf(connect: Uint8Array): string[] {
  const fields: string[] = [];
  for (let at = 12; at < connect.length;) {
    const length = connect[at] * 256 + connect[at + 1];
    fields.push(new TextDecoder().decode(connect.subarray(at + 2, at + 2 + length)));
    at += 2 + length;
  }
  return fields;
}

Deno.test("keep_alive is the Keep Alive of CONNECT, 10 by default", async () => {
  assertEquals(keepAliveOf(await connectOf("{}")), 10);
  assertEquals(keepAliveOf(await connectOf("keep_alive: 0")), 0);
  assertEquals(keepAliveOf(await connectOf("keep_alive: 65535")), 65535);
});

Deno.test("ping_delay is how long before the end of keep_alive the client pings", async () => {
  const timeToPing = async (yaml: string) => {
    await using peer = await startScriptedPeer();
    await using client = await clientFrom(yaml);
    const { connection } = await meet(client, peer);
    const clock = startClock();
    assertEquals(await connection.read(2), PINGREQ);
    const time = clock();
    await connection.write(PINGRESP);
    await connection.close();
    return time;
  };
  const [late, soon, half] = await Promise.all([
    timeToPing("{keep_alive: 1, ping_delay: 0.4, auto_reconnect: false}"),
    timeToPing("{keep_alive: 1, ping_delay: 0.9, auto_reconnect: false}"),
    timeToPing("{keep_alive: 1, ping_delay: 7, auto_reconnect: false}"),
  ]);
  assert(late > 0.55 && late < 2, `${late}`);
  assert(soon > 0.05 && soon < 0.55, `${soon}`);
  assert(half > 0.45 && half < 2, `${half}`);
});

Deno.test("keep_alive: 0 and ping_delay: 0 turn pings off", async () => {
  const staySilent = async (yaml: string) => {
    await using peer = await startScriptedPeer();
    const client = await clientFrom(yaml);
    const { connection } = await meet(client, peer);
    await assertRejects(() => client.deliverMessage(1.2), DOMException); // longer than keep_alive
    await client.publish("a", "");
    assertEquals(await connection.readPacket(), Uint8Array.of(0x30, 3, 0, 1, 0x61));
    await part(client, connection);
  };
  await Promise.all([staySilent("keep_alive: 0"), staySilent("{keep_alive: 1, ping_delay: 0}")]);
});

Deno.test("ping_timeout is how long an unanswered ping keeps a dead connection", async () => {
  await using peer = await startScriptedPeer();
  await using client = await clientFrom("{keep_alive: 1, ping_delay: 0.9, ping_timeout: 0.1, auto_reconnect: false}");
  const lost = Promise.withResolvers<unknown>();
  client.addEventListener("disconnect", ({ detail }) => lost.resolve(detail.error));
  const { connection } = await meet(client, peer);
  assertEquals(await connection.read(2), PINGREQ);
  const clock = startClock();
  const error = await lost.promise;
  const time = clock();
  assert(error instanceof ConnectionLostError && error.message.includes("0.1 s"), String(error));
  assert(time > 0.08 && time < 2, `${time}`);
});

/** The documented example, word by word but for the braces around it: what Python takes for a dict is YAML as well. */
const DOCUMENTED = `{
        'keep_alive': 10,
        'ping_delay': 1,
        'default_qos': 0,
        'default_retain': False,
        'auto_reconnect': True,
        'reconnect_max_interval': 5,
        'reconnect_retries': 10,
        'topics': {
            '/test': { 'qos': 1 },
            '/some_topic': { 'qos': 2, 'retain': True }
        }
    }`;

/** Publishes to a topic, and gives QoS and retain flag as they were on the wire. */
async function published(
  yaml: string,
  topic: string,
  options?: PublishOptions,
): Promise<[qos: number, retain: boolean]> {
  await using peer = await startScriptedPeer();
  const client = await clientFrom(yaml);
  const { connection } = await meet(client, peer);
  client.publish(topic, "x", options);
  const [first] = await connection.readPacket();
  assertEquals(first & 0xf8, 0x30);
  await part(client, connection);
  return [first >> 1 & 3, (first & 1) === 1];
}

Deno.test("topics, as documented, wins over default_qos and default_retain, and a call wins over topics", async () => {
  assertEquals(await published(DOCUMENTED, "/test"), [1, false]);
  assertEquals(await published(DOCUMENTED, "/some_topic"), [2, true]);
  assertEquals(await published(DOCUMENTED, "/other"), [0, false]);
  assertEquals(await published(DOCUMENTED, "test"), [0, false]);
  assertEquals(await published(DOCUMENTED, "/test/x"), [0, false]);
  assertEquals(await published(DOCUMENTED, "/test", { qos: 2 }), [2, false]);
  assertEquals(await published(DOCUMENTED, "/test", { retain: true }), [1, true]);
  assertEquals(await published(DOCUMENTED, "/some_topic", { qos: 0 }), [0, true]);
  assertEquals(await published(DOCUMENTED, "/some_topic", { retain: false }), [2, false]);
  assertEquals(await published(DOCUMENTED, "/some_topic", { qos: undefined, retain: undefined }), [2, true]);
});

const DEFAULTS =
  "default_qos: 1\ndefault_retain: true\ntopics: {a: {qos: 0}, b: {retain: false}, c: {qos: 2, retain: false}}";

Deno.test("default_qos and default_retain are what a publish has that names none, an explicit 0 and false are not", async () => {
  assertEquals(await published("{}", "x"), [0, false]);
  assertEquals(await published(DEFAULTS, "x"), [1, true]);
  assertEquals(await published(DEFAULTS, "a"), [0, true]);
  assertEquals(await published(DEFAULTS, "b"), [1, false]);
  assertEquals(await published(DEFAULTS, "c"), [2, false]);
  assertEquals(await published(DEFAULTS, "x", { qos: 0 }), [0, true]);
  assertEquals(await published(DEFAULTS, "x", { retain: false }), [1, false]);
  assertEquals(await published(DEFAULTS, "c", { qos: 0, retain: true }), [0, true]);
});

Deno.test("auto_reconnect: false makes one attempt, and leaves a lost connection lost", async () => {
  await using peer = await startScriptedPeer();
  await using client = await clientFrom("{auto_reconnect: False, reconnect_max_interval: 0.01}");
  const connecting = assertRejects(() => client.connect(peer.uri), ConnectError);
  await (await peer.accept()).close();
  await connecting;
  const { connection } = await meet(client, peer);
  const delivering = assertRejects(() => client.deliverMessage(), ClientError);
  await connection.close();
  await delivering;
  assertEquals([peer.connectionCount, client.connected], [2, false]);
});

Deno.test("auto_reconnect: true makes another attempt, and restores a lost connection", async () => {
  await using peer = await startScriptedPeer();
  const client = await clientFrom("{auto_reconnect: True, reconnect_max_interval: 0.01}");
  const connecting = client.connect(peer.uri);
  await (await peer.accept()).close();
  const [first] = await welcome(peer);
  assertEquals(await connecting, 0);
  await first.close();
  const [second] = await welcome(peer);
  assertEquals([peer.connectionCount, client.stats.reconnects <= 1], [3, true]);
  await part(client, second);
});

Deno.test("reconnect_max_interval is the limit of the delay between attempts", async () => {
  const refusedFor = async (yaml: string) => {
    await using peer = await startScriptedPeer();
    const client = await clientFrom(yaml);
    const delays: number[] = [];
    client.addEventListener("reconnecting", ({ detail }) => delays.push(detail.delay));
    const clock = startClock();
    const connecting = assertRejects(() => client.connect(peer.uri), ConnectError);
    for (let i = 0; i < 4; i++) await refuse(peer);
    await connecting;
    return { delays, time: clock() };
  };
  const [soon, late] = await Promise.all([
    refusedFor("{reconnect_retries: 3, reconnect_max_interval: 0.05}"),
    refusedFor("{reconnect_retries: 3, reconnect_max_interval: 0.4}"),
  ]);
  assert(soon.delays.every((delay) => delay >= 0.025 && delay <= 0.05), `${soon.delays}`);
  assert(late.delays.every((delay) => delay >= 0.2 && delay <= 0.4), `${late.delays}`);
  assert(late.time > 0.55 && soon.time < late.time, `${soon.time} ${late.time}`);
});

/** Refuses the next connection as a broker does that is not ready. */
async function refuse(peer: ScriptedPeer): Promise<void> {
  const connection = await peer.accept();
  await connection.readPacket();
  await connection.write(UNAVAILABLE);
  await connection.readToEnd();
  await connection.close();
}

for (const [retries, attempts] of [["0", 1], ["3", 4]] as const) {
  Deno.test(`reconnect_retries: ${retries} makes ${attempts} attempts in all`, async () => {
    await using peer = await startScriptedPeer();
    const client = await clientFrom(`reconnect_max_interval: 0.01\nreconnect_retries: ${retries}\n`);
    const connecting = assertRejects(() => client.connect(peer.uri), ConnectError);
    for (let i = 0; i < attempts; i++) await refuse(peer);
    const { returnCode } = await connecting;
    assertEquals([returnCode, peer.connectionCount], [3, attempts]);
  });
}

Deno.test("reconnect_retries: -1 sets no end", async () => {
  await using peer = await startScriptedPeer();
  const client = await clientFrom("reconnect_max_interval: 0.01\nreconnect_retries: -1\n");
  const connecting = client.connect(peer.uri);
  for (let i = 0; i < 12; i++) await refuse(peer);
  const [connection] = await welcome(peer);
  assertEquals(await connecting, 0);
  await part(client, connection);
});

Deno.test("uri and broker.uri name the broker when connect() names none, and the former wins", async () => {
  for (const yaml of ["uri: URI", "broker: {uri: URI}", "uri: URI\nbroker: {uri: mqtt://127.0.0.1:1}", "uri: [URI]"]) {
    await using peer = await startScriptedPeer();
    const client = await clientFrom(`${yaml.replace("URI", peer.uri)}\nauto_reconnect: false`);
    const [[connection]] = await Promise.all([welcome(peer), client.connect()]);
    assert(Deno.inspect(client).includes(`state: "connected",\n  uri: "${peer.uri}"`), Deno.inspect(client));
    await part(client, connection);
  }
});

Deno.test("uri may be several brokers, which are tried in order, and the argument of connect() wins", async () => {
  await using first = await startScriptedPeer(), second = await startScriptedPeer(), third = await startScriptedPeer();
  const client = await clientFrom(`uri:\n  - ${first.uri}\n  - ${second.uri}\nauto_reconnect: false`);
  const [[connection]] = await Promise.all([refuse(first).then(() => welcome(second)), client.connect()]);
  await part(client, connection);
  const { connection: other } = await meet(client, third);
  await part(client, other);
  assertEquals([first, second, third].map(({ connectionCount }) => connectionCount), [1, 1, 1]);
});

Deno.test("cleansession is the Clean Session flag of CONNECT, true by default, and the argument of connect() wins", async () => {
  const isClean = (connect: Uint8Array) => (flagsOf(connect) & 2) !== 0;
  assertEquals(isClean(await connectOf("{}")), true);
  assertEquals(isClean(await connectOf("cleansession: false")), false);
  assertEquals(isClean(await connectOf("cleansession: false", { cleanSession: true })), true);
  assertEquals(isClean(await connectOf("cleansession: true", { cleanSession: false })), false);
});

Deno.test("client_id, username and password are those of CONNECT, and those of the URI win", async () => {
  const yaml = "client_id: me\nusername: user\npassword: word\n";
  const connect = await connectOf(yaml);
  assertEquals([flagsOf(connect) & 0xc0, fieldsOf(connect)], [0xc0, ["me", "user", "word"]]);
  assertEquals(fieldsOf(await connectOf(yaml, {}, "mqtt://other:%20secret@PEER")), ["me", "other", " secret"]);
  const anonymous = await connectOf("client_id: ''");
  assertEquals([flagsOf(anonymous) & 0xc0, fieldsOf(anonymous)], [0, [""]]);
});

Deno.test("will is that of CONNECT, with QoS 0 and not retained by default", async () => {
  const willOf = async (will: string) => {
    const connect = await connectOf(`client_id: me\nwill: ${will}`);
    return [flagsOf(connect) & 0x3c, ...fieldsOf(connect).slice(1)];
  };
  assertEquals(await willOf("{topic: gone, message: bye, qos: 1, retain: True}"), [0x2c, "gone", "bye"]);
  assertEquals(await willOf("{topic: gone, message: '', qos: 2}"), [0x14, "gone", ""]);
  assertEquals(await willOf("{topic: gone, message: !!binary AAE=}"), [0x04, "gone", "\0\x01"]);
});

Deno.test("connect_timeout is how long an attempt may take", async () => {
  await using peer = await startScriptedPeer();
  const client = await clientFrom("connect_timeout: 0.1\nauto_reconnect: false");
  const clock = startClock();
  const error = await assertRejects(() => client.connect(peer.uri), ConnectError);
  const time = clock();
  assert(error.cause instanceof DOMException && error.cause.name === "TimeoutError");
  assert(time > 0.09 && time < 5, `${time}`);
});

Deno.test("max_inflight is how many publishes may be unacknowledged", async () => {
  await using peer = await startScriptedPeer();
  const client = await clientFrom("max_inflight: 1");
  const { connection } = await meet(client, peer);
  const publishes = [client.publish("a", "1", { qos: 1 }), client.publish("a", "2", { qos: 1 })];
  client.ping();
  assertEquals((await connection.readPacket()).at(-1), 0x31);
  assertEquals(await connection.readPacket(), PINGREQ);
  await connection.write([...PINGRESP, 0x40, 2, 0, 1]);
  assertEquals((await connection.readPacket()).at(-1), 0x32);
  await connection.write([0x40, 2, 0, 2]);
  await Promise.all(publishes);
  await part(client, connection);
});

/** Publishes twice at QoS 1 and once at QoS 0 while the link is down, and tells which are refused at once. */
async function refusedOffline(yaml: string): Promise<boolean[]> {
  await using peer = await startScriptedPeer();
  const client = await clientFrom(`reconnect_max_interval: 0.01\n${yaml}`);
  const { connection } = await meet(client, peer);
  await connection.close();
  await (await peer.accept()).readPacket(); // CONNECT, which gets no answer
  const refused = [false, false, false];
  const publishes = [1, 1, 0].map((qos, i) =>
    client.publish("a", "12345678", { qos: qos as 0 | 1 }).catch((error: unknown) => {
      assertInstanceOf(error, ClientError);
      refused[i] = true;
    })
  );
  await new Promise((resolve) => setTimeout(resolve)); // rejections are through when timers are
  const outcome = [...refused];
  await client.disconnect({ drain: 0 });
  await Promise.all(publishes);
  return outcome;
}

Deno.test("max_queued_publishes, max_queued_bytes, queue_full and queue_qos_0 bound what waits for the link", async () => {
  assertEquals(await refusedOffline("max_queued_publishes: 3"), [false, false, false]);
  assertEquals(await refusedOffline("max_queued_publishes: 1"), [false, true, true]);
  assertEquals(await refusedOffline("max_queued_bytes: 0"), [true, true, true]);
  assertEquals(await refusedOffline("queue_qos_0: false"), [false, false, true]);
  assertEquals(await refusedOffline("max_queued_publishes: 1\nqueue_full: wait"), [false, false, false]);
  assertEquals(await refusedOffline("max_queued_publishes: 1\nqueue_full: drop_oldest"), [true, true, false]);
});

Deno.test("manual_ack leaves acknowledging to the application", async () => {
  await using peer = await startScriptedPeer();
  const client = await clientFrom("manual_ack: true");
  const { connection } = await meet(client, peer);
  await connection.write([0x32, 5, 0, 1, 0x61, 0, 7]);
  const message = await client.deliverMessage();
  await client.publish("b", "");
  assertEquals(await connection.readPacket(), Uint8Array.of(0x30, 3, 0, 1, 0x62));
  message.ack();
  assertEquals(await connection.readPacket(), Uint8Array.of(0x40, 2, 0, 7));
  await part(client, connection);
});

Deno.test("resubscribe: false leaves a reconnection without its subscriptions", async () => {
  for (const resubscribe of [true, false]) {
    await using peer = await startScriptedPeer();
    const client = await clientFrom(`reconnect_max_interval: 0.01\nresubscribe: ${resubscribe}`);
    const { connection } = await meet(client, peer);
    const subscribing = client.subscribe("a", 0);
    await connection.readPacket();
    await connection.write([0x90, 3, 0, 1, 0]);
    await subscribing;
    await connection.close();
    const [second] = await welcome(peer);
    client.ping();
    assertEquals((await second.readPacket())[0], resubscribe ? 0x82 : 0xc0);
    await part(client, second);
  }
});

Deno.test("maximum_packet_size is the largest packet that is accepted", async () => {
  await using peer = await startScriptedPeer();
  await using client = await clientFrom("maximum_packet_size: 7\nauto_reconnect: false");
  const { connection } = await meet(client, peer);
  await connection.write([0x30, 5, 0, 1, 0x61, 1, 2]);
  assertEquals((await client.deliverMessage()).payload, Uint8Array.of(1, 2));
  const lost = assertRejects(() => client.deliverMessage(), ClientError);
  await connection.write([0x30, 6, 0, 1, 0x61, 1, 2, 3]);
  await lost;
});

const TLS = { listeners: ["mqtts"] } as const;

brokerTest(
  "cafile, capath and cadata, also under broker, say whom to trust, and the arguments of connect() win",
  TLS,
  async (broker) => {
    const { ca, caFolder, unknownCa } = broker.certificates;
    await using folder = await temporaryFolder();
    await Deno.copyFile(ca, `${folder.path}/ca.pem`);
    await Deno.copyFile(unknownCa, `${folder.path}/unknown.pem`);
    await Deno.symlink(caFolder, `${folder.path}/authorities`);
    const data = (await Deno.readTextFile(ca)).trim().split("\n").map((line) => `  ${line}`).join("\n");
    const connect = async (yaml: string, options = {}) => {
      const text = `${yaml}\nuri: ${broker.uris.mqtts}\nauto_reconnect: false\n`;
      await using client = await MQTTClient.fromConfigFile(await folder.write("client.yaml", text));
      return await client.connect(undefined, options);
    };
    await assertRejects(() => connect(""), ConnectError);
    await assertRejects(() => connect("cafile: unknown.pem"), ConnectError);
    for (const yaml of ["cafile: ca.pem", "capath: ./authorities", `cadata: |\n${data}`, "broker: {cafile: ca.pem}"]) {
      assertEquals(await connect(yaml), 0, yaml);
    }
    assertEquals(await connect("broker: {capath: authorities, cafile:, cadata:}"), 0);
    assertEquals(await connect("cafile: ca.pem\nbroker: {cafile: unknown.pem}"), 0);
    assertEquals(await connect("cafile: unknown.pem", { caFile: ca }), 0);
  },
);

brokerTest("certfile and keyfile say who the client is", { listeners: ["mutual"] }, async (broker) => {
  const { ca, client: { certificate, key } } = broker.certificates;
  await using folder = await temporaryFolder();
  await Deno.copyFile(certificate, `${folder.path}/client.pem`);
  await Deno.copyFile(key, `${folder.path}/client.key`);
  const connect = async (yaml: string) => {
    const text = `${yaml}\nuri: ${broker.uris.mutual}\ncafile: ${ca}\nauto_reconnect: false\n`;
    await using client = await MQTTClient.fromConfigFile(await folder.write("client.yaml", text));
    return await client.connect();
  };
  assertEquals(await connect("certfile: client.pem\nkeyfile: client.key"), 0);
  await assertRejects(() => connect(""), ConnectError);
});

brokerTest(
  "check_hostname: false takes the certificate of another host",
  { ...TLS, serverCertificate: "wrongHost" },
  async (broker) => {
    const connect = async (yaml: string) => {
      await using client = await clientFrom(`${yaml}\ncafile: ${broker.certificates.ca}\nauto_reconnect: false`);
      return await client.connect(broker.uris.mqtts);
    };
    await assertRejects(() => connect("check_hostname: true"), ConnectError);
    await assertRejects(() => connect(""), ConnectError);
    assertEquals(await connect("check_hostname: false"), 0);
  },
);

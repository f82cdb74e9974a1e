import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { MQTT_3_1_1 } from "../../src/codec/mqtt_3_1_1.ts";
import { ProtocolError } from "../../src/errors.ts";
import { Traffic } from "../../src/observe/stats.ts";
import type { Packet, PublishPacket } from "../../src/packets.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { Connection } from "../../src/shell/connection.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { concat, encode } from "../codec/bytes.ts";
import { createPipe, type PipeEnd } from "../helpers/pipe.ts";

const KIB = 1024;
const HIGH_WATER = 192 * KIB, LARGE_PAYLOAD = 128 * KIB;
const LARGEST_PIECE = 256 * KIB, MIB = 1024 * KIB;
const BROKEN = new RangeError("broken");

const PINGREQ: Packet = { type: "PINGREQ" };

function publish(payload: Uint8Array, topic = "a"): PublishPacket {
  const fields = { dup: false, qos: 0, retain: false, packetId: 0, properties: NO_PROPERTIES } as const;
  return { type: "PUBLISH", topic, payload, ...fields };
}

function puback(packetId: number): Packet {
  return { type: "PUBACK", packetId, reasonCode: 0, properties: NO_PROPERTIES };
}

/** Bytes that differ from one place to the next. */
function someBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 31 + (i >> 8);
  return bytes;
}

/** Compares as `assertEquals` does, which takes seconds for a MiB. */
function assertSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  assertEquals(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) throw new Error(`Byte ${i} is ${actual[i]}, not ${expected[i]}`);
  }
}

/** A write that the test lets succeed or fail. */
class Write {
  /** A copy: the original may change when it is written. */
  readonly bytes: Uint8Array;
  readonly #original: Uint8Array;
  readonly #result = Promise.withResolvers<void>();

  constructor(bytes: Uint8Array) {
    this.bytes = bytes.slice();
    this.#original = bytes;
  }

  isPartOf(payload: Uint8Array): boolean {
    return this.#original.buffer === payload.buffer;
  }

  get result(): Promise<void> {
    return this.#result.promise;
  }

  /** Succeeds, if the bytes are still the same. */
  succeed(): void {
    assertSameBytes(this.#original, this.bytes);
    this.#result.resolve();
  }

  fail(error: unknown): void {
    this.#result.reject(error);
  }
}

/** Shows every write to the test, which ends it. One may be under way at a time. */
class ManualTransport implements Transport {
  readonly #writes: Write[] = [];
  readonly #arrivals: PromiseWithResolvers<Write>[] = [];
  readonly #reading = Promise.withResolvers<null>();
  #underWay = false;
  #shown = 0;
  closedTimes = 0;

  read(): Promise<null> {
    return this.#reading.promise;
  }

  async write(bytes: Uint8Array): Promise<void> {
    assert(!this.#underWay, "two writes at a time");
    this.#underWay = true;
    const write = new Write(bytes);
    this.#arrival(this.#writes.push(write) - 1).resolve(write);
    await write.result;
    this.#underWay = false;
  }

  close(): void {
    this.closedTimes++;
    this.#reading.resolve(null);
    this.#writes.at(-1)?.fail(new Deno.errors.Interrupted("closed"));
  }

  get writeCount(): number {
    return this.#writes.length;
  }

  /** Waits for the next write. */
  next(): Promise<Write> {
    return this.#arrival(this.#shown++).promise;
  }

  #arrival(index: number): PromiseWithResolvers<Write> {
    return this.#arrivals[index] ??= Promise.withResolvers();
  }
}

interface Party {
  connection: Connection;
  traffic: Traffic;
  /** What was told so far. */
  told: string[];
  /** Waits until the listener was told so, counted from the last time that this was waited for. */
  toldNext(what: string): Promise<void>;
}

function connect(transport: Transport, maximumPacketSize = Infinity, onWritten = () => {}): Party {
  const traffic = new Traffic();
  const told: string[] = [];
  let seen = 0;
  let wake = Promise.withResolvers<void>();
  const tell = (what: string) => {
    told.push(what);
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const connection = new Connection(
    transport,
    { dialect: MQTT_3_1_1, maximumPacketSize, checkPayloadFormat: false },
    traffic,
    {
      written: (all) => {
        tell(all ? "written all" : "written");
        onWritten();
      },
      writable: () => tell("writable"),
      closed: () => tell("closed"),
    },
  );
  const toldNext = async (what: string) => {
    while (!told.includes(what, seen)) await wake.promise;
    seen = told.indexOf(what, seen) + 1;
  };
  return { connection, traffic, told, toldNext };
}

/** Lets writes succeed until so many bytes have come, and gives them. */
async function collect(transport: ManualTransport, length: number): Promise<Write[]> {
  const writes: Write[] = [];
  for (let got = 0; got < length;) {
    const write = await transport.next();
    writes.push(write);
    got += write.bytes.length;
    write.succeed();
  }
  return writes;
}

function bytesOf(writes: readonly Write[]): Uint8Array {
  return concat(writes.map(({ bytes }) => bytes));
}

/** Gives the packets that were read so far. */
function packets(connection: Connection): Packet[] {
  const packets: Packet[] = [];
  for (let next = connection.next(); next !== null; next = connection.next()) packets.push(next);
  return packets;
}

/** Reads to the end, and gives what the other end has written. */
async function readAll(end: PipeEnd): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await end.read(); chunk !== null; chunk = await end.read()) chunks.push(chunk);
  return concat(chunks);
}

Deno.test("Connection.send() writes once what is sent in one turn", async () => {
  const transport = new ManualTransport();
  const { connection, told, toldNext } = connect(transport);
  const sent = [puback(1), publish(someBytes(100)), puback(2), PINGREQ];
  for (const packet of sent) connection.send(packet);
  assertEquals(transport.writeCount, 0);
  const write = await transport.next();
  assertEquals(write.bytes, encode(sent));
  write.succeed();
  await toldNext("written all");
  assertEquals([transport.writeCount, told], [1, ["written all"]]);
});

Deno.test("Connection.send() writes what is sent while a write is under way with the next", async () => {
  const transport = new ManualTransport();
  const { connection, told, toldNext } = connect(transport);
  connection.send(puback(1));
  const first = await transport.next();
  connection.send(puback(2));
  await Promise.resolve();
  connection.send(puback(3));
  assertEquals(transport.writeCount, 1);
  first.succeed();
  const second = await transport.next();
  assertEquals(second.bytes, encode([puback(2), puback(3)]));
  connection.send(puback(4));
  second.succeed();
  const third = await transport.next();
  assertEquals(third.bytes, encode(puback(4)));
  third.succeed();
  await toldNext("written all");
  assertEquals(told, ["written", "written", "written all"]);
});

Deno.test("Connection.send() writes again after everything was written", async () => {
  const transport = new ManualTransport();
  const { connection, toldNext } = connect(transport);
  for (let id = 1; id <= 3; id++) {
    connection.send(puback(id));
    const write = await transport.next();
    assertEquals(write.bytes, encode(puback(id)));
    write.succeed();
    await toldNext("written all");
  }
});

Deno.test("Connection.send() writes what is sent from written()", async () => {
  const transport = new ManualTransport();
  let left = 2;
  const { connection, toldNext } = connect(transport, Infinity, () => {
    if (left-- > 0) connection.send(puback(left));
  });
  connection.send(puback(9));
  const length = encode(puback(9)).length;
  const written = await collect(transport, 3 * length);
  assertEquals(written.map(({ bytes }) => bytes), [puback(9), puback(1), puback(0)].map((packet) => encode(packet)));
  await toldNext("written all");
});

Deno.test("Connection.send() keeps the order around large payloads, which are not copied", async () => {
  const transport = new ManualTransport();
  const { connection } = connect(transport);
  const large = someBytes(LARGE_PAYLOAD), larger = someBytes(LARGE_PAYLOAD + 5);
  const first = [publish(someBytes(10)), publish(large), publish(someBytes(20)), publish(larger), puback(1)];
  for (const packet of first) connection.send(packet);
  const second = [puback(2), publish(large), puback(3)];
  const start = await transport.next();
  for (const packet of second) connection.send(packet);
  start.succeed();
  const expected = encode([...first, ...second]);
  const written = [start, ...await collect(transport, expected.length - start.bytes.length)];
  assertSameBytes(bytesOf(written), expected);
  const shared = written.filter((write) => write.isPartOf(large) || write.isPartOf(larger));
  assertEquals(shared.map(({ bytes }) => bytes.length), [large.length, larger.length, large.length]);
});

Deno.test("Connection.send() copies payloads that are not large", async () => {
  const transport = new ManualTransport();
  const { connection } = connect(transport);
  const payload = someBytes(LARGE_PAYLOAD - 1);
  connection.send(publish(payload));
  const expected = encode(publish(payload));
  payload.fill(0);
  assertSameBytes(bytesOf(await collect(transport, expected.length)), expected);
});

Deno.test("Connection.send() writes 256 KiB at a time at the most, and tells of each", async () => {
  const transport = new ManualTransport();
  const { connection, told, traffic, toldNext } = connect(transport);
  const packet = publish(someBytes(2 * LARGEST_PIECE + 7));
  connection.send(packet);
  const expected = encode(packet);
  const header = await transport.next();
  header.succeed();
  const payload = [await transport.next()];
  assertEquals(traffic.bytesSent, header.bytes.length);
  payload[0].succeed();
  payload.push(await transport.next());
  assertEquals(told, ["written"]);
  payload[1].succeed();
  payload.push(await transport.next());
  assertEquals(told, ["written", "written"]);
  payload[2].succeed();
  await toldNext("written all");
  assertEquals(payload.map(({ bytes }) => bytes.length), [LARGEST_PIECE, LARGEST_PIECE, 7]);
  assertSameBytes(bytesOf([header, ...payload]), expected);
  assertEquals(traffic.bytesSent, expected.length);
});

Deno.test("Connection.send() gives a transport everything that tells how much it has written, and tells of each part", async () => {
  const parts: Uint8Array[] = [];
  const lengths: number[] = [];
  const transport: Transport = {
    read: () => Promise.resolve(null),
    write(bytes) {
      lengths.push(bytes.length);
      const part = bytes.slice(0, MIB);
      parts.push(part);
      return Promise.resolve(part.length);
    },
    close: () => {},
  };
  const { connection, told, traffic } = connect(transport);
  const packet = publish(someBytes(3 * MIB + 7));
  connection.send(packet);
  await connection.flush();
  const expected = encode(packet);
  assertEquals(lengths.slice(1), [3 * MIB + 7, 2 * MIB + 7, MIB + 7, 7]);
  assertSameBytes(concat(parts), expected);
  assertEquals([traffic.bytesSent, told], [expected.length, [
    "written",
    "written",
    "written",
    "written all",
    "writable",
  ]]);
});

Deno.test("Connection closes when the transport writes nothing again and again", async () => {
  const transport: Transport = {
    read: () => Promise.resolve(null),
    write: () => Promise.resolve(0),
    close: () => {},
  };
  const { connection } = connect(transport);
  connection.send(PINGREQ);
  await connection.flush();
  assertEquals(connection.error instanceof Error && connection.error.message, "The transport wrote nothing");
});

Deno.test("Connection.send() says no from 192 KiB on, and calls writable() when that is written", async () => {
  const transport = new ManualTransport();
  const { connection, told, toldNext } = connect(transport);
  const half = publish(someBytes(HIGH_WATER / 2 - encode(publish(new Uint8Array(0))).length - 2));
  assertEquals(encode(half).length, HIGH_WATER / 2);
  assertEquals(connection.send(half) > 0, true);
  assertEquals(connection.send(half) > 0, false);
  assertEquals(connection.send(puback(1)) > 0, false);
  const write = await transport.next();
  assertEquals(write.bytes.length, HIGH_WATER + 4);
  assertEquals(told, []);
  write.succeed();
  await toldNext("writable");
  assertEquals(told, ["written all", "writable"]);
  assertEquals(connection.send(puback(2)) > 0, true);
  (await transport.next()).succeed();
  await toldNext("written all");
  assertEquals(told, ["written all", "writable", "written all"]);
});

Deno.test("Connection.send() says no to what is collected while a write is under way, and calls writable() for it", async () => {
  const transport = new ManualTransport();
  const { connection, told, toldNext } = connect(transport);
  assertEquals(connection.send(puback(1)) > 0, true);
  const first = await transport.next();
  const small = publish(someBytes(1000));
  while (connection.send(small) > 0);
  first.succeed();
  await toldNext("writable");
  await collect(transport, HIGH_WATER);
  await toldNext("written all");
  assertEquals(told, ["written", "writable", "written all"]);
});

Deno.test("Connection.send() says no to a payload that it does not copy, and calls writable() when that is written", async () => {
  const transport = new ManualTransport();
  const { connection, told, toldNext } = connect(transport);
  assertEquals(connection.send(publish(someBytes(LARGE_PAYLOAD - 1))) > 0, true);
  const first = await transport.next();
  assertEquals(connection.send(publish(someBytes(LARGE_PAYLOAD))) > 0, false);
  assertEquals(connection.send(puback(1)) > 0, false);
  first.succeed();
  await toldNext("written");
  const header = await transport.next();
  assertEquals(connection.send(puback(2)) > 0, true);
  header.succeed();
  await collect(transport, LARGE_PAYLOAD + 4);
  await toldNext("writable");
  assertEquals(told, ["written", "written", "writable"]);
  await collect(transport, 4);
  await toldNext("written all");
});

Deno.test("Connection.send() that said no calls writable(), although a small packet was sent meanwhile", async () => {
  const transport = new ManualTransport();
  const { connection, told, toldNext } = connect(transport);
  assertEquals(connection.send(publish(someBytes(HIGH_WATER))) > 0, false);
  const header = await transport.next();
  assertEquals(connection.send(puback(1)) > 0, true);
  header.succeed();
  await collect(transport, HIGH_WATER + 4);
  await toldNext("written all");
  assertEquals(told, ["written", "writable", "written all"]);
});

Deno.test("Connection lets the event loop turn though every write is done at once and more is sent meanwhile", async () => {
  const transport: Transport = {
    read: () => Promise.resolve(null),
    write: () => Promise.resolve(),
    close: () => {},
  };
  let turned = false, writes = 0;
  const party = connect(transport, Infinity, () => {
    if (turned || ++writes === 10_000_000) party.connection.close();
    else party.connection.send(PINGREQ);
  });
  const timer = setTimeout(() => turned = true);
  party.connection.send(PINGREQ);
  await party.connection.flush();
  clearTimeout(timer);
  assert(turned, `${writes} writes`);
});

Deno.test("Connection closes with the error of a write, and writes no more", async () => {
  const transport = new ManualTransport();
  const { connection, told, toldNext, traffic } = connect(transport);
  connection.send(puback(1));
  (await transport.next()).fail(BROKEN);
  await toldNext("closed");
  assertStrictEquals(connection.error, BROKEN);
  assertEquals([transport.closedTimes, transport.writeCount, traffic.bytesSent], [1, 1, 0]);
  connection.send(puback(2));
  await connection.end();
  assertEquals([transport.writeCount, connection.next(), await connection.read()], [1, null, false]);
  assertEquals(told.includes("written all"), false);
});

Deno.test("Connection.read() says whether there are bytes, and next() gives packet after packet of them", async () => {
  const [end, peer] = createPipe();
  const { connection, traffic } = connect(end);
  const sent = [publish(someBytes(3)), puback(1), publish(someBytes(200), "b/c")];
  await peer.write(encode(sent));
  assertEquals(await connection.read(), true);
  assertEquals(packets(connection), sent);
  assertEquals(connection.next(), null);
  const { bytesReceived, packetsReceived, messagesReceived } = traffic;
  assertEquals([bytesReceived, packetsReceived, messagesReceived], [encode(sent).length, 3, 2]);
});

Deno.test("Connection.next() gives a packet when its last byte was read", async () => {
  const [end, peer] = createPipe();
  const { connection } = connect(end);
  const packet = publish(someBytes(20));
  for (const byte of encode(packet)) {
    assertEquals(connection.next(), null);
    await peer.write(Uint8Array.of(byte));
    assertEquals(await connection.read(), true);
  }
  assertEquals(packets(connection), [packet]);
});

Deno.test("Connection.next() throws ProtocolError for what is no MQTT, and for packets over the maximum", async () => {
  for (const [bytes, reasonCode] of [[Uint8Array.of(0, 0), 0x81], [encode(publish(someBytes(100))), 0x95]] as const) {
    const [end, peer] = createPipe();
    const { connection } = connect(end, 50);
    await peer.write(bytes);
    await connection.read();
    assertEquals(assertThrows(() => connection.next(), ProtocolError).reasonCode, reasonCode);
  }
});

Deno.test("Connection.read() is false at the end of the connection", async () => {
  const [end, peer] = createPipe();
  const { connection, told } = connect(end);
  peer.close();
  assertEquals([await connection.read(), await connection.read()], [false, false]);
  assertEquals([connection.error, told], [undefined, []]);
});

Deno.test("Connection.read() rejects with what the transport breaks on", async () => {
  const [end] = createPipe();
  const broken: Transport = {
    read: () => Promise.reject(BROKEN),
    write: (bytes) => end.write(bytes),
    close: () => end.close(),
  };
  assertStrictEquals(await assertRejects(() => connect(broken).connection.read()), BROKEN);
});

Deno.test("Connection.close() wakes read() with false, and tells once", async () => {
  const [end, peer] = createPipe();
  const { connection, told } = connect(end);
  const reading = connection.read();
  connection.close(BROKEN);
  connection.close(new Error("another"));
  assertEquals(await reading, false);
  assertStrictEquals(connection.error, BROKEN);
  assertEquals(told, ["closed"]);
  assertEquals(await peer.read(), null);
});

Deno.test("Connection.close() drops what was read and not decoded, and what is not written", async () => {
  const [end, peer] = createPipe();
  const { connection, traffic } = connect(end);
  await peer.write(encode([puback(1), puback(2)]));
  await connection.read();
  assertEquals(connection.next()?.type, "PUBACK");
  connection.send(puback(3));
  connection.close();
  assertEquals(connection.next(), null);
  assertEquals(await peer.read(), null);
  assertEquals(traffic.bytesSent, 0);
});

Deno.test("Connection.close() during a write of several parts writes no more of them, and tells of none", async () => {
  const transport = new ManualTransport();
  const { connection, told } = connect(transport);
  connection.send(publish(someBytes(3 * LARGEST_PIECE)));
  (await transport.next()).succeed();
  const second = await transport.next();
  second.succeed();
  connection.close();
  await connection.end();
  assertEquals([transport.writeCount, transport.closedTimes], [2, 1]);
  assertEquals(told.filter((what) => what !== "closed"), []);
});

Deno.test("Connection.end() writes what was sent, then closes its side, and drops what still comes", async () => {
  const [end, peer] = createPipe();
  const { connection, told, traffic } = connect(end);
  await peer.write(encode([puback(1), puback(2)]));
  await connection.read();
  assertEquals(connection.next()?.type, "PUBACK");
  const sent = [puback(3), publish(someBytes(HIGH_WATER)), PINGREQ];
  for (const packet of sent) connection.send(packet);
  const ending = connection.end();
  assertEquals(told, ["closed"]);
  assertEquals(connection.next(), null);
  assertSameBytes(await readAll(peer), encode(sent));
  await ending;

  const received = traffic.bytesReceived;
  await peer.write(encode(puback(4)));
  assertEquals([await connection.read(), connection.next()], [true, null]);
  assertEquals(traffic.bytesReceived, received + 4);
  peer.close();
  assertEquals(await connection.read(), false);
  assertEquals([connection.error, traffic.packetsReceived], [undefined, 1]);
});

Deno.test("Connection.end() waits for the write under way and all that was sent behind it", async () => {
  const transport = new ManualTransport();
  const { connection } = connect(transport);
  connection.send(puback(1));
  const first = await transport.next();
  connection.send(puback(2));
  const ending = connection.end();
  first.succeed();
  const second = await transport.next();
  assertEquals([second.bytes, transport.closedTimes], [encode(puback(2)), 0]);
  second.succeed();
  await ending;
});

Deno.test("Connection.end() with nothing to write closes its side at once", async () => {
  const [end, peer] = createPipe();
  const { connection } = connect(end);
  await connection.end();
  assertEquals(await peer.read(), null);
});

Deno.test("Connection.end() closes altogether where the transport cannot close one side", async () => {
  const transport = new ManualTransport();
  const { connection } = connect(transport);
  const reading = connection.read();
  connection.send(puback(1));
  const ending = connection.end();
  const write = await transport.next();
  assertEquals(transport.closedTimes, 0);
  write.succeed();
  await ending;
  assertEquals([transport.closedTimes, await reading, connection.error], [1, false, undefined]);
});

Deno.test("Connection.end() closes with the error of a write or of closing its side, and does not reject", async () => {
  const [end, peer] = createPipe();
  const { connection } = connect(end);
  peer.close();
  connection.send(puback(1));
  await connection.end();
  assert(connection.error instanceof Deno.errors.BrokenPipe);

  const cannotCloseWrite: Transport = {
    read: () => Promise.resolve(null),
    write: () => Promise.resolve(),
    close: () => {},
    closeWrite: () => Promise.reject(BROKEN),
  };
  const other = connect(cannotCloseWrite);
  await other.connection.end();
  assertStrictEquals(other.connection.error, BROKEN);
});

Deno.test("Connection counts packets and messages when they are sent", () => {
  const { connection, traffic } = connect(new ManualTransport());
  for (const packet of [PINGREQ, publish(someBytes(1)), publish(someBytes(HIGH_WATER))]) connection.send(packet);
  assertEquals([traffic.packetsSent, traffic.messagesSent, traffic.bytesSent], [3, 2, 0]);
  connection.close();
});

Deno.test("Connection.relief() waits while more than 1 MiB is unsent", async () => {
  const transport = new ManualTransport();
  const { connection } = connect(transport);
  await connection.relief();
  connection.send(PINGREQ);
  const write = await transport.next();
  for (let i = 0; i <= 1024 * KIB / 4; i++) connection.send(puback(1));
  let relieved = false;
  const relief = connection.relief().then(() => relieved = true);
  await Promise.resolve();
  assertEquals(relieved, false);
  write.succeed();
  await relief;
  connection.close();
});

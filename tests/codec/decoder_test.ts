import { assert, assertEquals, assertInstanceOf, assertLess, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Decoder } from "../../src/codec/decoder.ts";
import type { Dialect } from "../../src/codec/dialect.ts";
import { MQTT_3_1_1 } from "../../src/codec/mqtt_3_1_1.ts";
import { MQTT_5_0 } from "../../src/codec/mqtt_5_0.ts";
import { ProtocolError } from "../../src/errors.ts";
import type { Packet, PublishPacket } from "../../src/packets.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { Random, seedOf } from "../random.ts";
import { packets, packets5 } from "./arbitraries.ts";
import { bytes, concat, decode, decodeChunks, drain, encode, hex } from "./bytes.ts";
import { LONG_SAMPLE, SAMPLES, SAMPLES_5_0 } from "./samples.ts";
import { errorOf } from "./tables.ts";

const ALL = [...SAMPLES, LONG_SAMPLE];
const DIALECTS = [
  { name: "MQTT 3.1.1", dialect: MQTT_3_1_1, samples: ALL, packets },
  { name: "MQTT 5.0", dialect: MQTT_5_0, samples: SAMPLES_5_0, packets: packets5 },
];
const FIXED_FLAGS: Record<number, number> = { 6: 2, 8: 2, 10: 2 };

// The fixed header.

Deno.test("Decoder.next() refuses the reserved packet types 0 and 15 [MQTT-2.2.1]", () => {
  for (const first of ["00", "f0"]) {
    for (const rest of ["00", "02 0000", "ff ff ff 7f"]) {
      const error = errorOf([bytes(first + rest)]);
      assertEquals(error.reasonCode, 0x81);
      assertStringIncludes(
        error.message,
        `the packet type ${first === "00" ? 0 : 15} is reserved (byte 0 of the packet)`,
      );
    }
  }
});

Deno.test("Decoder.next() refuses every flag that is not the fixed one of its type [MQTT-2.2.2-2]", () => {
  const bodies: Record<number, string> = { 12: "00", 13: "00", 14: "00" };
  for (let type = 1; type <= 14; type++) {
    if (type === 3) continue;
    for (let flags = 0; flags < 16; flags++) {
      if (flags === (FIXED_FLAGS[type] ?? 0)) continue;
      const error = errorOf([Uint8Array.of(type << 4 | flags, ...bytes(bodies[type] ?? "02 0001"))]);
      assertEquals(error.reasonCode, 0x81);
      assertStringIncludes(error.message, `the flags 0x${flags.toString(16)} are reserved (byte 0 of the packet)`);
    }
  }
});

Deno.test("Decoder.next() refuses a first byte that no packet has before the packet's body has arrived", () => {
  const faulty = ["00", "f0", "36", "3e", "38", "d1", "42", "60"].map((first) => bytes(`${first} ff ff ff 7f`));
  faulty.push(bytes("'HTTP/1.1 400 Bad Request'"));
  for (const start of faulty) {
    assertEquals(errorOf([start]).reasonCode, 0x81, hex(start));
    assertEquals(errorOf([...start].map((byte) => Uint8Array.of(byte))).reasonCode, 0x81, hex(start));
  }
});

Deno.test("Decoder.next() refuses a Remaining Length of more than four bytes, as soon as that is seen", () => {
  for (const first of ["30", "90", "d0"]) {
    for (const length of ["80 80 80 80", "ff ff ff ff", "80 80 80 80 00", "ff ff ff ff 7f"]) {
      const data = bytes(first + length);
      for (
        const chunks of [
          [data],
          [data.subarray(0, 1), data.subarray(1)],
          [...data].map((byte) => Uint8Array.of(byte)),
        ]
      ) {
        const error = errorOf(chunks);
        assertEquals(error.reasonCode, 0x81);
        assertStringIncludes(error.message, "remaining length is longer than 4 bytes (byte 1 of the packet)");
      }
    }
  }
});

Deno.test("Decoder.next() refuses a Remaining Length that is longer than it need be, of MQTT 5.0 [MQTT5-1.5.5-1]", () => {
  for (const literal of ["d0 80 00", "d0 80 80 80 00", "40 82 00 0001"]) {
    for (const chunks of [[bytes(literal)], [...bytes(literal)].map((byte) => Uint8Array.of(byte))]) {
      const error = errorOf(chunks, MQTT_5_0);
      assertEquals(error.reasonCode, 0x81);
      assertStringIncludes(error.message, "remaining length is longer than it need be (byte 1 of the packet)");
    }
  }
});

Deno.test("Decoder.next() reads a Remaining Length of MQTT 3.1.1 that is longer than it need be", () => {
  assertEquals(decode(bytes("d0 80 80 80 00")), [{ type: "PINGRESP" }]);
  assertEquals(decode(bytes("40 82 00 0001 d0 00")).map(({ type }) => type), ["PUBACK", "PINGRESP"]);
});

Deno.test("Decoder.next() refuses a packet over the maximum size before its body has arrived", () => {
  for (const chunks of [["30 7f"], ["30", "7f"], ["d0 00 30", "7f"], ["30 fe 00"], ["30", "fe", "00"]]) {
    const decoder = new Decoder(MQTT_3_1_1, 128);
    let thrown: unknown;
    try {
      for (const chunk of chunks) {
        decoder.push(bytes(chunk));
        drain(decoder);
      }
    } catch (error) {
      thrown = error;
    }
    assertInstanceOf(thrown, ProtocolError);
    assertEquals((thrown as ProtocolError).reasonCode, 0x95);
    assertStringIncludes(
      (thrown as ProtocolError).message,
      "PUBLISH is too large: 129 bytes are announced, 128 are allowed",
    );
  }
});

Deno.test("Decoder.next() reads a packet of just the maximum size", () => {
  const packet = { ...LONG_SAMPLE, payload: new Uint8Array(121) };
  const decoder = new Decoder(MQTT_3_1_1, 128);
  decoder.push(encode(packet));
  assertEquals(drain(decoder), [packet]);
});

// Chunks.

for (const { name, dialect, samples } of DIALECTS) {
  Deno.test(`Decoder.next() reads the same packets at every split of a stream in two (${name})`, () => {
    const stream = encode(samples, dialect);
    for (let i = 0; i <= stream.length; i++) {
      assertEquals(decodeChunks([stream.subarray(0, i), stream.subarray(i)], dialect), samples, `split at byte ${i}`);
    }
  });
}

for (const { name, dialect, samples } of DIALECTS) {
  Deno.test(`Decoder.next() reads the same packets at every split of a stream in three (${name})`, () => {
    const stream = encode(samples.slice(-10), dialect);
    const whole = hex(encode(decode(stream, dialect), dialect));
    for (let i = 0; i <= stream.length; i++) {
      for (let j = i; j <= stream.length; j++) {
        const read = decodeChunks([stream.subarray(0, i), stream.subarray(i, j), stream.subarray(j)], dialect);
        assertEquals(hex(encode(read, dialect)), whole, `split at bytes ${i} and ${j}`);
      }
    }
  });
}

for (const { name, dialect, samples } of DIALECTS) {
  Deno.test(`Decoder.next() reads a stream in chunks of every size, one byte at a time included (${name})`, () => {
    const stream = encode(samples, dialect);
    for (let size = 1; size <= stream.length; size++) {
      const chunks = Array.from(
        { length: Math.ceil(stream.length / size) },
        (_, i) => stream.subarray(i * size, (i + 1) * size),
      );
      assertEquals(decodeChunks(chunks, dialect), samples, `chunks of ${size} bytes`);
    }
  });
}

for (const { name, dialect, samples } of DIALECTS) {
  Deno.test(`Decoder.next() gives each packet with its last byte (${name})`, () => {
    for (const packet of samples) {
      const data = encode(packet, dialect), decoder = new Decoder(dialect);
      for (const byte of data.subarray(0, -1)) {
        decoder.push(Uint8Array.of(byte));
        assertEquals(decoder.next(), null);
      }
      decoder.push(data.subarray(-1));
      assertEquals(decoder.next(), packet);
      assertEquals(decoder.next(), null);
    }
  });
}

for (const { name, dialect, samples } of DIALECTS) {
  Deno.test(`Decoder.next() gives null for every truncation of every packet, and for no bytes (${name})`, () => {
    for (const packet of samples) {
      const data = encode(packet, dialect);
      for (let length = 0; length < data.length; length++) {
        assertEquals(decode(data.subarray(0, length), dialect), [], `${packet.type}, ${length} bytes`);
      }
    }
    assertEquals(new Decoder(dialect).next(), null);
  });
}

for (const { name, dialect, packets } of DIALECTS) {
  Deno.test(`Decoder.next() reads what Encoder.encode() wrote, in any chunks (${name})`, () => {
    fc.assert(
      fc.property(packets, fc.array(fc.nat()), (packets, cuts) => {
        const stream = encode(packets, dialect);
        assertEquals(decodeChunks(cut(stream, cuts.map((at) => at % (stream.length + 1))), dialect), packets);
      }),
      { numRuns: 300 },
    );
  });
}

function cut(stream: Uint8Array, positions: number[]): Uint8Array[] {
  const ends = [...positions.sort((a, b) => a - b), stream.length];
  return ends.map((end, i) => stream.subarray(ends[i - 1] ?? 0, end));
}

// Faults.

for (const { name, dialect, samples } of DIALECTS) {
  Deno.test(`Decoder.next() answers every change of a single byte with packets or ProtocolError (${name})`, () => {
    for (const packet of samples) {
      const data = encode(packet, dialect);
      for (let i = 0; i < Math.min(data.length, 64); i++) {
        const right = data[i];
        for (let value = 0; value < 256; value++) {
          data[i] = value;
          checkAnswer(concat([data, bytes("d0 00")]), dialect);
        }
        data[i] = right;
      }
    }
  });
}

Deno.test("Decoder.next() answers a body that is shorter or longer than its fields with ProtocolError", () => {
  for (const packet of SAMPLES) {
    const body = encode(packet).subarray(2), first = encode(packet)[0];
    for (let length = 0; length < body.length; length++) {
      if (isShorterPacket(packet, length)) continue;
      const error = errorOf([Uint8Array.of(first, length, ...body.subarray(0, length))]);
      assert([0x81, 0x82].includes(error.reasonCode), error.message);
    }
    if (packet.type === "PUBLISH" || packet.type === "SUBACK") continue; // whose last field takes what there is
    const error = errorOf([Uint8Array.of(first, body.length + 1, ...body, 0)]);
    assertEquals(error.reasonCode, 0x81);
  }
});

Deno.test("Decoder.next() answers a body of MQTT 5.0 that is cut short with a packet or ProtocolError", () => {
  for (const packet of SAMPLES_5_0) {
    const [first, , ...body] = encode(packet, MQTT_5_0);
    for (let length = 0; length < body.length; length++) {
      checkAnswer(Uint8Array.of(first, length, ...body.slice(0, length)), MQTT_5_0);
    }
  }
});

/** Whether a body cut to `length` is a packet of its own. */
function isShorterPacket(packet: Packet, length: number): boolean {
  if (packet.type === "PUBLISH") return length >= encode({ ...packet, payload: new Uint8Array(0) }).length - 2;
  if (packet.type === "SUBACK") return length > 2;
  if (packet.type === "SUBSCRIBE") {
    return length === encode({ ...packet, subscriptions: [packet.subscriptions[0]] }).length - 2;
  }
  if (packet.type === "UNSUBSCRIBE") {
    return length === encode({ ...packet, topicFilters: [packet.topicFilters[0]] }).length - 2;
  }
  return false;
}

for (const { name, dialect, packets } of DIALECTS) {
  Deno.test(`Decoder.next() answers random input with packets or ProtocolError, however it is cut (${name})`, () => {
    const runs = Number(Deno.env.get("FUZZ_RUNS") ?? 20_000);
    const seed = seedOf("FUZZ_SEED");
    const random = new Random(seed);
    const pool = fc.sample(packets, { numRuns: 500, seed }).map((packets) =>
      encode(packets, dialect).subarray(0, 2000)
    );
    const answers = { packets: 0, errors: 0 };
    for (let run = 0; run < runs; run++) {
      const stream = randomStream(random, pool);
      try {
        const { read, error } = checkAnswer(stream, dialect);
        answers.packets += read.length;
        if (error !== undefined) answers.errors++;
        const cuts = Array.from({ length: random.below(6) }, () => random.below(stream.length + 1));
        const again = answer(cut(stream, cuts), dialect);
        assertEquals(hex(encode(again.read, dialect)), hex(encode(read, dialect)));
        assertEquals(again.error?.message, error?.message);
      } catch (error) {
        throw new Error(`FUZZ_SEED=${seed}, run ${run}: ${hex(stream)}`, { cause: error });
      }
    }
    console.log(`${runs} inputs: ${answers.packets} packets, ${answers.errors} errors`);
    assertLess(0, answers.packets);
    assertLess(0, answers.errors);
  });
}

/** Packets, broken packets and noise, in a row. */
function randomStream(random: Random, pool: Uint8Array[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  do {
    const kind = random.below(4);
    if (kind === 0) pieces.push(random.bytes(random.below(20)));
    else if (kind === 1) {
      pieces.push(Uint8Array.of(random.below(256), random.below(16), ...random.bytes(random.below(16))));
    } else pieces.push(kind === 2 ? random.pick(pool) : broken(random, random.pick(pool)));
  } while (!random.oneIn(3));
  return concat(pieces);
}

function broken(random: Random, data: Uint8Array): Uint8Array {
  const copy = [...data];
  do {
    const at = random.below(copy.length + 1);
    const kind = random.below(4);
    if (kind === 0) copy.splice(at, 1);
    else if (kind === 1) copy.splice(at, 0, random.below(256));
    else if (kind === 2) copy[Math.min(at, copy.length - 1)] ^= 1 << random.below(8);
    else copy.length = at;
  } while (copy.length > 0 && random.oneIn(2));
  return Uint8Array.from(copy);
}

/** Gives the packets that come before the end or before an error; any other error is thrown. */
function answer(chunks: Uint8Array[], dialect: Dialect): { read: Packet[]; error: ProtocolError | undefined } {
  const decoder = new Decoder(dialect);
  const read: Packet[] = [];
  try {
    for (const chunk of chunks) {
      decoder.push(chunk);
      for (let packet = decoder.next(); packet !== null; packet = decoder.next()) read.push(packet);
    }
  } catch (error) {
    if (error instanceof ProtocolError) return { read, error };
    throw error;
  }
  return { read, error: undefined };
}

/** Decodes, and checks the answer: a `ProtocolError` says what and where, and the packets say what the bytes say. */
function checkAnswer(stream: Uint8Array, dialect: Dialect): ReturnType<typeof answer> {
  const result = answer([stream], dialect);
  const { read, error } = result;
  if (error !== undefined) {
    assert([0x81, 0x82, 0x84, 0x94].includes(error.reasonCode), error.message);
    assert(/^(Malformed|Invalid) [A-Za-z]+: .+ \(byte \d+ of the packet\)$/.test(error.message), error.message);
  }
  // A broker that knows 3.1.1 alone refuses in a form that the dialect of 5.0 reads and never writes.
  const known = read.filter((packet) => dialect === MQTT_3_1_1 || !isRefusalOf3_1_1(packet));
  const encoded = encode(known, dialect);
  const same = encoded.every((byte, i) => byte === stream[i]);
  // What says the same may be longer than it need be.
  if (!same) assertEquals(decode(encoded, dialect), known);
  return result;
}

function isRefusalOf3_1_1(packet: Packet): boolean {
  return packet.type === "CONNACK" && packet.returnCode !== packet.reasonCode;
}

// The payload format.

const TEXT = "30 0b 0001 't' 02 01 01 'text' ff"; // whose last byte is not UTF-8
const WILL_OF_TEXT = "10 17 0004 'MQTT' 05 06 000a 00 0000 02 01 01 0001 'w' 0002 ff ff";

Deno.test("Decoder.next() refuses a payload that is not the UTF-8 it is said to be, if that is asked for (§3.3.2.3.2)", () => {
  for (const [literal, byte] of [[TEXT, 8], [WILL_OF_TEXT, 23]] as const) {
    const decoder = new Decoder(MQTT_5_0, Infinity, true);
    decoder.push(bytes(literal));
    const error = assertThrows(() => decoder.next(), ProtocolError);
    assertEquals(error.reasonCode, 0x99);
    assertStringIncludes(error.message, `the payload is not well-formed UTF-8 (byte ${byte} of the packet)`);
    assertEquals(decode(bytes(literal), MQTT_5_0).length, 1);
  }
});

Deno.test("Decoder.next() takes payloads that are what they are said to be, or said to be nothing", () => {
  for (const literal of ["30 0b 0001 't' 02 01 01 'täxt'", "30 07 0001 't' 02 01 00 ff", "30 06 0001 't' 00 ffff"]) {
    const decoder = new Decoder(MQTT_5_0, Infinity, true);
    decoder.push(bytes(literal));
    assertEquals(drain(decoder).length, 1);
  }
});

// Memory.

Deno.test("Decoder.next() keeps almost nothing for a packet that is announced and does not come", () => {
  for (const chunks of [["30 ff ff ff 7f"], ["30", "ff", "ff", "ff", "7f"], ["30 ff ff ff 7f 00 03 'a/b'"]]) {
    const decoder = new Decoder(MQTT_3_1_1);
    const before = Deno.memoryUsage().external;
    for (const chunk of chunks) {
      decoder.push(bytes(chunk));
      assertEquals(decoder.next(), null);
    }
    assertLess(Deno.memoryUsage().external - before, 128 * 1024);
  }
});

Deno.test("Decoder.next() keeps at most a multiple of what has arrived of a large packet", () => {
  const chunk = new Uint8Array(64 * 1024);
  const decoder = new Decoder(MQTT_3_1_1);
  decoder.push(bytes("30 ff ff ff 7f 0003 'a/b'"));
  assertEquals(decoder.next(), null);
  const before = Deno.memoryUsage().external;
  for (let i = 0; i < 4; i++) {
    decoder.push(chunk);
    assertEquals(decoder.next(), null);
  }
  assertLess(Deno.memoryUsage().external - before, 32 * 4 * chunk.length);
});

Deno.test("Decoder.room is where the rest of a large packet goes, and nowhere for a small one", () => {
  const payload = new Uint8Array(3 * 1024 * 1024);
  for (let i = 0; i < payload.length; i++) payload[i] = i * 31 >> 3;
  const stream = encode([{ ...publishPacket, payload }, { type: "PINGRESP" }, { ...publishPacket, payload }]);
  const decoder = new Decoder(MQTT_3_1_1);
  assertEquals(decoder.room, undefined);
  const packets: Packet[] = [];
  const rooms: number[] = [];
  for (let at = 0; at < stream.length;) {
    const { room } = decoder;
    if (room !== undefined) rooms.push(room.length);
    const chunk = stream.subarray(at, at + Math.min(room?.length ?? 1000, 300_000));
    room?.set(chunk);
    decoder.push(room?.subarray(0, chunk.length) ?? chunk);
    at += chunk.length;
    for (let packet = decoder.next(); packet !== null; packet = decoder.next()) packets.push(packet);
  }
  assertEquals(packets, decode(stream));
  assertEquals(packets.length, 3);
  assert(rooms.length > 20 && rooms.length < 100, `${rooms}`);
});

Deno.test("Decoder.next() reads a payload of 3 MiB that arrives in chunks of 1 KiB", () => {
  const payload = new Uint8Array(3 * 1024 * 1024);
  for (let i = 0; i < payload.length; i++) payload[i] = i * 31 >> 3;
  const stream = encode([{ ...publishPacket, payload }, { type: "PINGRESP" }]);
  const decoder = new Decoder(MQTT_3_1_1);
  const buffer = new Uint8Array(1024); // used again for every chunk, as a transport does
  const read: Packet[] = [];
  for (let position = 0; position < stream.length; position += buffer.length) {
    const part = stream.subarray(position, position + buffer.length);
    buffer.set(part);
    decoder.push(buffer.subarray(0, part.length));
    read.push(...drain(decoder));
    buffer.fill(0xee);
  }
  assertEquals(read.map(({ type }) => type), ["PUBLISH", "PINGRESP"]);
  assert(equalBytes(payloadOf(read[0]), payload));
});

Deno.test("Decoder.next() gives a large payload a buffer of its own", () => {
  const stream = encode({ ...publishPacket, payload: new Uint8Array(200_000) });
  const [packet] = decodeChunks(cut(stream, [65_536, 131_072]));
  assertEquals(payloadOf(packet).buffer.byteLength, stream.length);
});

Deno.test("Decoder.next() gives payloads and topics that outlive the chunk, split anywhere", () => {
  const sent = [1, 2, 3, 4].map((i) => ({ ...publishPacket, topic: `t/${i}`, payload: bytes(`'payload ${i}'`) }));
  const stream = encode(sent);
  for (let split = 0; split <= stream.length; split++) {
    const decoder = new Decoder(MQTT_3_1_1);
    const buffer = new Uint8Array(stream.length);
    const read: Packet[] = [];
    for (const part of [stream.subarray(0, split), stream.subarray(split)]) {
      buffer.set(part);
      decoder.push(buffer.subarray(0, part.length));
      read.push(...drain(decoder));
      buffer.fill(0xee);
    }
    assertEquals(read, sent, `split at byte ${split}`);
  }
});

Deno.test("Decoder.next() copies a chunk once, however many payloads refer to it", () => {
  const stream = encode(Array.from({ length: 100 }, () => ({ ...publishPacket, payload: bytes("'payload'") })));
  const buffers = new Set(decode(stream).map((packet) => payloadOf(packet).buffer));
  assertEquals(buffers.size, 1);
  assert(!buffers.has(stream.buffer));
});

Deno.test("Decoder.next() reads from the middle of a larger buffer", () => {
  const data = concat([bytes("ffffff"), encode(ALL), bytes("ffff")]);
  assertEquals(decode(data.subarray(3, -2)), ALL);
});

const publishPacket: PublishPacket = {
  type: "PUBLISH",
  dup: false,
  qos: 0,
  retain: false,
  topic: "a/b",
  packetId: 0,
  properties: NO_PROPERTIES,
  payload: new Uint8Array(0),
};

function payloadOf(packet: Packet): Uint8Array {
  if (packet.type !== "PUBLISH") throw new TypeError(`${packet.type} has no payload`);
  return packet.payload;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

import { Decoder } from "../../src/codec/decoder.ts";
import type { Dialect } from "../../src/codec/dialect.ts";
import { MQTT_3_1_1 } from "../../src/codec/mqtt_3_1_1.ts";
import { Encoder } from "../../src/codec/encoder.ts";
import type { Packet } from "../../src/packets.ts";

/** Reads bytes as the specification prints them: pairs of hexadecimal digits, and text in quotes: `0004 'MQTT' 04`. */
export function bytes(literal: string): Uint8Array<ArrayBuffer> {
  const values: number[] = [];
  for (const [token, text, digits] of literal.matchAll(/'([^']*)'|([0-9a-f]{2})|\s+|./gi)) {
    if (text !== undefined) values.push(...new TextEncoder().encode(text));
    else if (digits !== undefined) values.push(parseInt(digits, 16));
    else if (token.trim() !== "") throw new SyntaxError(`Not a byte literal: ${literal}`);
  }
  return Uint8Array.from(values);
}

/** Gives bytes in hexadecimal, which a failing comparison shows best. */
export function hex(data: Uint8Array): string {
  return data.toHex();
}

export function concat(chunks: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  const all = [...chunks];
  const result = new Uint8Array(all.reduce((length, chunk) => length + chunk.length, 0));
  let position = 0;
  for (const chunk of all) {
    result.set(chunk, position);
    position += chunk.length;
  }
  return result;
}

/** Encodes packets one after the other. */
export function encode(packets: Packet | readonly Packet[], dialect: Dialect = MQTT_3_1_1): Uint8Array<ArrayBuffer> {
  const encoder = new Encoder(dialect);
  for (const packet of [packets].flat()) encoder.encode(packet);
  return concat(encoder.take());
}

/** Gives all packets that the decoder has in what was pushed so far. */
export function drain(decoder: Decoder): Packet[] {
  const packets: Packet[] = [];
  for (let packet = decoder.next(); packet !== null; packet = decoder.next()) packets.push(packet);
  return packets;
}

/** Decodes what arrives in chunks. */
export function decodeChunks(chunks: Iterable<Uint8Array>, dialect: Dialect = MQTT_3_1_1): Packet[] {
  const decoder = new Decoder(dialect);
  const packets: Packet[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    packets.push(...drain(decoder));
  }
  return packets;
}

/** Decodes what arrives at once. */
export function decode(data: Uint8Array, dialect: Dialect = MQTT_3_1_1): Packet[] {
  return decodeChunks([data], dialect);
}

// Encodes and decodes single packets, beside the codec of the npm client. Run it with `deno task bench:codec`.
import { Buffer } from "node:buffer";
import mqttPacket from "mqtt-packet";
import { Decoder } from "../src/codec/decoder.ts";
import { MQTT_3_1_1 } from "../src/codec/mqtt_3_1_1.ts";
import { Encoder } from "../src/codec/encoder.ts";
import type { Packet } from "../src/packets.ts";
import { NO_PROPERTIES } from "../src/properties.ts";

const payload = new Uint8Array(64).fill(120);
const topic = "bench/site1/dev42/temp";
const PUBLISH: Packet = {
  type: "PUBLISH",
  dup: false,
  qos: 1,
  retain: false,
  topic,
  packetId: 7,
  properties: NO_PROPERTIES,
  payload,
};
const PUBACK: Packet = { type: "PUBACK", packetId: 7, reasonCode: 0, properties: NO_PROPERTIES };

/** How many packets an iteration handles, as one read or write of a busy connection does. */
const BATCH = 700;

function bytesOf(packet: Packet): Buffer {
  const encoder = new Encoder(MQTT_3_1_1);
  for (let i = 0; i < BATCH; i++) encoder.encode(packet);
  return Buffer.from(encoder.take()[0]);
}

const encoder = new Encoder(MQTT_3_1_1);
const decoder = new Decoder(MQTT_3_1_1);
const parser = mqttPacket.parser({ protocolVersion: 4 });

for (
  const [packet, theirs] of [
    [PUBLISH, {
      cmd: "publish",
      topic,
      payload: Buffer.from(payload),
      qos: 1,
      messageId: 7,
      dup: false,
      retain: false,
    }],
    [PUBACK, { cmd: "puback", messageId: 7 }],
  ] as const
) {
  const bytes = bytesOf(packet);
  Deno.bench(
    `@hbmqtt/client encodes ${BATCH} ${packet.type}`,
    { group: `encode ${packet.type}`, baseline: true },
    () => {
      for (let i = 0; i < BATCH; i++) encoder.encode(packet);
      encoder.take();
    },
  );
  Deno.bench(`mqtt-packet encodes ${BATCH} ${packet.type}`, { group: `encode ${packet.type}` }, () => {
    for (let i = 0; i < BATCH; i++) mqttPacket.generate(theirs, { protocolVersion: 4 });
  });
  Deno.bench(
    `@hbmqtt/client decodes ${BATCH} ${packet.type}`,
    { group: `decode ${packet.type}`, baseline: true },
    () => {
      decoder.push(bytes);
      while (decoder.next() !== null);
    },
  );
  Deno.bench(`mqtt-packet decodes ${BATCH} ${packet.type}`, { group: `decode ${packet.type}` }, () => {
    parser.parse(bytes);
  });
}

// Encodes and decodes single packets, beside the codec of the npm client. Run it with `deno task bench:codec`.
import { Buffer } from "node:buffer";
import mqttPacket, { type Packet as TheirPacket } from "mqtt-packet";
import { Decoder } from "../src/codec/decoder.ts";
import type { Dialect } from "../src/codec/dialect.ts";
import { Encoder } from "../src/codec/encoder.ts";
import { MQTT_3_1_1 } from "../src/codec/mqtt_3_1_1.ts";
import { MQTT_5_0 } from "../src/codec/mqtt_5_0.ts";
import type { Packet, PublishPacket } from "../src/packets.ts";
import { NO_PROPERTIES } from "../src/properties.ts";

const payload = new Uint8Array(64).fill(120);
const topic = "bench/site1/dev42/temp";
const publish: PublishPacket = {
  type: "PUBLISH",
  dup: false,
  qos: 1,
  retain: false,
  topic,
  packetId: 7,
  properties: NO_PROPERTIES,
  payload,
};
const theirPublish: TheirPacket = {
  cmd: "publish",
  topic,
  payload: Buffer.from(payload),
  qos: 1,
  messageId: 7,
  dup: false,
  retain: false,
};
const puback: Packet = { type: "PUBACK", packetId: 7, reasonCode: 0, properties: NO_PROPERTIES };
const theirPuback: TheirPacket = { cmd: "puback", messageId: 7 };

const properties: PublishPacket["properties"] = {
  messageExpiryInterval: 60,
  contentType: "text/plain",
  responseTopic: "bench/answers/1",
  correlationData: new Uint8Array(8),
  userProperties: [["unit", "K"]],
};
const theirProperties = {
  messageExpiryInterval: 60,
  contentType: "text/plain",
  responseTopic: "bench/answers/1",
  correlationData: Buffer.alloc(8),
  userProperties: { unit: "K" },
};

const TABLE: readonly [name: string, dialect: Dialect, packet: Packet, theirs: TheirPacket][] = [
  ["PUBLISH", MQTT_3_1_1, publish, theirPublish],
  ["PUBACK", MQTT_3_1_1, puback, theirPuback],
  ["PUBLISH of 5.0", MQTT_5_0, publish, theirPublish],
  ["PUBACK of 5.0", MQTT_5_0, puback, theirPuback],
  ["PUBLISH with five properties", MQTT_5_0, { ...publish, properties }, {
    ...theirPublish,
    properties: theirProperties,
  }],
];

/** How many packets an iteration handles, as one read or write of a busy connection does. */
const BATCH = 700;

for (const [name, dialect, packet, theirs] of TABLE) {
  const { protocolVersion } = dialect;
  const encoder = new Encoder(dialect);
  const encode = () => {
    for (let i = 0; i < BATCH; i++) encoder.encode(packet);
    return encoder.take()[0];
  };
  const bytes = Buffer.from(encode());
  const decoder = new Decoder(dialect);
  const parser = mqttPacket.parser({ protocolVersion });

  Deno.bench(`@hbmqtt/client encodes ${BATCH} ${name}`, { group: `encode ${name}`, baseline: true }, () => {
    encode();
  });
  Deno.bench(`mqtt-packet encodes ${BATCH} ${name}`, { group: `encode ${name}` }, () => {
    for (let i = 0; i < BATCH; i++) mqttPacket.generate(theirs, { protocolVersion });
  });
  Deno.bench(`@hbmqtt/client decodes ${BATCH} ${name}`, { group: `decode ${name}`, baseline: true }, () => {
    decoder.push(bytes);
    while (decoder.next() !== null);
  });
  Deno.bench(`mqtt-packet decodes ${BATCH} ${name}`, { group: `decode ${name}` }, () => {
    parser.parse(bytes);
  });
}

import type { Packet } from "../../src/packets.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { bytes } from "./bytes.ts";

const properties = NO_PROPERTIES;
const publish = { type: "PUBLISH", dup: false, qos: 0, retain: false, topic: "a/b", packetId: 0, properties } as const;
const subscription = { noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
const acknowledgement = { reasonCode: 0, properties } as const;

/** A packet of every type and shape of MQTT 3.1.1, short ones. */
export const SAMPLES: readonly Packet[] = [
  {
    type: "CONNECT",
    protocolVersion: 4,
    clientId: "id",
    cleanStart: true,
    keepAlive: 10,
    username: "ü",
    password: bytes("'pw'"),
    will: { topic: "w", payload: bytes("00"), qos: 1, retain: true, properties },
    properties,
  },
  {
    type: "CONNECT",
    protocolVersion: 4,
    clientId: "",
    cleanStart: false,
    keepAlive: 0,
    username: undefined,
    password: undefined,
    will: undefined,
    properties,
  },
  { type: "CONNACK", sessionPresent: true, returnCode: 0, reasonCode: 0, properties },
  { type: "CONNACK", sessionPresent: false, returnCode: 5, reasonCode: 0x87, properties },
  { ...publish, payload: new Uint8Array(0) },
  { ...publish, retain: true, payload: bytes("'hello'") },
  { ...publish, dup: true, qos: 1, packetId: 10, payload: bytes("'hey'") },
  { ...publish, qos: 2, packetId: 65_535, topic: "€/𝄞", payload: bytes("ff00") },
  { type: "PUBACK", packetId: 1, ...acknowledgement },
  { type: "PUBREC", packetId: 2, ...acknowledgement },
  { type: "PUBREL", packetId: 256, ...acknowledgement },
  { type: "PUBCOMP", packetId: 65_535, ...acknowledgement },
  {
    type: "SUBSCRIBE",
    packetId: 3,
    subscriptions: [{ topicFilter: "+/é/#", qos: 2, ...subscription }, { topicFilter: "b", qos: 0, ...subscription }],
    properties,
  },
  { type: "SUBACK", packetId: 3, reasonCodes: [2, 0x80], properties },
  { type: "UNSUBSCRIBE", packetId: 4, topicFilters: ["+/é/#", "b"], properties },
  { type: "UNSUBACK", packetId: 4, reasonCodes: [], properties },
  { type: "PINGREQ" },
  { type: "PINGRESP" },
  { type: "DISCONNECT", reasonCode: 0, properties },
];

/** One whose Remaining Length takes two bytes. */
export const LONG_SAMPLE: Packet = { ...publish, payload: new Uint8Array(300).fill(0x55) };

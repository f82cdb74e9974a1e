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

/** A packet of every type and shape of MQTT 5.0, short ones. */
export const SAMPLES_5_0: readonly Packet[] = [
  {
    type: "CONNECT",
    protocolVersion: 5,
    clientId: "id",
    cleanStart: true,
    keepAlive: 10,
    username: undefined,
    password: bytes("'pw'"),
    will: {
      topic: "w",
      payload: bytes("00"),
      qos: 2,
      retain: false,
      properties: { willDelayInterval: 5, responseTopic: "r" },
    },
    properties: {
      receiveMaximum: 10,
      authenticationMethod: "m",
      authenticationData: bytes("01"),
      userProperties: [["a", "b"]],
    },
  },
  {
    type: "CONNACK",
    sessionPresent: true,
    returnCode: 0,
    reasonCode: 0,
    properties: { maximumPacketSize: 4_294_967_295, maximumQos: 1, userProperties: [["é", ""], ["é", "2"]] },
  },
  { type: "CONNACK", sessionPresent: false, returnCode: 0x87, reasonCode: 0x87, properties: { reasonString: "no" } },
  { ...publish, payload: new Uint8Array(0) },
  {
    ...publish,
    qos: 1,
    packetId: 10,
    payload: bytes("'hey'"),
    properties: { payloadFormatIndicator: 1, correlationData: bytes("ff"), subscriptionIdentifiers: [1, 268_435_455] },
  },
  { ...publish, topic: "", payload: bytes("ff00"), properties: { topicAlias: 3 } },
  { type: "PUBACK", packetId: 1, ...acknowledgement },
  { type: "PUBACK", packetId: 1, reasonCode: 0x10, properties },
  { type: "PUBREC", packetId: 2, reasonCode: 0, properties: { userProperties: [["k", "v"]] } },
  { type: "PUBREL", packetId: 256, reasonCode: 0x92, properties: { reasonString: "?" } },
  { type: "PUBCOMP", packetId: 65_535, ...acknowledgement },
  {
    type: "SUBSCRIBE",
    packetId: 3,
    subscriptions: [
      { topicFilter: "$share/g/a", qos: 2, noLocal: false, retainAsPublished: true, retainHandling: 2 },
      { topicFilter: "b", qos: 0, noLocal: true, retainAsPublished: false, retainHandling: 1 },
    ],
    properties: { subscriptionIdentifier: 300 },
  },
  { type: "SUBACK", packetId: 3, reasonCodes: [2, 0x97], properties: { reasonString: "r" } },
  { type: "UNSUBSCRIBE", packetId: 4, topicFilters: ["+/é/#", "b"], properties: { userProperties: [["", ""]] } },
  { type: "UNSUBACK", packetId: 4, reasonCodes: [0, 0x11], properties },
  { type: "PINGREQ" },
  { type: "PINGRESP" },
  { type: "DISCONNECT", reasonCode: 0, properties },
  { type: "DISCONNECT", reasonCode: 4, properties },
  { type: "DISCONNECT", reasonCode: 0x9c, properties: { serverReference: "other" } },
  { type: "AUTH", reasonCode: 0, properties },
  { type: "AUTH", reasonCode: 0x18, properties: { authenticationMethod: "m", authenticationData: bytes("00ff") } },
];

/** One whose Remaining Length takes two bytes. */
export const LONG_SAMPLE: Packet = { ...publish, payload: new Uint8Array(300).fill(0x55) };

import type { PacketType } from "./packets.ts";
import { stringFault, topicFault } from "./topic.ts";

/**
 * The properties of MQTT 5.0 (§2.2.2) as one object; which of them a packet may carry is said at each.
 * On MQTT 3.1.1 there are none.
 */
export interface Properties {
  /** 0: the payload is bytes, 1: it is UTF-8. PUBLISH, will. */
  payloadFormatIndicator?: 0 | 1 | undefined;
  /** Seconds, 0…4,294,967,295. PUBLISH, will. */
  messageExpiryInterval?: number | undefined;
  /** The kind of content, a MIME type for instance. PUBLISH, will. */
  contentType?: string | undefined;
  /** The topic to answer to. PUBLISH, will. */
  responseTopic?: string | undefined;
  /** What ties an answer to its request. PUBLISH, will. */
  correlationData?: Uint8Array | undefined;
  /** 1…268,435,455. SUBSCRIBE. */
  subscriptionIdentifier?: number | undefined;
  /**
   * The identifiers of the subscriptions that a received message matches, each 1…268,435,455, but for those that the client has given to
   * subscriptions without one. PUBLISH.
   */
  subscriptionIdentifiers?: number[] | undefined;
  /** Seconds, 0…4,294,967,295; 0: the session ends with the connection, 4,294,967,295: it never does. CONNECT, CONNACK, DISCONNECT. */
  sessionExpiryInterval?: number | undefined;
  /** The client identifier that the broker chose. CONNACK. */
  assignedClientIdentifier?: string | undefined;
  /** Seconds, 0…65,535: the Keep Alive that the broker demands. CONNACK. */
  serverKeepAlive?: number | undefined;
  /** The name of the authentication method. CONNECT, CONNACK, AUTH. */
  authenticationMethod?: string | undefined;
  /** What the authentication method exchanges. CONNECT, CONNACK, AUTH. */
  authenticationData?: Uint8Array | undefined;
  /** 0 or 1: whether the broker may put a reason into its answers. CONNECT. */
  requestProblemInformation?: 0 | 1 | undefined;
  /** Seconds, 0…4,294,967,295: from the loss of the connection to the publication of the will. Will. */
  willDelayInterval?: number | undefined;
  /** 0 or 1: whether the broker is asked for response information. CONNECT. */
  requestResponseInformation?: 0 | 1 | undefined;
  /** The start of response topics, as the broker suggests it. CONNACK. */
  responseInformation?: string | undefined;
  /** Another broker to use. CONNACK, DISCONNECT. */
  serverReference?: string | undefined;
  /** What happened, in words. All answers and DISCONNECT. */
  reasonString?: string | undefined;
  /** How many QoS 1 and 2 messages the sender of this property takes at a time, 1…65,535. CONNECT, CONNACK. */
  receiveMaximum?: number | undefined;
  /** The highest topic alias that the sender of this property accepts, 0…65,535; 0: none. CONNECT, CONNACK. */
  topicAliasMaximum?: number | undefined;
  /** A number that stands for the topic, 1…65,535. PUBLISH. */
  topicAlias?: number | undefined;
  /** The highest QoS that the broker supports. CONNACK. */
  maximumQos?: 0 | 1 | undefined;
  /** 0 or 1: whether the broker supports retained messages. CONNACK. */
  retainAvailable?: 0 | 1 | undefined;
  /** Pairs of name and value, in order, names may repeat. Every packet that has properties. */
  userProperties?: [string, string][] | undefined;
  /** The largest packet that the sender of this property accepts, in bytes, 1…4,294,967,295. CONNECT, CONNACK. */
  maximumPacketSize?: number | undefined;
  /** 0 or 1: whether the broker supports wildcards in filters. CONNACK. */
  wildcardSubscriptionAvailable?: 0 | 1 | undefined;
  /** 0 or 1: whether the broker supports subscription identifiers. CONNACK. */
  subscriptionIdentifiersAvailable?: 0 | 1 | undefined;
  /** 0 or 1: whether the broker supports shared subscriptions. CONNACK. */
  sharedSubscriptionAvailable?: 0 | 1 | undefined;
}

/** The properties of a packet that has none. */
export const NO_PROPERTIES: Properties = Object.freeze({});

/** Where properties stand: in a packet, or with the Will Message in CONNECT. */
export type PropertiesOwner = PacketType | "will";

/** What each kind of property is on the wire (§1.5), and to those who read and write packets. */
interface Values {
  /** A byte that is 0 or 1. */
  bit: 0 | 1;
  u16: number;
  u32: number;
  variableByteInteger: number;
  string: string;
  /** A string that is a topic name. */
  topic: string;
  binary: Uint8Array;
  stringPair: [string, string];
}

/** A row of the table of properties. */
export interface Property {
  readonly id: number;
  readonly name: keyof Properties;
  readonly kind: keyof Values;
  /** Which packets may have it. */
  readonly owners: string;
  /** Of a number, 0 unless said otherwise. */
  readonly minimum?: number;
  /** Whether it may be there several times, which makes it a list. */
  readonly repeats?: true;
  /** Whether a client never sends it. */
  readonly fromBroker?: true;
}

// MQTT 5.0, §2.2.2.2 and what the sections of the packets say about each. One identifier can have several names.
const PROPERTIES = [
  { id: 0x01, name: "payloadFormatIndicator", kind: "bit", owners: "PUBLISH will" },
  { id: 0x02, name: "messageExpiryInterval", kind: "u32", owners: "PUBLISH will" },
  { id: 0x03, name: "contentType", kind: "string", owners: "PUBLISH will" },
  { id: 0x08, name: "responseTopic", kind: "topic", owners: "PUBLISH will" },
  { id: 0x09, name: "correlationData", kind: "binary", owners: "PUBLISH will" },
  { id: 0x0b, name: "subscriptionIdentifier", kind: "variableByteInteger", owners: "SUBSCRIBE", minimum: 1 },
  {
    id: 0x0b,
    name: "subscriptionIdentifiers",
    kind: "variableByteInteger",
    owners: "PUBLISH",
    minimum: 1,
    repeats: true,
    fromBroker: true, // [MQTT5-3.3.4-6]
  },
  { id: 0x11, name: "sessionExpiryInterval", kind: "u32", owners: "CONNECT CONNACK DISCONNECT" },
  { id: 0x12, name: "assignedClientIdentifier", kind: "string", owners: "CONNACK" },
  { id: 0x13, name: "serverKeepAlive", kind: "u16", owners: "CONNACK" },
  { id: 0x15, name: "authenticationMethod", kind: "string", owners: "CONNECT CONNACK AUTH" },
  { id: 0x16, name: "authenticationData", kind: "binary", owners: "CONNECT CONNACK AUTH" },
  { id: 0x17, name: "requestProblemInformation", kind: "bit", owners: "CONNECT" },
  { id: 0x18, name: "willDelayInterval", kind: "u32", owners: "will" },
  { id: 0x19, name: "requestResponseInformation", kind: "bit", owners: "CONNECT" },
  { id: 0x1a, name: "responseInformation", kind: "string", owners: "CONNACK" },
  { id: 0x1c, name: "serverReference", kind: "string", owners: "CONNACK DISCONNECT", fromBroker: true },
  {
    id: 0x1f,
    name: "reasonString",
    kind: "string",
    owners: "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH",
  },
  { id: 0x21, name: "receiveMaximum", kind: "u16", owners: "CONNECT CONNACK", minimum: 1 },
  { id: 0x22, name: "topicAliasMaximum", kind: "u16", owners: "CONNECT CONNACK" },
  { id: 0x23, name: "topicAlias", kind: "u16", owners: "PUBLISH", minimum: 1 },
  { id: 0x24, name: "maximumQos", kind: "bit", owners: "CONNACK" },
  { id: 0x25, name: "retainAvailable", kind: "bit", owners: "CONNACK" },
  {
    id: 0x26,
    name: "userProperties",
    kind: "stringPair",
    owners:
      "CONNECT will CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK DISCONNECT AUTH",
    repeats: true,
  },
  { id: 0x27, name: "maximumPacketSize", kind: "u32", owners: "CONNECT CONNACK", minimum: 1 },
  { id: 0x28, name: "wildcardSubscriptionAvailable", kind: "bit", owners: "CONNACK" },
  { id: 0x29, name: "subscriptionIdentifiersAvailable", kind: "bit", owners: "CONNACK" },
  { id: 0x2a, name: "sharedSubscriptionAvailable", kind: "bit", owners: "CONNACK" },
] as const satisfies readonly Property[];

// The table and the interface say the same of each name and type, or this does not compile.
type Row = typeof PROPERTIES[number];
type OfTable = {
  [R in Row as R["name"]]: R extends { repeats: true } ? Values[R["kind"]][] : Values[R["kind"]];
};
type Given = { [Name in keyof Properties]-?: Exclude<Properties[Name], undefined> };
type Agreement = [OfTable, Given] extends [Given, OfTable] ? readonly Property[] : never;
const TABLE: Agreement = PROPERTIES;

const BY_OWNER: ReadonlyMap<string, readonly Property[]> = new Map(
  [...new Set(TABLE.flatMap(({ owners }) => owners.split(" ")))]
    .map((owner) => [owner, TABLE.filter(({ owners }) => owners.split(" ").includes(owner))]),
);

/** Gives the properties that a packet or a Will Message may have, by ascending identifier. */
export function propertiesOf(owner: PropertiesOwner): readonly Property[] {
  return BY_OWNER.get(owner) ?? [];
}

const MAXIMUM: Readonly<Partial<Record<keyof Values, number>>> = {
  bit: 1,
  u16: 65_535,
  u32: 4_294_967_295,
  variableByteInteger: 268_435_455,
};

const MAXIMUM_BINARY = 65_535;

/** Tells whether a number is one that the property may have. */
export function isInRange({ kind, minimum = 0 }: Property, value: number): boolean {
  return Number.isInteger(value) && value >= minimum && value <= (MAXIMUM[kind] ?? 0);
}

/** Tells whether no property would be written. */
export function isEmpty(properties: Properties): boolean {
  if (properties === NO_PROPERTIES) return true;
  return Object.values(properties).every((value) => value === undefined || Array.isArray(value) && value.length === 0);
}

/** Why properties cannot be sent, and the error to throw. */
export interface PropertiesFault {
  readonly what: string;
  readonly error: TypeErrorConstructor | RangeErrorConstructor;
}

/** Says why the properties that an application gives cannot be sent, `undefined` when they can. One that is `undefined` counts as absent. */
export function propertiesFault(owner: PropertiesOwner, properties: unknown): PropertiesFault | undefined {
  if (typeof properties !== "object" || properties === null || Array.isArray(properties)) {
    return wrongType("properties must be an object", properties);
  }
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    const property = propertiesOf(owner).find((property) => property.name === name);
    const fault = property === undefined || property.fromBroker
      ? { what: strangerFault(owner, name), error: TypeError }
      : valuesFault(property, value);
    if (fault !== undefined) return fault;
  }
  const { authenticationData, authenticationMethod }: Properties = properties;
  if (authenticationData !== undefined && authenticationMethod === undefined) { // §3.1.2.11.10
    return { what: "authenticationData needs authenticationMethod", error: TypeError };
  }
}

function strangerFault(owner: PropertiesOwner, name: string): string {
  if (!TABLE.some((property) => property.name === name)) return `MQTT 5.0 has no property ${JSON.stringify(name)}`;
  const where = owner === "will" ? "a will" : owner;
  if (propertiesOf(owner).some((property) => property.name === name)) return `only a broker sends ${name} in ${where}`;
  return `${name} is not allowed in ${where}`;
}

function valuesFault(property: Property, value: unknown): PropertiesFault | undefined {
  if (!property.repeats) return valueFault(property, value);
  if (!Array.isArray(value)) return wrongType(`${property.name} must be a list`, value);
  for (const one of value) {
    const fault = valueFault(property, one);
    if (fault !== undefined) return fault;
  }
}

function valueFault(property: Property, value: unknown): PropertiesFault | undefined {
  const { name, kind, minimum = 0 } = property;
  let fault: string | undefined;
  switch (kind) {
    case "string":
    case "topic":
      if (typeof value !== "string") return wrongType(`${name} must be a string`, value);
      fault = kind === "topic" ? topicFault(value) : stringFault(value);
      break;
    case "stringPair":
      if (!isStringPair(value)) return wrongType(`${name} must hold pairs of strings`, value);
      fault = stringFault(value[0]) ?? stringFault(value[1]);
      break;
    case "binary":
      if (!(value instanceof Uint8Array)) return wrongType(`${name} must be a Uint8Array`, value);
      if (value.length <= MAXIMUM_BINARY) return undefined;
      return { what: `${name} is ${value.length} bytes long, ${MAXIMUM_BINARY} are allowed`, error: RangeError };
    default: {
      const demand = `${name} must be a whole number from ${minimum} to ${MAXIMUM[kind]}`;
      if (typeof value !== "number") return wrongType(demand, value);
      return isInRange(property, value) ? undefined : { what: `${demand}, not ${value}`, error: RangeError };
    }
  }
  return fault === undefined ? undefined : { what: `${name}: ${fault}`, error: TypeError };
}

function isStringPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && typeof value[1] === "string";
}

function wrongType(demand: string, value: unknown): PropertiesFault {
  const type = value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
  return { what: `${demand}, not ${type}`, error: TypeError };
}

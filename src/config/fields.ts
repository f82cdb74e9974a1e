import { LONGEST_TIMER } from "../timer.ts";
import type { BrokerConfig, ClientConfig } from "./client_config.ts";
import type { Path } from "./path.ts";

/** What is known of every key of the configuration, whatever its kind. */
interface Key {
  /** What the key is for. */
  readonly sentence: string;
  /** Its value must not be shown. */
  readonly secret?: true;
  /** Its mapping is of no use without it. */
  readonly required?: true;
  /** The key beside it that it is of no use without. */
  readonly needs?: string;
  /** In a file, nothing (`null`) is as good as leaving the key out, because hbmqtt takes it so. */
  readonly nullable?: true;
}

/** Yes or no. */
export interface BooleanField extends Key {
  readonly kind: "boolean";
  readonly default?: boolean;
}

/** A number in a range. */
export interface NumberField extends Key {
  readonly kind: "number";
  readonly unit?: "seconds" | "bytes";
  /** Without fraction. */
  readonly whole?: true;
  /** The least value. */
  readonly min?: number;
  /** What the value must be greater than, in the place of `min`. */
  readonly above?: number;
  /** The greatest value. */
  readonly max?: number;
  /** What 0 does. */
  readonly zero?: string;
  readonly default?: number;
}

/** One of a few values. */
export interface ChoiceField<T = string | number> extends Key {
  readonly kind: "choice";
  readonly values: readonly T[];
  readonly default?: T;
}

/** What a text is, which decides what it may hold. */
export type TextFormat = "string" | "topic name" | "path" | "URI" | "PEM text" | "protocol name";

/** A text. */
export interface TextField extends Key {
  readonly kind: "text";
  readonly format: TextFormat;
  /** The key beside the path of a file that takes its text. */
  readonly textKey?: string;
}

/** A list of texts. */
export interface TextsField extends Key {
  readonly kind: "texts";
  readonly format: TextFormat;
  /** A text that is not in a list is accepted too. */
  readonly single?: true;
}

/** Binary data of the protocol, of at most 65,535 bytes. */
export interface BytesField extends Key {
  readonly kind: "bytes";
  /** A string is accepted too, and stands for its UTF-8. */
  readonly text?: true;
}

/** User properties: names, which may repeat, and values. */
export interface PairsField extends Key {
  readonly kind: "pairs";
}

/** A mapping whose keys are known. */
export interface MappingField<Table = FieldTable> extends Key {
  readonly kind: "mapping";
  readonly fields: Table;
}

/** A mapping whose keys are topic names and whose values are mappings. */
export interface TopicsField<Table = FieldTable> extends Key {
  readonly kind: "topics";
  readonly fields: Table;
}

/** What is known of a key: what it is for, what its value may be, and its default. */
export type Field =
  | BooleanField
  | NumberField
  | ChoiceField
  | TextField
  | TextsField
  | BytesField
  | PairsField
  | MappingField
  | TopicsField;

/** The fields of a mapping. */
export type FieldTable = Readonly<Record<string, Field>>;

/** The fields of a mapping of type `T`: one for each of its keys and no other, each of the kind that the type of its value asks for. */
type FieldsOf<T> = { readonly [K in keyof T]-?: FieldOf<Exclude<T[K], undefined>> };

type FieldOf<T> = [T] extends [boolean] ? BooleanField
  : [T] extends [string | number] ? (string extends T ? TextField : number extends T ? NumberField : ChoiceField<T>)
  : [T] extends [string | string[]] ? TextsField
  : [T] extends [string | Uint8Array] ? BytesField
  : [string, string][] extends T ? PairsField
  : string extends keyof T ? TopicsField<FieldsOf<T[string & keyof T]>>
  : MappingField<FieldsOf<T>>;

const UINT16 = 65_535;
const UINT32 = 4_294_967_295;

const QOS = { kind: "choice", values: [0, 1, 2] } as const;

// Both at the top level and under `broker`.
const BROKER = {
  uri: {
    kind: "texts",
    format: "URI",
    single: true,
    secret: true, // it may hold a password
    nullable: true,
    sentence:
      "The broker, `mqtt://[user[:password]@]host[:port]` for instance, or several that are tried in order; the schemes are `mqtt`, `mqtts`, `ws`, `wss` and `unix`.",
  },
  cafile: {
    kind: "text",
    format: "path",
    textKey: "cadata",
    nullable: true,
    sentence: "The file of the certificate authorities to trust, one or more of them in PEM format.",
  },
  capath: {
    kind: "text",
    format: "path",
    nullable: true,
    sentence: "The folder of the files of the certificate authorities to trust, each in PEM format.",
  },
  cadata: {
    kind: "text",
    format: "PEM text",
    nullable: true,
    sentence: "The certificate authorities to trust, one or more of them in PEM format.",
  },
} as const satisfies FieldsOf<BrokerConfig>;

/**
 * The one description of the configuration. Checks, defaults, the table in the README and the JSON Schema are made of it; that its keys
 * are those of {@linkcode ClientConfig}, no fewer and no more, and fit their types is checked by the compiler.
 */
export const FIELDS = {
  ...BROKER,
  broker: {
    kind: "mapping",
    sentence: "hbmqtt's place for the keys of the same names; where both are given, the top level wins.",
    fields: BROKER,
  },
  client_id: {
    kind: "text",
    format: "string",
    sentence:
      "The Client Identifier; when empty the broker chooses one, when absent it is `hbmqtt/` and 16 random characters.",
  },
  username: {
    kind: "text",
    format: "string",
    sentence: "The user name; one in the URI wins.",
  },
  password: {
    kind: "bytes",
    text: true,
    secret: true,
    sentence: "The password; one in the URI wins. It is not sent for another user than `username`.",
  },
  protocol_version: {
    kind: "choice",
    values: [4, 5, "auto"],
    default: 4,
    sentence:
      'The version of the protocol: 4 is MQTT 3.1.1, 5 is MQTT 5.0, "auto" is 5.0 where the broker knows it and 3.1.1 where not.',
  },
  cleansession: {
    kind: "boolean",
    default: true,
    sentence: "Whether `connect()` begins a new session instead of resuming the one that the broker keeps.",
  },
  keep_alive: {
    kind: "number",
    unit: "seconds",
    whole: true,
    min: 0,
    max: UINT16,
    zero: "turns it off",
    default: 10,
    sentence:
      "The Keep Alive: the longest time without a packet from this client that the broker is asked to tolerate.",
  },
  ping_delay: {
    kind: "number",
    unit: "seconds",
    min: 0,
    zero: "turns automatic pings off",
    default: 1,
    sentence:
      "How long before the end of the Keep Alive the client pings if it has sent nothing; where that leaves no time, after half of the Keep Alive.",
  },
  ping_timeout: {
    kind: "number",
    unit: "seconds",
    above: 0,
    max: LONGEST_TIMER,
    default: 10,
    sentence: "How long the answer to a ping may take before the connection is given up as dead.",
  },
  connect_timeout: {
    kind: "number",
    unit: "seconds",
    above: 0,
    max: LONGEST_TIMER,
    default: 30,
    sentence: "How long one attempt to connect may take, from the look-up of the host's name to the broker's CONNACK.",
  },
  auto_reconnect: {
    kind: "boolean",
    default: true,
    sentence: "Whether a failed first attempt is retried and a lost connection restored.",
  },
  reconnect_max_interval: {
    kind: "number",
    unit: "seconds",
    above: 0,
    max: LONGEST_TIMER,
    default: 10,
    sentence: "The limit of the delay between two attempts, which doubles from 1 second.",
  },
  reconnect_retries: {
    kind: "number",
    whole: true,
    zero: "allows none",
    default: 2,
    sentence: "How many retries follow a failed attempt to connect or to reconnect; a negative number sets no end.",
  },
  follow_redirects: {
    kind: "number",
    whole: true,
    min: 0,
    zero: "follows none",
    default: 0,
    sentence: "How many times in a row the client goes where a broker sends it (MQTT 5.0).",
  },
  default_qos: {
    ...QOS,
    default: 0,
    sentence: "The Quality of Service of a publish that names none.",
  },
  default_retain: {
    kind: "boolean",
    default: false,
    sentence: "The retain flag of a publish that names none.",
  },
  topics: {
    kind: "topics",
    sentence:
      "Defaults for the publishes to single topics, found by the exact topic name; they win over the general defaults.",
    fields: {
      qos: {
        ...QOS,
        sentence: "The Quality of Service of a publish to this topic that names none.",
      },
      retain: {
        kind: "boolean",
        sentence: "The retain flag of a publish to this topic that names none.",
      },
    },
  },
  will: {
    kind: "mapping",
    sentence: "The message that the broker publishes when it loses this client.",
    fields: {
      topic: {
        kind: "text",
        format: "topic name",
        required: true,
        sentence: "The topic that the will is published to.",
      },
      message: {
        kind: "bytes",
        text: true,
        required: true,
        sentence: "The content of the will, which may be empty.",
      },
      qos: {
        ...QOS,
        default: 0,
        sentence: "The Quality of Service that the will is published with.",
      },
      retain: {
        kind: "boolean",
        default: false,
        sentence: "Whether the will is published as a retained message.",
      },
      properties: {
        kind: "mapping",
        sentence: "The properties of the will (MQTT 5.0).",
        fields: {
          willDelayInterval: {
            kind: "number",
            unit: "seconds",
            whole: true,
            min: 0,
            max: UINT32,
            zero: "is no delay",
            sentence: "How long after the loss of the connection the will is published.",
          },
          payloadFormatIndicator: {
            kind: "choice",
            values: [0, 1],
            sentence: "What the content is: 0 is bytes, 1 is UTF-8.",
          },
          messageExpiryInterval: {
            kind: "number",
            unit: "seconds",
            whole: true,
            min: 0,
            max: UINT32,
            zero: "lets it expire at once",
            sentence: "How long the published will is worth delivering; absent: for ever.",
          },
          contentType: {
            kind: "text",
            format: "string",
            sentence: "The kind of the content, a MIME type for instance.",
          },
          responseTopic: {
            kind: "text",
            format: "topic name",
            sentence: "The topic to answer to.",
          },
          correlationData: {
            kind: "bytes",
            sentence: "What ties an answer to the will.",
          },
          userProperties: {
            kind: "pairs",
            sentence: "Names and values for the receivers of the will, in order; a list may repeat names.",
          },
        },
      },
    },
  },
  max_inflight: {
    kind: "number",
    whole: true,
    min: 1,
    max: UINT16,
    default: 65535,
    sentence: "How many QoS 1 and 2 publishes may be unacknowledged at a time; the broker's Receive Maximum lowers it.",
  },
  max_publish_attempts: {
    kind: "number",
    whole: true,
    min: 1,
    default: 10,
    sentence: "How many times a publish is sent, with nothing acknowledged in between, before it is rejected.",
  },
  max_queued_publishes: {
    kind: "number",
    whole: true,
    min: 0,
    zero: "queues none",
    default: 10000,
    sentence: "How many publishes may wait for the connection to come back.",
  },
  max_queued_bytes: {
    kind: "number",
    unit: "bytes",
    whole: true,
    min: 0,
    zero: "queues none",
    default: 67108864,
    sentence: "How much the publishes that wait for the connection to come back may hold together.",
  },
  queue_full: {
    kind: "choice",
    values: ["reject", "wait", "drop_oldest"],
    default: "reject",
    sentence:
      "What a publish meets that finds the queue full: it is rejected, it waits, or the oldest one is rejected in its place. In a transaction `drop_oldest` rejects it.",
  },
  queue_qos_0: {
    kind: "boolean",
    default: true,
    sentence: "Whether QoS 0 publishes wait for the connection to come back, too; otherwise they are rejected.",
  },
  max_queued_messages: {
    kind: "number",
    whole: true,
    min: 1,
    default: 1000,
    sentence:
      "How many received messages may wait to be taken; at this number the client stops reading from the broker.",
  },
  maximum_packet_size: {
    kind: "number",
    unit: "bytes",
    whole: true,
    min: 1,
    max: UINT32,
    sentence: "The largest packet that is accepted from the broker; absent: the protocol's own limit.",
  },
  manual_ack: {
    kind: "boolean",
    default: false,
    sentence: "Whether received messages are acknowledged by `message.ack()` instead of by the client.",
  },
  resubscribe: {
    kind: "boolean",
    default: true,
    sentence: "Whether subscriptions are restored after a reconnection for which the broker had no session.",
  },
  store: {
    kind: "text",
    format: "path",
    sentence: "The database file that keeps the session over restarts; absent: in memory.",
  },
  certfile: {
    kind: "text",
    format: "path",
    sentence: "The file of the client's certificate and the chain above it, in PEM format.",
  },
  keyfile: {
    kind: "text",
    format: "path",
    sentence: "The file of the private key of `certfile`, in PEM format, not encrypted.",
  },
  check_hostname: {
    kind: "boolean",
    default: true,
    sentence: "Whether the broker's certificate must be for the host of the URI.",
  },
  alpn_protocols: {
    kind: "texts",
    format: "protocol name",
    sentence: "The protocols to offer when TLS begins (ALPN), the preferred one first.",
  },
  session_expiry_interval: {
    kind: "number",
    unit: "seconds",
    whole: true,
    min: 0,
    max: UINT32,
    zero: "ends it with the connection",
    sentence: "How long the broker keeps the session after the connection; 4294967295: for ever (MQTT 5.0).",
  },
  receive_maximum: {
    kind: "number",
    whole: true,
    min: 1,
    max: UINT16,
    sentence: "How many QoS 1 and 2 messages the broker may have unacknowledged at a time (MQTT 5.0).",
  },
  topic_alias_maximum: {
    kind: "number",
    whole: true,
    min: 0,
    max: UINT16,
    zero: "accepts none",
    sentence: "How many topic aliases are accepted from the broker (MQTT 5.0).",
  },
  topic_aliases: {
    kind: "boolean",
    default: true,
    sentence: "Whether outgoing topics are shortened by aliases as far as the broker allows (MQTT 5.0).",
  },
  check_payload_format: {
    kind: "boolean",
    default: false,
    sentence:
      "Whether a received payload that is said to be UTF-8 must be, or else the connection is ended (MQTT 5.0).",
  },
  request_response_information: {
    kind: "boolean",
    default: false,
    sentence:
      "Whether the broker is asked for Response Information, which the response topics of requests then begin with (MQTT 5.0).",
  },
  user_properties: {
    kind: "pairs",
    sentence: "Names and values for the broker, in order; a list may repeat names (MQTT 5.0).",
  },
  authentication_method: {
    kind: "text",
    format: "string",
    sentence: "The name of the method of enhanced authentication (MQTT 5.0).",
  },
  authentication_data: {
    kind: "bytes",
    text: true,
    secret: true,
    needs: "authentication_method",
    sentence: "What the authentication method sends first (MQTT 5.0).",
  },
} as const satisfies FieldsOf<ClientConfig>;

/** Gives the field that describes what a path leads to, `undefined` where no field does. */
export function fieldAt(path: Path): Field | undefined {
  let field: Field | undefined = { kind: "mapping", fields: FIELDS, sentence: "The configuration." };
  for (const part of path) field = partOf(field, part);
  return field;
}

function partOf(field: Field | undefined, part: string | number): Field | undefined {
  switch (field?.kind) {
    case "mapping":
      return Object.hasOwn(field.fields, part) ? field.fields[part] : undefined;
    case "topics":
      return { kind: "mapping", fields: field.fields, sentence: field.sentence };
    case "texts":
      return { kind: "text", format: field.format, secret: field.secret, sentence: field.sentence };
    case "pairs":
      return { kind: "text", format: "string", sentence: field.sentence };
  }
}

/** Says what a field may hold, as the end of a sentence: `a whole number of seconds, 0 to 65535`. */
export function allowedBy(field: Field): string {
  switch (field.kind) {
    case "boolean":
      return "true or false";
    case "number":
      return `a ${field.whole ? "whole number" : "number"}${field.unit ? ` of ${field.unit}` : ""}${range(field)}`;
    case "choice":
      return alternatives(field.values.map((value) => JSON.stringify(value)));
    case "text":
      return `a ${field.format}`;
    case "texts":
      return `${field.single ? `a ${field.format} or ` : ""}a list of ${field.format}s, not empty`;
    case "bytes":
      return `${field.text ? "a string or a Uint8Array" : "a Uint8Array"}, at most 65535 bytes`;
    case "pairs":
      return "a list of [name, value] pairs, or a mapping of names to values, all of them strings";
    case "mapping":
      return "a mapping";
    case "topics":
      return "a mapping of topic names to mappings";
  }
}

/** Describes a field for readers: what it is for, and the limits that its type does not show. */
export function descriptionOf(field: Field): string {
  switch (field.kind) {
    case "number":
      return `${field.sentence} A${allowedBy(field).slice(1)}${field.zero ? `; 0 ${field.zero}` : ""}.`;
    case "bytes":
      return `${field.sentence} At most 65535 bytes.`;
    default:
      return field.sentence;
  }
}

function range({ min, above, max }: NumberField): string {
  if (above !== undefined) return max === undefined ? `, above ${above}` : `, above ${above} and up to ${max}`;
  if (min !== undefined) return max === undefined ? `, ${min} or more` : `, ${min} to ${max}`;
  return max === undefined ? "" : `, at most ${max}`;
}

function alternatives(words: string[]): string {
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

import { assert, assertEquals, assertNotStrictEquals, assertStrictEquals, assertThrows } from "@std/assert";
import type { ClientConfig } from "../../src/config/client_config.ts";
import { checkConfig, resolveConfig } from "../../src/config/config.ts";
import { FIELDS } from "../../src/config/fields.ts";
import { ConfigError } from "../../src/errors.ts";

/** As API.md has them. */
const DEFAULTS = {
  keep_alive: 10,
  ping_delay: 1,
  default_qos: 0,
  default_retain: false,
  auto_reconnect: true,
  reconnect_max_interval: 10,
  reconnect_retries: 2,
  cleansession: true,
  check_hostname: true,
  protocol_version: 4,
  connect_timeout: 30,
  ping_timeout: 10,
  max_inflight: 65535,
  max_queued_publishes: 10000,
  max_queued_bytes: 67108864,
  queue_full: "reject",
  max_publish_attempts: 10,
  queue_qos_0: true,
  max_queued_messages: 1000,
  manual_ack: false,
  resubscribe: true,
  check_payload_format: false,
  request_response_information: false,
  topic_aliases: true,
  follow_redirects: 0,
};

/** A value other than the default for every key. */
const FULL: Required<ClientConfig> = {
  uri: ["mqtt://a", "mqtts://user:word@b:8883"],
  cafile: "ca.pem",
  capath: "/etc/ssl/certs",
  cadata: "-----BEGIN CERTIFICATE-----",
  broker: { uri: "mqtt://c", cafile: "other.pem", capath: "other", cadata: "other" },
  client_id: "",
  username: "",
  password: "",
  protocol_version: "auto",
  cleansession: false,
  keep_alive: 0,
  ping_delay: 0.5,
  ping_timeout: 0.5,
  connect_timeout: 0.5,
  auto_reconnect: false,
  reconnect_max_interval: 0.05,
  reconnect_retries: -7,
  follow_redirects: 3,
  default_qos: 2,
  default_retain: true,
  topics: { "/test": { qos: 1 }, some_topic: { qos: 2, retain: true }, other: {} },
  will: {
    topic: "gone",
    message: new Uint8Array([1, 2]),
    qos: 1,
    retain: true,
    properties: {
      willDelayInterval: 4294967295,
      payloadFormatIndicator: 1,
      messageExpiryInterval: 0,
      contentType: "text/plain",
      responseTopic: "answers",
      correlationData: new Uint8Array([3]),
      userProperties: [["a", "1"], ["a", "2"]],
    },
  },
  max_inflight: 20,
  max_publish_attempts: 1,
  max_queued_publishes: 0,
  max_queued_bytes: 0,
  queue_full: "drop_oldest",
  queue_qos_0: false,
  max_queued_messages: 1,
  maximum_packet_size: 4294967295,
  manual_ack: true,
  resubscribe: false,
  store: "./session.db",
  certfile: "client.pem",
  keyfile: "client.key",
  check_hostname: false,
  alpn_protocols: ["x-amzn-mqtt-ca"],
  session_expiry_interval: 4294967295,
  receive_maximum: 1,
  topic_alias_maximum: 0,
  check_payload_format: true,
  request_response_information: true,
  topic_aliases: false,
  user_properties: { name: "value" },
  authentication_method: "SCRAM-SHA-256",
  authentication_data: "",
};

Deno.test("checkConfig() gives a configuration back as it is", () => {
  assertStrictEquals(checkConfig(FULL), FULL);
  const empty = {};
  assertStrictEquals(checkConfig(empty), empty);
});

Deno.test("checkConfig() takes undefined for absent, at every key", () => {
  checkConfig(Object.fromEntries(Object.keys(FIELDS).map((key) => [key, undefined])));
  checkConfig({ broker: { uri: undefined }, topics: { a: undefined, b: { qos: undefined } } });
  checkConfig({ will: { topic: "gone", message: "", qos: undefined, properties: undefined } });
});

Deno.test("checkConfig() throws one ConfigError with a line for each fault", () => {
  const config = {
    keepalive: 60,
    default_qos: 3,
    topics: { "/test": { qos: "1" } },
    will: { topic: "a/+", retain: 0 },
  };
  const error = assertThrows(() => checkConfig(config), ConfigError);
  assertEquals(error.message.split("\n"), [
    "The configuration is not valid:",
    "  keepalive: unknown key, did you mean keep_alive?",
    "  default_qos: found 3, must be 0, 1 or 2",
    '  topics./test.qos: found "1", must be 0, 1 or 2',
    '  will.topic: found "a/+": topic names must not contain wildcards',
    "  will.retain: found 0, must be true or false",
    "  will.message: is missing, must be a string or a Uint8Array, at most 65535 bytes",
  ]);
});

Deno.test("resolveConfig() fills in the documented defaults, and nothing else", () => {
  const { uri, topics, ...rest } = resolveConfig({});
  assertEquals(defined(rest), DEFAULTS);
  assertEquals([uri, topics.size], [[], 0]);
});

Deno.test("resolveConfig() keeps every key that is given", () => {
  const { broker: _, uri, topics, will, user_properties, ...rest } = FULL;
  assertEquals(resolveConfig(FULL), {
    ...rest,
    uri: ["mqtt://a", "mqtts://user:word@b:8883"],
    topics: new Map(Object.entries(topics)),
    will: { ...will, qos: 1, retain: true, properties: { ...will.properties } },
    user_properties: [["name", "value"]],
  } as ReturnType<typeof resolveConfig>);
  assertEquals([uri.length, user_properties], [2, { name: "value" }]);
});

Deno.test("resolveConfig() prefers a default to undefined", () => {
  const { keep_alive, will } = resolveConfig({
    keep_alive: undefined,
    will: { topic: "gone", message: "", qos: undefined },
  });
  assertEquals(keep_alive, 10);
  assertEquals(will, { topic: "gone", message: "", qos: 0, retain: false, properties: {} });
});

Deno.test("resolveConfig() prefers an explicit 0, false or empty string to a default", () => {
  const { keep_alive, auto_reconnect, client_id } = resolveConfig({
    keep_alive: 0,
    auto_reconnect: false,
    client_id: "",
  });
  assertEquals([keep_alive, auto_reconnect, client_id], [0, false, ""]);
});

Deno.test("resolveConfig() takes from broker what the top level does not give", () => {
  const broker = { uri: "mqtt://inner", cafile: "inner.pem", capath: "inner", cadata: "inner" };
  const { uri, cafile, capath, cadata } = resolveConfig({ broker });
  assertEquals({ uri, cafile, capath, cadata }, { ...broker, uri: ["mqtt://inner"] });
  const both = resolveConfig({ broker, uri: "mqtt://outer", cafile: "outer.pem", capath: undefined });
  assertEquals([both.uri, both.cafile, both.capath, both.cadata], [["mqtt://outer"], "outer.pem", "inner", "inner"]);
  assert(!("broker" in both));
});

Deno.test("resolveConfig() makes one form of what may be written in several", () => {
  assertEquals(resolveConfig({ uri: "mqtt://a" }).uri, ["mqtt://a"]);
  assertEquals(resolveConfig({ uri: ["mqtt://a", "mqtt://b"] }).uri, ["mqtt://a", "mqtt://b"]);
  assertEquals(resolveConfig({ user_properties: { a: "1", b: "2" } }).user_properties, [["a", "1"], ["b", "2"]]);
  assertEquals(resolveConfig({ user_properties: [["a", "1"], ["a", "2"]] }).user_properties, [["a", "1"], ["a", "2"]]);
  const properties = { contentType: "text/plain", userProperties: { a: "1" } };
  const { will } = resolveConfig({ will: { topic: "gone", message: "", properties } });
  assertEquals(will?.properties, { contentType: "text/plain", userProperties: [["a", "1"]] });
});

Deno.test("resolveConfig() finds a topic by its exact name, inherited names not at all", () => {
  const { topics } = resolveConfig(
    checkConfig(JSON.parse('{ "topics": { "/test": { "qos": 1 }, "__proto__": { "qos": 2 } } }')),
  );
  assertEquals(topics.get("/test"), { qos: 1 });
  assertEquals(topics.get("__proto__"), { qos: 2 });
  assertEquals(topics.get("test"), undefined);
  assertEquals(topics.get("constructor"), undefined);
  assert(!("qos" in {}));
});

Deno.test("resolveConfig() shares nothing with the configuration, and freezes what it gives", () => {
  const password = new Uint8Array([1, 2, 3]);
  const uri = ["mqtt://a"];
  const topics = { a: { retain: true } };
  const config: ClientConfig = {
    password,
    uri,
    topics,
    alpn_protocols: ["mqtt"],
    will: { topic: "gone", message: "" },
  };
  const resolved = resolveConfig(config);
  password.fill(0);
  uri.push("mqtt://b");
  topics.a.retain = false;
  assertEquals(resolved.password, new Uint8Array([1, 2, 3]));
  assertEquals(resolved.uri, ["mqtt://a"]);
  assertEquals(resolved.topics.get("a"), { retain: true });
  assertNotStrictEquals(resolved.alpn_protocols, config.alpn_protocols);
  const { alpn_protocols, will, topics: map } = resolved;
  for (const part of [resolved, resolved.uri, alpn_protocols, will, will?.properties, map.get("a")]) {
    assert(part && Object.isFrozen(part));
  }
});

function defined(mapping: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(mapping).filter(([, value]) => value !== undefined));
}

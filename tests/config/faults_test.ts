import { assert, assertEquals } from "@std/assert";
import { findFaults, formatFault } from "../../src/config/faults.ts";

const SECRET = "hunter2";
const UINT32 = 4294967295;
const LONGEST_TIMER = 2147483;
const SECONDS = `a number of seconds, above 0 and up to ${LONGEST_TIMER}`;

/** Each number with values that are in its range, both ends among them, values that are not, and the words for the range. */
const NUMBERS: readonly [path: string, good: readonly number[], bad: readonly number[], allowed: string][] = [
  ["keep_alive", [0, 65535], [-1, 65536, 0.5], "a whole number of seconds, 0 to 65535"],
  ["ping_delay", [0, 0.5, 1e6], [-0.1], "a number of seconds, 0 or more"],
  ["ping_timeout", [0.001, LONGEST_TIMER], [0, -1, LONGEST_TIMER + 0.1], SECONDS],
  ["connect_timeout", [0.001, LONGEST_TIMER], [0, -1, LONGEST_TIMER + 0.1], SECONDS],
  ["reconnect_max_interval", [0.05, LONGEST_TIMER], [0, -1, LONGEST_TIMER + 0.1], SECONDS],
  ["reconnect_retries", [-100, -1, 0, 1e9], [0.5], "a whole number"],
  ["follow_redirects", [0, 5], [-1, 0.5], "a whole number, 0 or more"],
  ["max_inflight", [1, 65535], [0, 65536, 1.5], "a whole number, 1 to 65535"],
  ["max_publish_attempts", [1, 1e6], [0, 1.5], "a whole number, 1 or more"],
  ["max_queued_publishes", [0, 1e6], [-1, 0.5], "a whole number, 0 or more"],
  ["max_queued_bytes", [0, 2 ** 40], [-1, 0.5], "a whole number of bytes, 0 or more"],
  ["max_queued_messages", [1, 1e6], [0, 1.5], "a whole number, 1 or more"],
  ["maximum_packet_size", [1, UINT32], [0, UINT32 + 1, 1.5], `a whole number of bytes, 1 to ${UINT32}`],
  ["session_expiry_interval", [0, UINT32], [-1, UINT32 + 1, 0.5], `a whole number of seconds, 0 to ${UINT32}`],
  ["receive_maximum", [1, 65535], [0, 65536, 1.5], "a whole number, 1 to 65535"],
  ["topic_alias_maximum", [0, 65535], [-1, 65536, 0.5], "a whole number, 0 to 65535"],
  ["will.properties.willDelayInterval", [0, UINT32], [-1, UINT32 + 1], `a whole number of seconds, 0 to ${UINT32}`],
  ["will.properties.messageExpiryInterval", [0, UINT32], [-1, UINT32 + 1], `a whole number of seconds, 0 to ${UINT32}`],
];

for (const [path, good, bad, allowed] of NUMBERS) {
  Deno.test(`findFaults() knows the range of ${path}`, () => {
    for (const value of good) assertFaults(at(path, value), []);
    for (const value of [...bad, NaN, Infinity, -Infinity]) {
      assertFaults(at(path, value), [`${path}: found ${value}, must be ${allowed}`]);
    }
    for (const [value, found] of [["1", '"1"'], [null, "null"], [true, "true"], [1n, "a bigint"]]) {
      assertFaults(at(path, value), [`${path}: found ${found}, must be ${allowed}`]);
    }
  });
}

const BOOLEANS = [
  "cleansession",
  "auto_reconnect",
  "default_retain",
  "topics.a.retain",
  "will.retain",
  "queue_qos_0",
  "manual_ack",
  "resubscribe",
  "check_hostname",
  "topic_aliases",
];

/** The same of the keys that take one of a few values. */
const CHOICES: readonly [path: string, good: readonly unknown[], bad: readonly unknown[], allowed: string][] = [
  ["protocol_version", [4, 5, "auto"], [3, "5", 3.1, true], '4, 5 or "auto"'],
  ["default_qos", [0, 1, 2], [-1, 3, 0.5, "1", null], "0, 1 or 2"],
  ["topics.a.qos", [0, 1, 2], [-1, 3, 0.5, "1", null], "0, 1 or 2"],
  ["will.qos", [0, 1, 2], [-1, 3, 0.5, "1", null], "0, 1 or 2"],
  ["will.properties.payloadFormatIndicator", [0, 1], [2, true], "0 or 1"],
  ["queue_full", ["reject", "wait", "drop_oldest"], ["drop", 0, ""], '"reject", "wait" or "drop_oldest"'],
];

Deno.test("findFaults() knows the keys that are true or false", () => {
  for (const path of BOOLEANS) {
    for (const value of [true, false]) assertFaults(at(path, value), []);
    for (const value of [0, 1, "yes", null]) {
      assertFaults(at(path, value), [`${path}: found ${JSON.stringify(value)}, must be true or false`]);
    }
  }
});

for (const [path, good, bad, allowed] of CHOICES) {
  Deno.test(`findFaults() knows the values of ${path}`, () => {
    for (const value of good) assertFaults(at(path, value), []);
    for (const value of bad) {
      assertFaults(at(path, value), [`${path}: found ${JSON.stringify(value)}, must be ${allowed}`]);
    }
  });
}

const BYTES = "at most 65535 bytes";
const LONG = "x".repeat(65535);
const URIS = "a URI or a list of URIs, not empty";
const PEM = "-----BEGIN X-----\n";
const NO_PATH = "a path must hold neither PEM nor line breaks";
const PAIRS = "a list of [name, value] pairs, or a mapping of names to values, all of them strings";

const GOOD: readonly [path: string, value: unknown][] = [
  ["client_id", ""],
  ["client_id", LONG],
  ["username", ""],
  ["password", ""],
  ["password", "\0"],
  ["password", new Uint8Array(65535)],
  ["will.message", ""],
  ["will.message", new Uint8Array()],
  ["will.topic", "$SYS/*/a b"],
  ["topics.*", { qos: 1 }],
  ["topics", {}],
  ["broker", {}],
  ["alpn_protocols", ["x".repeat(255)]],
  ["user_properties", []],
  ["user_properties", {}],
  ["user_properties", [["", ""], ["", ""]]],
  ["will.properties.correlationData", new Uint8Array()],
];

Deno.test("findFaults() finds nothing in what is allowed, empty or at its limit", () => {
  for (const [path, value] of GOOD) assertFaults(at(path, value), []);
  assertFaults(Object.create(null), []);
});

const BAD: readonly [path: string, value: unknown, fault: string][] = [
  ["uri", 5, `uri: found a number, must be ${URIS}`],
  ["uri", "", "uri: found a string: a URI must not be empty"],
  ["uri", [], `uri: found an empty list, must be ${URIS}`],
  ["uri", ["mqtt://a", 5], "uri[1]: found a number, must be a URI"],
  ["uri", [["mqtt://a"]], "uri[0]: found a list, must be a URI"],
  ["uri", { host: "a" }, `uri: found a mapping, must be ${URIS}`],
  ["uri", "http://a", "uri: found a string: its scheme is not one of mqtt://, mqtts://, ws://, wss:// or unix:"],
  ["uri", ["unix:/a", "mqtt://a/b"], 'uri[1]: found a string: "mqtt:" takes no path and no query'],
  [
    "broker.uri",
    "a:b",
    "broker.uri: found a string: its scheme is not one of mqtt://, mqtts://, ws://, wss:// or unix:",
  ],
  ["broker", "mqtt://a", "broker: found a string, must be a mapping"],
  ["broker", null, "broker: found null, must be a mapping"],
  ["broker.uri", ["mqtt://a", ""], "broker.uri[1]: found a string: a URI must not be empty"],
  ["broker.cleansession", true, "broker.cleansession: unknown key, allowed are uri, cafile, capath, cadata"],
  ["cafile", "", 'cafile: found "": a path must not be empty'],
  ["cafile", PEM, `cafile: found a string: ${NO_PATH}; cadata takes the text of the file`],
  ["broker.cafile", PEM, `broker.cafile: found a string: ${NO_PATH}; cadata takes the text of the file`],
  ["keyfile", PEM, `keyfile: found a string: ${NO_PATH}`],
  ["keyfile", PEM.replaceAll("\n", ""), `keyfile: found a string: ${NO_PATH}`],
  ["store", "a\n", `store: found a string: ${NO_PATH}`],
  ["capath", ["a"], "capath: found a list, must be a path"],
  ["cadata", new Uint8Array(), "cadata: found a Uint8Array, must be a PEM text"],
  ["certfile", true, "certfile: found true, must be a path"],
  ["keyfile", 1, "keyfile: found 1, must be a path"],
  ["store", new Map(), "store: found an object of a class, must be a path"],
  ["client_id", 7, "client_id: found 7, must be a string"],
  ["client_id", new Date(), "client_id: found a date, must be a string"],
  ["client_id", "a\0", 'client_id: found "a\\u0000": U+0000 is not allowed'],
  ["client_id", `${LONG}x`, "client_id: found a string: it is 65536 bytes long, 65535 are allowed"],
  ["username", "\ud800", 'username: found "\\ud800": it holds a lone surrogate, which UTF-8 cannot express'],
  ["username", () => "me", "username: found a function, must be a string"],
  ["password", 123456, `password: found a number, must be a string or a Uint8Array, ${BYTES}`],
  ["password", `${LONG}é`, "password: found a string: it is 65537 bytes long, 65535 are allowed"],
  ["password", "\udc00", "password: found a string: it holds a lone surrogate, which UTF-8 cannot express"],
  ["password", new ArrayBuffer(1), `password: found an object of a class, must be a string or a Uint8Array, ${BYTES}`],
  ["topics", ["/test"], "topics: found a list, must be a mapping of topic names to mappings"],
  ["topics.a/+", {}, "topics.a/+: topic names must not contain wildcards"],
  ["topics.#", {}, "topics.#: topic names must not contain wildcards"],
  ["topics.", {}, 'topics."": topic names must not be empty'],
  ["topics./test", 1, "topics./test: found a number, must be a mapping"],
  ["topics./test", null, "topics./test: found null, must be a mapping"],
  ["topics./test.qoss", 1, "topics./test.qoss: unknown key, did you mean qos?"],
  ["will", "gone", "will: found a string, must be a mapping"],
  ["will.topic", "a/#", 'will.topic: found "a/#": topic names must not contain wildcards'],
  ["will.topic", "", 'will.topic: found "": topic names must not be empty'],
  ["will.message", 5, `will.message: found 5, must be a string or a Uint8Array, ${BYTES}`],
  [
    "will.message",
    new Uint8Array(65536),
    "will.message: found a Uint8Array: it is 65536 bytes long, 65535 are allowed",
  ],
  ["will.properties", [], "will.properties: found an empty list, must be a mapping"],
  ["will.properties.content_type", "a", "will.properties.content_type: unknown key, did you mean contentType?"],
  [
    "will.properties.correlationData",
    "a",
    `will.properties.correlationData: found "a", must be a Uint8Array, ${BYTES}`,
  ],
  [
    "will.properties.responseTopic",
    "a/+",
    'will.properties.responseTopic: found "a/+": topic names must not contain wildcards',
  ],
  ["alpn_protocols", "mqtt", 'alpn_protocols: found "mqtt", must be a list of protocol names, not empty'],
  ["alpn_protocols", [], "alpn_protocols: found an empty list, must be a list of protocol names, not empty"],
  ["alpn_protocols", ["mqtt", ""], 'alpn_protocols[1]: found "": a protocol name must not be empty'],
  ["alpn_protocols", ["x".repeat(256)], "alpn_protocols[0]: found a string: at most 255 bytes are allowed"],
  ["user_properties", "a=b", `user_properties: found "a=b", must be ${PAIRS}`],
  ["user_properties", [["a", "b"], ["c"]], "user_properties[1]: found a list, must be a [name, value] pair"],
  ["user_properties", [["a", 1]], "user_properties[0][1]: found 1, must be a string"],
  ["user_properties", { a: 1 }, "user_properties.a: found 1, must be a string"],
  ["user_properties", { "\0": "" }, 'user_properties."\\u0000": a name cannot be sent: U+0000 is not allowed'],
  ["authentication_data", "a", "authentication_data: is of no use without authentication_method"],
  ["keep_alive=60", null, "keep_alive=***: unknown key, did you mean keep_alive? A colon and a space must follow it"],
  ["keep alive", 60, '"keep alive": unknown key, did you mean keep_alive?'],
  ["keepalive", 60, "keepalive: unknown key, did you mean keep_alive?"],
];

Deno.test("findFaults() says where, what was found and what is allowed", () => {
  for (const [path, value, fault] of BAD) assertFaults(at(path, value), [fault]);
});

Deno.test("findFaults() finds a configuration that is no mapping", () => {
  for (
    const [value, found] of [[undefined, "undefined"], [null, "null"], [[], "an empty list"], [
      new URL("mqtt://a"),
      "an object of a class",
    ]]
  ) {
    assertFaults(value, [`configuration: found ${found}, must be a mapping`]);
  }
});

Deno.test("findFaults() lists the keys that are allowed where none is near", () => {
  const [{ path, message }] = findFaults({ plugins: {} });
  assertEquals(path, ["plugins"]);
  assert(message.startsWith("unknown key, allowed are uri, cafile, "), message);
  assert(message.endsWith(", authentication_method, authentication_data"), message);
});

Deno.test("findFaults() takes the keys of prototypes for unknown ones", () => {
  for (const key of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    const [fault, ...others] = findFaults(JSON.parse(`{ "${key}": { "keep_alive": -1 } }`));
    assertEquals([fault.path, others], [[key], []]);
    assert(fault.message.startsWith("unknown key, "));
  }
  assertFaults(Object.create({ keep_alive: -1 }), ["configuration: found an object of a class, must be a mapping"]);
});

Deno.test("findFaults() gives the path as keys and indices", () => {
  const faults = findFaults({ topics: { "a.b": { qos: 3 } }, user_properties: [["a", 1]], will: { topic: "gone" } });
  assertEquals(faults.map(({ path }) => path), [
    ["topics", "a.b", "qos"],
    ["user_properties", 0, 1],
    ["will", "message"],
  ]);
});

Deno.test("findFaults() shows no secret, whatever is wrong with it", () => {
  const long = SECRET.repeat(10_000);
  const uri = `mqtt://user:${SECRET}@host`;
  const wrong: [path: string, value: unknown][] = [
    ["password", long],
    ["password", [SECRET]],
    ["password", { value: SECRET }],
    ["authentication_data", long],
    ["authentication_data", [SECRET]],
    ["uri", [uri, [uri]]],
    ["uri", { [uri]: null }],
    ["uri", `${uri}:x`],
    ["uri", `mqtt://user:${SECRET}`],
    ["uri", [`mqtt:user:${SECRET}`, SECRET]],
    ["uri", { uri }],
    ["broker", uri],
    ["broker.uri", [1, [uri]]],
    ["will", uri],
    ["topics", uri],
    ["keep_alive", `user:${SECRET}@host`],
    ["user_properties", uri],
    ["alpn_protocols", uri],
    ["urls", uri],
    ["urls", { [uri]: uri }],
    [uri, null],
    [`password:${SECRET}`, null],
    [`password=${SECRET}`, null],
    [`password ${SECRET}`, null],
    [`password:"${SECRET}"`, null],
    [`Passwort:${SECRET}`, null],
    [`user:${SECRET}`, null],
    [`x.authentication_data:${SECRET}`, null],
    [`broker.password:${SECRET}`, null],
    [`broker.user=${SECRET}`, null],
    [`topics.password:${SECRET}`, null],
    [`topics.a.password:${SECRET}`, null],
    ["broker", `user:${SECRET}`],
    ["will", SECRET],
    ["topics.a", SECRET],
    ["keep_alive", `5 password:${SECRET}`],
    ["keyfile", [`-----BEGIN PRIVATE KEY-----\n${SECRET}`]],
  ];
  for (const [path, value] of wrong) {
    const faults = findFaults(path === uri ? { [uri]: value } : at(path, value));
    assert(faults.length > 0, path);
    for (const line of faults.map(formatFault)) assert(!line.includes(SECRET), line);
  }
  const [{ message }] = findFaults({ password: 20260131 });
  assert(!message.includes("2026"), message);
});

Deno.test("formatFault() shows no key that stands below a secret", () => {
  const path = (...path: (string | number)[]) => formatFault({ path, message: "x" });
  assertEquals(path("password", SECRET), "password.***: x");
  assertEquals(path("broker", "uri", 0, SECRET, 1, SECRET), "broker.uri[0].***[1].***: x");
});

Deno.test("formatFault() writes one line, of bounded length but for the list of keys", () => {
  const hostile = "a\nb: unknown\u2028key\u202e";
  for (const config of [{ topics: { [hostile]: 1 } }, { queue_full: hostile }, { topics: { ["x".repeat(1e6)]: 1 } }]) {
    const [line] = findFaults(config).map(formatFault);
    assert(!/[\n\u2028\u202e]/.test(line), line);
    assert(line.length < 200);
  }
  assertEquals(
    formatFault({ path: ["topics", "a b", "qos"], message: "is missing" }),
    'topics."a b".qos: is missing',
  );
  assertEquals(formatFault({ path: [], message: "is missing" }), "configuration: is missing");
});

function assertFaults(config: unknown, expected: readonly string[]): void {
  assertEquals(findFaults(config).map(formatFault), expected);
}

/** Makes a configuration with a value at a path, and what the mappings on the way require. */
function at(path: string, value: unknown): unknown {
  const [key, ...rest] = path.split(".");
  if (key === "will" && rest.length > 0) {
    return { will: { topic: "gone", message: "", ...Object(at(rest.join("."), value)) } };
  }
  return { [key]: rest.length === 0 ? value : at(rest.join("."), value) };
}

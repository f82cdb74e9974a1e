import { assertEquals } from "@std/assert";
import { interpret } from "../../src/config/interpretation.ts";
import { environment } from "./environment.ts";

const meaning = (value: unknown, folder?: string) => interpret(value, folder).value;

Deno.test("interpret() leaves what needs no interpretation as it is", () => {
  const bytes = new Uint8Array([1]);
  const date = new Date(0);
  const value = { keep_alive: 5, uri: ["a", 1, null], topics: { a: null }, password: bytes, x: { y: [date] } };
  assertEquals(meaning(value), value);
  for (const value of [null, 5, "x", [1], date]) assertEquals(meaning(value), value);
});

Deno.test("interpret() replaces variables in the values of mappings and lists, not in keys", () => {
  using _ = environment({ HBMQTT_TEST: "x" });
  const value = { uri: ["${HBMQTT_TEST}", "b"], topics: { "${HBMQTT_TEST}": 1 }, other: { a: "${HBMQTT_TEST}" } };
  const { value: interpreted, fromEnvironment } = interpret(value);
  assertEquals(interpreted, { uri: ["x", "b"], topics: { "${HBMQTT_TEST}": 1 }, other: { a: "x" } });
  assertEquals(fromEnvironment, [["uri", 0], ["other", "a"]]);
});

/** Keys, what the environment has, and what becomes of it. */
const SCALARS: readonly [key: string, text: string, value: unknown][] = [
  ["keep_alive", "5", 5],
  ["reconnect_retries", "-1", -1],
  ["ping_delay", "+0.5", 0.5],
  ["ping_delay", ".5e1", 5],
  ["keep_alive", "5 s", "5 s"],
  ["keep_alive", "", ""],
  ["keep_alive", "0x10", "0x10"],
  ["keep_alive", "Infinity", "Infinity"],
  ["auto_reconnect", "true", true],
  ["auto_reconnect", "False", false],
  ["auto_reconnect", "no", "no"],
  ["auto_reconnect", "0", "0"],
  ["default_qos", "2", 2],
  ["default_qos", "3", "3"],
  ["protocol_version", "5", 5],
  ["protocol_version", "auto", "auto"],
  ["queue_full", "wait", "wait"],
  ["client_id", "5", "5"],
  ["password", "true", "true"],
  ["username", "a: [b]", "a: [b]"],
  ["unknown", "5", "5"],
];

Deno.test("interpret() makes numbers and booleans of variables where the key wants them", () => {
  for (const [key, text, value] of SCALARS) {
    using _ = environment({ HBMQTT_TEST: text });
    assertEquals(meaning({ [key]: "${HBMQTT_TEST}" }), { [key]: value }, `${key} ${text}`);
  }
  using _ = environment({ HBMQTT_TEST: "1" });
  assertEquals(meaning({ topics: { a: { qos: "${HBMQTT_TEST}" } } }), { topics: { a: { qos: 1 } } });
  assertEquals(meaning({ keep_alive: "${HBMQTT_TEST}0" }), { keep_alive: 10 });
  assertEquals(meaning({ keep_alive: "10" }), { keep_alive: "10" });
});

Deno.test("interpret() says what is wrong with variables, and where", () => {
  const { faults } = interpret({ uri: ["a", "${HBMQTT_UNSET}"], x: { y: "${" } });
  assertEquals(faults.map(({ path }) => path), [["uri", 1], ["x", "y"]]);
});

/** Values of `cafile` and what they are to a file in /etc/mqtt. */
const PATHS: readonly [path: string, resolved: string][] = [
  ["ca.pem", "/etc/mqtt/ca.pem"],
  ["./ca.pem", "/etc/mqtt/ca.pem"],
  [".//./ca.pem", "/etc/mqtt/ca.pem"],
  ["../ca.pem", "/etc/mqtt/../ca.pem"],
  [".hidden/ca.pem", "/etc/mqtt/.hidden/ca.pem"],
  ["/ca.pem", "/ca.pem"],
  ["C:\\ca.pem", "C:\\ca.pem"],
  ["\\\\server\\ca.pem", "\\\\server\\ca.pem"],
  ["", ""],
];

Deno.test("interpret() takes relative paths as relative to the folder", () => {
  for (const [path, resolved] of PATHS) {
    assertEquals(meaning({ cafile: path }, "/etc/mqtt"), { cafile: resolved });
    assertEquals(meaning({ cafile: path }), { cafile: path });
  }
  const paths = { cafile: "a", capath: "b", certfile: "c", keyfile: "d", store: "e" };
  const resolved = { cafile: "/f/a", capath: "/f/b", certfile: "/f/c", keyfile: "/f/d", store: "/f/e" };
  assertEquals(meaning(paths, "/f"), resolved);
  assertEquals(meaning({ broker: { cafile: "a", capath: "b" } }, "/f"), { broker: { cafile: "/f/a", capath: "/f/b" } });
  assertEquals(meaning({ cafile: "a" }, ""), { cafile: "/a" });
  using _ = environment({ HBMQTT_TEST: "g" });
  assertEquals(meaning({ cafile: "${HBMQTT_TEST}/ca.pem" }, "/f"), { cafile: "/f/g/ca.pem" });
});

Deno.test("interpret() takes the socket of a unix: URI as relative to the folder, and nothing else for a path", () => {
  const uri = (uri: unknown) => (meaning({ uri }, "/f") as { uri: unknown }).uri;
  assertEquals(uri("unix:run/mqtt.sock"), "unix:/f/run/mqtt.sock");
  assertEquals(uri("Unix:./mqtt.sock"), "Unix:/f/mqtt.sock");
  assertEquals(uri(["unix:a", "mqtt://b"]), ["unix:/f/a", "mqtt://b"]);
  for (const text of ["unix:/a", "unix:///a", "unix:", "mqtt://a", "a"]) assertEquals(uri(text), text);
  const others = { client_id: "a", topics: { a: "b" }, cadata: "c", alpn_protocols: ["d"], unknown: "e" };
  assertEquals(meaning(others, "/f"), others);
});

Deno.test("interpret() leaves out keys without a value that hbmqtt takes for absent, and no others", () => {
  const empty = { uri: null, cafile: null, capath: null, cadata: null };
  assertEquals(meaning({ ...empty, broker: { ...empty, x: null }, certfile: null, topics: null }), {
    broker: { x: null },
    certfile: null,
    topics: null,
  });
});

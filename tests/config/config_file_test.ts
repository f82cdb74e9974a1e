import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { relative } from "node:path";
import { pathToFileURL } from "node:url";
import { ConfigError, loadConfig, MQTTClient, parseConfig } from "../../mod.ts";
import { runChild } from "../helpers/child.ts";
import { environment } from "./environment.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const SECRET = "hunter2";
const LOAD_CONFIG = "tests/config/scripts/load_config.ts";

/** Gives the faults that the error for a text names, one in each line. */
function faultsOf(text: string): string[] {
  const { message } = assertThrows(() => parseConfig(text), ConfigError);
  const [title, ...faults] = message.split("\n  ");
  assertEquals(title, "The configuration is not valid:");
  return faults;
}

const BYTES = "a string or a Uint8Array, at most 65535 bytes";
const WHOLE = "a whole number of seconds, 0 to 65535";

/** Ten lists, each of which holds ten times the one before: 10¹⁰ values. */
const EXPLOSION = Array.from(
  { length: 10 },
  (_, i) => `a${i}: &a${i} [${`${i > 0 ? `*a${i - 1}` : "x"}, `.repeat(10)}]\n`,
)
  .join("");

/** Wrong files, and what is said about each. */
const WRONG: readonly [what: string, text: string, faults: readonly string[]][] = [
  ["a misspelt key", "# x\nkeepalive: 60\n", ["line 2, column 1: keepalive: unknown key, did you mean keep_alive?"]],
  ["a key below the wrong one", "will:\n  topic: a\n  message: b\n  retian: 1\n", [
    "line 4, column 3: will.retian: unknown key, did you mean retain?",
  ]],
  ["keys whose colon has no space behind it", "{keep_alive: 5, password:hunter2, topics: {a: {qos:1}}}", [
    "line 1, column 17: ***: unknown key, did you mean password? A colon and a space must follow it",
    "line 1, column 48: topics.a.qos:***: unknown key, did you mean qos? A colon and a space must follow it",
  ]],
  ["a key of the broker's", "broker: {cleansession: true}", [
    "line 1, column 10: broker.cleansession: unknown key, allowed are uri, cafile, capath, cadata",
  ]],
  ["a value out of range", "topics:\n  /test:\n    qos: 3\n", [
    "line 3, column 5: topics./test.qos: found 3, must be 0, 1 or 2",
  ]],
  [
    "several faults, in the order of the lines",
    "ping_delay: -1\nwill: {topic: a/#}\ndefault_qos: 5\nkeep_alive: 0.5\n",
    [
      "line 1, column 1: ping_delay: found -1, must be a number of seconds, 0 or more",
      `line 2, column 1: will.message: is missing, must be ${BYTES}`,
      'line 2, column 8: will.topic: found "a/#": topic names must not contain wildcards',
      "line 3, column 1: default_qos: found 5, must be 0, 1 or 2",
      `line 4, column 1: keep_alive: found 0.5, must be ${WHOLE}`,
    ],
  ],
  ["YAML 1.1's booleans", "auto_reconnect: yes\ndefault_retain: off\ncleansession: N\n", [
    'line 1, column 1: auto_reconnect: found "yes", must be true or false (to YAML 1.2 this is a text)',
    'line 2, column 1: default_retain: found "off", must be true or false (to YAML 1.2 this is a text)',
    'line 3, column 1: cleansession: found "N", must be true or false (to YAML 1.2 this is a text)',
  ]],
  ["quotes around what is no text", "keep_alive: '10'\ndefault_qos: \"1\"\nresubscribe: 'true'\n", [
    `line 1, column 1: keep_alive: found "10", must be ${WHOLE} (leave the quotes out)`,
    'line 2, column 1: default_qos: found "1", must be 0, 1 or 2 (leave the quotes out)',
    'line 3, column 1: resubscribe: found "true", must be true or false (leave the quotes out)',
  ]],
  ["texts that need quotes", `client_id: 007\nusername: 2026-01-31\npassword: 1234\nuri: true\n`, [
    "line 1, column 1: client_id: found 7, must be a string (put it in quotes)",
    "line 2, column 1: username: found a date, must be a string (put it in quotes)",
    `line 3, column 1: password: found a number, must be ${BYTES} (put it in quotes)`,
    "line 4, column 1: uri: found a boolean, must be a URI or a list of URIs, not empty (put it in quotes)",
  ]],
  ["notations that are none of YAML's", "keep_alive: 0o17\nping_delay: 1:30\nmax_inflight: 1,000\n", [
    `line 1, column 1: keep_alive: found "0o17", must be ${WHOLE}`,
    'line 2, column 1: ping_delay: found "1:30", must be a number of seconds, 0 or more',
    'line 3, column 1: max_inflight: found "1,000", must be a whole number, 1 to 65535',
  ]],
  ["keys without a value", "keep_alive:\ntopics:\n  /test:\nbroker: ~\nwill:\n  topic: a\n  message:\n", [
    `line 1, column 1: keep_alive: found null, must be ${WHOLE} (without a value, leave the key out)`,
    "line 3, column 3: topics./test: found null, must be a mapping (without a value, leave the key out)",
    "line 4, column 1: broker: found null, must be a mapping (without a value, leave the key out)",
    `line 7, column 3: will.message: found null, must be ${BYTES} (without a value, leave the key out)`,
  ]],
  ["bytes that are none", "will: {topic: a, message: b, properties: {correlationData: AAEC}}", [
    'line 1, column 43: will.properties.correlationData: found "AAEC", must be a Uint8Array, at most 65535 bytes ' +
    "(write !!binary and Base64)",
  ]],
  [
    "URIs that lead to no broker",
    "uri: http://u:hunter2@h\nbroker:\n  uri:\n    - mqtt://a\n    - mqtt://u:hunter2\n",
    [
      "line 1, column 1: uri: found a string: its scheme is not one of mqtt://, mqtts://, ws://, wss:// or unix:",
      "line 5, column 5: broker.uri[1]: found a string: host or port are malformed",
    ],
  ],
  ["values that are right where something else is wrong", "authentication_data: x\ntopics: {a/+: null}\n", [
    "line 1, column 1: authentication_data: is of no use without authentication_method",
    "line 2, column 10: topics.a/+: topic names must not contain wildcards",
    "line 2, column 10: topics.a/+: found null, must be a mapping (without a value, leave the key out)",
  ]],
  ["texts that are too long", `will: {topic: a, message: ${"x".repeat(65536)}}`, [
    "line 1, column 18: will.message: found a string: it is 65536 bytes long, 65535 are allowed",
  ]],
  ["keys that are there twice", "keep_alive: 1\ntopics:\n  a: {qos: 1, qos: 2}\nkeep_alive: -2\n", [
    "line 3, column 15: topics.a.qos: is here a second time, the first is in line 3",
    "line 4, column 1: keep_alive: is here a second time, the first is in line 1",
    `line 4, column 1: keep_alive: found -2, must be ${WHOLE}`,
  ]],
  ["tabs", "topics:\n\t/test:\n\t\tqos: 1\n", [
    "line 2, column 1: the line is indented with a tab, which YAML does not allow: use spaces",
    "line 3, column 1: the line is indented with a tab, which YAML does not allow: use spaces",
  ]],
  ["keys that are no texts", "topics:\n  a: {qos: 1}\n  007: {qos: 1}\n  1.10: {qos: 3}\n", [
    "line 1, column 1: topics.1.1.qos: found 3, must be 0, 1 or 2",
    "line 3, column 3: topics.007: this key is no text to YAML, put it in quotes",
    "line 4, column 3: topics.1.10: this key is no text to YAML, put it in quotes",
  ]],
  ["keys that are mappings", "topics:\n  a: {qos: 1}\n  {{ topic }}: {qos: 1}\n", [
    "line 3, column 13: this key is a list or a mapping to YAML, put it in quotes",
  ]],
  ["keys that are the same number", "topics:\n  10: {qos: 1}\n  0xA: {qos: 1}\n", [
    "line 3, column 3: is not valid YAML: this key is the same to YAML as one before, put both in quotes",
  ]],
  ["several documents", "keep_alive: 1\n---\nkeep_alive: 2\n", [
    "line 2, column 1: a second document begins here, and there must be only one",
  ]],
  ["nothing", "", ["there is nothing in it; {} is a configuration with all defaults"]],
  ["nothing but comments", "# keep_alive: 5\n", ["there is nothing in it; {} is a configuration with all defaults"]],
  ["a list", "# x\n- keep_alive: 5\n", ["line 2, column 1: configuration: found a list, must be a mapping"]],
  ["a text", `\n${SECRET}\n`, ["line 2, column 1: configuration: found a string, must be a mapping"]],
  ["what is no YAML", "keep_alive: 1\npassword: @hunter2\n", [
    "line 2, column 11: is not valid YAML: a text that begins with one of @ ` % & - ? [ { needs quotes",
  ]],
  ["a tag of JavaScript's", "client_id: !!js/function 'function () {}'\n", [
    "line 1, column 42: is not valid YAML: this tag is not known; a text that begins with ! needs quotes",
  ]],
  ["anchors that explode", EXPLOSION, [
    "there are more than 100000 values, each alias (*name) being all that it stands for",
  ]],
  ["an anchor within itself", "topics: &a\n  a: *a\n", ["an alias (*name) stands for itself, or cannot be followed"]],
  ["faults in what anchors stand for", "topics:\n  a: &a\n    qos: 3\n  b: *a\n  c: {<<: *a, retain: 1}\n", [
    "line 3, column 5: topics.a.qos: found 3, must be 0, 1 or 2",
    "line 3, column 5: topics.b.qos: found 3, must be 0, 1 or 2",
    "line 3, column 5: topics.c.qos: found 3, must be 0, 1 or 2",
    "line 5, column 15: topics.c.retain: found 1, must be true or false",
  ]],
  ["CRLF and a byte order mark", "\uFEFFwill:\r\n  topic: a\r\n  message: |\r\n    x\r\n  qos: 3\r\n", [
    "line 5, column 3: will.qos: found 3, must be 0, 1 or 2",
  ]],
];

for (const [what, text, expected] of WRONG) {
  Deno.test(`parseConfig() says what is wrong with ${what}`, () => {
    assertEquals(faultsOf(text), expected);
  });
}

Deno.test("parseConfig() takes the keys of prototypes for unknown ones", () => {
  const [first, second] = faultsOf("topics: {__proto__: {qos: 3}}\n__proto__: {keep_alive: 5}\n");
  assertEquals(first, "line 1, column 22: topics.__proto__.qos: found 3, must be 0, 1 or 2");
  assert(second.startsWith("line 2, column 1: __proto__: unknown key, allowed are uri, "), second);
});

Deno.test("parseConfig() gives what is in the text and no more", () => {
  assertEquals(parseConfig("{}"), {});
  assertEquals(parseConfig("keep_alive: 5\ntopics: {/test: {qos: 1}}\ncafile: ca.pem\n"), {
    keep_alive: 5,
    topics: { "/test": { qos: 1 } },
    cafile: "ca.pem",
  });
  assertEquals(parseConfig('{"keep_alive": 5, "will": {"topic": "a", "message": ""}}'), {
    keep_alive: 5,
    will: { topic: "a", message: "" },
  });
});

Deno.test("parseConfig() takes Python's True and False, and nothing for hbmqtt's CA keys, as hbmqtt's files have them", () => {
  const text =
    "auto_reconnect: True\ndefault_retain: False\nbroker: {uri: mqtt://a, cafile:, capath: ~, cadata: null}\n";
  assertEquals(parseConfig(text), { auto_reconnect: true, default_retain: false, broker: { uri: "mqtt://a" } });
});

Deno.test("parseConfig() takes bytes for a password, and for what only bytes can express", () => {
  const config = parseConfig("password: !!binary AAH/\nwill: {topic: a, message: !!binary AgM=}\n");
  assertEquals(config.password, new Uint8Array([0, 1, 255]));
  assertEquals(config.will?.message, new Uint8Array([2, 3]));
});

Deno.test("parseConfig() shows no secret in what it says", () => {
  const wrong = [
    `password: [${SECRET}]`,
    `password: {${SECRET}x: ${SECRET}}`.replace(`${SECRET}x`, "x"),
    `password: *${SECRET}`,
    `password: !${SECRET}`,
    `password: "${SECRET}`,
    `password: ${SECRET}: x`,
    `password:${SECRET}`,
    `keep_alive: 1\npassword:${SECRET}\nuri: a`,
    `passwort: ${SECRET}`,
    `{uri: mqtt://h, password:${SECRET}}`,
    `{password:"${SECRET}"}`,
    `? password:${SECRET}`,
    `password=${SECRET}: 1`,
    `password ${SECRET}: 1`,
    `broker: user:${SECRET}`,
    `broker: {uri: mqtt://h, password:${SECRET}}`,
    `keep_alive: 5\n  password:${SECRET}`,
    `password: {${SECRET}: "\${"}`,
    `password: {${SECRET}: 1, ${SECRET}: 2}`,
    `uri: {mqtt: //u:${SECRET}@h}`,
    `uri: mqtt://u:${SECRET}@h: x`,
    `urls: [mqtt://u:${SECRET}@h]`,
    `mqtt://u:${SECRET}@h: x`,
    `u:${SECRET}@h: x`,
    `topics: {mqtt://u:${SECRET}@h: 1}`,
    `keep_alive: u:${SECRET}@h`,
    `broker: mqtt://u:${SECRET}@h`,
    `- ${SECRET}`,
    SECRET,
    `a: ${SECRET}\na: ${SECRET}`,
    `a: ${SECRET}\n---\n${SECRET}`,
    `\tpassword: ${SECRET}`,
  ];
  for (const text of wrong) {
    const error = assertThrows(() => parseConfig(text), ConfigError);
    assert(!Deno.inspect(error).includes(SECRET), text);
  }
});

Deno.test("parseConfig() shows nothing of what the environment has", () => {
  using _ = environment({ HBMQTT_TEST: SECRET, HBMQTT_NUMBER: "-2026" });
  const text =
    "keep_alive: ${HBMQTT_TEST}\ndefault_qos: ${HBMQTT_NUMBER}\nwill: {topic: '${HBMQTT_TEST}/#', message: ''}\n";
  assertEquals(faultsOf(text), [
    `line 1, column 1: keep_alive: found a value from the environment, must be ${WHOLE}`,
    "line 2, column 1: default_qos: found a value from the environment, must be 0, 1 or 2",
    "line 3, column 8: will.topic: found a value from the environment: topic names must not contain wildcards",
  ]);
});

Deno.test("loadConfig() refuses a private key in the place of its path, and does not show it", async () => {
  using _ = environment({ HBMQTT_TEST: `-----BEGIN PRIVATE KEY-----\n${SECRET}\n` });
  await using folder = await temporaryFolder();
  const path = await folder.write(
    "client.yaml",
    `keyfile: \${HBMQTT_TEST}\ncertfile: |\n  -----BEGIN X\n  ${SECRET}\n`,
  );
  const { message } = await assertRejects(() => loadConfig(path), ConfigError);
  assertEquals(message.split("\n  "), [
    `${path} is not valid:`,
    `${path}:1:1: keyfile: found a value from the environment: a path must hold neither PEM nor line breaks`,
    `${path}:2:1: certfile: found a string: a path must hold neither PEM nor line breaks`,
  ]);
});

Deno.test("parseConfig() checks a URI after its variables are replaced", () => {
  using _ = environment({ HBMQTT_TEST: "host:1", HBMQTT_WRONG: `u:${SECRET}/@h` });
  assertEquals(parseConfig("uri: mqtt://${HBMQTT_TEST}"), { uri: "mqtt://host:1" });
  assertEquals(faultsOf("uri:\n- mqtt://${HBMQTT_WRONG}\n- mqtt://${HBMQTT_UNSET}\n"), [
    "line 2, column 1: uri[0]: found a value from the environment: host or port are malformed; write / in user name and " +
    "password as %2F, ? as %3F, # as %23",
    "line 3, column 1: uri[1]: the environment variable HBMQTT_UNSET is not set; ${HBMQTT_UNSET:-default} would give a default",
  ]);
});

Deno.test("parseConfig() names variables that are not set, and says nothing about the values that are missing", () => {
  const unset = (name: string) =>
    `the environment variable ${name} is not set; \${${name}:-default} would give a default`;
  assertEquals(faultsOf("uri: ${HBMQTT_A}\nkeep_alive: ${HBMQTT_B}\nkeepalive: ${HBMQTT_C}\nping_delay: -1"), [
    `line 1, column 1: uri: ${unset("HBMQTT_A")}`,
    `line 2, column 1: keep_alive: ${unset("HBMQTT_B")}`,
    `line 3, column 1: keepalive: ${unset("HBMQTT_C")}`,
    "line 3, column 1: keepalive: unknown key, did you mean keep_alive?",
    "line 4, column 1: ping_delay: found -1, must be a number of seconds, 0 or more",
  ]);
});

Deno.test("parseConfig() does not read what a variable holds as YAML", () => {
  using _ = environment({ HBMQTT_TEST: "x\nkeep_alive: 1 # ${HBMQTT_TEST} *a !b" });
  assertEquals(parseConfig("password: ${HBMQTT_TEST}"), { password: "x\nkeep_alive: 1 # ${HBMQTT_TEST} *a !b" });
});

Deno.test("parseConfig() names so many faults and no more", () => {
  const faults = faultsOf(Array.from({ length: 1000 }, (_, i) => `topic${i}x: 1\n`).join(""));
  assertEquals([faults.length, faults.at(-1)], [101, "and more"]);
});

Deno.test("parseConfig() refuses what is too large, and what is no text", () => {
  const message = "The configuration is larger than 1048576 bytes, which no configuration needs";
  assertThrows(() => parseConfig("#".repeat(10 * 1024 * 1024)), ConfigError, message);
  assertEquals(parseConfig(`keep_alive: 5 ${"#".repeat(1024 * 1024 - 14)}`), { keep_alive: 5 });
  for (const text of [undefined, null, 5, new Uint8Array()]) {
    assertThrows(() => parseConfig(text as unknown as string), TypeError, "A configuration must be a string, not ");
  }
});

Deno.test("loadConfig() takes a path or a file: URL", async () => {
  await using folder = await temporaryFolder();
  const path = await folder.write("a client's %41.yaml", "\uFEFFkeep_alive: 5\r\n");
  for (const way of [path, relative(Deno.cwd(), path), pathToFileURL(path)]) {
    assertEquals(await loadConfig(way), { keep_alive: 5 });
  }
});

Deno.test("loadConfig() takes relative paths in the file as relative to the file", async () => {
  await using folder = await temporaryFolder();
  const text = "cafile: ca.pem\nstore: ./s.db\nkeyfile: /k.pem\nuri: unix:m.sock\nbroker: {capath: ../ca}\n";
  const path = await folder.write("client.yaml", text);
  const expected = {
    cafile: `${folder.path}/ca.pem`,
    store: `${folder.path}/s.db`,
    keyfile: "/k.pem",
    uri: `unix:${folder.path}/m.sock`,
    broker: { capath: `${folder.path}/../ca` },
  };
  assertEquals(await loadConfig(path), expected);
  assertEquals(await loadConfig(pathToFileURL(path)), expected);
  const { cafile } = await loadConfig(relative(Deno.cwd(), path));
  assertEquals(await Deno.realPath(cafile!.replace("ca.pem", "client.yaml")), await Deno.realPath(path));
  assert(cafile!.startsWith("/"));
});

Deno.test("loadConfig() names the file, line and column of each fault", async () => {
  await using folder = await temporaryFolder();
  const path = await folder.write("client.yaml", "keepalive: 5\ntopics:\n  /test: {qos: 3}\n");
  const error = await assertRejects(() => loadConfig(path), ConfigError);
  assertEquals(error.message.split("\n"), [
    `${path} is not valid:`,
    `  ${path}:1:1: keepalive: unknown key, did you mean keep_alive?`,
    `  ${path}:3:11: topics./test.qos: found 3, must be 0, 1 or 2`,
  ]);
  await folder.write("client.yaml", "");
  await assertRejects(() => loadConfig(path), ConfigError, `  ${path}: there is nothing in it`);
});

Deno.test("loadConfig() says why it cannot read a file", async () => {
  await using folder = await temporaryFolder();
  const missing = `${folder.path}/missing.yaml`;
  const error = await assertRejects(() => loadConfig(missing), ConfigError, `Cannot read ${missing}: No such file`);
  assertInstanceOf(error.cause, Deno.errors.NotFound);
  await assertRejects(() => loadConfig(folder.path), ConfigError, `Cannot read ${folder.path}: Is a directory`);
  const binary = await folder.write("binary", new Uint8Array([0x61, 0x3a, 0x20, 0xff]));
  await assertRejects(() => loadConfig(binary), ConfigError, `Cannot read ${binary}: it is not UTF-8`);
  const utf16 = await folder.write("utf16", new Uint8Array([0xff, 0xfe, 0x61, 0, 0x3a, 0]));
  await assertRejects(() => loadConfig(utf16), ConfigError, `Cannot read ${utf16}: it is not UTF-8`);
  const large = await folder.write("large", "#".repeat(10 * 1024 * 1024));
  await assertRejects(() => loadConfig(large), ConfigError, `${large} is larger than 1048576 bytes`);
  if (Deno.build.os !== "windows") await assertRejects(() => loadConfig("/dev/zero"), ConfigError, "is larger than");
});

Deno.test("loadConfig() says that a URL is not percent-encoded", async () => {
  for (const url of ["file:///tmp/%zz.yaml", "file:///tmp/%ff.yaml"]) {
    await assertRejects(() => loadConfig(new URL(url)), ConfigError, `Cannot read ${url}: it holds a % that starts no`);
  }
});

Deno.test("loadConfig() rejects what is no path", async () => {
  await assertRejects(() => loadConfig(new URL("https://a/b.yaml")), TypeError, "Cannot load https: URLs");
  await assertRejects(() => loadConfig(5 as unknown as string), TypeError, "must be a string or a URL, not number");
});

Deno.test("loadConfig() needs permission for the file alone, and names the one that it lacks", async () => {
  await using folder = await temporaryFolder();
  const path = await folder.write("client.yaml", "keep_alive: 5\ncafile: ca.pem\npassword: $${x}\n");
  const denied = await runChild(LOAD_CONFIG, [], path);
  assertEquals(denied.stdout, `ConfigError: Cannot read ${path}: run with --allow-read=${path}\n`);
  const { stdout } = await runChild(LOAD_CONFIG, [`--allow-read=${path}`], path);
  assertEquals(stdout, `{\n  keep_alive: 5,\n  cafile: "${folder.path}/ca.pem",\n  password: "***"\n}\n`);
});

Deno.test("loadConfig() needs permission for the variables in the file, and names those that it lacks", async () => {
  await using folder = await temporaryFolder();
  const path = await folder.write("client.yaml", "username: ${USER:-me}\npassword: ${HBMQTT_TEST:-x}\n");
  const denied = await runChild(LOAD_CONFIG, [`--allow-read=${path}`], path);
  assertEquals(denied.stdout.split("\n").slice(1, 3), [
    `  ${path}:1:1: username: cannot read the environment variable USER: run with --allow-env=USER`,
    `  ${path}:2:1: password: cannot read the environment variable HBMQTT_TEST: run with --allow-env=HBMQTT_TEST`,
  ]);
  const { code } = await runChild(LOAD_CONFIG, [`--allow-read=${path}`, "--allow-env=USER,HBMQTT_TEST"], path);
  assertEquals(code, 0);
});

Deno.test("MQTTClient.fromConfigFile() makes a client with the configuration and the options", async () => {
  await using folder = await temporaryFolder();
  const path = await folder.write("client.yaml", "client_id: of-the-file\n");
  assertEquals((await MQTTClient.fromConfigFile(path)).clientId, "of-the-file");
  assertEquals((await MQTTClient.fromConfigFile(pathToFileURL(path), { clientId: "mine" })).clientId, "mine");
  await assertRejects(() => MQTTClient.fromConfigFile(path, { clientId: "\0" }), TypeError, "client identifier");
  await assertRejects(() => MQTTClient.fromConfigFile(`${path}x`), ConfigError, "Cannot read");
});

Deno.test("MQTTClient.fromConfigFile() makes a client of the class that it is called on", async () => {
  class OwnClient extends MQTTClient {
    own(): boolean {
      return true;
    }
  }
  await using folder = await temporaryFolder();
  const client: OwnClient = await OwnClient.fromConfigFile(await folder.write("client.yaml", "{}"));
  assertEquals(client.own(), true);
});

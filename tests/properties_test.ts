import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import {
  isEmpty,
  NO_PROPERTIES,
  type Properties,
  propertiesFault,
  propertiesOf,
  type PropertiesOwner,
} from "../src/properties.ts";

/** Gives what is said about properties, and with which error. */
function faultOf(owner: PropertiesOwner, properties: unknown): [what: string, error: string] | undefined {
  const fault = propertiesFault(owner, properties);
  return fault && [fault.what, fault.error.name];
}

/** Properties that an application may give, as many as there are. */
const ALLOWED: Readonly<Partial<Record<PropertiesOwner, Properties>>> = {
  CONNECT: {
    sessionExpiryInterval: 4_294_967_295,
    authenticationMethod: "m",
    authenticationData: new Uint8Array(65_535),
    requestProblemInformation: 0,
    requestResponseInformation: 1,
    receiveMaximum: 65_535,
    topicAliasMaximum: 0,
    userProperties: [["k", "v"], ["k", ""]],
    maximumPacketSize: 1,
  },
  will: {
    payloadFormatIndicator: 1,
    messageExpiryInterval: 0,
    contentType: "",
    responseTopic: "a/b",
    correlationData: new Uint8Array(0),
    willDelayInterval: 4_294_967_295,
    userProperties: [],
  },
  PUBLISH: {
    payloadFormatIndicator: 0,
    messageExpiryInterval: 4_294_967_295,
    contentType: "é".repeat(32_767),
    responseTopic: "é",
    correlationData: new Uint8Array(1),
    topicAlias: 65_535,
    userProperties: [["", ""]],
  },
  SUBSCRIBE: { subscriptionIdentifier: 268_435_455, userProperties: [["k", "v"]] },
  UNSUBSCRIBE: { userProperties: [["k", "v"]] },
  DISCONNECT: { sessionExpiryInterval: 0, reasonString: "r", userProperties: [["k", "v"]] },
  AUTH: { authenticationMethod: "m", authenticationData: new Uint8Array(1), reasonString: "r", userProperties: [] },
  PUBACK: { reasonString: "r", userProperties: [["k", "v"]] },
};

for (const [owner, properties] of Object.entries(ALLOWED) as [PropertiesOwner, Properties][]) {
  Deno.test(`propertiesFault() takes every property that an application may give for ${owner}`, () => {
    assertEquals(faultOf(owner, properties), undefined);
    for (const name of Object.keys(properties)) {
      if (name !== "authenticationData") {
        assertEquals(faultOf(owner, { [name]: properties[name as keyof Properties] }), undefined);
      }
      assertEquals(faultOf(owner, { [name]: undefined }), undefined);
    }
    assertEquals(faultOf(owner, NO_PROPERTIES), undefined);
  });
}

Deno.test("propertiesFault() refuses a property that the packet may not have, and names both", () => {
  const all: Properties = Object.assign({}, ...Object.values(ALLOWED));
  for (const [owner, properties] of Object.entries(ALLOWED) as [PropertiesOwner, Properties][]) {
    for (const [name, value] of Object.entries(all)) {
      if (name in properties) continue;
      const where = owner === "will" ? "a will" : owner;
      assertEquals(faultOf(owner, { [name]: value }), [`${name} is not allowed in ${where}`, "TypeError"]);
    }
  }
});

Deno.test("propertiesFault() refuses a property that does not exist, even one that objects inherit", () => {
  for (const name of ["ttl", "userProperty", "message_expiry_interval", "constructor", "toString", ""]) {
    assertEquals(faultOf("PUBLISH", { [name]: 1 }), [`MQTT 5.0 has no property ${JSON.stringify(name)}`, "TypeError"]);
  }
});

Deno.test("propertiesFault() refuses what only a broker sends", () => {
  assertEquals(faultOf("PUBLISH", { subscriptionIdentifiers: [1] }), [
    "only a broker sends subscriptionIdentifiers in PUBLISH",
    "TypeError",
  ]);
  assertEquals(faultOf("DISCONNECT", { serverReference: "s" }), [
    "only a broker sends serverReference in DISCONNECT",
    "TypeError",
  ]);
});

Deno.test("propertiesFault() refuses numbers out of range with RangeError, and names the range", () => {
  const table: [PropertiesOwner, keyof Properties, range: string, values: number[]][] = [
    ["PUBLISH", "payloadFormatIndicator", "0 to 1", [2, -1, 0.5, NaN]],
    ["PUBLISH", "messageExpiryInterval", "0 to 4294967295", [-1, 4_294_967_296, 1.5, Infinity, NaN]],
    ["PUBLISH", "topicAlias", "1 to 65535", [0, 65_536]],
    ["SUBSCRIBE", "subscriptionIdentifier", "1 to 268435455", [0, 268_435_456]],
    ["CONNECT", "sessionExpiryInterval", "0 to 4294967295", [-1, 4_294_967_296]],
    ["CONNECT", "receiveMaximum", "1 to 65535", [0, 65_536]],
    ["CONNECT", "topicAliasMaximum", "0 to 65535", [-1, 65_536]],
    ["CONNECT", "maximumPacketSize", "1 to 4294967295", [0, 4_294_967_296]],
    ["CONNECT", "requestProblemInformation", "0 to 1", [2]],
    ["CONNECT", "requestResponseInformation", "0 to 1", [2]],
    ["will", "willDelayInterval", "0 to 4294967295", [-1, 4_294_967_296]],
  ];
  for (const [owner, name, range, values] of table) {
    for (const value of values) {
      assertEquals(faultOf(owner, { [name]: value }), [
        `${name} must be a whole number from ${range}, not ${value}`,
        "RangeError",
      ]);
    }
  }
});

Deno.test("propertiesFault() refuses values of another type with TypeError", () => {
  const table: [name: keyof Properties, demand: string, values: [value: unknown, type: string][]][] = [
    ["messageExpiryInterval", "must be a whole number from 0 to 4294967295", [["60", "string"], [null, "null"], [
      60n,
      "bigint",
    ]]],
    ["payloadFormatIndicator", "must be a whole number from 0 to 1", [[true, "boolean"]]],
    ["contentType", "must be a string", [[1, "number"], [null, "null"], [["text"], "a list"]]],
    ["responseTopic", "must be a string", [[new Uint8Array(1), "object"]]],
    ["correlationData", "must be a Uint8Array", [["id", "string"], [[1], "a list"], [new ArrayBuffer(1), "object"]]],
    ["userProperties", "must be a list", [[{ k: "v" }, "object"], ["k", "string"], [new Map([["k", "v"]]), "object"]]],
  ];
  for (const [name, demand, values] of table) {
    for (const [value, type] of values) {
      assertEquals(faultOf("PUBLISH", { [name]: value }), [`${name} ${demand}, not ${type}`, "TypeError"]);
    }
  }
});

Deno.test("propertiesFault() refuses user properties that are not pairs of strings", () => {
  for (const pair of [["k"], ["k", "v", "w"], ["k", 1], [1, "v"], "kv", null, undefined, [, "v"], { 0: "k", 1: "v" }]) {
    const [what, error] = faultOf("PUBLISH", { userProperties: [["fine", ""], pair] }) ?? [];
    assertStringIncludes(what ?? "", "userProperties must hold pairs of strings, not ");
    assertEquals(error, "TypeError");
  }
});

Deno.test("propertiesFault() refuses strings that cannot be sent", () => {
  const faulty: [text: string, what: string][] = [
    ["a\0b", "U+0000 is not allowed"],
    ["\ud800", "it holds a lone surrogate, which UTF-8 cannot express"],
    ["é".repeat(32_768), "it is 65536 bytes long, 65535 are allowed"],
  ];
  for (const [text, what] of faulty) {
    assertEquals(faultOf("PUBLISH", { contentType: text }), [`contentType: ${what}`, "TypeError"]);
    assertEquals(faultOf("PUBLISH", { userProperties: [[text, ""]] }), [`userProperties: ${what}`, "TypeError"]);
    assertEquals(faultOf("PUBLISH", { userProperties: [["", text]] }), [`userProperties: ${what}`, "TypeError"]);
  }
});

Deno.test("propertiesFault() refuses a response topic that is no topic name [MQTT5-3.3.2-14]", () => {
  for (const [topic, what] of [["a/#", "wildcards"], ["+", "wildcards"], ["", "empty"], ["\0", "U+0000"]]) {
    assertStringIncludes(faultOf("will", { responseTopic: topic })?.[0] ?? "", what);
  }
});

Deno.test("propertiesFault() refuses bytes that are too many", () => {
  assertEquals(faultOf("PUBLISH", { correlationData: new Uint8Array(65_536) }), [
    "correlationData is 65536 bytes long, 65535 are allowed",
    "RangeError",
  ]);
});

Deno.test("propertiesFault() refuses authentication data without a method (§3.1.2.11.10)", () => {
  assertEquals(faultOf("CONNECT", { authenticationData: new Uint8Array(1) }), [
    "authenticationData needs authenticationMethod",
    "TypeError",
  ]);
});

Deno.test("propertiesFault() refuses properties that are no object", () => {
  for (
    const [value, type] of [[null, "null"], ["x", "string"], [1, "number"], [[], "a list"], [undefined, "undefined"]]
  ) {
    assertEquals(faultOf("PUBLISH", value), [`properties must be an object, not ${type}`, "TypeError"]);
  }
});

Deno.test("PropertiesFault.error makes the error to throw", () => {
  const fault = propertiesFault("CONNECT", { receiveMaximum: 0 });
  assertInstanceOf(fault && new fault.error(fault.what), RangeError);
});

Deno.test("propertiesOf() gives each property of a packet once, by ascending identifier", () => {
  for (const owner of ["CONNECT", "will", "CONNACK", "PUBLISH", "AUTH"] as const) {
    const ids = propertiesOf(owner).map(({ id }) => id);
    assertEquals(ids, [...new Set(ids)].sort((a, b) => a - b));
  }
  assertEquals(propertiesOf("UNSUBSCRIBE").map(({ name }) => name), ["userProperties"]);
  assertEquals(propertiesOf("PINGREQ"), []);
});

Deno.test("isEmpty() tells whether a property would be written", () => {
  for (const properties of [NO_PROPERTIES, {}, { contentType: undefined }, { userProperties: [] }]) {
    assertEquals(isEmpty(properties), true);
  }
  for (const properties of [{ contentType: "" }, { maximumQos: 0 }, { userProperties: [["", ""]] }] as Properties[]) {
    assertEquals(isEmpty(properties), false);
  }
});

import { assertEquals } from "@std/assert";
import { MQTT_3_1_1 } from "../../src/codec/mqtt_3_1_1.ts";
import { MQTT_5_0 } from "../../src/codec/mqtt_5_0.ts";
import { ConnectError, ConnectionLostError } from "../../src/errors.ts";
import { UNSUPPORTED_PROTOCOL_VERSION } from "../../src/reason_codes.ts";
import { Itinerary } from "../../src/shell/itinerary.ts";
import { parseEndpoint } from "../../src/endpoint.ts";

const A = parseEndpoint("mqtt://me@a"), B = parseEndpoint("mqtt://b");

const unsupported = new ConnectError("unsupported", { reasonCode: UNSUPPORTED_PROTOCOL_VERSION });

function refusedFor(serverReference: string, reasonCode = 0x9c): ConnectError {
  return new ConnectError("moved", { reasonCode, serverReference });
}

function lostFor(serverReference: string, reasonCode = 0x9d): ConnectionLostError {
  return new ConnectionLostError("moved", { reasonCode, serverReference });
}

function round(itinerary: Itinerary): string[] {
  return Array.from(itinerary.round([A, B]), ({ uri }) => uri);
}

Deno.test("Itinerary.refused() gives a broker again in each older dialect that there is", () => {
  const itinerary = new Itinerary([MQTT_5_0, MQTT_3_1_1], 0);
  assertEquals(itinerary.dialectFor(A), MQTT_5_0);
  assertEquals(itinerary.refused(A, unsupported), A);
  assertEquals([itinerary.dialectFor(A), itinerary.dialectFor(B)], [MQTT_3_1_1, MQTT_5_0]);
  assertEquals(itinerary.refused(A, unsupported), undefined);
  assertEquals(itinerary.dialectFor(A), MQTT_3_1_1);
});

Deno.test("Itinerary.refused() gives the broker that a refusal names, with the same user", () => {
  const itinerary = new Itinerary([MQTT_5_0], 1);
  assertEquals(itinerary.refused(A, refusedFor("c:1")), { ...parseEndpoint("mqtt://c:1"), username: "me" });
});

Deno.test("Itinerary.refused() follows so many times in a row, and anew for each broker of a round", () => {
  const itinerary = new Itinerary([MQTT_5_0], 2);
  const followed = [];
  for (const endpoint of itinerary.round([A, B])) {
    for (let next = itinerary.refused(endpoint, refusedFor("c")); next !== undefined;) {
      followed.push(`${endpoint.hostname}: ${next.hostname}`);
      next = itinerary.refused(next, refusedFor("d"));
    }
  }
  assertEquals(followed, ["a: c", "a: d", "b: c", "b: d"]);
});

Deno.test("Itinerary.refused() gives nothing for an error that names no broker", () => {
  const itinerary = new Itinerary([MQTT_5_0], 2);
  for (const error of [new ConnectError("refused"), refusedFor(""), new TypeError("wrong")]) {
    assertEquals(itinerary.refused(A, error), undefined);
  }
});

Deno.test("Itinerary follows where the reason is 'Use another server' or 'Server moved' alone", () => {
  const codes = [0x9c, 0x9d, 0x00, 0x80, 0x87, 0x88, 0x8b];
  const itinerary = new Itinerary([MQTT_5_0], codes.length);
  const followed = [true, true, false, false, false, false, false];
  assertEquals(codes.map((code) => itinerary.refused(A, refusedFor("c", code)) !== undefined), followed);
  round(itinerary);
  assertEquals(codes.map((code) => itinerary.linkLost(A, lostFor("c", code))), followed);
});

Deno.test("Itinerary.round() begins once with the broker that the end of a connection has named", () => {
  const itinerary = new Itinerary([MQTT_5_0], 1);
  assertEquals(itinerary.linkLost(A, lostFor("c")), true);
  assertEquals(round(itinerary), ["mqtt://c:1883", "mqtt://a:1883", "mqtt://b:1883"]);
  assertEquals(round(itinerary), ["mqtt://a:1883", "mqtt://b:1883"]);
});

Deno.test("Itinerary.round() has nothing to begin with after forgetRedirect(), or where no broker is followed", () => {
  const itinerary = new Itinerary([MQTT_5_0], 1);
  itinerary.linkLost(A, lostFor("c"));
  itinerary.forgetRedirect();
  assertEquals(round(itinerary), ["mqtt://a:1883", "mqtt://b:1883"]);
  const staying = new Itinerary([MQTT_5_0], 0);
  assertEquals(staying.linkLost(A, lostFor("c")), false);
  assertEquals(round(staying), ["mqtt://a:1883", "mqtt://b:1883"]);
});

import { assertEquals } from "@std/assert";
import { FIELDS } from "../../src/config/fields.ts";
import { nearest } from "../../src/config/nearest.ts";

const MISSPELT: Readonly<Record<string, string | undefined>> = {
  keepalive: "keep_alive",
  keepAlive: "keep_alive",
  "keep-alive": "keep_alive",
  KEEP_ALIVE: "keep_alive",
  keep_alvie: "keep_alive",
  clean_session: "cleansession",
  ca_file: "cafile",
  caPath: "capath",
  clientid: "client_id",
  user_name: "username",
  passwrod: "password",
  url: "uri",
  uris: "uri",
  brokers: "broker",
  topic: "topics",
  reconnect_retry: "reconnect_retries",
  max_inflight_messages: undefined,
  plugins: undefined,
  x: undefined,
  "": undefined,
  __proto__x: undefined,
};

Deno.test("nearest() gives the key that was meant, if there is one", () => {
  for (const [misspelt, meant] of Object.entries(MISSPELT)) {
    assertEquals(nearest(misspelt, Object.keys(FIELDS)), meant, misspelt);
  }
});

Deno.test("nearest() prefers the nearest, and of equals the first", () => {
  assertEquals(nearest("capaht", ["cafile", "capath"]), "capath");
  assertEquals(nearest("qoz", ["qos", "qoy"]), "qos");
  assertEquals(nearest("abc", []), undefined);
});

Deno.test("nearest() counts a swap of neighbours as one mistake", () => {
  assertEquals(nearest("qso", ["qos"]), "qos");
  assertEquals(nearest("soq", ["qos"]), undefined);
});

Deno.test("nearest() is done at once with a text that is no word", () => {
  assertEquals(nearest("x".repeat(10_000_000), Object.keys(FIELDS)), undefined);
});

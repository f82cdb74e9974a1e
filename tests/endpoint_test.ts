import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { type Endpoint, endpointFault, maskedUri, parseEndpoint, parseServerReference } from "../src/endpoint.ts";

const NOBODY = { username: undefined, password: undefined };

/** An endpoint that is reached by a name or an address. */
function network(scheme: Endpoint["scheme"], hostname: string, port: number, path = ""): Omit<Endpoint, "uri"> {
  return { scheme, hostname, port, path, ...NOBODY };
}

function unix(path: string): Omit<Endpoint, "uri"> {
  return { scheme: "unix", hostname: "", port: 0, path, ...NOBODY };
}

// URI, what is read from it, and how it is shown where that is not the URI itself.
const GOOD: readonly [uri: string, endpoint: Omit<Endpoint, "uri">, shown?: string][] = [
  ["mqtt://localhost", network("mqtt", "localhost", 1883), "mqtt://localhost:1883"],
  ["mqtts://localhost", network("mqtts", "localhost", 8883), "mqtts://localhost:8883"],
  ["ws://localhost", network("ws", "localhost", 80, "/"), "ws://localhost:80/"],
  ["wss://localhost", network("wss", "localhost", 443, "/"), "wss://localhost:443/"],
  ["mqtt://broker.example:1", network("mqtt", "broker.example", 1)],
  ["mqtt://broker.example:65535/", network("mqtt", "broker.example", 65_535), "mqtt://broker.example:65535"],
  ["mqtts://10.0.0.1:1234", network("mqtts", "10.0.0.1", 1234)],
  ["mqtt://[::1]:1884", network("mqtt", "::1", 1884)],
  ["mqtt://[2001:DB8::7]", network("mqtt", "2001:db8::7", 1883), "mqtt://[2001:db8::7]:1883"],
  ["MQTT://Broker.Example", network("mqtt", "broker.example", 1883), "mqtt://broker.example:1883"],
  ["mqtt://bücher.example", network("mqtt", "xn--bcher-kva.example", 1883), "mqtt://xn--bcher-kva.example:1883"],
  ["ws://h:8080/mqtt", network("ws", "h", 8080, "/mqtt")],
  ["ws://h:80/a%2Fb/", network("ws", "h", 80, "/a%2Fb/")],
  ["wss://h:443/ws?x=1&y=%20", network("wss", "h", 443, "/ws?x=1&y=%20"), "wss://h:443/ws?***"],
  ["wss://h/?token=1", network("wss", "h", 443, "/?token=1"), "wss://h:443/?***"],
  ["unix:/run/mosquitto.sock", unix("/run/mosquitto.sock")],
  ["unix:///run/mosquitto.sock", unix("/run/mosquitto.sock"), "unix:/run/mosquitto.sock"],
  ["unix:relative.sock", unix("relative.sock")],
  ["unix:/a path/with:colons@and%20percents", unix("/a path/with:colons@and%20percents")],
];

for (const [uri, endpoint, shown = uri] of GOOD) {
  Deno.test(`parseEndpoint() reads ${uri}`, () => {
    assertEquals(parseEndpoint(uri), { ...endpoint, uri: shown });
  });
}

const USER_INFO: readonly [userInfo: string, username: string | undefined, password: string | undefined][] = [
  ["user:secret", "user", "secret"],
  ["user", "user", undefined],
  ["user:", "user", ""],
  ["u@s:", "u@s", ""],
  ["user:@", "user", "@"],
  ["user::", "user", ":"],
  [":secret", undefined, "secret"],
  [":", undefined, undefined],
  ["", undefined, undefined],
  ["u%40s%3Aer:p%2Fa%25%C3%BC", "u@s:er", "p/a%ü"],
  ["user:a:b", "user", "a:b"],
];

for (const scheme of ["mqtt", "mqtts", "ws", "wss"]) {
  for (const [userInfo, username, password] of USER_INFO) {
    Deno.test(`parseEndpoint() reads user and password from ${scheme}://${userInfo}@host, and does not show them`, () => {
      const endpoint = parseEndpoint(`${scheme}://${userInfo}@host:1`);
      assertEquals([endpoint.username, endpoint.password, endpoint.hostname], [username, password, "host"]);
      assertMatch(endpoint.uri, /^[a-z]+:\/\/host:1\/?$/);
    });
  }
}

const BAD: readonly [uri: string, message: RegExp][] = [
  ["", /must start with mqtt:\/\//],
  ["localhost", /must start with/],
  ["//localhost", /must start with/],
  [" mqtt://localhost", /must start with/],
  ['"mqtt://localhost', /must start with/],
  ["localhost:1883", /its scheme is not one of/],
  ["http://localhost", /its scheme is not one of/],
  ["mqtt+tls://localhost", /its scheme is not one of/],
  ["toString://localhost", /is not one of/],
  ["mqtt:localhost", /"\/\/" must follow/],
  ["mqtt:/localhost", /"\/\/" must follow/],
  ["mqtt://", /no host|malformed/],
  ["mqtt:///path", /no host|malformed/],
  ["mqtt://:1883", /no host|malformed/],
  ["mqtt://user@", /no host|malformed/],
  ["mqtt://host:port", /malformed/],
  ["mqtt://host:65536", /malformed/],
  ["mqtt://host:-1", /malformed/],
  ["mqtt://host:0", /port 0/],
  ["mqtt://a b", /malformed/],
  ["mqtt://[::1", /malformed/],
  ["mqtt://::1", /malformed/],
  ["mqtt://[fe80::1%25eth0]", /malformed/],
  ["mqtt://user:p/w@host", /host or port are malformed; write \/ in user name and password as %2F/],
  ["mqtt://user:1/w@host", /an @ in its path must be written %40; write \/ in user name and password as %2F/],
  ["ws://user:1/w@host/path", /an @ in its path must be written %40/],
  ["ws://user:1\\w@host/path", /an @ in its path must be written %40/],
  ["ws://host/a@b", /an @ in its path must be written %40/],
  ["mqtt://host/path", /takes no path and no query/],
  ["mqtt://host?query", /takes no path and no query/],
  ["mqtts://host/path", /takes no path and no query/],
  ["mqtt://host#fragment", /%23/],
  ["ws://host/path#fragment", /%23/],
  ["mqtt://user:%zz@host", /percent-encoded/],
  ["mqtt://user:%ff@host", /percent-encoded/],
  ["unix:", /names no socket/],
];

for (const [uri, message] of BAD) {
  Deno.test(`parseEndpoint() says what is wrong with "${uri}"`, () => {
    assertMatch(assertThrows(() => parseEndpoint(uri), TypeError).message, message);
  });
}

const WITH_SECRETS = [
  "http://user:secret@host",
  "mqtt:user:secret@host",
  "mqtt:/user:secret@host",
  "user:secret@host:1883",
  "mqtt://user:secret@host:99999",
  "mqtt://user:secret@host/path",
  "mqtt://user:secret@host#x",
  "mqtt://user:sec@ret@host/x",
  "mqtt://user:%zzsecret@host",
  // Characters that should have been percent-encoded cut the password in two.
  "mqtt://user:p/secret@host",
  "mqtt://user:p?secret@host",
  "mqtt://user:1#secret@host",
  "mqtt://user:1/secret@host",
  "mqtt://secret:p/x@host",
  "ws://host/path?token=secret#x",
  '"mqtt://user:secret@host',
  "ws://user:12/secret@host:1/mqtt",
  "ws://user:12\\secret@host:1/mqtt",
  "ws://user@host/secret@host",
  // Without a host there is no @ that ends the password.
  "mqtt://user:secret",
  "mqtt:user:secret",
  "mqtt:/user:secret",
  "user:secret",
  "mqtt://[::1]:secret",
  "mqtt://user:1secret",
  "mqtt://user:1#secret",
];

for (const uri of WITH_SECRETS) {
  Deno.test(`parseEndpoint() keeps the secret to itself when it refuses ${uri}`, () => {
    const error = assertThrows(() => parseEndpoint(uri), TypeError);
    assert(!Deno.inspect(error).split("\n    at ")[0].includes("secret"), error.message);
  });
}

Deno.test("endpointFault() says what parseEndpoint() does, without the URI", () => {
  for (const [uri] of GOOD) assertEquals(endpointFault(uri), undefined);
  for (const [uri, message] of BAD) assertMatch(endpointFault(uri) ?? "", message);
  for (const uri of WITH_SECRETS) assert(!endpointFault(uri)?.includes("secret"), uri);
});

/** URIs, and how they are shown. */
const SHOWN: readonly [uri: string, shown: string][] = [
  ["mqtt://localhost:1883", "mqtt://localhost:1883"],
  ["mqtt://[::1]", "mqtt://[::1]"],
  ["mqtts://[::1]:8883/", "mqtts://[::1]:8883/"],
  ["ws://h:8080/a:b", "ws://h:8080/a:b"],
  ["unix:/run/a@b:c.sock", "unix:/run/a@b:c.sock"],
  ["localhost:1883", "localhost:1883"],
  ["localhost", "localhost"],
  ["mqtt://user:a/b@secret@h", "mqtt://***@h"],
  ["mqtt:user:secret@h", "***@h"],
  ["user:secret@h:1", "***@h:1"],
  ["wss://h/mqtt?token=secret", "wss://h/mqtt?***"],
  ["wss://h/mqtt#secret", "wss://h/mqtt#***"],
  ["mqtt://user:secret", "mqtt://user:***"],
  ["mqtt://h:99999", "mqtt://h:99999"],
];

Deno.test("maskedUri() hides user names, passwords and queries, and nothing else", () => {
  for (const [uri, shown] of SHOWN) assertEquals(maskedUri(uri), shown);
});

const REFERENCES: readonly [from: string, reference: string, uri: string, path: string][] = [
  ["mqtt://user:secret@a:1", "b", "mqtt://b:1883", ""],
  ["mqtt://user:secret@a:1", "b:2", "mqtt://b:2", ""],
  ["mqtts://user:secret@a:1", "b", "mqtts://b:8883", ""],
  ["mqtt://user:secret@a:1", "  b:2  c:3", "mqtt://b:2", ""],
  ["mqtt://user:secret@a:1", "[::1]:2", "mqtt://[::1]:2", ""],
  ["mqtt://user:secret@a:1", "10.0.0.1:2", "mqtt://10.0.0.1:2", ""],
  ["mqtt://user:secret@a:1", "mqtt://b:2 c:3", "mqtt://b:2", ""],
  ["wss://user:secret@a/mqtt?token=x", "wss://b", "wss://b:443/mqtt?***", "/mqtt?token=x"],
  ["wss://user:secret@a/mqtt?token=x", "b", "wss://b:443/mqtt?***", "/mqtt?token=x"],
  ["ws://user:secret@a", "b:8080", "ws://b:8080/", "/"],
];

Deno.test("parseServerReference() gives the broker named first, reached the same way and with the same user", () => {
  for (const [from, reference, uri, path] of REFERENCES) {
    const next = parseServerReference(reference, parseEndpoint(from));
    const { username, password } = next ?? {};
    assertEquals([next?.uri, next?.path, username, password], [uri, path, "user", "secret"], reference);
  }
});

Deno.test("parseServerReference() gives nothing for what names no broker", () => {
  const bad = [
    "",
    " ",
    "b:0",
    "b:65536",
    "b:c",
    ":1883",
    "user@b",
    "mqtts://b",
    "ws://b",
    "mqtt://",
    "b/path",
    "b?x",
    "b#x",
    "::1",
    "b:1:2",
    "<b>",
  ];
  for (const reference of bad) {
    assertEquals(parseServerReference(reference, parseEndpoint("mqtt://a")), undefined, reference);
    assertEquals(parseServerReference(reference, parseEndpoint("wss://a/mqtt")), undefined, reference);
  }
  assertEquals(parseServerReference("b", parseEndpoint("unix:/run/a")), undefined);
});

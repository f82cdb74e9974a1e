import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { type ClientConfig, ConfigError, ConnectError, type ConnectOptions, MQTTClient } from "../../mod.ts";
import { loadCertificates } from "../../src/transport/certificates.ts";
import { brokerTest } from "../helpers/brokers.ts";
import type { Certificates } from "../helpers/certificates.ts";
import { certificatesOfFile } from "../helpers/file_certificates.ts";
import { keepAwake } from "../helpers/keep_awake.ts";

const { certificates, tlsTest } = await certificatesOfFile();

/** Registers a test that also gets an empty folder. */
function folderTest(name: string, test: (made: Certificates, folder: string) => Promise<void>): void {
  tlsTest(name, async (made) => {
    const folder = await Deno.makeTempDir();
    try {
      await test(made, folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

folderTest(
  "loadCertificates() gives what file, folder and text hold, several certificates in one included",
  async (made, folder) => {
    const ca = await Deno.readTextFile(made.ca), other = await Deno.readTextFile(made.unknownCa);
    const both = await write(folder, "both.pem", `# Ours: é\n${ca}\r\n${other.replaceAll("\n", "\r\n")}`);
    assertEquals(await loadCertificates({ caFile: both }), { caCerts: [await Deno.readTextFile(both)] });
    assertEquals(await loadCertificates({ caPath: made.caFolder }), { caCerts: [ca] });
    assertEquals(await loadCertificates({ caData: ca + other }), { caCerts: [ca + other] });
    const all = await loadCertificates({ caFile: both, caPath: made.caFolder, caData: other });
    assertEquals(all.caCerts.toSorted(), [await Deno.readTextFile(both), ca, other].toSorted());
    assertEquals(await loadCertificates({}), { caCerts: [] });
  },
);

tlsTest("loadCertificates() gives the client's certificate and key", async ({ client }) => {
  assertEquals(await loadCertificates({ certFile: client.certificate, keyFile: client.key }), {
    caCerts: [],
    cert: await Deno.readTextFile(client.certificate),
    key: await Deno.readTextFile(client.key),
  });
});

folderTest("loadCertificates() reads PEM behind a byte order mark", async (made, folder) => {
  const ca = await Deno.readTextFile(made.ca);
  const { caCerts } = await loadCertificates({ caFile: await write(folder, "bom.pem", `\ufeff${ca}`) });
  assertEquals(caCerts, [ca]);
});

folderTest("loadCertificates() takes the files of a folder that Kubernetes mounts", async (made, folder) => {
  const mounted = join(folder, "..2026_01_01");
  await Deno.mkdir(mounted);
  await Deno.copyFile(made.ca, join(mounted, "ca.crt"));
  await Deno.symlink("..2026_01_01", join(folder, "..data"));
  await Deno.symlink("..data/ca.crt", join(folder, "ca.crt"));
  assertEquals(await loadCertificates({ caPath: folder }), { caCerts: [await Deno.readTextFile(made.ca)] });
});

folderTest("loadCertificates() names every bad file of a folder, and what is wrong with it", async (made, folder) => {
  await Deno.copyFile(made.ca, join(folder, "good.pem"));
  await write(folder, "README", "See the wiki");
  await write(folder, "damaged.pem", (await Deno.readTextFile(made.ca)).replace(/\n.{10}/, "\n"));
  await Deno.copyFile(made.client.key, join(folder, "key.pem"));
  await Deno.symlink("gone", join(folder, "link.pem"));
  await Deno.mkdir(join(folder, "more"));
  const { message } = await assertRejects(() => loadCertificates({ caPath: folder }), ConfigError);
  assertEquals(
    message.split("\n  ").toSorted(),
    [
      `Cannot read ${join(folder, "link.pem")}: No such file or directory (os error 2): stat '${
        join(folder, "link.pem")
      }'`,
      `Cannot use all files of ${folder}:`,
      `${join(folder, "README")} holds no certificate in PEM`,
      `${join(folder, "damaged.pem")} holds a damaged certificate`,
      `${join(folder, "key.pem")} holds no certificate in PEM`,
    ].toSorted(),
  );
});

folderTest(
  "loadCertificates() rejects a folder without files, and one that is a file or missing",
  async (made, folder) => {
    await assertRejects(() => loadCertificates({ caPath: folder }), ConfigError, `${folder} holds no file`);
    await Deno.mkdir(join(folder, "more"));
    await assertRejects(() => loadCertificates({ caPath: folder }), ConfigError, `${folder} holds no file`);
    await assertRejects(() => loadCertificates({ caPath: made.ca }), ConfigError, `Cannot read ${made.ca}`);
    const missing = join(folder, "missing");
    await assertRejects(() => loadCertificates({ caPath: missing }), ConfigError, `Cannot read ${missing}`);
  },
);

folderTest(
  "loadCertificates() rejects what Deno would pass over or take for the broker's fault",
  async (made, folder) => {
    const ca = await Deno.readTextFile(made.ca);
    const cut = ca.slice(0, 200);
    const texts: [string, string][] = [
      ["", "no certificate in PEM"],
      ["rubbish", "no certificate in PEM"],
      [await Deno.readTextFile(made.client.key), "no certificate in PEM"],
      [ca.replaceAll(" CERTIFICATE", " TRUSTED CERTIFICATE"), "openssl x509 -in"],
      [ca + ca.replaceAll(" CERTIFICATE", " X509 CERTIFICATE"), "openssl x509 -in"],
      [cut, "damaged"],
      [ca + cut, "damaged"],
      [`${cut}\n${ca}`, "damaged"],
      [ca.replaceAll("\n", ""), "damaged"],
      ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + ca, "damaged"],
    ];
    for (const [text, fault] of texts) {
      const fromText = await assertRejects(() => loadCertificates({ caData: text }), ConfigError, fault);
      assertStringIncludes(fromText.message, "cadata holds");
      const caFile = await write(folder, "ca.pem", text);
      const fromFile = await assertRejects(() => loadCertificates({ caFile }), ConfigError, fault);
      assertStringIncludes(fromFile.message, `${caFile} holds`);
    }
  },
);

folderTest("loadCertificates() names a file that it cannot read", async (made, folder) => {
  const missing = join(folder, "missing.pem");
  const { certificate, key } = made.client;
  for (
    const sources of [
      { caFile: missing },
      { certFile: missing, keyFile: key },
      { certFile: certificate, keyFile: missing },
      { caFile: folder },
    ]
  ) {
    const path = "caFile" in sources ? sources.caFile : missing;
    await assertRejects(() => loadCertificates(sources), ConfigError, `Cannot read ${path}`);
  }
});

folderTest(
  "loadCertificates() rejects a private key that Deno cannot use, without quoting it",
  async (made, folder) => {
    const { certificate: certFile, key } = made.client;
    const text = await Deno.readTextFile(key);
    const secret = text.split("\n")[1];
    const legacy = text.replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n");
    const keys: [string, string][] = [
      [await Deno.readTextFile(made.encryptedKey), "encrypted private key"],
      [legacy, "encrypted private key"],
      ["", "no private key in PEM"],
      [await Deno.readTextFile(certFile), "no private key in PEM"],
      [await Deno.readTextFile(made.server.key), `no private key that goes with ${certFile}`],
      [text.replaceAll("\n", ""), `no private key that goes with ${certFile}`],
      [text.slice(0, 100), `no private key that goes with ${certFile}`],
    ];
    for (const [content, fault] of keys) {
      const keyFile = await write(folder, "key.pem", content);
      const error = await assertRejects(() => loadCertificates({ certFile, keyFile }), ConfigError, fault);
      assertStringIncludes(error.message, keyFile);
      assertEquals(Deno.inspect(error).includes(secret), false);
    }
  },
);

Deno.test("loadCertificates() rejects the text of a file in the place of its path, without quoting it", async () => {
  const key = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n";
  for (const text of [key, key.replaceAll("\n", " "), "secret\nsecret"]) {
    for (const sources of [{ caFile: text }, { caPath: text }]) {
      const error = await assertRejects(() => loadCertificates(sources), ConfigError, "must be a path");
      assertEquals(Deno.inspect(error).includes("secret"), false);
    }
  }
});

tlsTest("loadCertificates() wants the client's certificate and key together", async ({ client }) => {
  for (const sources of [{ certFile: client.certificate }, { keyFile: client.key }]) {
    await assertRejects(() => loadCertificates(sources), ConfigError, "both certfile and keyfile");
  }
});

brokerTest("MQTTClient.connect() takes authorities from its options, which beat the configuration", {
  listeners: ["mqtt", "mqtts", "wss"],
  certificates,
}, async (broker) => {
  await using _awake = await keepAwake(broker.ports.mqtt);
  const { ca, caFolder, unknownCa } = broker.certificates;
  const caData = await Deno.readTextFile(ca), unknownData = await Deno.readTextFile(unknownCa);
  const good: [ConnectOptions, ClientConfig][] = [
    [{ caFile: ca }, { cafile: unknownCa }],
    [{ caPath: caFolder }, { capath: "/missing" }],
    [{ caData }, { cadata: unknownData }],
    [{}, { cafile: ca }],
    [{}, { capath: caFolder }],
    [{}, { cadata: caData }],
    [{}, { broker: { cafile: ca } }],
    [{}, { cafile: ca, broker: { cafile: unknownCa } }],
  ];
  const bad: [ConnectOptions, ClientConfig][] = [
    [{ caFile: unknownCa }, { cafile: ca }],
    [{ caData: unknownData }, { cadata: caData }],
    [{}, { cafile: unknownCa, broker: { cafile: ca } }],
    [{}, {}],
  ];
  for (const uri of [broker.uris.mqtts, broker.uris.wss]) {
    for (const [options, config] of good) {
      await using client = new MQTTClient({ config });
      assertEquals(await client.connect(uri, options), 0);
    }
    for (const [options, config] of bad) {
      const client = new MQTTClient({ config });
      await assertRejects(() => client.connect(uri, options), ConnectError, "UnknownIssuer");
    }
  }
});

brokerTest("MQTTClient reads certificates once for all attempts, and anew where that failed", {
  listeners: ["mqtts"],
  certificates,
}, async (broker) => {
  const folder = await Deno.makeTempDir();
  try {
    const caFile = join(folder, "ca.pem");
    await using client = new MQTTClient();
    await assertRejects(() => client.connect(broker.uris.mqtts, { caFile }), ConfigError, "Cannot read");
    await Deno.copyFile(broker.certificates.ca, caFile);
    assertEquals(await client.reconnect(), 0);
    await Deno.remove(caFile);
    assertEquals(await client.reconnect(), 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

brokerTest("MQTTClient shows its certificate to a broker that asks for it", {
  listeners: ["mutual"],
  certificates,
}, async (broker) => {
  const { ca, client: { certificate, key } } = broker.certificates;
  await using client = new MQTTClient({ config: { certfile: certificate, keyfile: key, cafile: ca } });
  assertEquals(await client.connect(broker.uris.mutual), 0);
  assertEquals(await client.reconnect(), 0);
});

brokerTest("MQTTClient shows its certificate over wss", {
  listeners: ["mqtt", "wss"],
  listenerConfig: ["require_certificate true"],
  certificates,
}, async (broker) => {
  await using _awake = await keepAwake(broker.ports.mqtt);
  const { ca, client: { certificate, key } } = broker.certificates;
  await using client = new MQTTClient({ config: { certfile: certificate, keyfile: key, cafile: ca } });
  assertEquals(await client.connect(broker.uris.wss), 0);
  assertEquals(await client.reconnect(), 0);
});

async function write(folder: string, name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await Deno.writeTextFile(path, text);
  return path;
}

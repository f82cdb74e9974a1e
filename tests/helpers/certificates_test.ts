import { assertEquals, assertStringIncludes } from "@std/assert";
import { makeCertificates } from "./certificates.ts";
import { brokerTest } from "./brokers.ts";

// Needs openssl alone, which the TLS listeners stand for.
brokerTest(
  "makeCertificates() makes certificates that openssl judges as promised",
  { listeners: ["mqtts"] },
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const made = await makeCertificates(folder);
      const verify = async (certificate: string, ...options: string[]) => {
        const args = ["verify", "-CAfile", made.ca, ...options, certificate];
        const { success, stderr } = await new Deno.Command("openssl", { args }).output();
        return success ? "OK" : new TextDecoder().decode(stderr);
      };
      assertEquals(await verify(made.server.certificate, "-verify_hostname", "localhost"), "OK");
      assertEquals(await verify(made.server.certificate, "-verify_ip", "::1"), "OK");
      assertEquals(await verify(made.client.certificate, "-purpose", "sslclient"), "OK");
      assertStringIncludes(await verify(made.expired.certificate), "certificate has expired");
      assertStringIncludes(
        await verify(made.wrongHost.certificate, "-verify_hostname", "localhost"),
        "hostname mismatch",
      );
      assertStringIncludes(await verify(made.unknown.certificate), "unable to get local issuer");
      assertStringIncludes(await Deno.readTextFile(made.encryptedKey), "BEGIN ENCRYPTED PRIVATE KEY");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

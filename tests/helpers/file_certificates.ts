import { type Certificates, makeCertificates } from "./certificates.ts";
import { findProgram } from "./programs.ts";

type CertificatesTest = (certificates: Certificates, context: Deno.TestContext) => Promise<void>;

/** Registers a test that needs certificates and a server of the test's own. */
export type RegisterTlsTest = (name: string, test: CertificatesTest) => void;

/**
 * Makes certificates once for all tests of the file that calls it, and gives what registers a test with them. Where openssl is
 * missing the tests are ignored, or fail if REQUIRE_BROKERS is 1.
 */
export async function certificatesOfFile(): Promise<
  { certificates: Certificates | undefined; tlsTest: RegisterTlsTest }
> {
  const certificates = findProgram("openssl") === undefined ? undefined : await makeForFile();
  return { certificates, tlsTest: (name, test) => register(name, test, certificates) };
}

async function makeForFile(): Promise<Certificates> {
  const folder = await Deno.makeTempDir({ prefix: "certificates-" });
  Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
  return await makeCertificates(folder);
}

function register(name: string, test: CertificatesTest, certificates: Certificates | undefined): void {
  const ignore = certificates === undefined && Deno.env.get("REQUIRE_BROKERS") !== "1";
  Deno.test({
    name,
    ignore,
    fn: async (context) => {
      if (certificates === undefined) {
        throw new Error("Cannot find openssl: install it, or leave REQUIRE_BROKERS unset");
      }
      await test(certificates, context);
    },
  });
}

import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { stdFlags } from "../../tools/std.ts";

Deno.test("examples/kv_store.ts passes the contract of session stores", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "--quiet", "--cached-only", "--no-check", ...await stdFlags()],
      ...["-A", "--unstable-kv", "--sanitize-ops", "--sanitize-resources"],
      fileURLToPath(new URL("kv_contract.ts", import.meta.url)),
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const printed = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assertEquals(code, 0, printed);
  assertMatch(printed, /ok \| \d\d passed \| 0 failed/);
});

import { fileURLToPath } from "node:url";
import { stdFlags } from "../../tools/std.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Makes one file of a program of this repository and all that it imports. Gives its text. */
export async function bundle(path: string, output: string, platform: "browser" | "deno" = "deno"): Promise<string> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", ...await stdFlags(), `--platform=${platform}`, `--output=${output}`, path],
    cwd: ROOT,
    stdout: "null",
  }).output();
  if (!success) throw new Error(`deno bundle ${path} failed:\n${new TextDecoder().decode(stderr)}`);
  return await Deno.readTextFile(output);
}

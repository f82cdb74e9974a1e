import { fileURLToPath } from "node:url";
import { stdFlags } from "../../tools/std.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const flags = await stdFlags();

/** How a program ended and what it printed. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of this repository in a Deno of its own, with these permissions and no others. */
export async function runChild(path: string, permissions: readonly string[], ...args: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--cached-only", ...flags, ...permissions, path, ...args],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

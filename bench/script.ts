import { stdImportMap } from "../tools/std.ts";

const IMPORT_MAP = await stdImportMap() ?? new URL("../deno.json", import.meta.url).pathname;

export interface ScriptOptions extends Deno.CommandOptions {
  /** For `deno run`, beside its own. */
  flags?: readonly string[];
}

/** Gives the command that runs a script of this folder, in a process of its own and without checking its types. */
export function script(file: string, args: readonly string[], options: ScriptOptions = {}): Deno.Command {
  const path = new URL(file, import.meta.url).pathname;
  const { flags = [], ...others } = options;
  const all = ["--allow-all", "--quiet", "--no-check", `--import-map=${IMPORT_MAP}`, ...flags];
  return new Deno.Command(Deno.execPath(), { args: ["run", ...all, path, ...args], ...others });
}

/** Gives the flags that have a script leave a CPU profile in a folder. */
export function profileFlags(folder: string): string[] {
  return ["--cpu-prof", `--cpu-prof-dir=${folder}`];
}

/** Runs a script to its end, and gives the last line it prints, which is JSON. */
export async function runScript<Output>(
  file: string,
  args: readonly string[],
  seconds: number,
  flags?: readonly string[],
): Promise<Output> {
  const process = script(file, args, { stdout: "piped", stderr: "inherit", flags }).spawn();
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    process.kill("SIGKILL");
  }, seconds * 1000);
  const { success, stdout } = await process.output();
  clearTimeout(deadline);
  if (late) throw new Error(`not done in ${seconds} s`);
  if (!success) throw new Error("ended with an error");
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "");
}

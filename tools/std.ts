/**
 * Prints the flag that gives Deno the `@std` modules from npm, and nothing where JSR answers.
 *
 * Every task that needs them says `deno … $(deno run -A tools/std.ts)`, or asks this module itself, so that the project works from a plain
 * clone behind a firewall too. Whether JSR answers is found out by Deno itself (what is in its cache counts), and remembered for some hours.
 *
 * What comes from npm has no types. With `--types` the flag gives the signatures in `tools/std_types/` in its place, to check types and not to run.
 */
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// The async module of 1.4.0 does not load.
const SUBSTITUTE = "npm:deno-std@1.3.4";
const REMEMBERED_MS = 6 * 3600 * 1000;
const PATIENCE_MS = 20_000;
const TYPES_URL = new URL("std_types/", import.meta.url);

const CONFIG_URL = new URL("../deno.json", import.meta.url);

interface Config {
  name: string;
  exports: string;
  imports: Record<string, string>;
}

if (import.meta.main) {
  const flags = await stdFlags(Deno.args.includes("--types"));
  if (flags.length > 0) console.log(flags.join(" "));
}

/** Gives the flags that a `deno` command of this project needs to resolve its imports: none, or the import map. */
export async function stdFlags(types = false): Promise<string[]> {
  const map = await stdImportMap(types);
  if (map === undefined) return [];
  const source = types ? "the types of @std are those in tools/std_types" : `@std comes from ${SUBSTITUTE}`;
  console.error(`JSR does not answer: ${source}`);
  // As a URL, because the shell splits a path at its spaces.
  return [`--import-map=${pathToFileURL(map)}`];
}

/** Gives the path of an import map that replaces the `imports` of deno.json, or `undefined` where they work as they are. */
export async function stdImportMap(types = false): Promise<string | undefined> {
  const text = await Deno.readTextFile(CONFIG_URL);
  const config: Config = JSON.parse(text);
  const surroundings = [Deno.version.deno, Deno.env.get("DENO_DIR"), Deno.env.get("JSR_URL")];
  const question = [CONFIG_URL.href, text, SUBSTITUTE, ...surroundings].join("\0");
  const answer = join(await privateFolder(), createHash("sha256").update(question).digest("hex").slice(0, 16));
  const answered = `${answer}.jsr`;
  const map = (types: boolean) => `${answer}.${types ? "types" : "import_map"}.json`;

  if (await isFresh(answered)) return undefined;
  if (await isFresh(map(types))) return map(types);
  if (await jsrAnswers(config)) {
    await write(answered, "");
    return undefined;
  }
  for (const types of [true, false]) {
    await write(map(types), JSON.stringify({ imports: substituted(config, types) }, null, 2));
  }
  return map(types);
}

/** Others can write into the folder for temporary files, and whoever writes the map chooses the code that is run. */
async function privateFolder(): Promise<string> {
  const folder = join(tmpdir(), `hbmqtt-client-${Deno.uid() ?? "user"}`);
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const { isDirectory, uid } = await Deno.lstat(folder);
  if (!isDirectory || uid !== Deno.uid()) throw new Error(`Cannot use ${folder}: it belongs to somebody else`);
  return folder;
}

async function isFresh(path: string): Promise<boolean> {
  try {
    const { mtime } = await Deno.stat(path);
    return mtime !== null && Date.now() - mtime.getTime() < REMEMBERED_MS;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function jsrAnswers({ imports }: Config): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--no-config", ...Object.values(imports).filter((target) => target.startsWith("jsr:"))],
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).output();
  return success;
}

function substituted({ name, exports, imports }: Config, types: boolean): Record<string, string> {
  const all: Record<string, string> = { [name]: new URL(exports, CONFIG_URL).href };
  for (const [specifier, target] of Object.entries(imports)) {
    const std = /^jsr:@std\/(\w+)@/.exec(target)?.[1];
    if (std === undefined) all[specifier] = target;
    else all[specifier] = types ? new URL(`${std}.d.ts`, TYPES_URL).href : `${SUBSTITUTE}/${std}/mod.js`;
  }
  return all;
}

/** In one step, because several tasks may run at once. */
async function write(path: string, text: string): Promise<void> {
  const part = `${path}.${Deno.pid}`;
  await Deno.writeTextFile(part, text);
  await Deno.rename(part, path);
}

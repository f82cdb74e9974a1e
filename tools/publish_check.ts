/**
 * Checks what would be published: the files, and that the public types are fast.
 *
 * `deno publish` takes its imports from deno.json alone, so where JSR does not answer, a copy whose deno.json names the
 * substitute of @std is checked. Nothing is sent in either case.
 */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stdImportMap } from "./std.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const map = await stdImportMap();
if (map === undefined) {
  Deno.exitCode = await dryRun(root);
} else {
  const copy = await Deno.makeTempDir({ prefix: "publish-" });
  try {
    const config = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
    for (const path of config.publish.include) {
      if (await exists(join(root, path))) await cp(join(root, path), join(copy, path), { recursive: true });
    }
    const { imports } = JSON.parse(await Deno.readTextFile(map));
    delete imports[config.name];
    await Deno.writeTextFile(join(copy, "deno.json"), JSON.stringify({ ...config, imports }, null, 2));
    console.error("JSR does not answer: a copy is checked, with @std from npm");
    Deno.exitCode = await dryRun(copy);
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
}

async function dryRun(cwd: string): Promise<number> {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty"],
    cwd,
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  return code;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

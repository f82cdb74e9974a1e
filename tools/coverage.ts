/**
 * Runs the tests and prints the line coverage of src/, with the lines of each file that no test reaches.
 * Arguments are handed to `deno test`.
 */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { stdFlags } from "./std.ts";

interface FileCoverage {
  path: string;
  lines: number;
  uncovered: number[];
}

const root = fileURLToPath(new URL("..", import.meta.url));
const profile = await Deno.makeTempDir({ prefix: "coverage-" });
try {
  const flags = ["-A", "--sanitize-ops", "--sanitize-resources", "--coverage-raw-data-only", `--coverage=${profile}`];
  const tests = await deno(["test", ...await stdFlags(), ...flags, ...Deno.args], "inherit");
  const { success, stdout } = await deno(["coverage", "--lcov", profile], "piped");
  const loaded = success ? parseLcov(new TextDecoder().decode(stdout)) : [];
  const files = loaded.filter(({ path }) => path.startsWith("src/"));
  for await (const path of sources("src")) {
    if (!files.some((file) => file.path === path)) files.push(await neverLoaded(path));
  }
  print(files.sort((a, b) => a.path.localeCompare(b.path)));
  Deno.exitCode = tests.code;
} finally {
  await Deno.remove(profile, { recursive: true });
}

function deno(args: string[], stdout: "inherit" | "piped"): Promise<Deno.CommandOutput> {
  return new Deno.Command(Deno.execPath(), { args, cwd: root, stdout, stderr: "inherit" }).output();
}

function parseLcov(lcov: string): FileCoverage[] {
  return lcov.split("end_of_record").filter((record) => record.includes("SF:")).map((record) => {
    const counts = [...record.matchAll(/^DA:(\d+),(\d+)/gm)].map(([, line, count]) => [Number(line), Number(count)]);
    return {
      path: relative(root, /^SF:(.*)$/m.exec(record)![1]).replaceAll("\\", "/"),
      lines: counts.length,
      uncovered: counts.filter(([, count]) => count === 0).map(([line]) => line),
    };
  });
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${folder}`)) {
    if (isDirectory) yield* sources(`${folder}/${name}`);
    else if (name.endsWith(".ts")) yield `${folder}/${name}`;
  }
}

/** No line of it ran; a file of types alone has none that could. */
async function neverLoaded(path: string): Promise<FileCoverage> {
  const text = await Deno.readTextFile(`${root}/${path}`);
  const hasCode = /^(?:export )?(?:default )?(?:async |abstract )?(?:function|class|const|let|var)\b/m.test(text);
  const lines = hasCode ? text.trimEnd().split("\n").length : 0;
  return { path, lines, uncovered: Array.from({ length: lines }, (_, index) => index + 1) };
}

function print(files: FileCoverage[]): void {
  const width = Math.max(5, ...files.map(({ path }) => path.length));
  const row = (name: string, lines: number, missed: number, which: string) => {
    const percent = lines === 0 ? "-" : `${(100 * (lines - missed) / lines).toFixed(1)}%`;
    console.log(`${name.padEnd(width)} ${String(lines).padStart(6)} ${percent.padStart(7)}  ${which}`.trimEnd());
  };
  console.log(`\n${"file".padEnd(width)}  lines covered  uncovered`);
  for (const { path, lines, uncovered } of files) row(path, lines, uncovered.length, ranges(uncovered));
  const total = (count: (file: FileCoverage) => number) => files.reduce((sum, file) => sum + count(file), 0);
  row("total", total(({ lines }) => lines), total(({ uncovered }) => uncovered.length), "");
}

function ranges(lines: number[]): string {
  const found: [number, number][] = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (last !== undefined && line === last[1] + 1) last[1] = line;
    else found.push([line, line]);
  }
  return found.map(([first, last]) => first === last ? `${first}` : `${first}-${last}`).join(", ");
}

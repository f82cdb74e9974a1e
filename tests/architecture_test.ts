import { assertEquals } from "@std/assert";

/** The rooms of the house, and which others each may import from, types included. The own one is always allowed. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  vocabulary: [],
  codec: ["vocabulary"],
  session: ["vocabulary"],
  transport: ["vocabulary"],
  store: ["codec", "session", "vocabulary"],
  config: ["codec", "session", "vocabulary"],
  observe: ["codec", "session", "vocabulary"],
  shell: ["transport", "store", "observe", "codec", "session", "vocabulary"],
  client: ["shell", "transport", "store", "config", "observe", "codec", "session", "vocabulary"],
  mod: ["client", "shell", "transport", "store", "config", "observe", "codec", "session", "vocabulary"],
};

const WITHOUT_PACKAGES = ["vocabulary", "codec", "session"];
const WITH_DENO = ["transport", "store", "config"];
const YAML_READER = "src/config/yaml.ts";

const WAITING = ["Promise", "setTimeout", "setInterval", "setImmediate", "queueMicrotask"];
const CLOCKS = ["Date", "performance", "Temporal"];
const UNTOUCHABLE: Readonly<Record<string, readonly string[]>> = {
  codec: [...WAITING, ...CLOCKS],
  session: [...WAITING, ...CLOCKS, "crypto"],
};

const RULES: readonly [id: string, title: string, rule: (path: string) => Deno.lint.Rule][] = [
  ["imports", "src/ imports go down only", (path) => ({ create: (context) => importsGoDown(path, context) })],
  [
    "barrels",
    "mod.ts is the only barrel, and lists its exports",
    (path) => ({ create: (context) => noBarrels(path, context) }),
  ],
  ["touch", "src/ touches clocks, promises and Deno only in their rooms", (path) => ({
    create: (context) => touchesNothingForeign(path, context),
  })],
  ["any", "src/ has no any", () => ({ create: noAny })],
  ["state", "src/ has no module-level let or var", () => ({ create: noModuleState })],
];

const sources = await readSources();
for (const [id, title] of RULES) {
  Deno.test(title, () => {
    assertEquals([...sources].flatMap(([path, source]) => faults(id, path, source)), []);
  });
}

const BAD: readonly [id: string, path: string, source: string, expected: string][] = [
  ["imports", "src/topic.ts", `\nimport { Codec } from "./codec/codec.ts";`, "2: vocabulary imports codec"],
  ["imports", "src/codec/a.ts", `import type { S } from "../session/session.ts";`, "1: codec imports session"],
  ["imports", "src/session/a.ts", `type C = import("../codec/codec.ts").Codec;`, "1: session imports codec"],
  ["imports", "src/store/a.ts", `export { x } from "../config/config.ts";`, "1: store imports config"],
  ["imports", "src/shell/a.ts", `export * from "../config/config.ts";`, "1: shell imports config"],
  ["imports", "src/shell/a.ts", `await import("../client.ts");`, "1: shell imports client"],
  ["imports", "src/shell/a.ts", "await import(name);", "1: shell imports something that only running it tells"],
  ["imports", "src/client.ts", `import "../mod.ts";`, "1: client imports mod"],
  ["imports", "src/new/a.ts", "", "1: no room for this file"],
  ["imports", "src/shell/a.ts", `import "../../tests/helpers/pipe.ts";`, "1: shell imports tests/helpers/pipe.ts"],
  ["imports", "src/config/config.ts", `import { parse } from "@std/yaml";`, `1: only ${YAML_READER} imports @std/yaml`],
  ["imports", "src/session/a.ts", `import { delay } from "@std/async";`, "1: session imports @std/async"],
  ["barrels", "src/codec/mod.ts", `export { x } from "./x.ts";`, "1: exports from another file"],
  ["barrels", "mod.ts", `export * from "./src/topic.ts";`, "1: exports without a list"],
  ["touch", "src/codec/a.ts", "async function f() {}", "1: codec has something async"],
  ["touch", "src/codec/a.ts", "const f = async () => {};", "1: codec has something async"],
  ["touch", "src/session/a.ts", "class A { async f() {} }", "1: session has something async"],
  ["touch", "src/session/a.ts", "let p: Promise<void>;", "1: session touches Promise"],
  ["touch", "src/session/a.ts", "// now\n/* x */ const t = Date.now();", "2: session touches Date"],
  ["touch", "src/session/a.ts", "const x = Math.random();", "1: session touches Math.random"],
  ["touch", "src/session/a.ts", "globalThis.setTimeout(f);", "1: session touches setTimeout"],
  ["touch", "src/shell/a.ts", "let c: Deno.Conn;", "1: shell touches Deno"],
  ["any", "src/a.ts", "const x = y as any;", "1: any"],
  ["state", "src/a.ts", "let x = 1;", "1: let at the top of a module"],
  ["state", "src/a.ts", "export var x = 1;", "1: var at the top of a module"],
];

const GOOD: readonly [path: string, source: string][] = [
  [
    "src/session/a.ts",
    `// Date\nimport { A } from "../topic.ts"; import "./b.ts"; const s = "any Promise", n = message.Date;`,
  ],
  ["src/shell/a.ts", `import { delay } from "@std/async"; async function f() { let x = Date.now(); await delay(x); }`],
  ["src/client.ts", `import { D } from "./shell/driver.ts"; import type { C } from "./config/config.ts";`],
  ["src/config/yaml.ts", `import { parse } from "@std/yaml"; Deno.readTextFileSync("x");`],
  ["mod.ts", `export { MQTTClient } from "./src/client.ts"; export type { A } from "./src/message.ts";`],
];

Deno.test("The architecture rules find what they forbid", () => {
  for (const [id, path, source, expected] of BAD) assertEquals(faults(id, path, source), [`${path}:${expected}`]);
});

Deno.test("The architecture rules let pass what they allow", () => {
  for (const [path, source] of GOOD) assertEquals(RULES.flatMap(([id]) => faults(id, path, source)), []);
});

function faults(id: string, path: string, source: string): string[] {
  const rules = Object.fromEntries(RULES.filter((rule) => rule[0] === id).map(([id, , rule]) => [id, rule(path)]));
  return Deno.lint.runPlugin({ name: "architecture", rules }, path, source).map(({ message, range }) => {
    const line = source.slice(0, range[0]).split("\n").length;
    return `${path}:${line}: ${message}`;
  });
}

function importsGoDown(path: string, context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  const room = roomOf(path);
  const check = (node: Deno.lint.Node, specifier: unknown) => {
    const message = typeof specifier !== "string"
      ? `${room} imports something that only running it tells`
      : importFault(path, specifier);
    if (message !== undefined) context.report({ node, message });
  };
  return {
    Program(node) {
      if (room === undefined) context.report({ node, message: "no room for this file" });
    },
    ImportDeclaration: (node) => check(node, node.source.value),
    ExportAllDeclaration: (node) => check(node, node.source.value),
    ExportNamedDeclaration(node) {
      if (node.source) check(node, node.source.value);
    },
    ImportExpression: (node) => check(node, node.source.type === "Literal" ? node.source.value : undefined),
    TSImportType(node) {
      const { argument } = node;
      const literal = argument.type === "TSLiteralType" ? argument.literal : argument;
      check(node, "value" in literal ? literal.value : undefined);
    },
  };
}

function importFault(path: string, specifier: string): string | undefined {
  const room = roomOf(path);
  if (room === undefined) return undefined;
  if (!specifier.startsWith(".")) {
    if (specifier === "@std/yaml" && path !== YAML_READER) return `only ${YAML_READER} imports @std/yaml`;
    return WITHOUT_PACKAGES.includes(room) ? `${room} imports ${specifier}` : undefined;
  }
  const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
  const targetRoom = roomOf(target);
  if (targetRoom === room || (targetRoom !== undefined && ROOMS[room].includes(targetRoom))) return undefined;
  return `${room} imports ${targetRoom ?? target}`;
}

function roomOf(path: string): string | undefined {
  if (path === "mod.ts") return "mod";
  if (path === "src/client.ts") return "client";
  const [, folder] = /^src\/(?:(\w+)\/)?[\w/]+\.ts$/.exec(path) ?? [, "nowhere"];
  const room = folder ?? "vocabulary";
  return room in ROOMS ? room : undefined;
}

function noBarrels(path: string, context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  return {
    ExportAllDeclaration: (node) => context.report({ node, message: "exports without a list" }),
    ExportNamedDeclaration(node) {
      if (node.source && path !== "mod.ts") context.report({ node, message: "exports from another file" });
    },
  };
}

function touchesNothingForeign(path: string, context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  const room = roomOf(path) ?? "";
  const names = [...UNTOUCHABLE[room] ?? [], ...WITH_DENO.includes(room) ? [] : ["Deno"]];
  const mayWait = !(room in UNTOUCHABLE);
  const noAsync = (node: Deno.lint.Node & { async: boolean }) => {
    if (node.async && !mayWait) context.report({ node, message: `${room} has something async` });
  };
  return {
    FunctionDeclaration: noAsync,
    FunctionExpression: noAsync,
    ArrowFunctionExpression: noAsync,
    AwaitExpression(node) {
      if (!mayWait) context.report({ node, message: `${room} awaits` });
    },
    Identifier(node) {
      if (names.includes(node.name) && !isPropertyName(node)) {
        context.report({ node, message: `${room} touches ${node.name}` });
      }
    },
    MemberExpression(node) {
      const [object, property] = [node.object, node.property].map((part) =>
        part.type === "Identifier" ? part.name : ""
      );
      if (room === "session" && object === "Math" && property === "random") {
        context.report({ node, message: `${room} touches Math.random` });
      }
    },
  };
}

/** In `message.Date`, unlike in `globalThis.Date`, the name is the message's own. */
function isPropertyName(node: Deno.lint.Identifier): boolean {
  const { parent } = node;
  if (parent.type !== "MemberExpression" || parent.computed || parent.property.range[0] !== node.range[0]) return false;
  return parent.object.type !== "Identifier" || parent.object.name !== "globalThis";
}

function noAny(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  return { TSAnyKeyword: (node) => context.report({ node, message: "any" }) };
}

function noModuleState(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  return {
    VariableDeclaration(node) {
      const isAtTop = node.parent.type === "Program" || node.parent.type === "ExportNamedDeclaration";
      if (isAtTop && (node.kind === "let" || node.kind === "var")) {
        context.report({ node, message: `${node.kind} at the top of a module` });
      }
    },
  };
}

async function readSources(): Promise<Map<string, string>> {
  const root = new URL("..", import.meta.url);
  const texts = new Map<string, string>();
  const read = async (path: string) => texts.set(path, await Deno.readTextFile(new URL(path, root)));
  const walk = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      if (isDirectory) await walk(`${folder}${name}/`);
      else if (name.endsWith(".ts")) await read(`${folder}${name}`);
    }
  };
  await walk("src/");
  for await (const { name } of Deno.readDir(root)) {
    if (name === "mod.ts") await read(name);
  }
  return texts;
}

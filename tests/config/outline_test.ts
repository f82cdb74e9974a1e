import { assertEquals } from "@std/assert";
import { parse, stringify } from "@std/yaml";
import fc from "fast-check";
import { Outline } from "../../src/config/outline.ts";
import type { Path } from "../../src/config/path.ts";

/** A text, and the keys and items in it with the line and the column of each. */
type Case = readonly [style: string, text: string, places: readonly [path: Path, place: string][]];

const CASES: readonly Case[] = [
  ["blocks", "a: 1\nb:\n  c: 2\n  d:\n    e: 3\nf: 4", [
    [["a"], "1:1"],
    [["b"], "2:1"],
    [["b", "c"], "3:3"],
    [["b", "d", "e"], "5:5"],
    [["f"], "6:1"],
  ]],
  ["comments and empty lines", "# a: 0\n\na: 1 # b: 2\n  # c\n\n\nb:   # c: 3\n  # d\n  c: x#y", [
    [["a"], "3:1"],
    [["b"], "7:1"],
    [["b", "c"], "9:3"],
  ]],
  ["quoted keys", `"a b": 1\n'it''s': 2\n"x: \\"\\x41\\u0042\\n": 3\nlast: 4`, [
    [["a b"], "1:1"],
    [["it's"], "2:1"],
    [['x: "AB\n'], "3:1"],
    [["last"], "4:1"],
  ]],
  ["keys that hold what is special elsewhere", "/a/b: 1\na:b: 2\n-x: 3\n?y: 4\n$SYS/#: 5\nx y: 6", [
    [["/a/b"], "1:1"],
    [["a:b"], "2:1"],
    [["-x"], "3:1"],
    [["?y"], "4:1"],
    [["$SYS/#"], "5:1"],
    [["x y"], "6:1"],
  ]],
  ["lists", "a:\n  - x\n  -   b: 1\n      c: 2\n  -\n    d: 3\n  - - y\n    - z: 4\nlast: 5", [
    [["a", 0], "2:3"],
    [["a", 1], "3:3"],
    [["a", 1, "b"], "3:7"],
    [["a", 1, "c"], "4:7"],
    [["a", 2, "d"], "6:5"],
    [["a", 3, 0], "7:5"],
    [["a", 3, 1, "z"], "8:7"],
    [["last"], "9:1"],
  ]],
  ["lists right below their key", "a:\n- x\n- b: 1\n-\nc:\n- y\nd: 2", [
    [["a", 0], "2:1"],
    [["a", 1, "b"], "3:3"],
    [["a", 2], "4:1"],
    [["c", 0], "6:1"],
    [["d"], "7:1"],
  ]],
  ["brackets", `a: {b: 1, "c":2, 'd': {e: [x, {f: 3}]}, g}\nh: [ i: 4, j ]`, [
    [["a", "b"], "1:5"],
    [["a", "c"], "1:11"],
    [["a", "d", "e"], "1:24"],
    [["a", "d", "e", 0], "1:28"],
    [["a", "d", "e", 1, "f"], "1:32"],
    [["a", "g"], "1:41"],
    [["h", 0, "i"], "2:6"],
    [["h", 1], "2:12"],
  ]],
  ["brackets over several lines", "a: {\n  b: x y\n    z, # , c: 1\n\n  d: {}, e: []\n}\nf: [\n1,\n 2\n]\ng: 3", [
    [["a", "b"], "2:3"],
    [["a", "d"], "5:3"],
    [["a", "e"], "5:10"],
    [["f", 0], "8:1"],
    [["f", 1], "9:2"],
    [["g"], "11:1"],
  ]],
  ["a text in brackets", `{"keep_alive": 10, "topics": {"/test": {"qos": 1}}}`, [
    [["keep_alive"], "1:2"],
    [["topics", "/test", "qos"], "1:41"],
  ]],
  [
    "texts of several lines",
    'a: |\n  b: 1\n    - c\n\n  # d\ne: >-\n f: 2\ng: x\n  y z\n  h\ni: \'j\n  k: 3\'\nl: "m\\\n  n: \\"\n"\no: 4',
    [
      [["a"], "1:1"],
      [["e"], "6:1"],
      [["g"], "8:1"],
      [["i"], "11:1"],
      [["l"], "13:1"],
      [["o"], "16:1"],
    ],
  ],
  [
    "anchors, aliases and tags",
    "a: &x\n  b: 1\nc: *x\nd: &y !!map {e: 2}\nf: !!str 3\n&z g: [*y, &w {h: 4}, *w]\ni: 5",
    [
      [["a", "b"], "2:3"],
      [["c", "b"], "2:3"],
      [["d", "e"], "4:14"],
      [["f"], "5:1"],
      [["i"], "7:1"],
    ],
  ],
  ["merged mappings", "a: &a {x: 1}\nb: &b {y: 2, z: 3}\nc:\n  <<: *a\n  z: 4\nd: {<<: [*a, *b], w: 5}", [
    [["c", "x"], "1:8"],
    [["c", "z"], "5:3"],
    [["d", "x"], "1:8"],
    [["d", "z"], "2:14"],
    [["d", "w"], "6:19"],
  ]],
  ["explicit keys", "? a\n: 1\n? b\n? c\n:\n  - 2\nd: 3", [
    [["a"], "1:1"],
    [["b"], "3:1"],
    [["c", 0], "6:3"],
    [["d"], "7:1"],
  ]],
  ["directives and document markers", "%YAML 1.2\n# x\n---\na: 1\nb: x--- y\n...\n# z", [
    [["a"], "4:1"],
    [["b"], "5:1"],
  ]],
];

for (const [style, text, places] of CASES) {
  Deno.test(`Outline.find() gives the places of keys and items in ${style}`, () => {
    const outline = new Outline(text);
    for (const [path, place] of places) assertEquals(placeOf(outline, path), place, path.join("."));
    assertEquals([outline.tabs, outline.duplicates, outline.secondDocument], [[], [], undefined]);
  });
}

Deno.test("Outline.find() gives the places of all keys that are in a text written by @std/yaml", () => {
  const { tree } = fc.letrec((tie) => ({
    scalar: fc.oneof(fc.string({ unit: "grapheme" }), fc.integer(), fc.boolean(), fc.constant(null)),
    list: fc.array(tie("tree"), { maxLength: 4 }),
    mapping: fc.dictionary(fc.string(), tie("tree"), { maxKeys: 4 }),
    tree: fc.oneof({ maxDepth: 4 }, tie("scalar"), tie("list"), tie("mapping")),
  }));
  const options = fc.record({ indent: fc.integer({ min: 1, max: 4 }), flowLevel: fc.integer({ min: -1, max: 3 }) });
  fc.assert(
    fc.property(fc.dictionary(fc.string(), tree), options, (config, options) => {
      const text = stringify(config, options);
      const outline = new Outline(text);
      const lines = text.split("\n");
      for (const path of pathsOf(config)) {
        const { line, column } = outline.find(path);
        const key = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^:]*|.*?(?=: ))(?=:)/.exec(lines[line - 1].slice(column - 1))
          ?.[0];
        assertEquals(key === undefined ? undefined : String(parse(key) ?? ""), path.at(-1), text);
      }
    }),
  );
});

/** Gives the paths that end in a key. */
function* pathsOf(value: unknown, path: Path = []): Generator<Path> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, part] of Array.isArray(value) ? value.entries() : Object.entries(value)) {
    if (typeof key === "string") yield [...path, key];
    yield* pathsOf(part, [...path, key]);
  }
}

Deno.test("Outline.find() gives the place of what is nearest above where there is nothing", () => {
  const outline = new Outline("\n# a\nwill:\n  topic: a\nuri:\n  - mqtt://a");
  assertEquals(placeOf(outline, []), "3:1");
  assertEquals(placeOf(outline, ["topics", "a"]), "3:1");
  assertEquals(placeOf(outline, ["will", "message"]), "3:1");
  assertEquals(placeOf(outline, ["will", "topic", "x", 1]), "4:3");
  assertEquals(placeOf(outline, ["uri", 1]), "5:1");
  assertEquals(placeOf(new Outline(""), ["a"]), "1:1");
});

Deno.test("Outline.find() gives what was read before the thread was lost", () => {
  const outline = new Outline("a: 1\nb:\n  c: [1, 2\nd: 3\n");
  assertEquals(placeOf(outline, ["a"]), "1:1");
  assertEquals(placeOf(outline, ["b", "c", 0]), "3:7");
  assertEquals(placeOf(outline, ["d"]), "1:1");
  const { line, column } = outline.end;
  assertEquals(`${line}:${column}`, "3:3");
});

Deno.test("Outline finds keys that are in a mapping twice, and only those", () => {
  const text = "a: 1\nb: {c: 1, d: 2, c: 3}\na: 4\ne:\n- {a: 5, f: {a: 6}}\n- a: 7\n  'a': 8\n<<: {a: 9}\n<<: {b: 1}\n";
  assertEquals(
    new Outline(text).duplicates.map(({ path, position, first }) => [path, position.line, position.column, first.line]),
    [[["b", "c"], 2, 17, 2], [["a"], 3, 1, 1], [["e", 1, "a"], 7, 3, 6]],
  );
});

/** Texts, and the places of the keys that a reader takes for something else. */
const MISREAD: readonly [text: string, places: readonly string[]][] = [
  ["a:\n  1.10: 1\n  007: 2\n  0x1F: 3\n  2026-01-31: 4\n  ~: 5\n  -0: 6", ["2:3", "3:3", "4:3", "5:3", "6:3", "7:3"]],
  ["7: 1\n1.5: 2\ntrue: 3\nnull: 4\n1:30: 5\na b: 6", []],
  ['\'007\': 1\n"1.10": 2\n"\\U0001F600": 3', []],
  ["{007: 1, b: [1.0: 2, {1.50: 3}]}", ["1:2", "1:14", "1:23"]],
  ["a: &a {007: 1}\nb: *a\nc: {<<: *a, 010: 2}", ["1:8", "3:13"]],
  ["a: !!pairs [b: 1, b: 2]\nc: !!omap [d: 1]\ne: !!set {f, g}", []],
];

Deno.test("Outline.misread() gives the keys of which a reader has made another text", () => {
  for (const [text, places] of MISREAD) {
    const outline = new Outline(text);
    const misread = outline.misread(parse(text));
    assertEquals(misread.map(({ position: { line, column } }) => `${line}:${column}`), places, text);
    assertEquals(misread.map(({ path }) => placeOf(outline, path)), places, text);
  }
});

Deno.test("Outline.collectionKey is where a list or a mapping that is a key ends", () => {
  const place = (text: string) => {
    const { line, column } = new Outline(text).collectionKey ?? {};
    return line === undefined ? undefined : `${line}:${column}`;
  };
  for (
    const text of [
      "a:\n  [b, c]: 1",
      "a:\n  b: 1\n  {c: 2} : 3",
      "a:\n  {{ b }}: 1",
      "a:\n  b: {{c: 1}: 2}",
      "? [a]\n: 1",
    ]
  ) {
    assertEquals(place(text)?.slice(0, 2), `${text.split("\n").length}:`, text);
  }
  for (const text of ["a: {b: [c]}", "a: [b", "a]: 1\nb}: 2", "[a, b]", "{}", ""]) {
    assertEquals(place(text), undefined, text);
  }
});

Deno.test("Outline finds lines that are indented with tabs, where tabs are no part of a text or in brackets", () => {
  const lines = (text: string) => new Outline(text).tabs.map(({ line }) => line);
  assertEquals(lines("topics:\n\t/test:\n\t\tqos: 1\n\t/other:\n\t\tqos: 2\nuri: a"), [2, 3, 4, 5]);
  assertEquals(lines("\ta: 1"), [1]);
  assertEquals(lines("a:\n  \t- 1"), [2]);
  assertEquals(
    lines("a:\t1\t# x\n\t\n\t# y\nb: {\n\tc: 1,\n\td: [\t2]\n\t}\ne: 'x\n\ty'\nf: |\n  x\n  \ty\ng: x\n \ty"),
    [],
  );
});

Deno.test("Outline finds the beginning of a second document", () => {
  const second = (text: string) => new Outline(text).secondDocument?.line;
  assertEquals(second("a: 1\n---\nb: 2\n"), 2);
  assertEquals(second("---\na: 1\n---\n"), 3);
  assertEquals(second("a: |\n x\n---\n"), 3);
  assertEquals(second("a: 1\n...\nb: 2\n"), 3);
  assertEquals(second("---\na: 1\n...\n# x\n"), undefined);
  assertEquals(second("---\n"), undefined);
});

Deno.test("Outline.measure() counts values, each alias as what it stands for", () => {
  const measure = (text: string) => {
    const { size, depth } = new Outline(text).measure();
    return [size, depth];
  };
  assertEquals(measure("a"), [1, 1]);
  assertEquals(measure("a: 1\nb: [2, {c: 3}]\n"), [6, 4]);
  assertEquals(measure("a: &a [1, 2]\nb: &b [*a, *a]\nc: [*b, *b]\n"), [1 + 3 + 7 + 15, 5]);
  assertEquals(measure("a: &a [*a]\n"), [Infinity, 2]);
  assertEquals(measure("{a: 1}: 2\nb: &b [1]\nc: *b\n")[0], Infinity); // it cannot be followed
  assertEquals(measure("a: &a {b: 1}\nc: {<<: *a, <<: *a, d: 2}\ne: [3]\ne: 4\n"), [1 + 2 + 6 + 2 + 1, 4]);
  for (const key of ["{[x]: 1}", "[[x]: 1]", "{x: 1}: 2", "[x]: 1", "? [x]\n: 1"]) {
    assertEquals(measure(`${key}\n`)[0] < Infinity, true);
    assertEquals(measure(`${key}\na: &a [1]\nb: *a\n`)[0], Infinity);
  }
  assertEquals(measure("[".repeat(10_000)), [Infinity, Infinity]);
  assertEquals(measure("- ".repeat(10_000)), [Infinity, Infinity]);
  assertEquals(measure("{".repeat(10_000)), [Infinity, Infinity]);
});

function placeOf(outline: Outline, path: Path): string {
  const { line, column } = outline.find(path);
  return `${line}:${column}`;
}

import { assert, assertEquals } from "@std/assert";
import { readYaml } from "../../src/config/yaml.ts";

const SECRET = "hunter2";

Deno.test("readYaml() gives what a text holds", () => {
  const text = [
    "a: [1, 0.5, 1e3, 0x1f, true, False, ~, text, '1', \"x\\ty\"]",
    "b: &b {c: 2}",
    "d:",
    "  <<: *b",
    "  e: |",
    "    two",
    "    lines",
    "f: !!binary AAEC",
  ];
  for (const end of ["\n", "\r\n", "\r"]) {
    for (const start of ["", "\uFEFF", `%YAML 1.2${end}---${end}`]) {
      const { value, faults } = readYaml(start + text.join(end));
      assertEquals(value, {
        a: [1, 0.5, 1000, 31, true, false, null, "text", "1", "x\ty"],
        b: { c: 2 },
        d: { c: 2, e: "two\nlines\n" },
        f: new Uint8Array([0, 1, 2]),
      });
      assertEquals(faults, []);
    }
  }
});

Deno.test("readYaml() gives no value for a text that holds nothing", () => {
  for (const text of ["", "\n", "# a: 1\n", "---\n", "---\n...\n", "~", "null"]) {
    const { value, faults } = readYaml(text);
    assertEquals([value, faults], [undefined, []]);
  }
});

Deno.test("readYaml() leaves no trace in prototypes", () => {
  const { value } = readYaml("__proto__: {a: 1}\nconstructor: {prototype: {a: 2}}\nb: {<<: {__proto__: {a: 3}}}\n");
  assertEquals(Object.keys(value as object), ["__proto__", "constructor", "b"]);
  assert(!("a" in {}));
});

/** Texts that are no YAML, with the place and the words for each. */
const INVALID: readonly [text: string, place: string, words: string][] = [
  ["a: 1\nb: *hunter2\n", "2:12", "no anchor has this name; a text that begins with * needs quotes"],
  ["a: !hunter2 x", "1:14", "this tag is not known; a text that begins with ! needs quotes"],
  ["a: !!js/regexp /hunter2/", "1:25", "this tag is not known; a text that begins with ! needs quotes"],
  ["a: !!js/function hunter2", "1:25", "this tag is not known; a text that begins with ! needs quotes"],
  ["a: !{hunter2} x", "1:14", "this is no tag, or none for this value; a text that begins with ! needs quotes"],
  ["a: !!int hunter2", "1:17", "this is no tag, or none for this value; a text that begins with ! needs quotes"],
  ["a: @hunter2", "1:4", "a text that begins with one of @ ` % & - ? [ { needs quotes"],
  ["a: - hunter2", "1:4", "a text that begins with one of @ ` % & - ? [ { needs quotes"],
  ["a: hunter2: b", "1:11", 'a text that holds ": " needs quotes'],
  [
    "a: 1\nb:hunter2\nc: 2",
    "3:2",
    'there is no "key: value" in this line or the one before; a space must follow the colon',
  ],
  ["a: 1\nhunter2", "3:1", 'there is no "key: value" in this line or the one before; a space must follow the colon'],
  ["'hunter2':b", "1:11", "a space must follow the colon"],
  ["a:\n  b: 1\n    hunter2: 2", "3:12", "this line is indented like none of those before"],
  ["a: {}\n  hunter2: 2", "2:3", "this line is indented like none of those before"],
  [
    "a: [b hunter2: [1] c]",
    "1:20",
    "a comma is missing; within brackets a text with any of , [ ] { } needs quotes, ${NAME} too",
  ],
  [
    "a: {b: ${hunter2}}",
    "1:9",
    "a comma is missing; within brackets a text with any of , [ ] { } needs quotes, ${NAME} too",
  ],
  ["a: 1\nb: 'hunter2\nc: 2\n", "2:1", "a quote or a bracket that is opened here is not closed"],
  ['a: 1\nb:\n- "hunter2\n', "3:1", "a quote or a bracket that is opened here is not closed"],
  ["a: 1\nb: [hunter2,\nc: 2\n", "2:1", "a quote or a bracket that is opened here is not closed"],
  ['a: "hunter2\\y"', "1:13", "double quotes take \\ as the beginning of a code, single quotes do not"],
  ['a: "hunter2\\xyz"', "1:14", "double quotes take \\ as the beginning of a code, single quotes do not"],
  ["<<: hunter2", "1:12", "<< takes a mapping or a list of mappings"],
  ["a: hunter2\x07", "1:12", "there is a character that cannot be printed"],
];

Deno.test("readYaml() says where a text is no YAML and why, and shows nothing of it", () => {
  for (const [text, place, words] of INVALID) {
    const { value, faults: [fault, ...others] } = readYaml(text);
    assertEquals([value, others], [undefined, []], text);
    assertEquals(fault.message, `is not valid YAML: ${words}`, text);
    assertEquals(`${fault.position?.line}:${fault.position?.column}`, place, text);
    assert(!fault.message.includes(SECRET));
  }
});

Deno.test("readYaml() gives no hint where it has none", () => {
  const { value, faults } = readYaml("%YAML 2.0 hunter2\n---\na: 1");
  assertEquals([value, faults], [undefined, [{ message: "is not valid YAML", position: { line: 2, column: 1 } }]]);
});

Deno.test("readYaml() gives all keys that are there twice, and the last value of each", () => {
  const { value, faults } = readYaml("a: 1\nb: {c: 1, c: 2}\na: 3\n");
  assertEquals(value, { a: 3, b: { c: 2 } });
  assertEquals(
    faults.map(({ path, position, message }) => [path, position?.line, message]),
    [
      [["b", "c"], 2, "is here a second time, the first is in line 2"],
      [["a"], 3, "is here a second time, the first is in line 1"],
    ],
  );
});

Deno.test("readYaml() says what else is wrong where keys are there twice", () => {
  const { value, faults } = readYaml("a: 1\na: 2\nb: *c\n");
  assertEquals([value, faults.map(({ position }) => position?.line)], [undefined, [2, 3]]);
});

Deno.test("readYaml() does not take tabs for indentation", () => {
  const { value, faults } = readYaml("topics:\n\t/test: {qos: 1}\n");
  const message = "the line is indented with a tab, which YAML does not allow: use spaces";
  assertEquals([value, faults], [undefined, [{ message, position: { line: 2, column: 1 } }]]);
});

Deno.test("readYaml() takes one document only", () => {
  for (const text of ["a: 1\n---\nb: 2\n", "a: 1\n---\n", "a: 1\n--- &a [*a, 'x\n", "a: 1\n...\nb: 2\n"]) {
    const { value, faults } = readYaml(text);
    assertEquals([value, faults.length, faults[0].message], [
      undefined,
      1,
      "a second document begins here, and there must be only one",
    ]);
  }
});

const TOO_MANY = "there are more than 100000 values, each alias (*name) being all that it stands for";
const TOO_DEEP = "there are more than 100 levels of mappings and lists";
const ENDLESS = "an alias (*name) stands for itself, or cannot be followed";

/** Nine lists or mappings, each of which has nine times the one before: 10⁹ values, 2 KiB. */
function billionLaughs(open: string, key: (i: number) => string, close: string): string {
  const line = (name: string, i: number) => {
    const before = i === 0 ? "lol" : `*x${i - 1}`;
    return `${name}: &x${i} ${open}${Array.from({ length: 10 }, (_, i) => key(i) + before).join(", ")}${close}\n`;
  };
  return Array.from({ length: 10 }, (_, i) => line(`a${i}`, i)).join("");
}

const repeat = (count: number, line: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join("");
const MANY_KEYS = `a: &a\n${repeat(3_000, (i) => `  k${i}: 0\n`)}`;

/** Texts that a reader could be busy with for hours, or die of. */
const BOMBS: readonly [name: string, text: string, message: string][] = [
  ["lists of lists of aliases", billionLaughs("[", () => "", "]"), TOO_MANY],
  ["mappings of mappings of aliases", billionLaughs("{", (i) => `k${i}: `, "}"), TOO_MANY],
  ["a large mapping that is merged often", `${MANY_KEYS}b:\n${repeat(3_000, () => "- {<<: *a}\n")}`, TOO_MANY],
  ["a large mapping that is merged often into one", `${MANY_KEYS}b:\n${repeat(3_000, () => "  <<: *a\n")}`, TOO_MANY],
  ["a large mapping that is used often", `${MANY_KEYS}topics:\n${repeat(2_000, (i) => `  t${i}: *a\n`)}`, TOO_MANY],
  ["a list that is a key often", `a: &a [${"x,".repeat(1e4)}]\nb:\n${"- ? *a\n".repeat(1e4)}`, ENDLESS],
  ["a key that hides what comes after it", `{a: b}: c\n${billionLaughs("[", () => "", "]")}`, ENDLESS],
  ["a list within itself", "a: &a [1, *a]\n", ENDLESS],
  ["a mapping within itself", "&a\nb: *a\n", ENDLESS],
  ["deep brackets", "[".repeat(500_000), TOO_DEEP],
  ["deep mappings", "{a: ".repeat(200_000), TOO_DEEP],
  ["deep lists", "- ".repeat(500_000), TOO_DEEP],
  ["deep keys", "? ".repeat(500_000), TOO_DEEP],
  ["deep indentation", repeat(1_400, (i) => `${" ".repeat(i)}a:\n`), TOO_DEEP],
  ["deep aliases", repeat(1_000, (i) => `a${i + 1}: &a${i + 1} [${i === 0 ? "x" : `*a${i}`}]\n`), TOO_DEEP],
  ["many values", `[${"1,".repeat(100_000)}]`, TOO_MANY],
];

Deno.test("readYaml() refuses what would keep it busy, and is quick about it", () => {
  for (const [name, text, message] of BOMBS) {
    const start = performance.now();
    const { value, faults } = readYaml(text);
    assertEquals([value, faults], [undefined, [{ message }]], name);
    assert(performance.now() - start < 10_000, name); // where nothing else runs it takes a tenth of a second
  }
});

Deno.test("readYaml() never fails, whatever the text", () => {
  for (
    const text of ["\0", "a: 1\0b: 2", "\ud800", ":", "- - ?", "a: !<", "a: &", "a: *", "%", "%TAG", '"\\', "|1-+", "}"]
  ) {
    readYaml(text);
    readYaml(`a: 1\n${text}`);
    readYaml(`{a: ${text}`);
  }
});

import { parse } from "@std/yaml";
import { Outline, type Position } from "./outline.ts";
import type { Path } from "./path.ts";

/** What is wrong with a YAML text itself, whatever it is for. */
export interface YamlFault {
  /** Where it is, where that is known. */
  readonly position?: Position;
  /** Which key it is about, if it is about one. */
  readonly path?: Path;
  /** What is wrong, without anything of what the text holds. */
  readonly message: string;
}

/** What a YAML text holds, and where. */
export interface Yaml {
  /** What it holds; `undefined` where it cannot be read, and where it holds nothing. */
  readonly value: unknown;
  readonly outline: Outline;
  /** What is wrong with the text; with a value there may be faults as well. */
  readonly faults: readonly YamlFault[];
}

/** How many values and levels there may be, many times more than a configuration can have. */
const MOST_VALUES = 100_000;
const MOST_LEVELS = 100;

/** What is meant by the words of the reader, which show what is in the text, and that may be a password. */
const EXPLANATIONS: readonly [words: string, explanation: string][] = [
  ["unidentified alias", "no anchor has this name; a text that begins with * needs quotes"],
  ["unknown tag", "this tag is not known; a text that begins with ! needs quotes"],
  ["tag", "this is no tag, or none for this value; a text that begins with ! needs quotes"],
  ["explicit mapping pair is incomplete", 'a text that holds ": " needs quotes'],
  ["multiline key", 'there is no "key: value" in this line or the one before; a space must follow the colon'],
  ["missing colon", 'there is no "key: value" in this line or the one before; a space must follow the colon'],
  ["after the key-value separator", "a space must follow the colon"],
  ["bad indentation", "this line is indented like none of those before"],
  ["missing comma", "a comma is missing; within brackets a text with any of , [ ] { } needs quotes, ${NAME} too"],
  ["end of the stream or a document separator", "a text that begins with one of @ ` % & - ? [ { needs quotes"],
  ["escape sequence", "double quotes take \\ as the beginning of a code, single quotes do not"],
  ["hexadecimal character", "double quotes take \\ as the beginning of a code, single quotes do not"],
  ["duplicated key", "this key is the same to YAML as one before, put both in quotes"],
  ["merge mappings", "<< takes a mapping or a list of mappings"],
  ["character", "there is a character that cannot be printed"],
];

/** Reads a YAML text. It never throws, and takes little time whatever the text is. */
export function readYaml(text: string): Yaml {
  text = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  const outline = new Outline(text);
  const faults = [...outlineFaults(outline)];
  if (faults.length > 0) return { value: undefined, outline, faults };
  try {
    const value = read(text);
    return { value, outline, faults: [...keyFaults(outline, value)] };
  } catch (error) {
    if (!isDuplicate(error) || outline.duplicates.length === 0) {
      return { value: undefined, outline, faults: [explain(error, outline)] };
    }
  }
  // The reader stops at the first one. All of them are known, so the rest can be checked too.
  for (const { path, position, first } of outline.duplicates) {
    faults.push({ path, position, message: `is here a second time, the first is in line ${first.line}` });
  }
  try {
    const value = read(text, true);
    return { value, outline, faults: [...faults, ...keyFaults(outline, value)] };
  } catch (error) {
    return { value: undefined, outline, faults: [...faults, explain(error, outline)] };
  }
}

function read(text: string, allowDuplicateKeys = false): unknown {
  // The reader never comes to an end when a tag that begins with "!<" has none.
  return parse(`${text}\n# >\n`, { allowDuplicateKeys }) ?? undefined;
}

function* outlineFaults(outline: Outline): Generator<YamlFault> {
  for (const position of outline.tabs) {
    yield { position, message: "the line is indented with a tab, which YAML does not allow: use spaces" };
  }
  if (outline.secondDocument !== undefined) {
    yield { position: outline.secondDocument, message: "a second document begins here, and there must be only one" };
    return;
  }
  const { size, depth } = outline.measure();
  if (depth > MOST_LEVELS) yield { message: `there are more than ${MOST_LEVELS} levels of mappings and lists` };
  else if (size === Infinity) yield { message: "an alias (*name) stands for itself, or cannot be followed" };
  else if (size > MOST_VALUES) {
    yield { message: `there are more than ${MOST_VALUES} values, each alias (*name) being all that it stands for` };
  }
}

/** A mapping has texts as keys alone. Of other keys the reader makes texts, but not those that are written. */
function* keyFaults(outline: Outline, value: unknown): Generator<YamlFault> {
  for (const { path, position } of outline.misread(value)) {
    yield { path, position, message: "this key is no text to YAML, put it in quotes" };
  }
  const position = outline.collectionKey;
  if (position !== undefined) yield { position, message: "this key is a list or a mapping to YAML, put it in quotes" };
}

function isDuplicate(error: unknown): boolean {
  return error instanceof SyntaxError && error.message.includes("duplicated key");
}

/** Says what is wrong and where, without showing a part of the text as the reader does. */
function explain(error: unknown, outline: Outline): YamlFault {
  const [firstLine] = error instanceof Error ? error.message.split("\n", 1) : [""];
  const [, words = "", line, column] = /^(.*) at line (\d+), column (\d+)/.exec(firstLine) ?? [];
  if (words.includes("nexpected end")) {
    return {
      position: outline.end,
      message: "is not valid YAML: a quote or a bracket that is opened here is not closed",
    };
  }
  const [, explanation] = EXPLANATIONS.find(([known]) => words.includes(known)) ?? [];
  const message = explanation === undefined ? "is not valid YAML" : `is not valid YAML: ${explanation}`;
  return line === undefined ? { message } : { message, position: { line: Number(line), column: Number(column) } };
}

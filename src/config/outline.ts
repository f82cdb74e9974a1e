import { type Path, valueAt } from "./path.ts";

/** A place in a text; both numbers count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A key that its mapping has already. */
export interface Duplicate {
  readonly path: Path;
  readonly position: Position;
  /** Where the key stands for the first time. */
  readonly first: Position;
}

/** A key that is no text to a reader of YAML. */
export interface MisreadKey {
  /** Where it is, with the key as it is written. */
  readonly path: Path;
  readonly position: Position;
}

/** How much there is in a text. */
export interface Extent {
  /** How many values. */
  readonly size: number;
  /** How many of them are within each other. */
  readonly depth: number;
}

/** What stands at a place: a mapping or a list with its parts, or a scalar. */
interface Node {
  readonly parts: Map<string | number, Part>;
  /** The mappings that `<<` merges into this one. */
  readonly merged: Node[];
  /** What stands under keys that come again. */
  readonly replaced: Node[];
  /** That of a scalar, which may be a key. */
  text?: string;
}

/** What stands under a key or in a list. */
interface Part {
  /** Where the key or the item begins. */
  readonly at: number;
  node: Node;
}

/** Thrown where the text is not what a reader of YAML accepts, or a key is no scalar; the outline ends there. */
class Lost extends Error {}

const DEEPEST = 100;
const FLOW_INDICATORS = ",[]{}";
const ANCHOR = /(?:^|[\s,[{])&\S/;
const ALIAS = /(?:^|[\s,[{])\*\S/;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", 0: "\0", _: "\xA0" };

/**
 * The keys and list items of a YAML text, and where they stand.
 *
 * A reader of YAML tells what a text holds, but not where. This tells where, for any text that such a reader accepts. Where it loses the
 * thread, the outline ends. Lines must end with `\n`.
 */
export class Outline {
  readonly #text: string;
  readonly #lineStarts: readonly number[];
  readonly #root = newNode();
  readonly #anchors = new Map<string, Node>();
  readonly #path: (string | number)[] = [];
  readonly #duplicates: { path: Path; at: number; first: number }[] = [];
  /** The beginnings of the lines that are indented with tabs. */
  readonly #tabs = new Set<number>();
  #at = 0;
  #start = 0;
  #secondDocument: number | undefined;
  #isTooDeep = false;
  #isComplete = false;

  constructor(text: string) {
    this.#text = text;
    this.#lineStarts = [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
    try {
      this.#document();
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
    }
  }

  /** The keys that their mapping has already. */
  get duplicates(): Duplicate[] {
    return this.#duplicates.map(({ path, at, first }) => ({
      path,
      position: this.#position(at),
      first: this.#position(first),
    }));
  }

  /** The lines that are indented with tabs. */
  get tabs(): Position[] {
    return [...this.#tabs].map((at) => this.#position(at));
  }

  /** Where a list or a mapping that is a key ends, and the outline with it. */
  get collectionKey(): Position | undefined {
    const isEnd = !this.#isComplete && /[\]}]\s*$/.test(this.#text.slice(0, this.#at));
    return isEnd && ":,}".includes(this.#peek()) ? this.#position(this.#at) : undefined;
  }

  /** The beginning of a second document. */
  get secondDocument(): Position | undefined {
    return this.#secondDocument === undefined ? undefined : this.#position(this.#secondDocument);
  }

  /** Gives the place of the key or item that a path leads to; where it is missing, of the last one on the way to it. */
  find(path: Path): Position {
    let part: Part = { at: this.#start, node: this.#root };
    for (const key of path) {
      const next = findPart(part.node, key);
      if (next === undefined) break;
      part = next;
    }
    return this.#position(part.at);
  }

  /** Gives the keys without quotes of which a reader has made another text: of `007` 7, of `~` null. */
  misread(value: unknown): MisreadKey[] {
    const misread = new Map<Part, MisreadKey>(); // an alias leads to the same key again
    const visit = (node: Node, value: unknown, path: Path) => {
      if (typeof value !== "object" || value === null) return;
      for (const [key, part] of node.parts) {
        if (Object.hasOwn(value, key)) visit(part.node, valueAt(value, [key]), [...path, key]);
        else if (
          typeof key === "string" && key !== "<<" && !Array.isArray(value) && this.#text.startsWith(key, part.at)
        ) {
          misread.set(part, { path: [...path, key], position: this.#position(part.at) });
        }
      }
    };
    visit(this.#root, value, []);
    return [...misread.values()];
  }

  /** Where the thread was lost: the innermost key or item that was begun. */
  get end(): Position {
    return this.find(this.#path);
  }

  /** Measures the text with each alias as all that it stands for; what is within itself or cannot be followed has no end. */
  measure(): Extent {
    const isUnknown = !this.#isComplete && ANCHOR.test(this.#text) && ALIAS.test(this.#text);
    if (this.#isTooDeep || isUnknown) return { size: Infinity, depth: this.#isTooDeep ? Infinity : 0 };
    const known = new Map<Node, Extent>();
    const measure = (node: Node): Extent => {
      const extent = known.get(node);
      if (extent !== undefined) return extent;
      known.set(node, { size: Infinity, depth: 0 });
      const parts = [...Array.from(node.parts.values(), (part) => part.node), ...node.replaced].map(measure);
      const size = parts.reduce((sum, part) => sum + part.size, 1);
      const depth = parts.reduce((deepest, part) => Math.max(deepest, part.depth), 0) + 1;
      known.set(node, { size, depth });
      return { size, depth };
    };
    return measure(this.#root);
  }

  #position(at: number): Position {
    const line = this.#lineOf(at);
    return { line: line + 1, column: at - this.#lineStarts[line] + 1 };
  }

  #document(): void {
    this.#blockSpace();
    while (this.#peek() === "%") {
      this.#skipLine();
      this.#blockSpace();
    }
    if (this.#text.startsWith("---", this.#at)) this.#at += 3;
    this.#blockSpace();
    this.#start = this.#at;
    this.#blockNode(-1, this.#root);
    this.#blockSpace();
    const isClosed = this.#isMarker("...");
    if (isClosed) {
      this.#at += 3;
      this.#space();
    }
    if (this.#peek() === "") this.#isComplete = true;
    else if (isClosed || this.#isMarker("---")) this.#secondDocument = this.#at;
  }

  /** Reads what stands under a key or in a list. */
  #part(parent: Node, key: string | number, at: number, read: (node: Node) => Node): Node {
    const part: Part = { at, node: newNode() };
    parent.parts.set(key, part);
    this.#path.push(key);
    if (this.#path.length > DEEPEST) {
      this.#isTooDeep = true;
      throw new Lost();
    }
    part.node = read(part.node);
    this.#path.pop();
    return part.node;
  }

  /** Reads what stands under a key of a mapping. */
  #value(mapping: Node, key: string, at: number, read: (node: Node) => Node): void {
    const first = mapping.parts.get(key);
    if (first !== undefined) {
      mapping.replaced.push(first.node);
      if (key !== "<<") this.#duplicates.push({ path: [...this.#path, key], at, first: first.at });
    }
    const value = this.#part(mapping, key, at, read);
    if (key !== "<<") return;
    const isList = value.parts.has(0);
    if (!isList) mapping.merged.push(value);
    else for (const item of value.parts.values()) mapping.merged.push(item.node);
  }

  // Block style: indentation tells what belongs together.

  /** Reads what stands here or further down, right of a column. A list that is a value may stand right below its key. */
  #blockNode(indent: number, node: Node, isValue = false): Node {
    let isOnOwnLine = this.#blockSpace() || indent < 0;
    for (;;) {
      const column = this.#column();
      const isBelowKey = isValue && column === indent && this.#isIndicator("-");
      if (this.#isEnd() || (isOnOwnLine && column <= indent && !isBelowKey)) return node;
      if (!this.#property(node)) break;
      isOnOwnLine = this.#blockSpace();
    }
    if (this.#isIndicator("-")) return this.#blockList(node);
    if (this.#isIndicator("?") || this.#isKey()) return this.#blockMapping(node);
    if (this.#peek() === "|" || this.#peek() === ">") return this.#blockScalar(indent, node);
    return this.#flowNode(node, (scalar) => this.#plainLines(scalar, indent));
  }

  #blockList(list: Node): Node {
    const column = this.#column();
    for (let i = 0; this.#column() === column && this.#isIndicator("-"); i++) {
      this.#part(list, i, this.#at++, (item) => this.#blockNode(column, item));
      this.#blockSpace();
    }
    return list;
  }

  #blockMapping(mapping: Node): Node {
    const column = this.#column();
    do {
      const at = this.#at;
      const key = this.#isIndicator("?") ? this.#explicitKey(column) : this.#key();
      if (key === undefined) throw new Lost();
      this.#value(mapping, key, at, (value) => {
        if (!this.#isIndicator(":")) return value;
        this.#at++;
        return this.#blockNode(column, value, true);
      });
      this.#blockSpace();
    } while (!this.#isEnd() && (this.#column() === column || this.#indentation() === column));
    return mapping;
  }

  /** Reads `? key` to the colon, which has a line of its own; it may be missing. */
  #explicitKey(column: number): string | undefined {
    const key = this.#part(newNode(), "?", this.#at++, (key) => this.#blockNode(column, key));
    this.#blockSpace();
    return key.text;
  }

  /** Reads a key to its colon; gives nothing, and reads to anywhere, where there is none. */
  #key(): string | undefined {
    while (this.#property(newNode())) this.#blanks();
    const { text } = this.#flowNode(newNode(), (scalar) => this.#plainLine(scalar, false));
    this.#blanks();
    return this.#isIndicator(":") ? text : undefined;
  }

  #isKey(): boolean {
    if (this.#peek() === "{" || this.#peek() === "[") return false; // they can be keys, but none of ours
    const start = this.#at;
    const isKey = this.#key() !== undefined;
    this.#at = start;
    return isKey;
  }

  /** Reads `|` or `>`, and all lines that are indented further than the column. */
  #blockScalar(indent: number, scalar: Node): Node {
    this.#skipLine();
    while (this.#peek() !== "") {
      const start = this.#at;
      while (this.#peek() === " ") this.#at++;
      if (this.#peek() !== "\n" && this.#at - start <= indent) {
        this.#at = start;
        break;
      }
      this.#skipLine();
    }
    return scalar;
  }

  /** Reads a plain scalar with the lines that it goes on in: those that are indented further than the column. */
  #plainLines(scalar: Node, indent: number): void {
    for (;;) {
      this.#plainLine(scalar, false);
      const end = this.#at;
      this.#blanks();
      const isWhole = this.#peek() !== "\n";
      while (this.#isSpace()) this.#at++;
      if (isWhole || this.#isEnd() || this.#indentation() <= indent || this.#peek() === "#") {
        this.#at = end;
        return;
      }
    }
  }

  // Flow style: brackets and commas tell what belongs together.

  /** Reads an alias, a mapping or a list in brackets, a quoted scalar, or what the caller knows how to read: a plain one. */
  #flowNode(node: Node, plain: (scalar: Node) => void): Node {
    switch (this.#peek()) {
      case "*":
        return this.#anchors.get(this.#word().slice(1)) ?? node;
      case "{":
        return this.#flowMapping(node);
      case "[":
        return this.#flowList(node);
      case "'":
      case '"':
        this.#quoted(node);
        return node;
      default:
        plain(node);
        return node;
    }
  }

  #flowMapping(mapping: Node): Node {
    this.#flowItems("}", () => {
      const at = this.#at;
      const { text } = this.#part(newNode(), "?", at, (key) => this.#flowItem(key));
      if (text === undefined) throw new Lost();
      this.#value(mapping, text, at, (value) => this.#isColon() ? this.#flowItem(value) : value);
    });
    return mapping;
  }

  #flowList(list: Node): Node {
    let i = 0;
    this.#flowItems("]", () => {
      const at = this.#at;
      this.#part(list, i++, at, (item) => {
        const node = this.#flowItem(item);
        if (!this.#isColon()) return node;
        if (node.text === undefined) throw new Lost();
        const pair = newNode();
        this.#value(pair, node.text, at, (value) => this.#flowItem(value));
        return pair;
      });
    });
    return list;
  }

  #flowItems(end: string, readItem: () => void): void {
    this.#at++;
    for (this.#space(); this.#peek() !== end; this.#space()) {
      const start = this.#at;
      readItem();
      this.#space();
      if (this.#peek() === ",") this.#at++;
      if (this.#at === start) throw new Lost(); // an end of the other kind, or of the text
    }
    this.#at++;
  }

  #flowItem(node: Node): Node {
    if (this.#isIndicator("?")) this.#at++;
    this.#space();
    while (this.#property(node)) this.#space();
    const item = this.#flowNode(node, (scalar) => this.#plainFlow(scalar));
    this.#space();
    return item;
  }

  #plainFlow(scalar: Node): void {
    for (;;) {
      this.#plainLine(scalar, true);
      const end = this.#at;
      while (this.#isSpace()) this.#at++;
      const isWhole = this.#peek() === "" || `#:${FLOW_INDICATORS}`.includes(this.#peek());
      if (!isWhole) continue;
      this.#at = end;
      return;
    }
  }

  /** Reads the colon between a key and a value in brackets, if there is one. */
  #isColon(): boolean {
    if (this.#peek() !== ":") return false;
    this.#at++;
    this.#space();
    return true;
  }

  // What both styles have.

  /** Reads an anchor or a tag, if there is one. */
  #property(node: Node): boolean {
    const kind = this.#peek();
    if (kind !== "&" && kind !== "!") return false;
    const word = this.#word();
    if (kind === "&") this.#anchors.set(word.slice(1), node);
    return true;
  }

  #word(): string {
    const start = this.#at++;
    while (this.#peek() !== "" && !this.#isSpace() && !FLOW_INDICATORS.includes(this.#peek())) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  /** Reads the part of a plain scalar that is on this line. */
  #plainLine(scalar: Node, isInFlow: boolean): void {
    const start = this.#at;
    let end = start;
    while (this.#peek() !== "" && this.#peek() !== "\n" && !this.#endsPlain(isInFlow)) {
      if (!this.#isSpace()) end = this.#at + 1;
      this.#at++;
    }
    scalar.text ??= this.#text.slice(start, end);
  }

  #endsPlain(isInFlow: boolean): boolean {
    const next = this.#text.charAt(this.#at + 1);
    if (this.#isIndicator(":")) return true;
    if (this.#peek() === "#") return this.#at > 0 && isSpace(this.#text.charAt(this.#at - 1));
    if (!isInFlow) return false;
    return FLOW_INDICATORS.includes(this.#peek()) || (this.#peek() === ":" && FLOW_INDICATORS.includes(next));
  }

  #quoted(scalar: Node): void {
    const quote = this.#peek();
    const start = ++this.#at;
    const isEscaped = () => quote === "'" && this.#text.startsWith("''", this.#at);
    while (this.#peek() !== quote || isEscaped()) {
      if (this.#peek() === "") throw new Lost();
      this.#at += isEscaped() || (quote === '"' && this.#peek() === "\\") ? 2 : 1;
    }
    scalar.text = unescape(quote, this.#text.slice(start, this.#at++));
  }

  /** Moves to what is neither space nor comment. Tells whether that is on another line. */
  #space(): boolean {
    const start = this.#at;
    for (;;) {
      while (this.#isSpace()) this.#at++;
      if (this.#peek() !== "#") return this.#text.slice(start, this.#at).includes("\n");
      this.#skipLine();
    }
  }

  /** The same in block style, where lines must not be indented with tabs. */
  #blockSpace(): boolean {
    const isOnOwnLine = this.#space();
    const start = this.#lineStart();
    let hasTab = false;
    let at = this.#at;
    while (at > start && isSpace(this.#text.charAt(at - 1))) {
      at--;
      if (this.#text.charAt(at) === "\t") hasTab = true;
    }
    if (hasTab && at === start && this.#peek() !== "") this.#tabs.add(start);
    return isOnOwnLine;
  }

  #blanks(): void {
    while (this.#isSpace() && this.#peek() !== "\n") this.#at++;
  }

  #skipLine(): void {
    const end = this.#text.indexOf("\n", this.#at);
    this.#at = end < 0 ? this.#text.length : end + 1;
  }

  #isEnd(): boolean {
    return this.#peek() === "" || this.#isMarker("---") || this.#isMarker("...");
  }

  #isMarker(marker: string): boolean {
    if (!this.#text.startsWith(marker, this.#at) || this.#column() > 0) return false;
    return isSpace(this.#text.charAt(this.#at + marker.length));
  }

  /** Whether a character stands here on its own. */
  #isIndicator(character: string): boolean {
    return this.#peek() === character && isSpace(this.#text.charAt(this.#at + 1));
  }

  #isSpace(): boolean {
    return this.#peek() !== "" && isSpace(this.#peek());
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #column(): number {
    return this.#at - this.#lineStart();
  }

  /** Counts the spaces that the line begins with. */
  #indentation(): number {
    const start = this.#lineStart();
    let end = start;
    while (this.#text.charAt(end) === " ") end++;
    return end - start;
  }

  #lineStart(): number {
    return this.#lineStarts[this.#lineOf(this.#at)];
  }

  #lineOf(at: number): number {
    let [low, high] = [0, this.#lineStarts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#lineStarts[middle] <= at) low = middle;
      else high = middle;
    }
    return low;
  }
}

function newNode(): Node {
  return { parts: new Map(), merged: [], replaced: [] };
}

function findPart(node: Node, key: string | number): Part | undefined {
  const own = node.parts.get(key);
  if (own !== undefined) return own;
  for (const source of node.merged) {
    const merged = findPart(source, key);
    if (merged !== undefined) return merged;
  }
}

/** Whether a character is white, or the text is at its end. */
function isSpace(character: string): boolean {
  return character === " " || character === "\t" || character === "\n" || character === "";
}

function unescape(quote: string, text: string): string {
  if (quote === "'") return text.replaceAll("''", "'");
  return text.replace(/\\(?:x([\da-f]{2})|u([\da-f]{4})|(.))/gis, (_, x, u, character) => {
    return character === undefined ? String.fromCharCode(Number.parseInt(x ?? u, 16)) : ESCAPES[character] ?? character;
  });
}

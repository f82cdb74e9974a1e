import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  binaryFault,
  filterOfShare,
  matchTopic,
  stringFault,
  topicFault,
  topicFilterFault,
  utf8Length,
} from "../src/topic.ts";

// matchTopic

Deno.test("matchTopic() agrees with the examples of the specification (§4.7.1, §4.7.2)", () => {
  const table: [filter: string, topic: string, matches: boolean][] = [
    // §4.7.1.2
    ["sport/tennis/player1/#", "sport/tennis/player1", true],
    ["sport/tennis/player1/#", "sport/tennis/player1/ranking", true],
    ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
    ["sport/#", "sport", true],
    ["#", "sport", true],
    ["#", "sport/tennis/player1", true],
    // §4.7.1.3
    ["sport/tennis/+", "sport/tennis/player1", true],
    ["sport/tennis/+", "sport/tennis/player2", true],
    ["sport/tennis/+", "sport/tennis/player1/ranking", false],
    ["sport/+", "sport", false],
    ["sport/+", "sport/", true],
    ["+", "sport", true],
    ["+/tennis/#", "sport/tennis/player1", true],
    ["sport/+/player1", "sport/tennis/player1", true],
    ["+/+", "/finance", true],
    ["/+", "/finance", true],
    ["+", "/finance", false],
    // §4.7.2
    ["#", "$SYS/broker/uptime", false],
    ["+/monitor/Clients", "$SYS/monitor/Clients", false],
    ["$SYS/#", "$SYS/broker/uptime", true],
    ["$SYS/monitor/+", "$SYS/monitor/Clients", true],
    // §4.7.3
    ["ACCOUNTS", "Accounts", false],
    ["Accounts payable", "Accounts payable", true],
    ["/finance", "finance", false],
    ["finance/", "finance", false],
  ];
  check(table);
});

Deno.test("matchTopic() compares empty levels as any others", () => {
  check([
    ["/", "/", true],
    ["+/+", "/", true],
    ["+", "/", false],
    ["#", "/", true],
    ["//", "//", true],
    ["+//+", "a//b", true],
    ["+//+", "a/b", false],
    ["a/+/b", "a//b", true],
    ["a//#", "a", false],
    ["a//#", "a/", true],
    ["a//#", "a//b/c", true],
    ["/#", "/", true],
    ["/#", "/a", true],
    ["/#", "a", false],
    ["a/#", "a/", true],
    ["a/#", "ab", false],
    ["a/#", "ab/c", false],
    ["a/+", "a/b/", false],
    ["a/+/", "a/b/", true],
    ["+/#", "a", true],
    ["+/#", "/", true],
    ["a/b", "a/b/c", false],
    ["a/b/c", "a/b", false],
  ]);
});

Deno.test("matchTopic() gives a topic that starts with $ to a filter that starts with the same level only [MQTT-4.7.2-1]", () => {
  check([
    ["+", "$SYS", false],
    ["+/#", "$SYS/a", false],
    ["#", "$", false],
    ["$SYS/+", "$SYS/a", true],
    ["$SYS/#", "$SYS", true],
    ["$SYS", "$SYS", true],
    ["$other/#", "$SYS/a", false],
    ["a/+", "a/$b", true],
    ["a/#", "a/$SYS/b", true],
    ["#", "a/$SYS", true],
    ["/#", "/$SYS", true],
  ]);
});

Deno.test("matchTopic() does not compare the $share/group of a shared subscription", () => {
  check([
    ["$share/group/a/b", "a/b", true],
    ["$share/group/a/b", "a/c", false],
    ["$share/group/#", "a", true],
    ["$share/group/a/#", "a", true],
    ["$share/group/#", "$SYS/a", false],
    ["$share/group/$SYS/#", "$SYS/a", true],
    ["$share/group//a", "/a", true],
    ["$share/group//a", "a", false],
    ["$share/g/+", "$share/g/x", false],
    ["$shared/a", "$shared/a", true],
    ["$share", "$share", true],
  ]);
});

Deno.test("matchTopic() compares * and other signs as they are", () => {
  check([
    ["a.b", "axb", false],
    ["*", "a", false],
    ["*", "*", true],
    ["a/*/c", "a/b/c", false],
    ["(a|b)?", "(a|b)?", true],
    ["température/+", "température/😀", true],
    ["\u00e9", "e\u0301", false], // no normalisation [MQTT-4.7.3-4]
  ]);
});

Deno.test("matchTopic() matches nothing with an empty filter or topic", () => {
  check([["", "", false], ["", "a", false], ["#", "", false], ["+", "", false]]);
});

Deno.test("matchTopic() agrees with a comparison level by level", () => {
  const level = fc.constantFrom("", "a", "b", "ab", "$SYS", "é");
  const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join("/"));
  const filter = fc
    .tuple(fc.array(fc.oneof(level, fc.constant("+")), { maxLength: 5 }), fc.boolean(), fc.boolean())
    .map(([levels, rest, share]) => (share ? "$share/g/" : "") + [...levels, ...rest ? ["#"] : []].join("/"));
  fc.assert(
    fc.property(filter, topic, (filter, topic) => {
      fc.pre(topic !== "" && topicFilterFault(filter) === undefined);
      assertEquals(matchTopic(filter, topic), matchesByLevels(filter, topic));
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("matchTopic() finds every topic that its filter was made from", () => {
  const level = fc.string({ unit: "grapheme", maxLength: 4 }).map((text) => text.replaceAll(/[+#/$\0]/g, "x"));
  const levels = fc.array(fc.tuple(level, fc.constantFrom("as it is", "+", "#")), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(levels, (levels) => {
      const topic = levels.map(([level]) => level).join("/");
      fc.pre(topic !== "");
      const parts: string[] = [];
      for (const [level, kind] of levels) {
        parts.push(kind === "as it is" ? level : kind);
        if (kind === "#") break;
      }
      assertEquals(matchTopic(parts.join("/"), topic), true, `${parts.join("/")} and ${topic}`);
    }),
    { numRuns: 5000 },
  );
});

/** The rules of §4.7 as they are written. */
function matchesByLevels(filter: string, topic: string): boolean {
  const filterLevels = filter.split("/"), topicLevels = topic.split("/");
  if (filterLevels[0] === "$share") filterLevels.splice(0, 2);
  if (topic.startsWith("$") && ["+", "#"].includes(filterLevels[0])) return false;
  for (const [i, level] of filterLevels.entries()) {
    if (level === "#") return true;
    if (i >= topicLevels.length || level !== "+" && level !== topicLevels[i]) return false;
  }
  return filterLevels.length === topicLevels.length;
}

function check(table: [filter: string, topic: string, matches: boolean][]): void {
  for (const [filter, topic, matches] of table) {
    assertEquals(matchTopic(filter, topic), matches, `${JSON.stringify(filter)} and ${JSON.stringify(topic)}`);
  }
}

Deno.test("filterOfShare() gives the filter behind $share/group/", () => {
  assertEquals(filterOfShare("$share/group/a/+"), "a/+");
  assertEquals(filterOfShare("$share/group//a"), "/a");
  assertEquals(filterOfShare("a/$share/b"), "a/$share/b");
  assertEquals(filterOfShare("$share"), "$share");
  assertEquals(filterOfShare("$share/group"), "$share/group");
});

// Faults

Deno.test("topicFault() takes every topic that may be published to", () => {
  const good = ["a", "/", "//", " ", "a b", "*", "a/*/c", "$SYS/x", "é/😀", "\uFEFF", "\u0001", "t".repeat(65_535)];
  good.push("é".repeat(32_767));
  for (const topic of good) assertEquals(topicFault(topic), undefined, topic.slice(0, 20));
});

Deno.test("topicFault() says what is wrong with a topic", () => {
  const table: [topic: string, fault: string][] = [
    ["", "topic names must not be empty"],
    ["#", "topic names must not contain wildcards"],
    ["a/+/b", "topic names must not contain wildcards"],
    ["a+", "topic names must not contain wildcards"],
    ["é#", "topic names must not contain wildcards"],
    ["a\0b", "topic names must not contain U+0000"],
    ["a\ud800", "it holds a lone surrogate, which UTF-8 cannot express"],
    ["\udc00\ud800", "it holds a lone surrogate, which UTF-8 cannot express"],
    ["t".repeat(65_536), "it is 65536 bytes long, 65535 are allowed"],
    ["é".repeat(32_768), "it is 65536 bytes long, 65535 are allowed"],
    ["😀".repeat(16_384), "it is 65536 bytes long, 65535 are allowed"],
  ];
  for (const [topic, fault] of table) assertEquals(topicFault(topic), fault, topic.slice(0, 20));
});

Deno.test("topicFilterFault() takes every filter that may be subscribed to", () => {
  const good = ["#", "+", "/", "a", "a/#", "a/+", "+/+/#", "//#", "+//", "$SYS/#", "*", "a b/é", "f".repeat(65_535)];
  good.push("$share/group/#", "$share/group/a/+", "$share/é b/a", "$share/g//", "$shared/#", "$share");
  for (const filter of good) assertEquals(topicFilterFault(filter), undefined, filter.slice(0, 20));
});

Deno.test("topicFilterFault() says what is wrong with a filter", () => {
  const table: [filter: string, fault: string][] = [
    ["", "topic filters must not be empty"],
    ["a#", "a wildcard must be a whole level"],
    ["#a", "a wildcard must be a whole level"],
    ["##", "a wildcard must be a whole level"],
    ["sport/tennis#", "a wildcard must be a whole level"],
    ["sport+", "a wildcard must be a whole level"],
    ["++", "a wildcard must be a whole level"],
    ["a/+b/c", "a wildcard must be a whole level"],
    ["sport/tennis/#/ranking", "# must be the last level"],
    ["#/", "# must be the last level"],
    ["#/#", "# must be the last level"],
    ["a\0", "U+0000 is not allowed"],
    ["a/\udfff", "it holds a lone surrogate, which UTF-8 cannot express"],
    ["f".repeat(65_536), "it is 65536 bytes long, 65535 are allowed"],
    ["$share/", "the share name must be one level without wildcards"],
    ["$share//a", "the share name must be one level without wildcards"],
    ["$share/+/a", "the share name must be one level without wildcards"],
    ["$share/g#/a", "the share name must be one level without wildcards"],
    ["$share/group", "a topic filter must follow the share name"],
    ["$share/group/", "a topic filter must follow the share name"],
    ["$share/group/a#", "a wildcard must be a whole level"],
    ["$share/group/#/a", "# must be the last level"],
  ];
  for (const [filter, fault] of table) assertEquals(topicFilterFault(filter), fault, filter.slice(0, 20));
});

Deno.test("topicFilterFault() takes every topic name as a filter", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "/", "$", "é", "+", "#", "\0", "😀"), maxLength: 6 });
  fc.assert(
    fc.property(text, (text) => {
      fc.pre(topicFault(text) === undefined);
      assertEquals(topicFilterFault(text), undefined);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("stringFault() says what cannot be a UTF-8 Encoded String (§1.5.3)", () => {
  for (const good of ["", "a", "#", "é😀", "\uFEFF", "x".repeat(65_535)]) assertEquals(stringFault(good), undefined);
  assertEquals(stringFault("a\0"), "U+0000 is not allowed");
  assertEquals(stringFault("\ud83d"), "it holds a lone surrogate, which UTF-8 cannot express");
  assertEquals(stringFault("x".repeat(65_536)), "it is 65536 bytes long, 65535 are allowed");
});

Deno.test("binaryFault() says what cannot be Binary Data (§1.5.6)", () => {
  for (const good of ["", "a\0", "x".repeat(65_535), new Uint8Array(65_535)]) {
    assertEquals(binaryFault(good), undefined);
  }
  assertEquals(binaryFault("\ud83d"), "it holds a lone surrogate, which UTF-8 cannot express");
  for (const long of ["é".repeat(32_768), new Uint8Array(65_536)]) {
    assertEquals(binaryFault(long), "it is 65536 bytes long, 65535 are allowed");
  }
});

Deno.test("utf8Length() gives the length that TextEncoder makes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assertEquals(utf8Length(text), new TextEncoder().encode(text).length);
    }),
    { numRuns: 2000 },
  );
  for (const text of ["", "\x7f", "\x80", "\u07ff", "\u0800", "\uffff", "\u{10000}", "\u{10ffff}"]) {
    assertEquals(utf8Length(text), new TextEncoder().encode(text).length);
  }
});

Deno.test("utf8Length() gives -1 for a lone surrogate, wherever it stands", () => {
  const unit = fc.constantFrom("a", "é", "€", "😀", "\ud83d", "\ude00");
  fc.assert(
    fc.property(fc.array(unit).map((units) => units.join("")), (text) => {
      const expected = text.isWellFormed() ? new TextEncoder().encode(text).length : -1;
      assertEquals(utf8Length(text), expected);
    }),
    { numRuns: 5000 },
  );
});

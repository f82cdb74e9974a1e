import { assert, assertEquals } from "@std/assert";
import { expandVariables, hasVariables } from "../../src/config/variables.ts";
import { environment } from "./environment.ts";

const VARIABLES = { HBMQTT_TEST: "value", HBMQTT_EMPTY: "", HBMQTT_STRANGE: "a: ${HBMQTT_TEST} $& *x\n", _h1: "lower" };

/** Texts and what they become. */
const TEXTS: readonly [text: string, expanded: string][] = [
  ["", ""],
  ["plain", "plain"],
  ["${HBMQTT_TEST}", "value"],
  ["a ${HBMQTT_TEST}b${_h1}", "a valueblower"],
  ["${HBMQTT_TEST:-other}", "value"],
  ["${HBMQTT_EMPTY}", ""],
  ["${HBMQTT_EMPTY:-other}", "other"],
  ["${HBMQTT_UNSET:-other}", "other"],
  ["${HBMQTT_UNSET:-}", ""],
  ["${HBMQTT_UNSET:-a:-b{c $d}", "a:-b{c $d"],
  ["${HBMQTT_STRANGE}", "a: ${HBMQTT_TEST} $& *x\n"],
  ["$${HBMQTT_TEST}", "${HBMQTT_TEST}"],
  ["$$${HBMQTT_TEST}", "$${HBMQTT_TEST}"],
  ["$HBMQTT_TEST $ $$ {HBMQTT_TEST} $(x)", "$HBMQTT_TEST $ $$ {HBMQTT_TEST} $(x)"],
];

Deno.test("expandVariables() replaces variables by what the environment has, or their default", () => {
  using _ = environment(VARIABLES);
  for (const [text, expanded] of TEXTS) {
    assertEquals(expandVariables(text), { text: expanded, problems: new Set<string>() });
    if (text !== expanded) assert(hasVariables(text));
  }
});

Deno.test("expandVariables() names each variable that is not set, once", () => {
  const { problems } = expandVariables("${HBMQTT_A}${HBMQTT_B}${HBMQTT_A}");
  assertEquals([...problems], [
    "the environment variable HBMQTT_A is not set; ${HBMQTT_A:-default} would give a default",
    "the environment variable HBMQTT_B is not set; ${HBMQTT_B:-default} would give a default",
  ]);
});

Deno.test("expandVariables() takes nothing else for a variable", () => {
  for (
    const text of ["${", "${}", "${1A}", "${A", "${A-b}", "${A:b}", "${A:-b", "${A:-${B}}", "${ A }", "${Ä}", "${A.B}"]
  ) {
    const [problem] = expandVariables(`x${text}`).problems;
    assertEquals(
      problem,
      'holds "${" that begins neither ${NAME} nor ${NAME:-default}; $${ stands for the characters themselves',
      text,
    );
  }
});

/**
 * Gives the word that was probably meant by a misspelt one, or `undefined` when none is near.
 *
 * Case and separators make no difference: `keepAlive` and `keep-alive` are `keep_alive`. Otherwise a third of the letters may be
 * wrong, three at most.
 */
export function nearest(misspelt: string, words: Iterable<string>): string | undefined {
  const letters = lettersOf(misspelt);
  let best: string | undefined;
  let limit = Math.max(1, Math.min(3, Math.floor(letters.length / 3)));
  for (const word of words) {
    const candidate = lettersOf(word);
    if (Math.abs(candidate.length - letters.length) > limit) continue; // spares measuring a text that is no word at all
    const distance = editDistance(letters, candidate);
    if (distance > limit) continue;
    best = word;
    limit = distance - 1; // the next one must be nearer
  }
  return best;
}

function lettersOf(word: string): string {
  return word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}

/** Counts the letters to insert, remove, replace or swap with their neighbour to make `a` into `b`. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j], beforeLast[j - 2] + 1);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length];
}

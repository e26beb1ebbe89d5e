/** Levenshtein distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

const WORD_CHARACTERS_MAX = 32

/** The nearest of `words`, if it is near enough to be meant. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (word.length > WORD_CHARACTERS_MAX) return undefined
  const ranked = words
    .map((candidate) => ({ candidate, away: distance(word.toLowerCase(), candidate) }))
    .sort((a, b) => a.away - b.away)
  const [best] = ranked
  return best !== undefined && best.away <= Math.max(1, Math.floor(best.candidate.length / 3))
    ? best.candidate
    : undefined
}

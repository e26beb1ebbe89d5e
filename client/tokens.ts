/** One word of a command line, where it starts, and whether it was quoted: quoted words are never keywords. */
export type Token = {
  readonly text: string
  readonly at: number
  readonly length: number
  readonly kind: 'word' | 'quoted' | 'separator' | '{' | '}'
}

/** Wrong input, where it is wrong, and what to do; for people. */
export type GrammarError = { readonly message: string; readonly at: number; readonly length: number }

/** Inside the parser only: `parseCommands` catches it. */
export class GrammarProblem extends Error {
  override name = 'GrammarProblem'
  readonly at: number
  readonly length: number
  constructor(message: string, where: { readonly at: number; readonly length: number }) {
    super(message)
    this.at = where.at
    this.length = where.length
  }
}

const TOKEN =
  /(?<space>\s+)|"(?<quoted>(?:[^"\\]|\\.)*)"|(?<separator>[,;])|(?<brace>[{}])|(?<word>[^\s,;{}"]+)/suy

/**
 * Words, "quoted words", `,` or `;`, and braces.
 * @throws GrammarProblem for an open quote, and for a comma within a number: it could mean two things
 */
export function tokensOf(line: string): Token[] {
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < line.length) {
    const at = TOKEN.lastIndex
    const match = TOKEN.exec(line)
    if (match === null)
      throw new GrammarProblem('this quote is never closed', { at, length: line.length - at })
    const where = { at, length: match[0].length }
    const { space, quoted, separator, brace, word } = match.groups ?? {}
    if (space !== undefined) continue
    if (quoted !== undefined) {
      tokens.push({ ...where, kind: 'quoted', text: quoted.replace(/\\(.)/gsu, '$1') })
    } else if (separator !== undefined) {
      checkSeparator(line, at)
      tokens.push({ ...where, kind: 'separator', text: separator })
    } else if (brace === '{' || brace === '}') {
      tokens.push({ ...where, kind: brace, text: brace })
    } else {
      tokens.push({ ...where, kind: 'word', text: word ?? '' })
    }
  }
  return tokens
}

function checkSeparator(line: string, at: number): void {
  if (line[at] !== ',' || !/\d/.test(line[at - 1] ?? '') || !/\d/.test(line[at + 1] ?? '')) return
  const number = /\$?[\d,]*$/.exec(line.slice(0, at))?.[0] ?? ''
  const rest = /^[\d,]*/.exec(line.slice(at))?.[0] ?? ''
  const digits = (number + rest).replaceAll(',', '')
  throw new GrammarProblem(
    `is ${number}${rest} one number? Write ${digits}; a comma separates commands, with a space behind it`,
    { at: at - number.length, length: number.length + rest.length },
  )
}

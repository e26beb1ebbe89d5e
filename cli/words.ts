/** 1234567 as 1,234,567. */
export const grouped = (value: number | bigint): string => value.toLocaleString('en-US')

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${count === 1 ? one : many}`

/** '0, 1 and 3'. */
export function listed(items: readonly (string | number)[]): string {
  const last = items.at(-1)
  if (last === undefined) return 'none'
  return items.length === 1 ? `${last}` : `${items.slice(0, -1).join(', ')} and ${last}`
}

export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`

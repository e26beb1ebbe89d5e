export type CheckReport = {
  readonly verdict: 'pass' | 'fail' | 'unknown'
  readonly properties: readonly {
    readonly property: string
    readonly verdict: 'pass' | 'fail' | 'unknown'
    readonly checked: { from: number; to: number; count: number } | null
    readonly findings: readonly { readonly what: string; readonly details: readonly string[] }[]
    readonly notChecked: readonly string[]
  }[]
}
export const checkRun = async (_: string): Promise<CheckReport> => ({ verdict: 'pass', properties: [] })

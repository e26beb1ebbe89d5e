export const FAULTS = ['none', 'primary', 'backup'] as const
export type BenchFault = (typeof FAULTS)[number]

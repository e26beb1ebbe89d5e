export const FAULTS = ['none', 'primary', 'backup', 'liar'] as const
export type BenchFault = (typeof FAULTS)[number]

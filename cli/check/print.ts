export const printProperties = (_: unknown, __: (line: string) => void): void => undefined

export const dumpDatabase = async (_: string, __: string): Promise<void> => undefined

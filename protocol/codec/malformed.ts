import { MalformedError } from '../reader.ts'

/** Remote bytes that are no message: counted by the caller. */
export type Malformed = { readonly malformed: string }
export const isMalformed = (value: object): value is Malformed => 'malformed' in value

/** Makes a decoder total: what it throws as malformed is returned. */
export function totally<T extends object>(decode: () => T): T | Malformed {
  try {
    return decode()
  } catch (error) {
    if (error instanceof MalformedError) return { malformed: error.message }
    throw error
  }
}

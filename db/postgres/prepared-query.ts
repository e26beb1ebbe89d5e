import pg from 'pg'

/** A row's columns as Postgres prints them: callers know their types, and parse only what they need. */
export type TextRow = readonly (string | null)[]

export type PreparedStatement = {
  /** By which the server knows it. */
  readonly name: string
  readonly text: string
  readonly values: readonly (string | number | Buffer | null)[]
  /** The server has not seen it on this connection. */
  readonly isNew: boolean
}

/**
 * One execution of a prepared statement. Where pg's own query asks for a description of the columns each time, and
 * builds a result object from it, this one takes the rows as they are: who asks knows the columns.
 */
export class PreparedQuery extends pg.Query {
  readonly name: string
  readonly text: string
  override readonly submit: (connection: pg.Connection) => void
  readonly #result = Promise.withResolvers<readonly TextRow[]>()
  readonly #found: TextRow[] = []

  constructor(statement: PreparedStatement) {
    super('')
    this.name = statement.name
    this.text = statement.text
    this.submit = (connection) => send(connection, statement)
  }

  /** @throws pg.DatabaseError, or the socket's error */
  get result(): Promise<readonly TextRow[]> {
    return this.#result.promise
  }

  // What pg calls as the server's messages come in.

  handleDataRow({ fields }: { readonly fields: TextRow }): void {
    this.#found.push(fields)
  }

  handleCommandComplete(): void {}

  handleEmptyQuery(): void {}

  handleReadyForQuery(): void {
    this.#result.resolve(this.#found)
  }

  handleError(error: unknown): void {
    this.#result.reject(error)
  }
}

/** In one write to the socket. */
function send(connection: pg.Connection, { name, text, values, isNew }: PreparedStatement): void {
  const { stream } = connection
  stream.cork()
  try {
    if (isNew) connection.parse({ name, text, types: [] }, true)
    connection.bind({ statement: name, values: values.map(asParameter) }, true)
    connection.execute(null, true)
    connection.sync()
  } finally {
    stream.uncork()
  }
}

const asParameter = (value: string | number | Buffer | null): string | Buffer | null =>
  typeof value === 'number' ? String(value) : value

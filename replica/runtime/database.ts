import { startContainer } from '../../db/provision/container.ts'
import { startEmbedded } from '../../db/provision/embedded.ts'
import type { RunningDatabase } from '../../db/provision/types.ts'
import { openUrl } from '../../db/provision/url.ts'
import { type Bundle, bundlePaths } from './bundle.ts'

/** The replica's database, started if it is its own and not running. @throws ProvisionError */
export async function openDatabase(bundle: Bundle): Promise<RunningDatabase> {
  const { database } = bundle.own
  const running = await openServer(bundle)
  if (database.kind === 'url' || database.connectPort === null) return running
  const url = new URL(running.url)
  url.port = String(database.connectPort)
  return { ...running, url: url.href }
}

async function openServer({ directory, own }: Bundle): Promise<RunningDatabase> {
  const { database } = own
  switch (database.kind) {
    case 'embedded': {
      const { port, user, password, dataDirectory } = database
      return startEmbedded({
        directory: dataDirectory ?? bundlePaths(directory).postgres,
        port,
        user,
        password,
      })
    }
    case 'docker': {
      const { image, port, user, password } = database
      return startContainer({ image, port, user, password })
    }
    case 'url':
      return openUrl({ url: database.url })
  }
}

/** A server that is the replica's own is its to start again, when it died or was killed while the replica serves. */
export class ReplicaDatabase {
  readonly #bundle: Bundle
  #running: RunningDatabase
  #reopening: Promise<void> | undefined

  private constructor(bundle: Bundle, running: RunningDatabase) {
    this.#bundle = bundle
    this.#running = running
  }

  /** @throws ProvisionError */
  static async open(bundle: Bundle): Promise<ReplicaDatabase> {
    return new ReplicaDatabase(bundle, await openDatabase(bundle))
  }

  /** Password included: print it only through `redactUrl`. */
  get url(): string {
    return this.#running.url
  }

  get pid(): number | null {
    return this.#running.pid ?? null
  }

  /** @throws ProvisionError while it cannot be had */
  async reopen(): Promise<void> {
    this.#reopening = openDatabase(this.#bundle).then((running) => {
      this.#running = running
    })
    await this.#reopening
  }

  /** Stops the server if it was started here, also one that is just being started. */
  async stop(): Promise<void> {
    await this.#reopening?.catch(() => undefined)
    await this.#running.stop()
  }
}

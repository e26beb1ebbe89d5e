import { startContainer } from '../../db/provision/container.ts'
import { startEmbedded } from '../../db/provision/embedded.ts'
import type { RunningDatabase } from '../../db/provision/types.ts'
import { openUrl } from '../../db/provision/url.ts'
import { type Bundle, bundlePaths } from './bundle.ts'

/** The replica's database, started if it is its own and not running. @throws ProvisionError */
export async function openDatabase({ directory, own }: Bundle): Promise<RunningDatabase> {
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

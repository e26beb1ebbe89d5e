import { join } from 'node:path'

/** A cluster's own directory: what `init` writes and `up` runs. Bundles are below it; `bundlePaths` knows their files. */
export const clusterPaths = (directory: string) => ({
  genesis: join(directory, 'genesis.json'),
  cluster: join(directory, 'cluster.json'),
  /** The client's key. */
  client: join(directory, 'client.json'),
  /** Which processes `up` runs, so that the next one knows what a killed one left. */
  up: join(directory, 'up.json'),
})

/** A bundle is all that one replica needs on its host. */
export const bundleOf = (directory: string, id: number): string => join(directory, `replica-${id}`)

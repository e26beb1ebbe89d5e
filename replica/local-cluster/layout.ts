import { join } from 'node:path'

/** A cluster's own directory: what `init` writes and `up` runs. Bundles are below it; `bundlePaths` knows their files. */
export const clusterPaths = (directory: string) => ({
  genesis: join(directory, 'genesis.json'),
  cluster: join(directory, 'cluster.json'),
  /** Which processes `up` runs, so that the next one knows what a killed one left. */
  up: join(directory, 'up.json'),
})

/** The key of the `index`-th client of genesis, from 0. The first is what programs use that are told no other. */
export const clientKeyOf = (directory: string, index: number): string =>
  join(directory, index === 0 ? 'client.json' : `client-${index + 1}.json`)

/** A bundle is all that one replica needs on its host. */
export const bundleOf = (directory: string, id: number): string => join(directory, `replica-${id}`)

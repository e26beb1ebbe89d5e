/**
 * Who may import whom. Type-only imports count: a layer that knows another's types depends on it.
 * `npm run layers` checks it; test/tidy/layers.test.ts does, too, and shows for each rule that it can fail.
 */

const CORE_MAY_IMPORT = ['^replica/core/', '^protocol/(types|quorum|messages|operations|evidence)\\.ts$']
const PRODUCTION = '^(protocol|replica|client|db|chaos|cli)/'

module.exports = {
  forbidden: [
    {
      name: 'protocol-imports-no-sibling',
      severity: 'error',
      from: { path: '^protocol/' },
      to: { path: '^(replica|client|db|chaos|cli)/' },
    },
    {
      name: 'core-is-pure',
      comment: 'No package, no node: module, no hashing and signing of its own: those are injected.',
      severity: 'error',
      from: { path: '^replica/core/' },
      to: { pathNot: CORE_MAY_IMPORT },
    },
    {
      name: 'runtime-imports-core-protocol-db',
      comment: 'The entry point of a process puts it together, with what it is told to lie.',
      severity: 'error',
      from: { path: '^replica/runtime/', pathNot: '^replica/runtime/main\\.ts$' },
      to: { path: PRODUCTION, pathNot: '^(replica/(core|runtime)|protocol|db)/' },
    },
    {
      name: 'replica-stands-below-its-users',
      severity: 'error',
      from: { path: '^replica/' },
      to: { path: '^(client|chaos|cli)/' },
    },
    {
      name: 'client-imports-protocol-only',
      severity: 'error',
      from: { path: '^client/' },
      to: { path: '^(replica|db|chaos|cli)/' },
    },
    {
      name: 'db-imports-protocol-only',
      severity: 'error',
      from: { path: '^db/' },
      to: { path: '^(replica|client|chaos|cli)/' },
    },
    {
      name: 'nothing-imports-cli',
      severity: 'error',
      from: { pathNot: '^(cli|test)/' },
      to: { path: '^cli/' },
    },
    {
      name: 'production-imports-no-test',
      severity: 'error',
      from: { path: PRODUCTION },
      to: { path: '^test/' },
    },
    {
      name: 'one-place-for-datagrams',
      severity: 'error',
      from: { path: PRODUCTION, pathNot: '^protocol/udp\\.ts$' },
      to: { path: '^(node:)?dgram$' },
    },
    {
      name: 'no-cycles',
      comment: 'A cycle of types alone is no order of loading, and two unions may well name each other.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'production-needs-no-dev-dependency',
      comment: 'The published package has none. Testcontainers is loaded when asked for, and its absence explained.',
      severity: 'error',
      from: { path: PRODUCTION, pathNot: '^db/provision/container\\.ts$' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'everything-resolves',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
}

import { clientConfigOf } from '../../client/context.ts'
import { DEFAULT_PARAMETERS, type Genesis, logWindowOf } from '../../protocol/config.ts'
import { digestOf } from '../../protocol/crypto.ts'
import type { AccountId, Role } from '../../protocol/operations.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { CLIENT_ID_MIN, clientId, type PrincipalId, replicaId } from '../../protocol/types.ts'
import type { CoreConfig } from '../../replica/core/config.ts'
import type { CryptoSuite, Identity } from './crypto.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'

/** Few, so that every run has contention and refusals. */
export const ACCOUNTS = ['alice', 'bob', 'carol', 'dave', 'erin'] as const

export type Cast = {
  readonly genesis: Genesis
  readonly suite: CryptoSuite
  readonly identities: ReadonlyMap<PrincipalId, Identity>
}

/** Who banks where a run begins, in order of their ids, and with what. */
export type Customers = {
  readonly clients: readonly { readonly name: string; readonly role: Role }[]
  /** `owner`: the place of a client. */
  readonly accounts: readonly { readonly id: AccountId; readonly owner: number; readonly balance: bigint }[]
}

/** Every other client is a teller, who may deposit and withdraw. */
const customersOf = ({ clients }: Plan): Customers => ({
  clients: Array.from({ length: clients }, (_, i) => ({
    name: `client ${i}`,
    role: i % 2 === 0 ? 'teller' : 'customer',
  })),
  accounts: ACCOUNTS.map((id, i) => ({ id, owner: i % clients, balance: BigInt(100 * i) })),
})

/** Everybody of a run and their keys. */
export function castOf(
  plan: Plan,
  suite: CryptoSuite,
  random: Random,
  customers: Customers = customersOf(plan),
): Cast {
  const identities = new Map<PrincipalId, Identity>()
  const keyOf = (id: PrincipalId) => {
    const identity = suite.identity(random)
    identities.set(id, identity)
    return Buffer.from(identity.publicKey).toString('hex')
  }
  const file = {
    version: 1 as const,
    clusterId: random.bytes(16).toString('hex'),
    allowByzantine: false,
    parameters: {
      ...DEFAULT_PARAMETERS,
      checkpointInterval: plan.cluster.checkpointInterval,
      batchOperationsMax: plan.cluster.batchOperationsMax,
      lanesPerClientMax: 8,
    },
    replicas: Array.from({ length: plan.replicas }, (_, id) => ({ id, publicKey: keyOf(replicaId(id)) })),
    clients: customers.clients.map(({ name, role }, i) => {
      const id = clientId(CLIENT_ID_MIN + i)
      return { id, name, address: null, publicKey: keyOf(id), role }
    }),
    accounts: customers.accounts.map(({ owner, ...account }) => ({
      ...account,
      owner: clientId(CLIENT_ID_MIN + owner),
    })),
  }
  const text = JSON.stringify(file, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  )
  return { genesis: { ...file, digest: digestOf(Buffer.from(text)) }, suite, identities }
}

export function coreConfigOf(genesis: Genesis, plan: Plan, self: number): CoreConfig {
  const admitted = new Set<number>([...genesis.replicas, ...genesis.clients].map(({ id }) => id))
  const { inFlightMax, statusBusyMs, statusIdleMs, viewChangeTimeoutMs } = plan.cluster
  return {
    self: replicaId(self),
    quorum: quorumOf(genesis.replicas.length),
    ...genesis.parameters,
    logWindow: logWindowOf(genesis.parameters),
    inFlightMax,
    statusBusyMs,
    statusIdleMs,
    viewChangeTimeoutMs,
    isAdmitted: (id) => admitted.has(id),
  }
}

export const simClientConfigOf = (genesis: Genesis, plan: Plan, client: number) =>
  clientConfigOf(genesis, clientId(client), { lanes: plan.clientSide.lanes })

import type { Genesis } from '../../protocol/config.ts'
import type { Verifier } from '../../protocol/crypto.ts'
import { signedBytes } from '../../protocol/signing.ts'
import type { PrincipalId } from '../../protocol/types.ts'
import type { Claim } from '../core/effect.ts'

/** Genesis' principals, by id. */
export class Principals {
  readonly #publicKeys = new Map<number, Uint8Array>()

  constructor(genesis: Pick<Genesis, 'replicas' | 'clients'>) {
    for (const { id, publicKey } of [...genesis.replicas, ...genesis.clients]) {
      this.#publicKeys.set(id, Buffer.from(publicKey, 'hex'))
    }
  }

  publicKey(id: PrincipalId): Uint8Array | undefined {
    return this.#publicKeys.get(id)
  }

  has(id: PrincipalId): boolean {
    return this.#publicKeys.has(id)
  }
}

/** [AU1] One verdict for each claim: did its signer sign exactly this, in this cluster? */
export function verifyClaims(
  claims: readonly Claim[],
  { principals, verifier, clusterId }: { principals: Principals; verifier: Verifier; clusterId: Uint8Array },
): boolean[] {
  return claims.map(({ statement, signature }) => {
    const publicKey = principals.publicKey(statement.signer)
    return (
      publicKey !== undefined &&
      verifier.verify({ publicKey, bytes: signedBytes(clusterId, statement), signature })
    )
  })
}

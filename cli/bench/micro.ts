import { table } from '../../client/format.ts'
import { sodiumChannelCrypto } from '../../protocol/channel-crypto.ts'
import { encodeMessage, encodeRequestBody } from '../../protocol/codec.ts'
import { digestOf, keyPairFromSeed, randomBytes, signerOf, sodiumVerifier } from '../../protocol/crypto.ts'
import type { Request } from '../../protocol/messages.ts'
import { batchOf, signedBytes } from '../../protocol/signing.ts'
import { clientId, lane, replicaId, requestNumber, seq, view } from '../../protocol/types.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { ConsensusRounds } from './consensus-rounds.ts'

/** Each is run for so long after as long a warm-up. */
const MEASURE_MS = 300
const ROUND = 32
const CLUSTER_ID = Buffer.alloc(16)
const SEALED_BYTES = 200
const TAG_BYTES = 16

type Case = { readonly name: string; readonly run: () => void }

export function benchMicro({ json = false }: { readonly json?: boolean }): ExitCode {
  const results = cases().map(({ name, run }) => ({ name, us: timeOf(run) }))
  if (json)
    process.stdout.write(`${JSON.stringify(Object.fromEntries(results.map(({ name, us }) => [name, us])))}\n`)
  else
    process.stdout.write(
      `${table(
        ['what', 'µs'],
        results.map(({ name, us }) => [name, us.toFixed(2)]),
      )}\n`,
    )
  return EXIT.pass
}

function timeOf(run: () => void): number {
  runFor(MEASURE_MS, run)
  const { runs, elapsedMs } = runFor(MEASURE_MS, run)
  return Math.round((elapsedMs * 100_000) / runs) / 100
}

function runFor(ms: number, run: () => void): { readonly runs: number; readonly elapsedMs: number } {
  const startedMs = performance.now()
  let runs = 0
  for (;;) {
    for (let i = 0; i < ROUND; i++) run()
    runs += ROUND
    const elapsedMs = performance.now() - startedMs
    if (elapsedMs >= ms) return { runs, elapsedMs }
  }
}

function cases(): Case[] {
  const { publicKey, secretKey } = keyPairFromSeed(randomBytes(32))
  const signer = signerOf(secretKey)
  const digest = digestOf(Buffer.from('micro'))
  const statement = { type: 'prepare', view: 0, seq: 1, signer: replicaId(1), digests: [digest] } as const
  const bytes = signedBytes(CLUSTER_ID, statement)
  const signature = signer.sign(bytes)
  const vote = {
    type: 'prepare',
    view: view(0),
    seq: seq(1),
    digest,
    replica: replicaId(1),
    signature,
  } as const
  const channel = sodiumChannelCrypto({ secretKey })
  const key = randomBytes(32)
  const plain = Buffer.alloc(SEALED_BYTES)
  const sealed = Buffer.alloc(SEALED_BYTES + TAG_BYTES)
  let packet = 0
  const rounds = new ConsensusRounds(4)
  const request = makeRequest(signer.sign(bytes))
  const header = { view: view(0), seq: seq(1), digest, signature }
  const prePrepare = { type: 'pre-prepare', header, batch: batchOf([request]) } as const
  return [
    { name: 'sign a vote', run: () => void signer.sign(bytes) },
    { name: 'verify a vote', run: () => void sodiumVerifier.verify({ publicKey, bytes, signature }) },
    { name: `seal ${SEALED_BYTES} bytes`, run: () => channel.seal(key, packet++, EMPTY, plain, sealed) },
    { name: 'encode a PREPARE', run: () => void encodeMessage(vote) },
    { name: 'encode a PRE-PREPARE of one operation', run: () => void encodeMessage(prePrepare) },
    { name: 'one consensus round, 4 cores, signatures not counted', run: () => rounds.run() },
  ]
}

const EMPTY = new Uint8Array(0)

function makeRequest(signature: Uint8Array): Request {
  const fields = {
    client: clientId(1000),
    lane: lane(0),
    number: requestNumber(1),
    operations: [{ kind: 'deposit', account: 'A', amount: 1n }],
  } as const
  const body = encodeRequestBody(fields)
  return { type: 'request', ...fields, digest: digestOf(body), body, signature, macs: [] }
}

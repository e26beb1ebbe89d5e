import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { formatEvidence } from '../../protocol/evidence-file.ts'
import { claim, evidence, GENESIS, GENESIS_TEXT, ordered } from '../unit/protocol/evidence-fixture.ts'
import { pbft } from './cli-process.ts'

const PROOF = formatEvidence(
  evidence(claim(ordered('pre-prepare', 'a')), claim(ordered('pre-prepare', 'b'))),
  GENESIS,
)
let cluster: string
let proof: string
let forged: string

beforeAll(() => {
  cluster = mkdtempSync(join(tmpdir(), 'pbft-cli-evidence-'))
  writeFileSync(join(cluster, 'genesis.json'), GENESIS_TEXT)
  const kept = join(cluster, 'replica-0', 'evidence')
  mkdirSync(kept, { recursive: true })
  proof = join(kept, 'replica-2.json')
  forged = join(cluster, 'forged.json')
  writeFileSync(proof, PROOF)
  writeFileSync(forged, PROOF.replaceAll('"seq": 17', '"seq": 18'))
})
afterAll(() => rmSync(cluster, { recursive: true, force: true }))

test('[EV2] a proof holds: exit code 0, whose key it is, and what was signed', async () => {
  const { code, stdout } = await pbft(['evidence', 'verify', proof, '--cluster', cluster])
  expect(stdout).toContain('the proof holds: replica 2 signed two PRE-PREPAREs for view 3 seq 17')
  expect(stdout).toContain(`its key is ${GENESIS.replicas[2]?.publicKey}`)
  expect(code).toBe(0)
})

test('[EV2] a forged one does not: exit code 1, and why', async () => {
  const genesis = join(cluster, 'genesis.json')
  const { code, stdout } = await pbft(['evidence', 'verify', forged, '--genesis', genesis, '--json'])
  expect(JSON.parse(stdout)).toEqual({
    holds: false,
    why: expect.stringContaining('replica 2 did not sign its first statement'),
  })
  expect(code).toBe(1)
})

test('[EV2] without a genesis, or a file, nothing can be told: exit code 2', async () => {
  const { code, stderr } = await pbft(['evidence', 'verify', proof, '--cluster', join(cluster, 'nowhere')])
  expect(stderr).toContain(`${join(cluster, 'nowhere', 'genesis.json')} can't be read`)
  expect(code).toBe(2)
})

test('[EV3] list has all that the bundles keep', async () => {
  const { code, stdout } = await pbft(['evidence', 'list', '--cluster', cluster])
  expect(stdout).toBe(`${proof}: replica 2 signed two PRE-PREPAREs for view 3 seq 17\n`)
  expect(code).toBe(0)
})

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EvidenceFiles } from '../../../replica/runtime/evidence-files.ts'
import { claim, evidence, GENESIS, ordered } from '../protocol/evidence-fixture.ts'

const PROOF = evidence(claim(ordered('commit', 'a')), claim(ordered('commit', 'b')))

let parent: string
let directory: string
let notices: string[]
let files: EvidenceFiles

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'pbft-evidence-'))
  directory = join(parent, 'evidence')
  notices = []
  files = new EvidenceFiles({ directory, genesis: GENESIS, onNotice: (text) => notices.push(text) })
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

test('[EV3] what is kept is there after a restart', async () => {
  expect(await files.load()).toEqual([])
  await files.keep(PROOF)
  expect(await files.load()).toEqual([PROOF])
  expect(readdirSync(directory)).toEqual(['replica-2.json'])
  expect(files.listed([PROOF])).toEqual([
    { replica: 2, of: 'two COMMITs for view 3 seq 17', file: join(directory, 'replica-2.json') },
  ])
  expect(notices).toEqual([])
})

test('[EV2] a file that proves nothing accuses nobody, is named, and left', async () => {
  await files.keep(PROOF)
  const path = join(directory, 'replica-2.json')
  writeFileSync(path, readFileSync(path, 'utf8').replace('"seq": 17', '"seq": 18'))
  expect(await files.load()).toEqual([])
  expect(notices).toEqual([expect.stringContaining(`${path} proves nothing: `)])
  expect(readdirSync(directory)).toEqual(['replica-2.json'])
})

test('[EV2] a proof under the name of another replica is not taken for one against that', async () => {
  await files.keep(PROOF)
  writeFileSync(join(directory, 'replica-1.json'), readFileSync(join(directory, 'replica-2.json')))
  expect(await files.load()).toEqual([PROOF])
  expect(notices).toEqual([expect.stringContaining('is about replica 2, and named as if about another')])
})

test('a disk that refuses is told of, and ends nothing', async () => {
  mkdirSync(join(directory, 'replica-2.json.new'), { recursive: true })
  await files.keep(PROOF)
  expect(notices).toEqual([expect.stringContaining('the evidence against replica 2 could not be written')])
})

import { describe, expect, test } from 'vitest'
import { type SimOptions, simulate } from '../../chaos/sim/simulate.ts'
import { CLIENT_BEHAVIOUR_NAMES, parseClientBehaviours } from '../../client/byzantine/behaviour.ts'

const SMALL = { clients: 4, requests: 8, replicas: 4 }

const lied = (text: string, options: Omit<SimOptions, 'byzantineClients'>) =>
  simulate({ ...SMALL, ...options, byzantineClients: parseClientBehaviours(text, { replicas: 4 }) })

describe('[AU3] [NC5] a client that lies harms nobody', () => {
  test.each(CLIENT_BEHAVIOUR_NAMES)('%s', (name) => {
    const report = lied(name, { seed: 4, faults: ['loss', 'crash'] })
    expect(report.failure).toBeNull()
    expect(report.plan.lyingClients).toHaveLength(1)
  })
})

describe('the check of that can fail', () => {
  test('[AU3] replicas that take every signature for good are caught', () => {
    const report = lied('impersonate', {
      seed: 1,
      faults: 'none',
      requests: 40,
      sabotage: { verify: (_, claims) => claims.map(() => true) },
    })
    expect(report.failure?.kind).toBe('authority')
    expect(report.failure?.message).toMatch(/was executed at seq \d+, and \d+ did not sign it/)
  })
})

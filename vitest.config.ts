import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Real Postgres servers and processes start inside some tests; a slow machine is no failure.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    retry: 0,
  },
})

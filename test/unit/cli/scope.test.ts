import { expect, test } from 'vitest'
import { InterruptedError } from '../../../cli/failure.ts'
import { Scope, withInnerScope, withScope } from '../../../cli/scope.ts'

test('what was started last is ended first, and the result is kept', async () => {
  const ended: string[] = []
  const result = await withScope(async (scope) => {
    scope.defer(() => ended.push('first'))
    scope.defer(async () => ended.push('second'))
    return 'done'
  })
  expect({ result, ended }).toEqual({ result: 'done', ended: ['second', 'first'] })
})

test('a failure ends everything, also what cannot be ended', async () => {
  const ended: string[] = []
  const work = async (scope: Scope) => {
    scope.defer(() => ended.push('first'))
    scope.defer(() => Promise.reject(new Error('does not end')))
    throw new Error('work failed')
  }
  await expect(withScope(work)).rejects.toThrow('work failed')
  expect(ended).toEqual(['first'])
})

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s ends everything and is an interruption',
  async (signal) => {
    const ended: string[] = []
    const listeners = process.listenerCount(signal)
    const working = withScope(async (scope) => {
      scope.defer(() => ended.push('it'))
      process.emit(signal)
      expect(scope.signal.aborted).toBe(true)
      return new Promise<never>(() => undefined)
    })
    await expect(working).rejects.toBeInstanceOf(InterruptedError)
    expect(ended).toEqual(['it'])
    expect(process.listenerCount(signal)).toBe(listeners)
  },
)

test('what is deferred after the end is ended at once, and the work does not go on', async () => {
  const ended: string[] = []
  const scope = await withScope(async (scope) => scope)
  expect(() => scope.defer(() => ended.push('late'))).toThrow(InterruptedError)
  expect(ended).toEqual(['late'])
})

test('what work defers while its scope is ending is ended, too, and the work does not go on', async () => {
  const ended: string[] = []
  const scope = new Scope()
  const { promise: made, resolve: make } = Promise.withResolvers<void>()
  const working = scope.run(async () => {
    // As a directory: removed when nobody makes files in it any more.
    scope.defer(async () => {
      make()
      await scope.worked
      ended.push('first')
    })
    await made
    scope.defer(() => ended.push('second'))
    ended.push('went on')
  })
  working.catch(() => undefined)
  expect(await scope.close()).toEqual([])
  await expect(working).rejects.toBeInstanceOf(InterruptedError)
  expect(ended).toEqual(['first', 'second'])
})

test('work that finishes by itself: the first signal is its own to see, the second interrupts it', async () => {
  const finished = withScope(
    async (scope) => {
      process.emit('SIGINT')
      expect(scope.signal.aborted).toBe(true)
      return 'what there is'
    },
    { finishes: true },
  )
  await expect(finished).resolves.toBe('what there is')
  const broken = withScope(
    async () => {
      process.emit('SIGINT')
      process.emit('SIGINT')
      return new Promise<never>(() => undefined)
    },
    { finishes: true },
  )
  await expect(broken).rejects.toBeInstanceOf(InterruptedError)
})

test('an inner scope ends before the outer work goes on, also where the work failed, whose error is the one told', async () => {
  const ended: string[] = []
  const failed = withScope(async (outer) => {
    outer.defer(() => ended.push('outer'))
    const result = await withInnerScope(outer, async (inner) => {
      inner.defer(() => ended.push('inner'))
      return 'done'
    })
    ended.push(`then ${result}`)
    await withInnerScope(outer, async (inner) => {
      inner.defer(() => ended.push('second'))
      inner.defer(() => Promise.reject(new Error('does not end')))
      throw new Error('work failed')
    })
  })
  await expect(failed).rejects.toThrow('work failed')
  expect(ended).toEqual(['inner', 'then done', 'second', 'outer'])
})

test('work in an inner scope that leaves something behind did not succeed', async () => {
  const failed = withScope((outer) =>
    withInnerScope(outer, async (inner) => inner.defer(() => Promise.reject(new Error('does not end')))),
  )
  await expect(failed).rejects.toThrow('does not end')
})

test('an interruption while an inner scope ends is still one of it', async () => {
  const seen: boolean[] = []
  await withScope(
    (outer) =>
      withInnerScope(outer, async (inner) => {
        inner.defer(() => {
          process.emit('SIGINT')
          seen.push(inner.signal.aborted)
        })
      }),
    { finishes: true },
  )
  expect(seen).toEqual([true])
})

test('work that begins in an inner scope after the interruption knows of it', async () => {
  const isAborted = withScope(
    async (outer) => {
      process.emit('SIGINT')
      return withInnerScope(outer, async (inner) => inner.signal.aborted)
    },
    { finishes: true },
  )
  await expect(isAborted).resolves.toBe(true)
})

test('an interruption is one of the inner scope, too, which ends before the rest', async () => {
  const ended: string[] = []
  const working = withScope(async (outer) => {
    outer.defer(() => ended.push('outer'))
    await withInnerScope(outer, async (inner) => {
      inner.defer(() => ended.push('inner'))
      process.emit('SIGINT')
      expect(inner.signal.aborted).toBe(true)
      return new Promise<never>(() => undefined)
    })
  })
  await expect(working).rejects.toBeInstanceOf(InterruptedError)
  expect(ended).toEqual(['inner', 'outer'])
})

import type * as FileSystem from 'node:fs/promises'
import { basename } from 'node:path'

/** The calls of one process that change the disk, in order; it can be made to die in any of them. */
class Syscalls {
  /** `rename votes-00000002.log` */
  made: string[] = []
  #left = Number.POSITIVE_INFINITY

  /** The process dies in its `count`-th call from now on: that one and all later ones fail. */
  dieIn(count: number): void {
    this.made = []
    this.#left = count
  }

  /** A new process. Whether the old one died. */
  revive(): boolean {
    const died = this.#left <= 0
    this.dieIn(Number.POSITIVE_INFINITY)
    return died
  }

  /** 'dies': this very call is the last, and may be done in part. */
  next(name: string, path: string): 'lives' | 'dies' {
    if (this.#left <= 0) throw new Dead()
    this.#left -= 1
    this.made.push(`${name} ${basename(path)}`)
    return this.#left <= 0 ? 'dies' : 'lives'
  }
}

class Dead extends Error {}

export const syscalls = new Syscalls()

type Call = (...args: never[]) => Promise<unknown>

/** node:fs/promises whose changing calls go through `syscalls`. */
export function mortal(real: typeof FileSystem): typeof FileSystem {
  const dying =
    (name: string, call: Call): Call =>
    async (...args) => {
      if (syscalls.next(name, String(args[0])) === 'dies') throw new Dead()
      return call(...args)
    }
  const open = async (...args: Parameters<typeof FileSystem.open>) => {
    const isNew = args[1] === 'w'
    if (isNew && syscalls.next('create', String(args[0])) === 'dies') throw new Dead()
    return mortalHandle(await real.open(...args), String(args[0]))
  }
  const changing = { rename: real.rename, rm: real.rm, mkdir: real.mkdir }
  const wrapped = Object.entries(changing).map(([name, call]) => [name, dying(name, call as Call)])
  return { ...real, open, ...Object.fromEntries(wrapped) }
}

/** A write that the process dies in is half done; a sync is done and not heard of. */
function mortalHandle(handle: FileSystem.FileHandle, path: string): FileSystem.FileHandle {
  const write = async (bytes: Buffer, from: number, length: number, position: number) => {
    const fate = syscalls.next('write', path)
    const written = await handle.write(bytes, from, fate === 'dies' ? length >> 1 : length, position)
    if (fate === 'dies') throw new Dead()
    return written
  }
  const changing = (name: 'sync' | 'datasync') => async () => {
    const fate = syscalls.next(name, path)
    await handle[name]()
    if (fate === 'dies') throw new Dead()
  }
  const truncate = async (length: number) => {
    if (syscalls.next('truncate', path) === 'dies') throw new Dead()
    await handle.truncate(length)
  }
  const own = { write, sync: changing('sync'), datasync: changing('datasync'), truncate }
  return new Proxy(handle, {
    get(target, name) {
      if (name in own) return own[name as keyof typeof own]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

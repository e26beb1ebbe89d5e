import type { PropertyReport } from '../finding.ts'
import type { LogSource } from '../logs/log-sources.ts'
import type { LoggedRecord } from '../logs/logged-record.ts'
import type { ReplicaSample, Sample } from '../samples.ts'
import { Tally } from '../tally.ts'

/** What one log promised so far, in the order of its records. */
type Promised = {
  /** The highest view of an own VIEW-CHANGE, and of a NEW-VIEW that was entered. */
  given: number
  entered: number
  checkpoint: number
  stable: number
  incarnation: number
  isAmnesiac: boolean
}

/** What one replica said of itself so far. */
type Said = ReplicaSample & { readonly atMs: number }

/**
 * Views, checkpoints and sequence numbers never go back, across restarts too: in the order of each log's records, and in
 * what replicas said of themselves while they ran. A replica that lost its log begins anew; a database may fall back to
 * its stable checkpoint.
 */
export class MonotonicityCheck {
  readonly tally = new Tally('monotonicity')
  readonly #promised = new Map<LogSource, Promised>()
  readonly #said = new Map<number, Said>()
  #records = 0
  #samples = 0

  onRecord(record: LoggedRecord, source: LogSource): void {
    let promised = this.#promised.get(source)
    if (promised === undefined) {
      promised = { given: 0, entered: 0, checkpoint: 0, stable: 0, incarnation: 0, isAmnesiac: false }
      this.#promised.set(source, promised)
    }
    this.#records += 1
    this.#judge(record, source, promised)
  }

  #judge(record: LoggedRecord, source: LogSource, promised: Promised): void {
    switch (record.kind) {
      case 'body':
        if (record.header !== null) this.#vote('PRE-PREPARE', record.header, { source, promised })
        break
      case 'prepared':
        this.#vote('prepared certificate', record.header, { source, promised })
        break
      case 'view-change': {
        const { newView } = record.message
        this.#rises('a VIEW-CHANGE', { before: promised.given, now: newView, source })
        promised.given = Math.max(promised.given, newView)
        break
      }
      case 'new-view': {
        const { view } = record.message
        this.#rises('a NEW-VIEW', { before: promised.entered, now: view, source })
        promised.entered = Math.max(promised.entered, view)
        break
      }
      case 'checkpoint':
        this.#rises('an own CHECKPOINT', { before: promised.checkpoint, now: record.seq, source })
        promised.checkpoint = Math.max(promised.checkpoint, record.seq)
        break
      case 'stable':
        this.#rises('a stable checkpoint', { before: promised.stable, now: record.seq, source })
        promised.stable = Math.max(promised.stable, record.seq)
        break
      case 'amnesia':
        promised.isAmnesiac = true
        break
      case 'recovered':
        this.#rises('an incarnation', { before: promised.incarnation, now: record.incarnation, source })
        promised.incarnation = Math.max(promised.incarnation, record.incarnation)
        promised.isAmnesiac = false
        break
      case 'committed':
        break
    }
  }

  /** A vote in a view that was given up. */
  #vote(
    name: string,
    { view, seq }: { readonly view: number; readonly seq: number },
    { source, promised }: { readonly source: LogSource; readonly promised: Promised },
  ): void {
    const least = Math.max(promised.given, promised.entered)
    if (view >= least) return
    this.tally.found({
      what: `seq ${seq}: the log of replica ${source.replica} has a ${name} of view ${view} behind one of view ${least}`,
      seq,
      replicas: [source.replica],
      details: [source.directory],
    })
  }

  #rises(
    name: string,
    { before, now, source }: { readonly before: number; readonly now: number; readonly source: LogSource },
  ): void {
    if (now > before) return
    this.tally.found({
      what: `the log of replica ${source.replica} has ${name} of ${now} behind one of ${before}`,
      seq: null,
      replicas: [source.replica],
      details: [source.directory],
    })
  }

  /** Replicas whose present log was lost and that did not vote again. */
  get amnesiac(): ReadonlySet<number> {
    const found = [...this.#promised].filter(([source, { isAmnesiac }]) => source.isCurrent && isAmnesiac)
    return new Set(found.map(([{ replica }]) => replica))
  }

  /** In the order of time. */
  onSample({ atMs, reports }: Sample): void {
    this.#samples += 1
    for (const report of reports) {
      const before = this.#said.get(report.replica)
      this.#said.set(report.replica, { ...report, atMs })
      if (before !== undefined) this.#compare(before, { ...report, atMs })
    }
  }

  #compare(before: Said, now: Said): void {
    const wasLost = before.isAmnesiac || now.isAmnesiac
    if (!wasLost) {
      this.#backwards('its view', before.view, now.view, now)
      this.#backwards('its highest VIEW-CHANGE', before.highestViewChange, now.highestViewChange, now)
    }
    const isSameProcess = before.pid === now.pid
    if (isSameProcess && !wasLost)
      this.#backwards('its low water mark', before.lowWaterMark, now.lowWaterMark, now)
    // Above the stable checkpoint a database commits asynchronously; below it only a lost database goes back.
    if (now.lastExecuted >= before.lastExecuted || now.lastExecuted >= before.lowWaterMark) return
    const what = `replica ${now.replica}: its database went back from seq ${before.lastExecuted} to ${now.lastExecuted}, below its stable checkpoint ${before.lowWaterMark}`
    if (isSameProcess && now.lastExecuted > 0)
      this.tally.note(`${what}, while it ran: its database was replaced`)
    else this.tally.note(`${what}: its database was lost or replaced`)
  }

  #backwards(name: string, before: number, now: number, said: Said): void {
    if (now >= before) return
    this.tally.found({
      what: `replica ${said.replica}: ${name} went back from ${before} to ${now}`,
      replicas: [said.replica],
      details: [`at ${said.atMs} ms, in process ${said.pid}`],
    })
  }

  /** `upTo`: the highest seq that the logs speak of. */
  finish({ upTo }: { readonly upTo: number }): void {
    if (this.#records === 0) return
    this.tally.lookedAt({ from: 0, to: upTo, count: this.#records })
    this.tally.note(
      `${this.#records} records of ${this.#promised.size} logs, ${this.#samples} looks at running replicas`,
    )
  }

  report(): PropertyReport {
    return this.tally.report()
  }
}

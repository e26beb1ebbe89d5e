import { areContradictory, orderStatement } from '../../../protocol/evidence.ts'
import { formatEvidence, isRefusal, parseEvidence } from '../../../protocol/evidence-file.ts'
import type {
  AccountableStatement,
  Checkpoint,
  Evidence,
  Header,
  Message,
} from '../../../protocol/messages.ts'
import type { ReplicaId } from '../../../protocol/types.ts'
import type { Cast } from '../genesis.ts'
import type { Happenings } from '../happenings.ts'
import { Violation } from '../violation.ts'

/**
 * [EV1] No correct replica ever signs two statements that contradict each other, whatever was lost, edited or repaired
 * between them, whether or not anybody met both. [EV2] What a replica keeps proves something to those who have only
 * genesis, and about a liar.
 */
export class EvidenceCheck {
  readonly #cast: Cast
  readonly #liars: ReadonlySet<number>
  readonly #happenings: Happenings
  readonly #signed = new Map<string, AccountableStatement>()

  constructor(args: {
    readonly cast: Cast
    readonly liars: ReadonlySet<number>
    readonly happenings: Happenings
  }) {
    this.#cast = args.cast
    this.#liars = args.liars
    this.#happenings = args.happenings
  }

  /** Of a correct replica. */
  onWire(replica: ReplicaId, message: Message): void {
    for (const statement of signedIn(message, replica)) this.#onSigned(statement)
    if (message.type !== 'testimony' || this.#liars.size > 0) return
    throw new Violation('false-evidence', `replica ${replica} suspects somebody where nobody lies`)
  }

  #onSigned(statement: AccountableStatement): void {
    const { type, view, seq, signer } = statement
    const place = type === 'checkpoint' ? `${signer} c ${seq}` : `${signer} ${view} ${seq}`
    const before = this.#signed.get(place)
    if (before === undefined) this.#signed.set(place, statement)
    else if (areContradictory(before, statement)) {
      throw new Violation(
        'false-evidence',
        `replica ${signer} signs ${type} for view ${view} seq ${seq}, and signed ${before.type} of another digest`,
      )
    }
  }

  onKept(holder: ReplicaId, evidence: Evidence): void {
    const { genesis, suite } = this.#cast
    const { accused } = evidence
    const text = formatEvidence(evidence, genesis)
    const read = parseEvidence(text, genesis, suite.verifier)
    if (isRefusal(read)) {
      throw new Violation('false-evidence', `replica ${holder} keeps what proves nothing: ${read.refused}`)
    }
    if (!this.#liars.has(accused)) {
      throw new Violation('false-evidence', `replica ${holder} accuses replica ${accused}, which is correct`)
    }
    this.#happenings.count('liar accused')
  }
}

/** What of a message `replica` signed itself. */
function signedIn(message: Message, replica: ReplicaId): readonly AccountableStatement[] {
  switch (message.type) {
    case 'pre-prepare':
      return [ofHeader(message.header, replica)]
    case 'prepare':
    case 'commit':
      return message.replica === replica ? [orderStatement({ ...message, signer: replica })] : []
    case 'checkpoint':
      return ofCheckpoint(message, replica)
    case 'state-offer':
      return ofCheckpoint(message.checkpoint, replica)
    case 'new-view':
      return message.replica === replica ? message.headers.map((header) => ofHeader(header, replica)) : []
    default:
      return []
  }
}

const ofHeader = ({ view, seq, digest }: Header, signer: ReplicaId): AccountableStatement =>
  orderStatement({ type: 'pre-prepare', view, seq, signer, digest })

const ofCheckpoint = (
  { seq, stateRoot, chain, replica }: Checkpoint,
  signer: ReplicaId,
): readonly AccountableStatement[] =>
  replica === signer ? [{ type: 'checkpoint', view: 0, seq, signer, digests: [stateRoot, chain] }] : []

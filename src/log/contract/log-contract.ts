/** The contract of logs: tests the promises of `EventLog`, and no property of a single kind of log. */
import { append } from './append.js'
import { conditionalAppend } from './conditional-append.js'
import { changedClock } from './changed-clock.js'
import { eventLoop } from './event-loop.js'
import { finiteTopics } from './finite-topics.js'
import { follow } from './follow.js'
import { gaps } from './gaps.js'
import { locateNewestEvents } from './locate-newest.js'
import { locateTimes } from './locate-time.js'
import { newest } from './newest.js'
import { publisherIds } from './publisher-ids.js'
import { purge } from './purge.js'
import { recordChanges } from './record-changes.js'
import { records } from './records.js'
import { reopened } from './reopened.js'
import { retention } from './retention.js'
import { scan } from './scan.js'
import { state } from './state.js'
import { topicLimit } from './topic-limit.js'
import { topics } from './topics.js'
import { Trial, type Case, type LogUnderTest } from './trial.js'
import { trims } from './trims.js'

/** A promise of a log, as a test for any runner. */
export interface ContractCase {
  /** Names the promise. It is unique. */
  name: string
  /** Why the log cannot keep the promise, from `limits`; `false`: it has to. */
  skip: string | false
  /**
   * Opens logs, checks the promise and closes the logs. A condition may take 10 seconds, so a case may take a minute.
   * @throws Error, mostly an `AssertionError`, if the log breaks the promise
   */
  run: () => Promise<void>
}

/** All cases, the basic ones first. */
const CASES: readonly Case[] = [
  ...append,
  ...follow,
  ...about('a conditional append', conditionalAppend),
  ...about('publisher ids', publisherIds),
  ...about('reading', scan),
  ...about('locating the newest events', locateNewestEvents),
  ...about('locate', locateTimes),
  ...about('newest', newest),
  ...about('topics', topics),
  ...about('a purge', purge),
  ...about('retention', retention),
  ...about('a finite topic', finiteTopics),
  ...about('a changed clock', changedClock),
  ...about('the maximum number of topics', topicLimit),
  ...about('a gap', gaps),
  ...trims,
  ...eventLoop,
  ...state,
  ...records,
  ...recordChanges,
  ...about('opened again', reopened),
]

/** Names cases by their subject. */
function about(subject: string, cases: readonly Case[]): Case[] {
  return cases.map((entry) => ({ ...entry, name: `${subject}: ${entry.name}` }))
}

/**
 * Returns the contract of `EventLog` as tests of a log. They need no test runner, and may run in any order and
 * together.
 * @param log opens the log. Without `reopen`, the cases of a log that is opened again are left out
 */
export function logContract(log: LogUnderTest): ContractCase[] {
  return CASES.filter(({ needs = [] }) => log.reopen !== undefined || !needs.includes('reopen')).map((entry) => ({
    name: entry.name,
    skip: skipOf(entry, log),
    run: () => run(entry, log),
  }))
}

function skipOf({ needs = [] }: Case, { limits = {} }: LogUnderTest): string | false {
  for (const need of needs) {
    const reason = need === 'reopen' ? undefined : limits[need]
    if (reason !== undefined) return reason
  }
  return false
}

async function run(entry: Case, log: LogUnderTest): Promise<void> {
  const trial = new Trial(log)
  try {
    await entry.check(trial)
  } catch (err) {
    await trial.close().catch(() => undefined) // the first failure explains more
    throw err
  }
  await trial.close()
}

/** The exports of `fanfare/log` for authors of logs. */
export { logContract, type ContractCase } from './contract/log-contract.js'
export type { LogLimits, LogUnderTest, OpenLog, ReopenLog } from './contract/trial.js'
export { FollowedView, type ViewSource } from './followed-view.js'
export { conflict, FiniteNames } from './finite-names.js'
export { Followers } from './followers.js'
export {
  FINITE_PREFIX,
  NO_EVENTS,
  NO_RECORDS,
  NO_TRIMS,
  requireKey,
  tooManyIds,
  tooManyTopics,
  type Appended,
  type AppendOptions,
  type ApplyDelta,
  type Beginning,
  type EventLog,
  type Expected,
  type Following,
  type KeptRecord,
  type KeyValue,
  type Located,
  type LogDelta,
  type LogStats,
  type LogView,
  type Page,
  type PutOptions,
  type ReadOptions,
  type RecordChange,
  type Replacement,
  type Retention,
  type ScanResult,
  type Span,
  type TopicsOptions,
  type TopicsPage,
  type TopicStats,
  type Trim,
} from './log.js'
export { MemoryLog } from './memory/memory-log.js'
export { readPage } from './page.js'
export { RecordWatchers } from './record-watchers.js'
export { GapSearch, type TrimHistory, type Trimmed } from './trim-marks.js'
export type { NewEvent, ScannedEvent, StoredEvent } from '../model/event.js'
export { HubError } from '../model/hub-error.js'
export { Selection } from '../model/selection.js'

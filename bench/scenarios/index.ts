/** Every scenario, in the order of the runs. */
import { answers } from './answers.js'
import { append } from './append.js'
import { connectStorm } from './connect-storm.js'
import { fanoutFlood } from './fanout-flood.js'
import { fanoutPaced, firstMinute } from './fanout-paced.js'
import { idle } from './idle.js'
import { many } from './many.js'
import { manyTopics } from './many-topics.js'
import { ndjson } from './ndjson.js'
import { processes } from './processes.js'
import { publish } from './publish.js'
import { resumeStorm } from './resume-storm.js'
import { streamAppends } from './stream-appends.js'
import type { Scenario } from './scenario.js'
import { stalled } from './stalled.js'
import { startUp } from './start-up.js'

export const scenarios: Scenario[] = [
  fanoutPaced,
  firstMinute,
  fanoutFlood,
  manyTopics,
  answers,
  append,
  publish,
  ndjson,
  streamAppends,
  startUp,
  resumeStorm,
  connectStorm,
  idle,
  stalled,
  processes,
  many,
]

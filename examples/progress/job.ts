/** A job, as the events of its topic `jobs.<id>` describe it. */
import Type, { type Static } from 'typebox'

export const NewJob = Type.Object(
  {
    name: Type.String({ maxLength: 60, pattern: '\\S', description: 'A job needs a name, of 60 characters at most.' }),
    steps: Type.Integer({ minimum: 1, maximum: 100, description: 'A job has 1 to 100 steps, a whole number.' }),
  },
  { description: 'A job is a name, and a number of steps.' },
)
export type NewJob = Static<typeof NewJob>

/** All but `running` are for good. */
export type JobState = 'running' | 'done' | 'failed' | 'cancelled'

export interface Job extends NewJob {
  id: string
}

/** Every event says all that its publisher knows, so whoever has missed some needs only the next. */
export interface JobEvent extends Job {
  state: JobState
  /** How many steps are done, and by which process; only the worker knows that. */
  step?: number
  pid?: number
  /** Why it has failed. */
  reason?: string
}

export function topicOf(id: string): string {
  return `jobs.${id}`
}

/** A job, as described by the events of its topic `jobs.<id>`. */
import Type, { type Static } from 'typebox'

const description = 'The number of steps is a whole number from 1 to 100.'

export const NewJob = Type.Object(
  {
    name: Type.String({ maxLength: 60, pattern: '\\S', description: 'A job needs a name, of 60 characters at most.' }),
    steps: Type.Integer({ minimum: 1, maximum: 100, description }),
  },
  { description: 'A job is a name, and a number of steps.' },
)

export interface Job extends Static<typeof NewJob> {
  id: string
}

/** An event with all that its publisher knows. A subscriber that missed events needs only the next one. */
export interface JobEvent extends Job {
  /** All states except `running` are final. */
  state: 'running' | 'done' | 'failed' | 'cancelled'
  /** The number of finished steps, and the id of the worker process. Only the worker knows them. */
  step?: number
  pid?: number
  /** The reason of a failure. */
  reason?: string
}

/** What there is of topics. */
import { TOPIC_MAX_LENGTH } from '../model/topic.js'
import { Type, type Static } from './typebox.js'
import { Cursor } from './common.js'

const name = (description: string) => Type.String({ maxLength: TOPIC_MAX_LENGTH, description })
const cursorOrNull = (description: string) => Type.Union([Cursor, Type.Null()], { description })

export const TopicInfo = Type.Object({
  topic: Type.String(),
  subscribers: Type.Integer({ minimum: 0, description: 'streams that have it among their topics and patterns' }),
  events: Type.Integer({ minimum: 0, description: 'how many of its events are kept' }),
  bytes: Type.Integer({ minimum: 0, description: 'what they take, near enough for retention' }),
  firstId: cursorOrNull('the oldest event that is kept; null: there is none'),
  lastId: cursorOrNull('the newest event that is kept; null: there is none'),
})

export const TopicsQuery = Type.Object({
  prefix: Type.Optional(name('only topics whose names begin with this')),
  after: Type.Optional(name('only topics whose names come after this one: the cursor of the page before')),
  limit: Type.Optional(Type.String({ description: '1 to 1,000 topics, default 100' })),
})
export type TopicsQuery = Static<typeof TopicsQuery>

export const Topics = Type.Object({
  topics: Type.Array(TopicInfo),
  more: Type.Boolean({ description: 'there are further topics behind the last one' }),
  cursor: Type.Union([Type.String(), Type.Null()], {
    description: 'the last name: "after" of the next page; null when the page is empty',
  }),
})

export const Purged = Type.Object({
  purged: Type.Integer({ minimum: 0, description: 'how many events were taken out' }),
})

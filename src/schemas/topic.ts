/** The descriptions of topics. */
import { TOPIC_MAX_LENGTH } from '../model/topic.js'
import { Type, type Static } from './typebox.js'
import { Cursor } from './common.js'

const name = (description: string) => Type.String({ maxLength: TOPIC_MAX_LENGTH, description })
const cursorOrNull = (description: string) => Type.Union([Cursor, Type.Null()], { description })

export const TopicInfo = Type.Object({
  topic: Type.String(),
  subscribers: Type.Integer({
    minimum: 0,
    description: 'how many streams have selected the topic, by its name or by a pattern',
  }),
  events: Type.Integer({ minimum: 0, description: 'how many events of the topic the log keeps' }),
  bytes: Type.Integer({ minimum: 0, description: 'the approximate size of these events' }),
  firstId: cursorOrNull('the id of the oldest event; null if the topic has none'),
  lastId: cursorOrNull('the id of the newest event; null if the topic has none'),
})

export const TopicsQuery = Type.Object({
  prefix: Type.Optional(name('only topics whose names begin with this')),
  after: Type.Optional(name('only topics whose names sort after this one; the cursor of the previous page')),
  limit: Type.Optional(Type.String({ description: '1 to 1,000 topics, default 100' })),
})
export type TopicsQuery = Static<typeof TopicsQuery>

export const Topics = Type.Object({
  topics: Type.Array(TopicInfo),
  more: Type.Boolean({ description: 'whether more topics follow' }),
  cursor: Type.Union([Type.String(), Type.Null()], {
    description: 'the parameter "after" of the next page; null if this page is empty',
  }),
})

export const Purged = Type.Object({
  purged: Type.Integer({ minimum: 0, description: 'how many events were purged' }),
})

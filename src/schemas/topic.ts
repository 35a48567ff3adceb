/** The descriptions of topics. */
import { TOPIC_MAX_LENGTH } from '../model/topic.js'
import { Type, type Static } from './typebox.js'
import { Cursor } from './common.js'
import { FiniteInfo } from './finite.js'
import { describe, PAGE_SIZE, parameter, values } from './parameters.js'

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

/** The description of one topic. */
export const TopicDetails = Type.Object({ ...TopicInfo.properties, stream: Type.Optional(FiniteInfo) })
export type TopicDetails = Static<typeof TopicDetails>

export const TopicsQuery = Type.Object({
  prefix: Type.Optional(name('only topics whose names begin with this')),
  search: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: TOPIC_MAX_LENGTH,
      description:
        'only topics whose names contain this text, in upper or lower case; with a *: only those that match this pattern',
    }),
  ),
  activity: Type.Optional(
    Type.Enum(['true', 'false'], {
      description: 'true: with the rate of each topic and the time of its newest event',
      ...describe({ schema: values.flag }),
    }),
  ),
  after: Type.Optional(name('only topics whose names sort after this one; the cursor of the previous page')),
  limit: Type.Optional(parameter('how many topics', values.count(PAGE_SIZE))),
})
export type TopicsQuery = Static<typeof TopicsQuery>

export const Activity = Type.Object({
  rate: Type.Number({ minimum: 0, description: 'events per second, over the last 10 to 20 seconds' }),
  lastTime: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'when the newest event was published; null: not known, since it is no longer kept',
  }),
  counts: Type.Array(Type.Integer({ minimum: 0 }), {
    description: 'the events in each of the last 30 periods of 10 seconds, oldest first; the last has not ended',
  }),
})

/** A topic in a list. */
export const ListedTopic = Type.Object({ ...TopicInfo.properties, activity: Type.Optional(Activity) })
export type ListedTopic = Static<typeof ListedTopic>

export const Topics = Type.Object({
  topics: Type.Array(ListedTopic),
  more: Type.Boolean({ description: 'whether more topics follow' }),
  cursor: Type.Union([Type.String(), Type.Null()], {
    description: 'the parameter "after" of the next page; null if this page is empty',
  }),
})

export const Purged = Type.Object({
  purged: Type.Integer({ minimum: 0, description: 'how many events were purged' }),
})

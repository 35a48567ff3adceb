/** The properties of topics. Each topic with properties has a record. */
import type { KeyValue, TopicDescription, TopicProperties, TopicStats } from './log.js'

/** The prefix of the records' keys. */
const PREFIX = 'topic/'

/** Reads the properties of a topic; `undefined`: there are none. */
export async function readProperties(records: KeyValue, topic: string): Promise<TopicProperties | undefined> {
  return (await records.get(PREFIX + topic)) as TopicProperties | undefined
}

/** As `EventLog.setTopic`. */
export function writeProperties(
  records: KeyValue,
  topic: string,
  properties: TopicProperties | undefined,
): Promise<void> {
  return properties ? records.put(PREFIX + topic, properties) : records.delete(PREFIX + topic)
}

/** As `EventLog.topic`. */
export function describeTopic(
  topic: string,
  stats: TopicStats | undefined,
  properties: TopicProperties | undefined,
): TopicDescription | undefined {
  if (!properties) return stats
  return { ...(stats ?? { topic, events: 0, bytes: 0, first: 0, last: 0 }), properties }
}

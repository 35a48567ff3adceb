/** The names of a bench's topics. All have one length, so that a publisher can change the number in place. */

export const TOPIC_DIGITS = 6

/** Returns the topic with a number: `t000000`, `t000001`, … */
export function topicName(number: number): string {
  return `t${String(number).padStart(TOPIC_DIGITS, '0')}`
}

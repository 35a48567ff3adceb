/** A model that needs no network: it answers word by word, and always the same to the same question. */
import { setTimeout as delay } from 'node:timers/promises'

const ANSWER = `I am only an example, so I do not know. But watch how this answer reaches you: each word is one message of
a finite topic, and the hub keeps them all. Reload the page in the middle, and you see every word again. Open a second
tab, and it writes along. Press Stop in either of them, and I stop in both. Restart the hub, and I repeat the word that
got no answer, with the same number, so that the hub stores it once. Now the hub knows that I am done, and so do you.`

/** Returns the words of an answer. Each has the space behind it. */
export function wordsFor(question: string): string[] {
  return `You asked: “${question.trim()}” ${ANSWER}`.match(/\S+\s*/g)!
}

/** Yields the words of an answer from `start` on, with a pause of `pace` milliseconds before each, as a model does. */
export async function* answerTo(question: string, start: number, pace: number, signal: AbortSignal) {
  for (const word of wordsFor(question).slice(start)) {
    await delay(pace, undefined, { signal })
    yield word
  }
}

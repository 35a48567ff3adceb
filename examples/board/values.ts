/** Makes up the values of the board. Your application would publish real ones. */
import type { Value, WidgetName } from './widgets.js'

export interface Maker {
  /** The time between two values, in milliseconds. */
  every: number
  next: (before: Value | undefined) => Value
}

const HEADLINES = [
  'Nothing happened today',
  'Rain expected, umbrellas sold out',
  'Local cat elected again',
  'Bridge open to bicycles',
  'Bakery runs out of bread',
]
const PLACES = ['Airport', 'Harbour', 'Museum', 'North', 'Old Town', 'University']
const GOODS = ['Apples', 'Bread', 'Cheese', 'Coffee', 'Honey', 'Tea']
const DIRECTIONS = ['north', 'east', 'south', 'west']

export const MAKERS: Record<WidgetName, Maker> = {
  temperature: { every: 2_000, next: walk(18, 0.3, -10, 35) },
  visitors: {
    every: 1_000,
    next: (before) => (typeof before === 'number' ? before : 0) + Math.ceil(Math.random() * 3),
  },
  queue: { every: 1_500, next: walk(6, 2, 0, 30, 0) },
  headline: { every: 8_000, next: (before) => pick(HEADLINES.filter((headline) => headline !== before)) },
  departures: {
    every: 6_000,
    next: () => [2, 7, 15].map((minutes) => `${pick(PLACES)}, in ${minutes + Math.floor(Math.random() * 4)} min`),
  },
  coffee: { every: 4_000, next: walk(2.6, 0.1, 1.8, 4.2, 2) },
  wind: { every: 5_000, next: () => `${Math.round(Math.random() * 40)} km/h from the ${pick(DIRECTIONS)}` },
  battery: { every: 3_000, next: (before) => (typeof before === 'number' && before > 0 ? before - 1 : 100) },
  orders: {
    every: 3_000,
    next: (before) =>
      [`${pick(GOODS)}, ${pieces(1 + Math.floor(Math.random() * 9))}`, ...(Array.isArray(before) ? before : [])].slice(
        0,
        3,
      ),
  },
  door: { every: 7_000, next: (before) => (before === 'Closed' ? 'Open' : 'Closed') },
}

function pick(texts: string[]): string {
  return texts[Math.floor(Math.random() * texts.length)]!
}

function pieces(count: number): string {
  return count === 1 ? '1 piece' : `${count} pieces`
}

/** Returns a function whose numbers change a little at each call. */
function walk(start: number, step: number, least: number, most: number, digits = 1): Maker['next'] {
  return (before) => {
    const now = (typeof before === 'number' ? before : start) + (Math.random() * 2 - 1) * step
    return Number(Math.min(most, Math.max(least, now)).toFixed(digits))
  }
}

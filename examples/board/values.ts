/** Makes up the values of the board. Your application would publish real ones. */
import type { Value, WidgetName } from './widgets.js'

export interface Maker {
  /** The time between two values, in milliseconds. */
  every: number
  next: (before: Value | undefined) => Value
}

const HEADLINES = ['Nothing happened today', 'Umbrellas sold out', 'Cat elected again', 'Bridge open to bicycles']
const DEPARTURES = ['Airport, in 2 min', 'Harbour, in 7 min', 'Museum, in 9 min', 'North, in 15 min']
const ORDERS = ['Apples, 1 piece', 'Bread, 2 pieces', 'Cheese, 5 pieces', 'Honey, 3 pieces', 'Tea, 8 pieces']

export const MAKERS: Record<WidgetName, Maker> = {
  temperature: { every: 2_000, next: walk(18, -0.3, 0.3) },
  visitors: { every: 1_000, next: walk(0, 1, 3, 0) },
  queue: { every: 1_500, next: walk(6, -2, 2, 0) },
  headline: {
    every: 8_000,
    next: (before) =>
      some(
        HEADLINES.filter((headline) => headline !== before),
        1,
      )[0]!,
  },
  departures: { every: 6_000, next: () => some(DEPARTURES, 3) },
  coffee: { every: 4_000, next: walk(2.6, -0.1, 0.1, 2) },
  wind: { every: 5_000, next: walk(12, -4, 4, 0) },
  battery: { every: 3_000, next: (before) => (typeof before === 'number' && before > 0 ? before - 1 : 100) },
  orders: { every: 3_000, next: () => some(ORDERS, 3) },
  door: { every: 7_000, next: (before) => (before === 'Closed' ? 'Open' : 'Closed') },
}

/** Returns some texts at random. */
function some(texts: string[], count: number): string[] {
  return texts
    .map((text) => ({ text, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, count)
    .map(({ text }) => text)
}

/** Returns a function whose numbers change a little at each call, and are never negative. */
function walk(start: number, least: number, most: number, digits = 1): Maker['next'] {
  return (before) => {
    const step = least + Math.random() * (most - least)
    return Math.max(0, Number(((typeof before === 'number' ? before : start) + step).toFixed(digits)))
  }
}

/** The ten widgets of the board, and how their values are made up. Your application would publish real ones. */

/** The value of a widget, and the data of its events: a text, or a list of texts. */
export type Value = string | string[]

interface Widget {
  title: string
  /** The time between two values, in milliseconds. */
  every: number
  next: (before: Value | undefined) => Value
}

const HEADLINES = ['Nothing happened today', 'Umbrellas sold out', 'Cat elected again', 'Bridge open to bicycles']
const DEPARTURES = ['Airport, in 2 min', 'Harbour, in 7 min', 'Museum, in 9 min', 'North, in 15 min']
const ORDERS = ['Apples, 1 piece', 'Bread, 2 pieces', 'Cheese, 5 pieces', 'Honey, 3 pieces', 'Tea, 8 pieces']

/** By the last segment of their topics. */
export const WIDGETS = {
  temperature: { title: 'Temperature', every: 2_000, next: walk(18, -0.3, 0.3, 1, ' °C') },
  visitors: { title: 'Visitors', every: 1_000, next: walk(0, 1, 3) },
  queue: { title: 'Queue length', every: 1_500, next: walk(6, -2, 2) },
  headline: {
    title: 'Headline',
    every: 8_000,
    next: (before) =>
      some(
        HEADLINES.filter((one) => one !== before),
        1,
      )[0]!,
  },
  departures: { title: 'Departures', every: 6_000, next: () => some(DEPARTURES, 3) },
  coffee: { title: 'Cup of coffee', every: 4_000, next: walk(2.6, -0.1, 0.1, 2, ' €') },
  wind: { title: 'Wind', every: 5_000, next: walk(12, -4, 4, 0, ' km/h') },
  battery: { title: 'Battery', every: 3_000, next: (before) => `${(parseInt(String(before)) || 100) - 1} %` },
  orders: { title: 'Last orders', every: 3_000, next: () => some(ORDERS, 3) },
  door: { title: 'Front door', every: 7_000, next: (before) => (before === 'Closed' ? 'Open' : 'Closed') },
} satisfies Record<string, Widget>

export type WidgetName = keyof typeof WIDGETS

/** Returns some texts, beginning with a random one. */
function some(texts: string[], count: number): string[] {
  const start = Math.floor(Math.random() * texts.length)
  return [...texts, ...texts].slice(start, start + count)
}

/** Returns a function whose numbers change a little at each call, and are never negative. */
function walk(start: number, least: number, most: number, digits = 0, unit = ''): Widget['next'] {
  return (before) => {
    const step = least + Math.random() * (most - least)
    const now = typeof before === 'string' ? Number.parseFloat(before) : start
    return `${Math.max(0, now + step).toFixed(digits)}${unit}`
  }
}

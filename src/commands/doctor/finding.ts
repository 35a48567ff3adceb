/** What an examination of a hub finds: a sentence, and in the case of a fault what to do. */
export interface Finding {
  /** The subject, such as `network` or `token`. */
  check: string
  /** `ok`; `note`: worth knowing; `fault`: to be put right. */
  level: 'ok' | 'note' | 'fault'
  text: string
}

export type Report = (level: Finding['level'], text: string) => void

/** Prints a duration in milliseconds with a unit that suits it. */
export function printTime(milliseconds: number): string {
  const amount = Math.abs(milliseconds)
  if (amount < 1_000) return `${Math.round(amount)} ms`
  if (amount < 120_000) return `${(amount / 1_000).toFixed(1)} s`
  if (amount < 7_200_000) return `${Math.round(amount / 60_000)} min`
  return amount < 172_800_000 ? `${Math.round(amount / 3_600_000)} h` : `${Math.round(amount / 86_400_000)} days`
}

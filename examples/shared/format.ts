/** Figures as users read them. */

export function percent(value: number): string {
  return `${Math.round(value)} %`
}

export function gibibytes(bytes: number): string {
  return `${inGib(bytes)} GiB`
}

/** Returns a number of gibibytes without the unit. */
export function inGib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1)
}

/** Formats a time in 24 hours, like the axes of the charts. */
export function clock(time: number): string {
  return new Date(time).toLocaleTimeString(undefined, { hourCycle: 'h23' })
}

/** @param seconds the duration */
export function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min ${Math.floor(seconds % 60)} s`
}

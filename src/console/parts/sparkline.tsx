/** A small line of the latest counts. */

const WIDTH = 90
const HEIGHT = 20

/** @param about what the line shows, for screen readers */
export function Sparkline({ counts, about }: { counts: readonly number[]; about: string }) {
  const top = Math.max(...counts, 1)
  const step = WIDTH / Math.max(1, counts.length - 1)
  const points = counts.map(
    (count, index) => `${(index * step).toFixed(1)},${(HEIGHT - 1 - (count / top) * (HEIGHT - 3)).toFixed(1)}`,
  )
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={about}
    >
      <polyline points={points.join(' ')} />
    </svg>
  )
}

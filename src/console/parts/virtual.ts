/** Draws only the visible rows of a long list. All rows have the same height. */
import { useSignal } from '@preact/signals'
import { useLayoutEffect } from 'preact/hooks'

/** How many rows are drawn beyond the visible ones, at both ends. */
const BEYOND = 12

export interface VisibleRows {
  /** The first row that is drawn. */
  start: number
  /** The row after the last one that is drawn. */
  end: number
  /** The heights of the rows before and after the drawn ones, in pixels. */
  before: number
  after: number
}

/**
 * Returns which of `count` rows are drawn.
 * @param scroller the element that scrolls
 * @param height the height of a row, in pixels
 */
export function useVisibleRows(
  scroller: { readonly current: HTMLElement | null },
  count: number,
  height: number,
): VisibleRows {
  const view = useSignal({ top: 0, height: 1_000 })
  useLayoutEffect(() => {
    const { current } = scroller
    if (!current) return
    const update = () => {
      // in steps of rows, so that the list is not drawn again for each pixel
      const top = Math.floor(current.scrollTop / height)
      const rows = Math.ceil(current.clientHeight / height)
      if (top !== view.peek().top || rows !== view.peek().height) view.value = { top, height: rows }
    }
    const resized = new ResizeObserver(update)
    resized.observe(current)
    update()
    current.addEventListener('scroll', update, { passive: true })
    return () => {
      current.removeEventListener('scroll', update)
      resized.disconnect()
    }
  }, [height])
  const start = Math.max(0, Math.min(view.value.top, count) - BEYOND)
  const end = Math.min(count, view.value.top + view.value.height + BEYOND)
  return { start, end, before: start * height, after: (count - end) * height }
}

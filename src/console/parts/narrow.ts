/** The width of the screen. */
import { useSignal } from '@preact/signals'
import { useLayoutEffect } from 'preact/hooks'

/** Whether the screen is at most this wide, in pixels. */
export function useIsNarrow(width: number): boolean {
  const query = `(max-width: ${width}px)`
  const isNarrow = useSignal(matchMedia(query).matches)
  useLayoutEffect(() => {
    const screen = matchMedia(query)
    const update = () => (isNarrow.value = screen.matches)
    update()
    screen.addEventListener('change', update)
    return () => screen.removeEventListener('change', update)
  }, [query])
  return isNarrow.value
}

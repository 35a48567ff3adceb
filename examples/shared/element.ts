/** Elements of a page. */

/** Returns an element of the page by its id. Pass the tag to get the type of the element. */
export function element(id: string): HTMLElement
export function element<Tag extends keyof HTMLElementTagNameMap>(id: string, tag: Tag): HTMLElementTagNameMap[Tag]
export function element(id: string, tag = ''): HTMLElement {
  return document.querySelector<HTMLElement>(`${tag}#${id}`)!
}

/** Creates an element with properties and children. */
export function create<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Partial<HTMLElementTagNameMap[Tag]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const created = Object.assign(document.createElement(tag), properties)
  created.append(...children)
  return created
}

/** Creates the element of a time, as users read it. */
export function createTime(time: string | Date, options: Intl.DateTimeFormatOptions = { timeStyle: 'medium' }) {
  const date = new Date(time)
  return create('time', { dateTime: date.toISOString(), textContent: date.toLocaleString([], options) })
}

/** Keeps a list that scrolls at its end while it grows, unless the user has scrolled away from it. */
export function stayAtEnd(list: HTMLElement): void {
  let isAtEnd = true
  list.addEventListener('scroll', () => {
    isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 50
  })
  const observer = new MutationObserver(() => {
    if (isAtEnd) list.scrollTop = list.scrollHeight
  })
  observer.observe(list, { childList: true, subtree: true })
}

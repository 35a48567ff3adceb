/** An element that the page has for sure, by its id; with its tag where more is to be done with it than with any. */
export function element(id: string): HTMLElement
export function element<Tag extends keyof HTMLElementTagNameMap>(id: string, tag: Tag): HTMLElementTagNameMap[Tag]
export function element(id: string, tag = ''): HTMLElement {
  return document.querySelector<HTMLElement>(`${tag}#${id}`)!
}

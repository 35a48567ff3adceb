/** Returns an element of the page by its id. Pass the tag to get the type of the element. */
export function element(id: string): HTMLElement
export function element<Tag extends keyof HTMLElementTagNameMap>(id: string, tag: Tag): HTMLElementTagNameMap[Tag]
export function element(id: string, tag = ''): HTMLElement {
  return document.querySelector<HTMLElement>(`${tag}#${id}`)!
}

/** Builds the OpenAPI document and the page that shows it. */
import { buildDocument, type DocumentSource } from './document.js'
import type { OpenApi } from './open-api.js'
import { renderPage } from './page/page.js'
import { STYLE } from './page/style.js'

export interface Reference {
  document: OpenApi
  /** HTML, whose URLs are relative to the folder of the hub. */
  page: string
  /** The style sheet of the page. */
  style: string
}

export async function buildReference(source: DocumentSource): Promise<Reference> {
  const document = await buildDocument(source)
  return { document, page: renderPage(document), style: STYLE }
}

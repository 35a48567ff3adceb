/** The docs as a site: `npm run docs:build`, `npm run docs:dev`. The pages are those of the repository. */
import { readFileSync } from 'node:fs'
import { defineConfig } from 'vitepress'
import { copyLinkedFiles, repositoryLinks, withoutComments } from './links.js'
import { sidebar } from './sidebar.js'
import { slug } from './slug.js'

const icon = readFileSync(new URL('../../src/console/icon.svg', import.meta.url))
const iconUrl = `data:image/svg+xml;base64,${icon.toString('base64')}`

export default defineConfig({
  title: 'Fanfare',
  description: 'A realtime event hub: publish over HTTP, receive as Server-Sent Events, miss nothing.',
  lang: 'en',
  // the root of the repository, so that links to CHANGELOG.md and others lead to pages
  srcDir: '..',
  srcExclude: ['README.md', 'packages/**', '**/{dist,data,coverage}/**', '.*/**', 'src/**', 'test/**', 'deploy/**'],
  rewrites: {
    'docs/README.md': 'index.md',
    'docs/decisions/README.md': 'decisions/index.md',
    'docs/:path(.*)': ':path',
    'examples/README.md': 'examples/index.md',
    'examples/:name/README.md': 'examples/:name/index.md',
  },
  cacheDir: '../node_modules/.cache/vitepress',
  lastUpdated: false,
  head: [['link', { rel: 'icon', href: iconUrl }]],
  markdown: {
    anchor: { slugify: slug },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark' },
    html: false,
    config(md) {
      withoutComments(md)
      repositoryLinks(md)
    },
  },
  themeConfig: {
    logo: { src: iconUrl, alt: '' },
    nav: [
      { text: 'Start', link: '/start' },
      { text: 'API', link: '/api' },
      { text: 'Settings', link: '/settings' },
      { text: 'Troubleshooting', link: '/operating/troubleshooting' },
    ],
    sidebar,
    outline: [2, 3],
    search: { provider: 'local' },
    docFooter: { prev: 'Before', next: 'Next' },
  },
  transformPageData(page) {
    // the page stays free of front matter, which git hosts show as a table
    if (page.relativePath === 'index.md') page.frontmatter = { sidebar: false, aside: false, pageClass: 'start' }
  },
  buildEnd: ({ outDir }) => {
    copyLinkedFiles(outDir)
  },
})

/** The pages of the site in their order. */
import { existsSync } from 'node:fs'
import type { DefaultTheme } from 'vitepress'

type Item = DefaultTheme.SidebarItem

/** Returns an item, or nothing if the page does not exist. */
function page(text: string, link: string): Item[] {
  const file = new URL(`../${link}.md`, import.meta.url)
  return existsSync(file) ? [{ text, link: `/${link}` }] : []
}

function group(text: string, ...items: Item[][]): Item {
  return { text, items: items.flat() }
}

export const sidebar: Item[] = [
  group('Begin', page('Start', 'start'), page('Comparison', 'comparison')),
  group(
    'Guides',
    page('Publish', 'guides/publish'),
    page('Authorise your users', 'guides/authorise'),
    page('Browser', 'guides/browser'),
    page('React', 'guides/react'),
    page('Assistant', 'guides/assistant'),
    page('AI SDKs', 'guides/ai-sdks'),
    page('Node.js', 'guides/node'),
    page('Python', 'guides/python'),
    page('Go', 'guides/go'),
    page('PHP', 'guides/php'),
    page('curl', 'guides/curl'),
    page('Embed', 'embedding'),
    page('Scale', 'scaling'),
  ),
  group(
    'Recipes',
    page('Why a 401', 'recipes/why-401'),
    page('Cookies over subdomains', 'recipes/cookies-over-subdomains'),
    page('Proxies that buffer', 'recipes/proxies-that-buffer'),
    page('Six connections, many tabs', 'recipes/six-connections'),
    page('Mobile browsers that sleep', 'recipes/mobile-browsers'),
    page('Snapshot, then stream', 'recipes/snapshot-then-stream'),
    page('Which topic was it?', 'recipes/which-topic'),
  ),
  group(
    'Reference',
    page('HTTP API', 'api'),
    page('Settings', 'settings'),
    page('Errors', 'errors'),
    page('Command line', 'cli'),
    page('Metrics', 'metrics'),
    page('OpenAPI', 'openapi'),
    page('Typed topics', 'typed-topics'),
    page('Client', 'client'),
    page('Client libraries', 'clients'),
    page('Logs of your own', 'logs'),
  ),
  group(
    'Operating',
    page('Production checklist', 'operating/checklist'),
    page('Sizing', 'operating/sizing'),
    page('Troubleshooting', 'operating/troubleshooting'),
    page('Deployment', 'deployment'),
    page('Console', 'console'),
    page('NATS', 'nats'),
    page('Traces', 'tracing'),
    page('Performance', 'performance'),
  ),
  group(
    'Project',
    page('Architecture', 'architecture'),
    [{ text: 'Decisions', link: '/decisions/' }],
    page('Dependencies', 'dependencies'),
    page('Licences', 'licences'),
    [
      { text: 'Examples', link: '/examples/' },
      { text: 'Contributing', link: '/CONTRIBUTING' },
      { text: 'Security', link: '/SECURITY' },
      { text: 'Changelog', link: '/CHANGELOG' },
    ],
  ),
]

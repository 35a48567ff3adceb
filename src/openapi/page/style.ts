/** The style sheet of the page. The colours are those of the console. */
export const STYLE = `/* Each pair of text and ground has a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3). */
:root {
  color-scheme: light dark;
  --ground: #f6f7f9;
  --card: #ffffff;
  --text: #171a23;
  --muted: #596073;
  --line: #e3e6ed;
  --accent: #4338ca;
  --accent-ground: #ecebfc;
  --good: #0b6b3a;
  --good-ground: #e2f5ea;
  --warning: #7a4a00;
  --warning-ground: #fff1d6;
  --bad: #a81524;
  --bad-ground: #fde8ea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1117;
    --card: #181b24;
    --text: #e8eaf2;
    --muted: #a3aabd;
    --line: #2a2f3d;
    --accent: #a5acff;
    --accent-ground: #262a45;
    --good: #6fdca0;
    --good-ground: #12301f;
    --warning: #ffcf7a;
    --warning-ground: #37290d;
    --bad: #ff9ba5;
    --bad-ground: #3d161b;
  }
}
* {
  box-sizing: border-box;
}
html {
  scroll-padding-top: 1rem;
}
body {
  margin: 0;
  background: var(--ground);
  color: var(--text);
  font: 15px/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere;
}
a {
  color: var(--accent);
}
code,
pre {
  font: 0.92em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
.skip {
  position: absolute;
  left: -100vw;
}
.skip:focus {
  left: 1rem;
  top: 0.5rem;
  padding: 0.5rem;
  background: var(--card);
}
header {
  display: flex;
  flex-wrap: wrap;
  gap: 0.25rem 1rem;
  align-items: baseline;
  justify-content: space-between;
  padding: 0.75rem 1.5rem;
  background: var(--card);
  border-bottom: 1px solid var(--line);
}
h1 {
  margin: 0;
  font-size: 1.3rem;
}
.version,
.type,
.optional,
.security,
.example {
  color: var(--muted);
  font-weight: normal;
}
.version {
  font-size: 0.9rem;
}
nav {
  padding: 0.75rem 1.5rem;
}
nav h2 {
  margin: 1rem 0 0.25rem;
  font-size: 0.95rem;
}
nav h2 a,
nav li a {
  color: var(--text);
  text-decoration: none;
}
nav a:hover {
  text-decoration: underline;
}
nav ul {
  margin: 0;
  padding: 0;
  list-style: none;
}
nav li {
  padding: 0.1rem 0;
  font-size: 0.9rem;
}
nav li a {
  display: flex;
  gap: 0.5rem;
  align-items: baseline;
}
nav .method {
  flex: none;
  width: 4.2rem;
  padding: 0;
  font-size: 0.68rem;
  text-align: center;
}
main {
  min-width: 0;
  padding: 1rem 1.5rem 4rem;
}
main h2 {
  margin: 2.5rem 0 0.5rem;
  font-size: 1.4rem;
}
h3 {
  margin: 0;
  font-size: 1.05rem;
}
h4 {
  margin: 1.25rem 0 0.25rem;
  font-size: 0.95rem;
}
p {
  margin: 0.4rem 0;
}
.lead {
  max-width: 70ch;
}
.operation,
.schema {
  margin: 1rem 0;
  padding: 1rem 1.25rem;
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 8px;
}
.operation:target,
.schema:target {
  border-color: var(--accent);
}
.summary {
  font-weight: 600;
}
.operation > p,
section > p {
  max-width: 80ch;
}
h3 .anchor {
  margin-left: 0.4rem;
}
.method {
  display: inline-block;
  padding: 0 0.4rem;
  border-radius: 4px;
  font-size: 0.8rem;
  font-weight: 600;
}
.get,
.head {
  color: var(--accent);
  background: var(--accent-ground);
}
.post {
  color: var(--good);
  background: var(--good-ground);
}
.put,
.patch {
  color: var(--warning);
  background: var(--warning-ground);
}
.delete {
  color: var(--bad);
  background: var(--bad-ground);
}
dl {
  margin: 0;
}
dl > div {
  padding: 0.4rem 0;
  border-top: 1px solid var(--line);
}
dl > div:first-child {
  border-top: 0;
}
dd {
  margin: 0;
}
dd > dl {
  margin: 0.25rem 0 0 0.25rem;
  padding-left: 1rem;
  border-left: 2px solid var(--line);
}
.name,
.status {
  font-weight: 600;
}
.optional {
  font-size: 0.85rem;
  font-style: italic;
}
.answers p {
  margin: 0.1rem 0;
}
pre {
  margin: 0.5rem 0;
  padding: 0.75rem 1rem;
  overflow-x: auto;
  background: var(--ground);
  border: 1px solid var(--line);
  border-radius: 6px;
  overflow-wrap: normal;
}
details {
  margin-top: 0.75rem;
}
summary {
  cursor: pointer;
  color: var(--accent);
}
.scroll {
  overflow-x: auto;
}
table {
  width: 100%;
  border-collapse: collapse;
  background: var(--card);
}
th,
td {
  padding: 0.35rem 0.75rem;
  border: 1px solid var(--line);
  text-align: left;
  vertical-align: top;
}
th,
td:nth-child(2) {
  overflow-wrap: normal;
}
tr:target {
  background: var(--accent-ground);
}
@media (max-width: 959px) {
  nav {
    display: flex;
    flex-wrap: wrap;
    gap: 0.25rem 1rem;
    border-bottom: 1px solid var(--line);
  }
  nav h2 {
    margin: 0;
  }
  nav h2 a {
    display: inline-block;
    padding: 0.25rem 0;
    color: var(--accent);
  }
  nav ul {
    display: none;
  }
  header,
  nav,
  main {
    padding-right: 1rem;
    padding-left: 1rem;
  }
  th,
  td {
    padding: 0.3rem 0.4rem;
  }
}
@media (min-width: 960px) {
  body {
    display: grid;
    grid-template-columns: 19rem minmax(0, 1fr);
    grid-template-rows: auto 1fr;
  }
  header {
    grid-column: 1 / -1;
  }
  nav {
    position: sticky;
    top: 0;
    height: 100vh;
    overflow-y: auto;
    border-right: 1px solid var(--line);
  }
  main {
    max-width: 68rem;
    padding: 1rem 2.5rem 4rem;
  }
}
`

import type { Test } from 'tap'
import type { Answer } from './http.js'

export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: string
  requestId: string
  errors?: { path: string; message: string }[]
  /** Only if a line of an NDJSON upload was refused. */
  line?: number
  accepted?: number
}

/** Checks that an answer is an error of the API (RFC 9457), and returns it. */
export function checkProblem(t: Test, answer: Answer, status: number | readonly number[], what: string): Problem {
  const problem = (typeof answer.body === 'object' && answer.body !== null ? answer.body : {}) as Problem
  const { type: reference } = problem as Partial<Problem>
  const wrong: string[] = []
  const expected = typeof status === 'number' ? [status] : status
  if (!expected.includes(answer.status)) wrong.push(`the status is ${answer.status}, not ${expected.join(' or ')}`)
  const type = answer.headers.get('content-type') ?? ''
  if (!/^application\/problem\+json\b/.test(type)) wrong.push(`the content type is ${type}`)
  if (problem.status !== answer.status) wrong.push(`status says ${problem.status}`)
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(problem.code)) wrong.push(`code is ${problem.code}`)
  if (!reference?.endsWith(`/errors/${problem.code}`)) wrong.push(`type is ${reference ?? 'missing'}`)
  for (const name of ['title', 'detail', 'requestId'] as const) {
    if (typeof problem[name] !== 'string' || problem[name] === '') wrong.push(`${name} is missing`)
  }
  if (problem.errors !== undefined) {
    const isList = Array.isArray(problem.errors) && problem.errors.length > 0
    if (
      !isList ||
      problem.errors.some(({ path, message }) => typeof path !== 'string' || typeof message !== 'string')
    ) {
      wrong.push(`errors is ${JSON.stringify(problem.errors)}`)
    }
  }
  if (answer.status === 401 && !/^Bearer\b/.test(answer.headers.get('www-authenticate') ?? ''))
    wrong.push('WWW-Authenticate is missing')
  t.strictSame(
    wrong,
    [],
    `${what}: ${expected.join(' or ')}${wrong.length > 0 ? ` ${JSON.stringify(answer.body).slice(0, 500)}` : ''}`,
  )
  return problem
}

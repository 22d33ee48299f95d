import { expect, test } from 'vitest'
import { errors, load, loadIn, project, told } from '../../test/ww/project.ts'
import { readVariables } from './environment.ts'
import { Secrets } from './secrets.ts'

test('[W61] the environment wins over .env, which adds what is not set: export, quotes, comments, values of several lines', () => {
  const folder = project({
    '.env': [
      '# a comment',
      'export A=from-file',
      'B="x # y"   # behind it',
      "C='$A'",
      'D=plain # cut',
      'E="one\ntwo"',
      'EMPTY=',
      'SET=file',
    ].join('\n'),
  })
  const { value, fault } = readVariables(folder, { SET: 'outside' })
  expect(['A', 'B', 'C', 'D', 'E', 'EMPTY', 'SET', 'NONE', 'toString'].map(value)).toEqual([
    'from-file',
    'x # y',
    '$A',
    'plain',
    'one\ntwo',
    '',
    'outside',
    undefined,
    undefined,
  ])
  expect(fault).toBeUndefined()
  expect(process.env.A).toBeUndefined()
})

test('[W61] $NAME is a value everywhere, ${NAME} expands inside of texts, and numbers and flags are read from variables', async () => {
  const folder = project({
    '.env': 'PREFIX=hello\nPORT=8123\nSTREAM=true\n',
    'main.ww': `brain = llm echo { prefix: "\${PREFIX}, you: ", streaming: $STREAM }
in = input api { port: $PORT, to: brain }
deploy = deployment local { environment: { inner: { list: [$PREFIX, "\${PREFIX}!", '\${PREFIX}'] } } }`,
  })
  const loaded = await loadIn(folder)
  expect(errors(loaded)).toEqual([])
  const [brain, input, deploy] = loaded.specs
  expect(brain?.settings).toMatchObject({ prefix: 'hello, you: ', streaming: true })
  expect(input?.settings).toMatchObject({ port: 8_123 })
  expect(deploy?.settings).toMatchObject({ environment: { inner: { list: ['hello', 'hello!', '${PREFIX}'] } } })
})

test('[W61] a variable that is not set is an error with its name and place, and a warning for who only checks', async () => {
  const text = 'a = llm echo {\n  prefix: $NO_SUCH\n  system: "x ${NEITHER} y"\n}'
  const run = await load(text)
  expect(told(run)).toEqual([
    'unset-variable 2:11 the variable NO_SUCH is not set',
    'unset-variable 3:14 the variable NEITHER is not set',
  ])
  expect(run.valid).toBe(false)
  const checked = await load(text, { check: true })
  expect(told(checked)).toEqual(told(run))
  expect(checked.valid).toBe(true)
})

test('a value that does not fit is told without being shown', async () => {
  const loaded = await load('in = input api { port: $PORT, to: [] }', { environment: { PORT: 'hunter2hunter2' } })
  expect(errors(loaded)).toEqual(['wrong-type 1:24'])
  expect(JSON.stringify(loaded.diagnostics)).not.toContain('hunter2')
})

test('a .env that cannot be read is a warning', async () => {
  const folder = project({ 'main.ww': 'out = output console {}', '.env/x': '' })
  expect(told(await loadIn(folder)).join('\n')).toMatch(/bad-env-file 1:1 \.env cannot be read/)
})

test('secrets are hidden as they are, as JSON, in urls, as base64 and line by line; short values are not', () => {
  const secrets = new Secrets()
  secrets.add('s3cr"t/val ue', false)
  secrets.add('first-line\nsecond-line', false)
  secrets.add('dev', false)
  const forms = [
    's3cr"t/val ue',
    JSON.stringify('s3cr"t/val ue'),
    encodeURIComponent('s3cr"t/val ue'),
    Buffer.from('s3cr"t/val ue').toString('base64'),
    'x second-line y',
  ]
  expect(forms.map((form) => secrets.mask(form))).toEqual(['***', '"***"', '***', '***==', 'x *** y'])
  expect(secrets.mask('dev and 8000')).toBe('dev and 8000')
})

test('the longest secret is hidden first, and what components print hides only what is secret by its name', () => {
  const secrets = new Secrets()
  secrets.add('token', false)
  secrets.add('token-of-mine', false)
  expect(secrets.mask('token-of-mine token')).toBe('*** ***')
  expect(secrets.maskPrinted('token-of-mine')).toBe('token-of-mine')
  secrets.add('token-of-mine', true)
  expect(secrets.maskPrinted('token-of-mine token')).toBe('*** token')
})

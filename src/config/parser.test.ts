import { expect, test } from 'vitest'
import { bodyOf, cleanShape, readText } from '../../test/ww/shape.ts'

test('[W60] [WN22] a comment begins anywhere outside of texts, and changes nothing of what stands before it', () => {
  const shape = cleanShape(`# first
    a = llm openai { # opener
      # old = llm openai {
      model: "gpt-4o" # trailing
      note: "# no comment" tools: [ # inside
        b, # after b
        c ] # after the list
      key # between
        : # and again
        1
    } # end
    # b = x {}`)
  expect(shape).toEqual({
    a: { kind: 'llm openai', entries: { model: 'gpt-4o', note: '# no comment', tools: ['@b', '@c'], key: 1 } },
  })
})

test('[W61] texts stand in either quotes, with escapes, and braces, # and commas in them are text', () => {
  expect(
    bodyOf(String.raw` a: "{ # , } [" b: 'it "is" so' c: "\"\\\n\t\'\u00e9\u{1F44D}\$" d: 'it\'s' e: "" `),
  ).toEqual({
    a: '{ # , } [',
    b: 'it "is" so',
    c: '"\\\n\t\'é👍$',
    d: "it's",
    e: '',
  })
})

test('[W61] a backslash at the end of a line joins the text with the next one, and three quotes hold texts of several lines', () => {
  expect(bodyOf('a: "one \\\r\ntwo" b: """\n  {one}\r\n  "two" # ${NAME}\n""" c: \'\'\'x ${NAME}\'\'\'')).toEqual({
    a: 'one two',
    b: '  {one}\n  "two" # <NAME>\n',
    c: 'x ${NAME}',
  })
})

test('[W61] an escape that is none stays as it is, with a warning, so that paths of Windows load', () => {
  const { shape, faults } = readText(String.raw`a = x { path: "C:\dir\users" }`)
  expect(shape).toEqual({ a: { kind: 'x', entries: { path: String.raw`C:\dir\users` } } })
  expect(faults.map((fault) => fault.slice(0, 31))).toEqual([
    '1:18 warning unknown-escape: fo',
    '1:22 warning unknown-escape: fo',
  ])
})

test('[W61] true, false, null and None are values in any case', () => {
  expect(bodyOf('a: True b: FALSE c: true d: null e: None f: NULL g: [tRUE none]')).toEqual({
    a: true,
    b: false,
    c: true,
    d: null,
    e: null,
    f: null,
    g: [true, null],
  })
})

test('[W61] [WN22] numbers are numbers', () => {
  expect(
    bodyOf('n: 5 a: -2 b: 0.5 c: .5 d: 1e3 e: -2.5E-3 f: 0x1F g: 1_000_000 h: +7 i: 0b101 j: 0o17 k: 1. l: 0'),
  ).toEqual({
    n: 5,
    a: -2,
    b: 0.5,
    c: 0.5,
    d: 1000,
    e: -0.0025,
    f: 31,
    g: 1_000_000,
    h: 7,
    i: 5,
    j: 15,
    k: 1,
    l: 0,
  })
})

test('[W61] $NAME is a value in lists and nested blocks, and ${NAME} expands in double quotes only', () => {
  expect(bodyOf(`a: $A b: [$B, {c: $C}] d: "x \${D}\${E}" e: 'x \${D}' f: "\\\${D} $D" g: \${G}`)).toEqual({
    a: '$A',
    b: ['$B', { c: '$C' }],
    d: 'x <D><E>',
    e: 'x ${D}',
    f: '${D} $D',
    g: '$G',
  })
})

test('[W62] [WN22] blocks and lists stand on one line or many, with commas or without, with trailing commas, and may be empty', () => {
  const wanted = { a: ['@b', '@c'], d: { e: 1, f: 2 }, g: [], h: {} }
  for (const body of [
    'a:[b,c],d:{e:1,f:2},g:[],h:{}',
    ' a : [ b c ] d = { e = 1 f = 2 } g : [ ] h = { } ',
    '\n  a: [\n    b,\n    c,\n  ],\n  d: {\n    e: 1\n    f: 2,\n  }\n  g: [\n  ]\n  h: {\n  }\n',
    '\ra:[b\rc],\rd:{e:1\rf:2}\rg:[]\rh:{}\r',
  ]) {
    expect(bodyOf(body)).toEqual(wanted)
  }
})

test('[W62] keys may be quoted, the last line needs no end, and no blank is needed around = and :', () => {
  expect(cleanShape('a=x{"6379":"6379",\'k y\'=1}')).toEqual({ a: { kind: 'x', entries: { 6379: '6379', 'k y': 1 } } })
})

test('[WN23] [WN24] both dialects, and mixtures of them, say the same', () => {
  const colons = cleanShape('a = llm openai {\n  model: "m"\n  env: { B: 1 }\n  to: [c]\n}\nc = output cli {}\n')
  expect(cleanShape('a=llm openai{model="m",env={B=1},to=[c]}c=output cli{}')).toEqual(colons)
  expect(cleanShape('a = llm openai {\n  model = "m"\n  env: { B = 1 }\n  to = [c]\n}\nc = output cli {}\n')).toEqual(
    colons,
  )
  expect(cleanShape('agent = claude {\n  model = "m"\n  to = ["output"]\n}\ndeployment = local {}')).toEqual({
    agent: { kind: 'claude', entries: { model: 'm', to: ['output'] } },
    deployment: { kind: 'local', entries: {} },
  })
})

test('[W63] bare words are names, and path-like ones are texts with a warning that says so', () => {
  const { shape, faults } = readText(
    'a = x { to: b client: local path: ./x q: ../x/y.py u: https://h:80/p?a=b m: qwen2.5:7b t: 30s v: 1.2.3 w: C:\\\\x }',
  )
  expect(shape).toMatchObject({
    a: {
      entries: {
        to: '@b',
        client: '@local',
        path: '~./x',
        q: '~../x/y.py',
        u: '~https://h:80/p?a=b',
        m: '~qwen2.5:7b',
        t: '~30s',
        v: '~1.2.3',
      },
    },
  })
  expect(faults).toHaveLength(7)
  expect(faults[0]).toBe('1:35 warning bare-text: `./x` is read as a text')
})

test('[W64] names may equal the words of kinds, and of the language', () => {
  expect(
    cleanShape('in = input command_line { to: llm } llm = llm openai {} include = memory short_term {} input = cli {}'),
  ).toEqual({
    in: { kind: 'input command_line', entries: { to: '@llm' } },
    llm: { kind: 'llm openai', entries: {} },
    include: { kind: 'memory short_term', entries: {} },
    input: { kind: 'cli', entries: {} },
  })
})

test('blocks with a kind of their own are values, also in lists', () => {
  expect(
    bodyOf('memory: memory short_term {} bus = redis { redis_url = $U } all: [a, memory short_term {}, {b: 1}, c]'),
  ).toEqual({
    memory: { kind: 'memory short_term', entries: {} },
    bus: { kind: 'redis', entries: { redis_url: '$U' } },
    all: ['@a', { kind: 'memory short_term', entries: {} }, { b: 1 }, '@c'],
  })
})

test('[WN23] a list without commas has all its items, and hook blocks keep their keys whatever their order', () => {
  expect(
    bodyOf('l: ["a" "b"\n"c"] h: [{script_path: "s" event: "e"} {event: "f", script_path: "t"}\n{ "event": "g" }]'),
  ).toEqual({
    l: ['a', 'b', 'c'],
    h: [{ script_path: 's', event: 'e' }, { event: 'f', script_path: 't' }, { event: 'g' }],
  })
})

test('an include names a file, in quotes; without them it is a warning', () => {
  expect(cleanShape('include "parts/a.ww"\nb = x {}')).toEqual({ include: 'parts/a.ww', b: { kind: 'x', entries: {} } })
  expect(readText('include parts/a.ww # why').faults).toEqual(['1:9 warning bare-text: `parts/a.ww` is read as a text'])
})

test('names have letters of any language, a byte order mark is no text, and odd blanks are blanks', () => {
  expect(cleanShape('\ufeffprüfer = x {\u00a0to:\u00a0läufer-2\u3000}')).toEqual({
    prüfer: { kind: 'x', entries: { to: '@läufer-2' } },
  })
})

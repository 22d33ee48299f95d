/**
 * TypeScript with the inside of comments, strings, templates and regular expressions replaced by blanks, quotes and line ends
 * kept, so that a search finds only code and at its true offset. Code inside `${…}` stays.
 */
export function blank(text: string): string {
  const out = [...text.split('')]
  // One entry for each template that is open around the current place: how many braces are open inside its `${`.
  const templates: number[] = []
  let lastCode = ''
  let i = 0

  const erase = (from: number, to: number): void => {
    for (let at = from; at < to; at++) if (out[at] !== '\n') out[at] = ' '
  }
  const skipTemplate = (from: number): number => {
    let at = from
    while (at < text.length && text[at] !== '`') {
      if (text.startsWith('${', at)) {
        erase(from, at)
        templates.push(0)
        return at + 2
      }
      at += text[at] === '\\' ? 2 : 1
    }
    erase(from, at)
    return at + 1
  }

  while (i < text.length) {
    const char = text.charAt(i)
    if (text.startsWith('//', i) || text.startsWith('/*', i)) {
      const end = text[i + 1] === '/' ? text.indexOf('\n', i) : text.indexOf('*/', i) + 2
      const stop = end < 2 ? text.length : end
      erase(i, stop)
      i = stop
      continue
    }
    if (char === "'" || char === '"') {
      const end = endOf(text, i + 1, char)
      erase(i + 1, end)
      i = end + 1
      lastCode = char
      continue
    }
    if (char === '/' && startsRegExp(lastCode)) {
      const end = endOfRegExp(text, i + 1)
      erase(i + 1, end)
      i = end + 1
      lastCode = '/'
      continue
    }
    if (char === '`') {
      i = skipTemplate(i + 1)
      lastCode = '`'
      continue
    }
    const braces = templates.at(-1)
    if (braces !== undefined && char === '{') templates[templates.length - 1] = braces + 1
    if (braces !== undefined && char === '}') {
      if (braces === 0) {
        templates.pop()
        i = skipTemplate(i + 1)
        lastCode = '`'
        continue
      }
      templates[templates.length - 1] = braces - 1
    }
    if (/\s/.test(char)) lastCode += lastCode.endsWith(' ') ? '' : ' '
    else lastCode = `${lastCode.slice(-12)}${char}`
    i++
  }
  return out.join('')
}

function endOf(text: string, from: number, quote: string): number {
  let at = from
  while (at < text.length && text[at] !== quote && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1
  return Math.min(at, text.length)
}

function endOfRegExp(text: string, from: number): number {
  let at = from
  let inClass = false
  while (at < text.length && text[at] !== '\n' && (inClass || text[at] !== '/')) {
    if (text[at] === '[') inClass = true
    if (text[at] === ']') inClass = false
    at += text[at] === '\\' ? 2 : 1
  }
  return Math.min(at, text.length)
}

/** Whether a slash after this code opens a regular expression; otherwise it divides. */
function startsRegExp(before: string): boolean {
  const code = before.trimEnd()
  return code === '' || /[(,=:[!&|?{};+\-*%<>~^]$|\b(return|typeof|case|in|of|do|else|yield|await)$/.test(code)
}

import { expect, test } from 'vitest'
import { READING, SCRIPTS } from './scripts.ts'

test('the scripts that only read are those that do not write the clock', () => {
  for (const [name, script] of Object.entries(SCRIPTS)) {
    const writes = script.lua.replace('local function save()', '').includes('save()')
    expect([name, READING.has(script)]).toEqual([name, !writes])
  }
})

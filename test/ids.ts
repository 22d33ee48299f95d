/** The ids of the requirements this part promises; each stands in the title of at least one test. */
export const PROMISED_IDS: readonly string[] = [
  ...range('Z', '1-28 65 86'),
  ...range('ZN', '1-16 33'),
  ...range('C', '1-10 13-22 28 29 33 38-42 45 58'),
  ...range('CN', '1 5 7 8 10 12 16 18 20 24'),
  ...range('V', '12-35 50 51 61 62'),
  ...range('VN', '1-9 11-17'),
  ...range('W', '1-19 31 34 35 55-58 86'),
  ...range('WN', '1-17 20 21'),
  ...range('L', '8-16 35-41 45-51 60'),
  ...range('LN', '1 2 4-12 20 22'),
  ...range('I', '1-17'),
]

function range(area: string, numbers: string): readonly string[] {
  return numbers.split(' ').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => `${area}${first + i}`)
  })
}

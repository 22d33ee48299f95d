/** The ids of the requirements this part promises; each stands in the title of at least one test. */
export const PROMISED_IDS: readonly string[] = [
  ...range('Z', '1-28 65 86 95'),
  ...range('ZN', '1-16 32 33'),
  ...range('C', '1-33 38-42 45 58 63 64 73 74'),
  ...range('CN', '1-10 12 15 16 18-20 24'),
  ...range('V', '12-35 50 51 59 61 62'),
  ...range('VN', '1-9 11-17'),
  ...range('W', '1-72 75 77 78 80 81 83 85 86 88'),
  ...range('WN', '1-26'),
  ...range('L', '8-16 35-41 45-51 60 70 84'),
  ...range('LN', '1 2 4-12 20 22'),
  ...range('I', '1-17'),
]

function range(area: string, numbers: string): readonly string[] {
  return numbers.split(' ').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => `${area}${first + i}`)
  })
}

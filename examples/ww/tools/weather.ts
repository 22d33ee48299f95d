// The tools of main.ww: every exported function is one.

const CELSIUS: Readonly<Record<string, number>> = { lisbon: 23, oslo: 11 }

/** The temperature in a city, in degrees Celsius. */
export function temperature(city: string): number {
  const found = CELSIUS[city.toLowerCase()]
  if (found === undefined) throw new Error(`nobody knows how warm it is in ${city}`)
  return found
}

/** Degrees Celsius in Fahrenheit. */
export function fahrenheit(celsius: number): number {
  return Math.round(((celsius * 9) / 5) * 10 + 320) / 10
}

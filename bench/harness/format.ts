/** `5.21 M`, `69.2 k`, `512`. */
export function millions(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value >= 1e6) return `${(value / 1e6).toFixed(value < 1e7 ? 2 : 1)} M`
  if (value >= 1e3) return `${(value / 1e3).toFixed(value < 1e4 ? 2 : 1)} k`
  return value >= 10 ? value.toFixed(0) : value.toFixed(2)
}

/** `100 000`. */
export function spaced(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ' ')
}

/** A figure with its unit: `5.21 M msg/s`, `12.3 µs`, `1.9 KiB`, `31 ms`. */
export function figure(name: string, value: number, unit: string): string {
  if (/persecond$/i.test(name)) return `${millions(value)} ${unit}/s`
  switch (name) {
    case 'bytes':
      return `${Math.round(value)} B`
    case 'ms':
    case 'heldMaxMs':
    case 'heldP99Ms':
      return `${value.toFixed(1)} ms`
    default:
      return `${value < 100 ? value.toFixed(1) : Math.round(value)} µs`
  }
}

/** `×12`, `×1.25`, `×0.31`. */
export function ratio(value: number): string {
  return `×${value >= 100 ? Math.round(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2)}`
}

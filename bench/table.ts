/** Columns as wide as their contents; numbers to the right. */
export const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  leftColumns = 1,
): string => {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)))
  const line = (cells: ReadonlyArray<string>): string =>
    cells
      .map((cell, column) =>
        column < leftColumns ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd()
  return [line(head), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n")
}

/** The same as a table of Markdown. */
export const markdown = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => (row[column] ?? "").length)),
  )
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  const line = (cells: ReadonlyArray<string>): string => `| ${cells.map(pad).join(" | ")} |`
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`))
  return [line(head), line(rule), ...rows.map(line)].join("\n")
}

/** Three figures that count, thousands apart. */
export const figure = (n: number): string => {
  if (!Number.isFinite(n)) return "-"
  if (n >= 100) return Math.round(n).toLocaleString("en-US")
  return n >= 10 ? n.toFixed(1) : n.toFixed(2)
}

/** How far the 10th and 90th percentile are from the median. */
export const spread = (median: number, low: number, high: number): string =>
  median === 0 ? "" : `-${percent(median - low, median)} +${percent(high - median, median)}`

const percent = (part: number, whole: number): string => `${Math.round((100 * part) / whole)}%`

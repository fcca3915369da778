import { document, escaped, px, text } from "./style.ts"

/** A table whose cells are the darker the larger their share; cells stand row by row. */
export interface HeatMap {
  readonly title: string
  readonly subtitle: string
  /** What the columns and the rows are. */
  readonly x: string
  readonly y: string
  readonly columns: ReadonlyArray<string>
  readonly groups: ReadonlyArray<HeatGroup>
}

export interface HeatGroup {
  readonly title: string
  readonly rows: ReadonlyArray<string>
  readonly cells: ReadonlyArray<ReadonlyArray<{ readonly share: number; readonly words: string }>>
}

const CELL = { width: 92, height: 34 }
const LEFT = 96
const TOP = 92
const BETWEEN = 56

/** Groups of cells one below the other. */
export const heatMap = ({ title, subtitle, x, y, columns, groups }: HeatMap): string => {
  const width = Math.max(480, LEFT + columns.length * CELL.width + 24)
  const parts = [text(24, 28, title, "head ink"), text(24, 48, subtitle, "dim")]
  let top = TOP
  for (const group of groups) {
    parts.push(text(24, top - 10, group.title, "panel ink"))
    for (const [row, name] of group.rows.entries()) {
      const at = top + row * CELL.height
      parts.push(text(LEFT - 10, at + CELL.height / 2 + 4, name, "dim", "end"))
      for (const [column, cell] of (group.cells[row] ?? []).entries()) parts.push(drawCell(cell, column, at))
    }
    const bottom = top + group.rows.length * CELL.height
    for (const [column, name] of columns.entries()) {
      parts.push(text(LEFT + (column + 0.5) * CELL.width, bottom + 18, name, "dim", "middle"))
    }
    top = bottom + BETWEEN + 12
  }
  parts.push(text(LEFT + (columns.length * CELL.width) / 2, top - 26, `${x}; rows: ${y}`, "dim", "middle"))
  return document(width, top - 8, `${title}: ${subtitle}`, parts)
}

const drawCell = (
  { share, words }: { readonly share: number; readonly words: string },
  column: number,
  top: number,
): string => {
  const left = LEFT + column * CELL.width
  // An opacity, so that the page's own ground is the light end of the scale.
  const opacity = px(0.06 + 0.64 * Math.max(0, Math.min(1, share)))
  const place = `x="${left + 1}" y="${top + 1}" width="${CELL.width - 2}" height="${CELL.height - 2}"`
  return [
    `<rect ${place} rx="3" class="f0" fill-opacity="${opacity}"><title>${escaped(words)}</title></rect>`,
    text(left + CELL.width / 2, top + CELL.height / 2 + 4, words, "ink", "middle"),
  ].join("")
}

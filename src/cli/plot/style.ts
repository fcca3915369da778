/** Colours and type of all plots: for light and dark pages, the reader's choice. */

interface Colours {
  readonly paper: string
  readonly ink: string
  readonly dim: string
  readonly grid: string
  readonly marks: ReadonlyArray<string>
}

/** Okabe's and Ito's colours, which nearly everybody can tell apart, adapted to the ground. */
const LIGHT: Colours = {
  paper: "#ffffff",
  ink: "#1f2328",
  dim: "#59636e",
  grid: "#e2e6ea",
  marks: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a87900", "#4a4a4a"],
}

const DARK: Colours = {
  paper: "#0d1117",
  ink: "#e6edf3",
  dim: "#9198a1",
  grid: "#2a313a",
  marks: ["#56b4e9", "#ff9f4a", "#2fc79a", "#e59ac4", "#e6c229", "#b8bec6"],
}

const rules = ({ paper, ink, dim, grid, marks }: Colours): string =>
  [
    `.paper{fill:${paper}}.ink{fill:${ink}}.dim{fill:${dim}}.grid{stroke:${grid}}.axis{stroke:${dim}}`,
    ...marks.map((colour, n) => `.l${n}{stroke:${colour};fill:none}.f${n}{fill:${colour}}`),
  ].join("")

export const STYLE = `<style>text{font:12px -apple-system,'Segoe UI','Helvetica Neue',Helvetica,Arial,sans-serif}text.head{font-size:16px;font-weight:600}text.panel{font-size:13px;font-weight:600}path,line{stroke-width:1.5;stroke-linejoin:round}.grid{stroke-width:1}.thin{stroke-width:1}.dashed{stroke-dasharray:5 4}${rules(LIGHT)}@media (prefers-color-scheme:dark){${rules(DARK)}}</style>`

export const escaped = (words: string): string =>
  words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")

/** At most two decimals: enough for a screen, and half the file. */
export const px = (value: number): string => String(Math.round(value * 100) / 100)

export const text = (x: number, y: number, words: string, look = "ink", anchor = "start"): string =>
  `<text x="${px(x)}" y="${px(y)}" class="${look}" text-anchor="${anchor}">${escaped(words)}</text>`

export const document = (width: number, height: number, label: string, parts: ReadonlyArray<string>): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(label)}">`,
    STYLE,
    `<rect width="${width}" height="${height}" class="paper"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n")

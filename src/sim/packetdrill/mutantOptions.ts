import type { Numbered, OptionSpec } from "./ast.ts"

interface OptionsVariant {
  readonly kind: "option" | "option order"
  readonly what: string
  readonly options: ReadonlyArray<OptionSpec>
}

/** Options changed in one place: a value, an order, one too few, one too many. */
export const mutantsOfOptions = (options: ReadonlyArray<OptionSpec>): ReadonlyArray<OptionsVariant> => {
  const variants: Array<OptionsVariant> = [
    { kind: "option", what: "an option more", options: [...options, { _tag: "nop" }] },
  ]
  for (const [i, option] of options.entries()) {
    variants.push({ kind: "option", what: `without ${option._tag}`, options: options.toSpliced(i, 1) })
    for (const other of changed(option)) {
      variants.push({ kind: "option", what: `another ${option._tag}`, options: options.with(i, other) })
    }
    const next = options[i + 1]
    if (next !== undefined && next._tag !== option._tag) {
      const swapped = options.with(i, next).with(i + 1, option)
      variants.push({ kind: "option order", what: `${next._tag} before ${option._tag}`, options: swapped })
    }
  }
  return variants
}

/** A digest that no segment has. */
const ZEROS = new Uint8Array(16)

const more = (number: Numbered): Numbered => ({ ...number, value: (number.value + 1) >>> 0 })

/** Our own timestamps are not compared, nor what is `...`. */
const changed = (option: OptionSpec): ReadonlyArray<OptionSpec> => {
  switch (option._tag) {
    case "mss":
      return [{ ...option, value: option.value ^ 1 }]
    case "wscale":
      return [{ ...option, shift: option.shift ^ 1 }]
    case "ts":
      return option.ecr.kind === "any" ? [] : [{ ...option, ecr: more(option.ecr) }]
    case "sack":
      return option.blocks.flatMap((block, i) => [
        { ...option, blocks: option.blocks.with(i, { ...block, left: more(block.left) }) },
        { ...option, blocks: option.blocks.with(i, { ...block, right: more(block.right) }) },
        { ...option, blocks: option.blocks.toSpliced(i, 1) },
      ])
    case "fastOpen":
      return [
        { ...option, experimental: !option.experimental },
        ...(option.cookie === "any" ? [] : [{ ...option, cookie: turned(option.cookie) }]),
      ]
    case "md5":
      if (option.digest === "any") return []
      return [{ ...option, digest: option.digest === "valid" ? ZEROS : turned(option.digest) }]
    case "raw":
      return [{ ...option, kind: option.kind ^ 1 }]
    case "nop":
      return [{ _tag: "eol" }]
    case "eol":
      return [{ _tag: "nop" }]
    case "sackOK":
      return [{ _tag: "nop" }]
  }
}

const turned = (octets: Uint8Array): Uint8Array =>
  octets.length === 0 ? Uint8Array.of(1) : octets.map((octet) => octet ^ 1)

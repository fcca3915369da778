import type { HostConfig } from "../host/types.ts"
import { defaultSettings } from "../tcp/settings.ts"

/** Whether something that was read can configure a host; else what about it is wrong, by its name. */
export const configProblem = (config: unknown): string | undefined => {
  if (!isRecord(config)) return "it has no configuration"
  const { interfaces, routes, secret, settings } = config
  if (!Array.isArray(interfaces)) return "interfaces: no list"
  if (!Array.isArray(routes)) return "routes: no list"
  if (!(secret instanceof Uint8Array) || secret.length < 16) return "secret: not 16 octets or more"
  return (
    firstProblem(interfaces, "interfaces", interfaceProblem) ??
    firstProblem(routes, "routes", routeProblem) ??
    unlike(settings, defaultSettings, "settings")
  )
}

export const isConfig = (config: unknown): config is HostConfig => configProblem(config) === undefined

type Problem = (value: unknown, path: string) => string | undefined

const firstProblem = (list: ReadonlyArray<unknown>, path: string, problem: Problem): string | undefined => {
  for (const [index, each] of list.entries()) {
    const found = problem(each, `${path}[${index}]`)
    if (found !== undefined) return found
  }
  return undefined
}

const ADDRESS = { family: 4, a: 0, b: 0, c: 0, d: 0 }
const INTERFACE = { name: "", mac: 0, layer: "", mtu: 0, burst: 0 }

const interfaceProblem: Problem = (value, path) => {
  const wrong = unlike(value, INTERFACE, path)
  if (wrong !== undefined) return wrong
  if (!isRecord(value) || !Array.isArray(value["addresses"])) return `${path}.addresses: no list`
  if (value["layer"] !== "ethernet" && value["layer"] !== "ip") return `${path}.layer: neither "ethernet" nor "ip"`
  return firstProblem(value["addresses"], `${path}.addresses`, (each, at) =>
    unlike(each, { address: ADDRESS, prefixLength: 0 }, at),
  )
}

const routeProblem: Problem = (value, path) => {
  const wrong = unlike(value, { prefix: ADDRESS, prefixLength: 0, interface: 0 }, path)
  if (wrong !== undefined || !isRecord(value) || value["via"] === undefined) return wrong
  return unlike(value["via"], ADDRESS, `${path}.via`)
}

/** Where a value lacks what `model` has, or has another type there. */
const unlike = (value: unknown, model: unknown, path: string): string | undefined => {
  if (Array.isArray(model)) {
    if (!Array.isArray(value) || value.length !== model.length) return `${path}: not ${model.length} values`
    return firstProblem(value, path, (each, at) => unlike(each, model[0], at))
  }
  if (isRecord(model)) {
    if (!isRecord(value)) return `${path}: missing, or no record`
    for (const [name, part] of Object.entries(model)) {
      const found = unlike(value[name], part, `${path}.${name}`)
      if (found !== undefined) return found
    }
    return undefined
  }
  return typeof value === typeof model ? undefined : `${path}: missing, or no ${typeof model}`
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

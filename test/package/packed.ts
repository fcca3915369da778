import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { dependencies, devDependencies } from "../../package.json"

export const ROOT = join(import.meta.dir, "../..")

/** Another project, in which our package is installed as it was packed. */
export interface Project {
  readonly directory: string
  /** What the tarball holds, without its leading `package/`. */
  readonly files: ReadonlyArray<string>
  readonly write: (name: string, text: string) => Promise<string>
  /** Puts the package's sources into a folder that is none of a package manager's, where Deno takes TypeScript. */
  readonly vendor: () => Promise<void>
  readonly remove: () => void
}

/** What `bun init` writes, where it concerns types. */
const TSCONFIG = {
  compilerOptions: {
    lib: ["ESNext"],
    target: "ESNext",
    module: "Preserve",
    moduleDetection: "force",
    moduleResolution: "bundler",
    allowImportingTsExtensions: true,
    verbatimModuleSyntax: true,
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    noFallthroughCasesInSwitch: true,
    noUncheckedIndexedAccess: true,
    noImplicitOverride: true,
    types: ["bun-types"],
  },
}

/** Packs, unpacks, and links the dependencies from our own node_modules: no network is involved. */
export const packedProject = async (): Promise<Project> => {
  const directory = mkdtempSync(join(tmpdir(), "netfold-package-"))
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(directory, name)
    await Bun.write(path, text)
    return path
  }
  await succeed([process.execPath, "pm", "pack", "--quiet", "--ignore-scripts", "--destination", directory], ROOT)
  const tarball = readdirSync(directory).find((name) => name.endsWith(".tgz"))
  if (tarball === undefined) throw new Error("nothing was packed")
  const modules = join(directory, "node_modules")
  const archive = new Bun.Archive(await Bun.file(join(directory, tarball)).bytes())
  const files = await archive.files()
  for (const [name, file] of files) await Bun.write(join(modules, name.replace(/^package\//, "netfold/")), file)
  for (const name of Object.keys({ ...dependencies, "bun-types": devDependencies["bun-types"] })) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(ROOT, "node_modules", name), join(modules, name))
  }
  await write("package.json", JSON.stringify({ type: "module", dependencies: { netfold: "*", effect: "*" } }))
  await write("tsconfig.json", JSON.stringify(TSCONFIG))
  return {
    directory,
    files: [...files.keys()].map((name) => name.replace(/^package\//, "")).sort(),
    write,
    vendor: async () => {
      cpSync(join(modules, "netfold"), join(directory, "vendor/netfold"), { recursive: true })
      await write(
        "deno.json",
        JSON.stringify({ imports: { netfold: "./vendor/netfold/src/index.ts" }, nodeModulesDir: "manual" }),
      )
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

const LIMIT_MILLIS = 60_000

/** Runs a program to its end and gives what it printed; throws with all of it when it fails. */
export const succeed = async (words: ReadonlyArray<string>, cwd: string): Promise<string> => {
  const child = Bun.spawn([...words], {
    cwd,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: LIMIT_MILLIS,
  })
  const [out, err, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  if (status !== 0) throw new Error(`${words.join(" ")}: exit status ${status}\n${out}${err}`)
  return out
}

/** Type-checks the project; throws with the compiler's complaints. */
export const typeCheck = ({ directory }: Project): Promise<string> =>
  succeed([process.execPath, join(ROOT, "node_modules/typescript/bin/tsc"), "-p", directory], directory)

// Builds every metric of metrics/ into dist/NAME.wasm and skips what is up to
// date: a metric's key is the hash of its sources, its SDK, its toolchain and
// this file, kept in dist/NAME.key. Go, Node and `npm ci` are all it takes; a
// metric in C is skipped, with the reason, where clang or wasm-ld is missing.
//
//   node build.mjs [NAME...]

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, "dist");

/** Runs a tool in a metric's folder; its own words are the error. */
function run(command, args, options = {}) {
  execFileSync(command, args, { stdio: ["ignore", "inherit", "inherit"], cwd: root, ...options });
}

const goVersion = () => execFileSync("go", ["version"], { cwd: root, encoding: "utf8" }).trim();
const npmVersion = (name) => {
  const file = join(root, "node_modules", name, "package.json");
  if (!existsSync(file)) throw new Error(`${name} is not installed; run npm ci in ${root}`);
  return `${name} ${JSON.parse(readFileSync(file, "utf8")).version}`;
};
const tool = (...path) => [process.execPath, join(root, "node_modules", ...path)];

/** Says that a metric cannot be built here, which is no failure. */
class Skip extends Error {}

/** What a command prints, or null where it cannot be run. */
function output(command, args) {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return null;
  }
}

/** The first clang in PATH that makes wasm32 modules; CLANG names another. */
function clang() {
  const versions = [21, 20, 19, 18, 17, 16, 15, 14].map((v) => `clang-${v}`);
  const names = process.env.CLANG ? [process.env.CLANG] : ["clang", ...versions];
  let reason = `there is no ${names[0]}`;
  for (const name of names) {
    const linker = output(name, ["--target=wasm32", "-print-prog-name=wasm-ld"]);
    if (linker === null) continue;
    if (isAbsolute(linker) || output("wasm-ld", ["--version"]) !== null) return name;
    reason = `${name} finds no wasm-ld`;
  }
  throw new Skip(`${reason} (Debian: apt install clang lld)`);
}

// One language a way of building: the file that tells it, what it depends on,
// and the command.
const languages = [
  {
    entry: "main.go",
    sources: [join(root, "sdk", "go")],
    toolchain: goVersion,
    build: (folder, out) =>
      run("go", ["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-buildmode=c-shared", "-o", out, "."], {
        cwd: folder,
        env: { ...process.env, GOOS: "wasip1", GOARCH: "wasm", CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: "" },
      }),
  },
  {
    entry: "index.ts",
    sources: [join(root, "sdk", "assemblyscript")],
    toolchain: () => npmVersion("assemblyscript"),
    build: (folder, out) => {
      const [node, asc] = tool("assemblyscript", "bin", "asc.js");
      run(node, [asc, relative(root, join(folder, "index.ts")), "--outFile", relative(root, out), "-O3",
        "--runtime", "stub", "--use", "abort=sdk/assemblyscript/metric/trap"]);
    },
  },
  {
    entry: "index.wat",
    sources: [],
    toolchain: () => npmVersion("wabt"),
    build: (folder, out) => {
      const [node, wat2wasm] = tool("wabt", "bin", "wat2wasm");
      run(node, [wat2wasm, join(folder, "index.wat"), "-o", out]);
    },
  },
  {
    entry: "main.c",
    sources: [join(root, "sdk", "c")],
    toolchain: () => output(clang(), ["--version"]),
    build: (folder, out) =>
      run(clang(), ["-O3", "-Wall", "--target=wasm32", "-mbulk-memory", "-msimd128", "-ffreestanding", "-nostdlib", "-Wl,--no-entry",
        "-I", join(root, "sdk", "c"), "-o", out, join(folder, "main.c")], {
        // clang runs the wasm-opt it finds: not npm's, which is there under `npm run` only.
        env: { ...process.env, PATH: process.env.PATH.split(delimiter).filter((p) => !p.includes("node_modules")).join(delimiter) },
      }),
  },
];

/** Every file below path, sorted. */
function files(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).sort().flatMap((name) => files(join(path, name)));
}

function key(folder, language) {
  const hash = createHash("sha256").update(language.toolchain());
  for (const file of [fileURLToPath(import.meta.url), folder, ...language.sources].flatMap(files)) {
    const content = readFileSync(file);
    hash.update(`\0${relative(root, file)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

function build(name) {
  const folder = join(root, "metrics", name);
  const language = languages.find((l) => existsSync(join(folder, l.entry)));
  if (!language) throw new Error(`metrics/${name} has none of ${languages.map((l) => l.entry).join(", ")}`);
  const out = join(dist, `${name}.wasm`);
  const keyFile = join(dist, `${name}.key`);
  const want = key(folder, language);
  if (existsSync(out) && existsSync(keyFile) && readFileSync(keyFile, "utf8") === want) {
    console.log(`${name}: up to date`);
    return;
  }
  // Built beside and renamed, so that a failed build leaves no half module.
  const fresh = join(dist, `.${name}.wasm`);
  language.build(folder, fresh);
  renameSync(fresh, out);
  writeFileSync(keyFile, want);
  console.log(`${name}: ${statSync(out).size} bytes`);
}

mkdirSync(dist, { recursive: true });
const names = process.argv.slice(2);
for (const name of names.length ? names : readdirSync(join(root, "metrics")).sort()) {
  try {
    build(name);
  } catch (e) {
    if (!(e instanceof Skip)) throw e;
    for (const end of ["wasm", "key"]) rmSync(join(dist, `${name}.${end}`), { force: true }); // it would be out of date
    console.log(`${name}: skipped: ${e.message}`);
  }
}

// The peer of `triality bench tokenizer`: the npm package of Hugging Face's tokenizers.
//
//   node peer.mjs FOLDER TOKENIZER WORK
//
// FOLDER has the package in node_modules, TOKENIZER is a tokenizer.json, WORK has documents.bin. Says who
// it is in one line of JSON, then answers each line of its input with one line of JSON: "cold" and "warm"
// with the seconds that encoding every document took, "ids" with the file that the results are in.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const [folder, file, work] = process.argv.slice(2)
const require = createRequire(join(folder, 'package.json'))
const { Tokenizer } = require('tokenizers')
const { version } = JSON.parse(readFileSync(join(folder, 'node_modules/tokenizers/package.json')))

const documents = []
const raw = readFileSync(join(work, 'documents.bin'))
for (let at = 0; at < raw.length; ) {
  const n = raw.readUInt32LE(at)
  documents.push(raw.toString('utf8', at + 4, at + 4 + n))
  at += 4 + n
}

let tokenizer
const load = () => {
  tokenizer = Tokenizer.fromFile(file)
  tokenizer.disableTruncation()
  tokenizer.disablePadding()
}
load()

const answer = (value) => process.stdout.write(JSON.stringify(value) + '\n')

// The whole text in one call, so that what Node adds is small; the ids stay where the library put them.
async function time() {
  const began = process.hrtime.bigint()
  await tokenizer.encodeBatch(documents, { addSpecialTokens: false })
  return Number(process.hrtime.bigint() - began) / 1e9
}

async function results() {
  const out = []
  const number = (n) => {
    const b = Buffer.alloc(4)
    b.writeUInt32LE(n)
    return b
  }
  const ids = (list) => out.push(number(list.length), Buffer.from(Uint32Array.from(list).buffer))
  for (const d of documents) {
    const plain = (await tokenizer.encode(d, null, { addSpecialTokens: false })).getIds()
    ids(plain)
    ids((await tokenizer.encode(d, null, { addSpecialTokens: true })).getIds())
    const text = Buffer.from(await tokenizer.decode(plain, false))
    out.push(number(text.length), text)
  }
  const path = join(work, 'ids.bin')
  writeFileSync(path, Buffer.concat(out))
  return path
}

answer({ name: `Hugging Face tokenizers, npm package ${version}` })
for await (const command of createInterface({ input: process.stdin })) {
  if (command === 'ids') {
    answer({ file: await results() })
    continue
  }
  if (command === 'cold') load()
  answer({ seconds: await time() })
}

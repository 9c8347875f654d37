// Reads a dataset folder with the npm package apache-arrow and prints its values as JSON, integers of 64
// bits as text: {split: {column: [value, …]}}.
//
//   node read_dataset.mjs PACKAGE.JSON DATASET
//
// PACKAGE.JSON lies beside the node_modules that has the package.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [manifest, dataset] = process.argv.slice(2)
const { tableFromIPC } = createRequire(manifest)('apache-arrow')
const json = (...path) => JSON.parse(readFileSync(join(dataset, ...path), 'utf8'))

const plain = (v) => {
  if (typeof v === 'bigint') return String(v)
  return typeof v === 'object' && v !== null ? Array.from(v, plain) : v
}

const out = {}
for (const split of json('dataset_dict.json').splits) {
  const columns = (out[split] = {})
  for (const { filename } of json(split, 'state.json')._data_files) {
    const table = tableFromIPC(readFileSync(join(dataset, split, filename)))
    for (const { name } of table.schema.fields) {
      const column = (columns[name] ??= [])
      for (const v of table.getChild(name)) column.push(plain(v))
    }
  }
}
process.stdout.write(JSON.stringify(out))

// Files of a run as a tree, and what shows each.
import type { Artifact } from '../lib/types.ts';

export interface Folder {
  name: string;
  path: string;
  folders: Folder[];
  files: Artifact[];
}

/** The paths as folders; a folder whose one content is a folder is one with it. */
export function tree(artifacts: Artifact[]): Folder {
  const root: Folder = { name: '', path: '', folders: [], files: [] };
  for (const a of [...artifacts].sort((x, y) => x.path.localeCompare(y.path, 'en', { numeric: true }))) {
    let at = root;
    for (const part of a.path.split('/').slice(0, -1)) {
      let next = at.folders.find((f) => f.name === part);
      if (!next) at.folders.push((next = { name: part, path: at.path ? `${at.path}/${part}` : part, folders: [], files: [] }));
      at = next;
    }
    at.files.push(a);
  }
  const joined = (f: Folder): Folder => {
    f.folders = f.folders.map(joined);
    const only = f.folders[0];
    return f.name && !f.files.length && f.folders.length === 1 && only ? { ...only, name: `${f.name}/${only.name}` } : f;
  };
  return joined(root);
}

export const leaf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

export type FileKind = 'image' | 'html' | 'json' | 'csv' | 'markdown' | 'safetensors' | 'gguf' | 'table' | 'text' | 'binary';

/** What shows a file, by the end of its name, then by its type. */
export function kindOf(a: Artifact): FileKind {
  const end = /\.([a-z0-9]+)$/i.exec(a.path)?.[1]?.toLowerCase() ?? '';
  const known: Record<string, FileKind> = {
    png: 'image', jpg: 'image', jpeg: 'image', gif: 'image', webp: 'image', svg: 'image', avif: 'image',
    html: 'html', htm: 'html', json: 'json', csv: 'csv', tsv: 'csv', md: 'markdown', safetensors: 'safetensors', gguf: 'gguf',
    arrow: 'table', feather: 'table', parquet: 'table', txt: 'text', log: 'text', yaml: 'text', yml: 'text', toml: 'text', jsonl: 'text', py: 'text',
    sh: 'text', ini: 'text', cfg: 'text', jinja: 'text',
  };
  // A browser draws as a page only what is served as one.
  if (known[end] === 'html') return a.media_type.startsWith('text/html') ? 'html' : 'text';
  if (known[end]) return known[end];
  if (a.media_type.startsWith('text/')) return 'text';
  return 'binary';
}

/** The rows of a CSV or TSV text, quoted fields with line ends in them included; at most so many. */
export function readCSV(text: string, separator: string, most: number): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let quoted = false;
  const endRow = () => {
    row.push(field);
    field = '';
    if (row.length > 1 || row[0]) rows.push(row);
    row = [];
  };
  for (let i = 0; i < text.length && rows.length < most; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') {
        field += '"';
        i++;
      } else quoted = false;
    } else if (c === '"' && field === '') quoted = true;
    else if (c === separator) {
      row.push(field);
      field = '';
    } else if (c === '\n') endRow();
    else if (c !== '\r') field += c;
  }
  if (rows.length < most && (field || row.length)) endRow();
  return rows;
}
